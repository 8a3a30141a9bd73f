//! The platform in one process: store, sinks, engine and API put together, and taken apart in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use api::{Api, LaneStatuses, MetricsPage, OperatorKey, Parts, PimGateway, Readiness, client_life};
use async_trait::async_trait;
use domain::address::AddressPolicy;
use domain::event_type::{Catalogue, RegisteredType};
use domain::lane_status::LaneStatus;
use domain::outcome::Lack;
use domain::{EventType, SubscriptionId, Timestamp};
use engine::Engine;
use engine::core::Survey;
use engine::trace::DeliveryTracer;
use intake::{Bridge, Reconciler};
use notify::Notifier;
use sinks::client::Client;
use sinks::connect::Connector;
use sinks::egress::check_while_silent;
use sinks::https::{HttpsSettings, HttpsSink};
use sinks::kafka::{KafkaSettings, KafkaSink};
use sinks::resolve::Resolver;
use sinks::tls::{TlsClient, roots_from_pem};
use sinks::{Sink, Sinks};
use store::trace::AppendTracer;
use store::transition::Frequent;
use store::{Outbox, Store};
use tokio::net::TcpListener;
use tokio::sync::{RwLock, watch};
use tokio::task::JoinHandle;
use wire::envelope::EnvelopeStyle;

use crate::config::{Config, SchemaCheck, Settings, UnknownTypes};
use crate::failure::{Exit, Failure};
use crate::metrics::{self, Metrics};
use crate::pim_attributes::HttpAttributes;
use crate::pim_client::PimClient;
use crate::pim_entities::HttpEntities;
use crate::pim_gateway::HttpGateway;
use crate::traces::Traces;
use crate::{data, notifications, pubsub, registration};

/// How often log entries that are too old are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// How often the store is told how long the platform has run: a crash loses less than this.
const SERVED_EVERY: Duration = Duration::from_secs(5 * 60);
/// Less memory for bodies would not hold the largest ones beside others.
const LEAST_BODY_MEMORY: u64 = 16 << 20;

/// A running platform.
pub(crate) struct Platform {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where it listens for scrapers of metrics.
    pub(crate) metrics_address: Option<SocketAddr>,
    running: Arc<Running>,
    store: Arc<dyn Store>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    scraping: Option<JoinHandle<()>>,
    pruning: JoinHandle<()>,
    ageing: JoinHandle<()>,
    rechecking: JoinHandle<()>,
    reconciling: Option<JoinHandle<()>>,
    checking_egress: Option<JoinHandle<()>>,
    notifier: Notifier,
    traces: Traces,
}

/// The engine as the API sees it; empty once it is stopped.
pub(crate) struct Running(RwLock<Option<Engine>>);

impl Running {
    /// How all lanes stand; `None` once the engine has stopped.
    pub(crate) async fn survey(&self, at_most: usize) -> Option<Survey> {
        self.0.read().await.as_ref()?.survey(at_most).await
    }
}

#[async_trait]
impl LaneStatuses for Running {
    async fn status(&self, subscription: SubscriptionId) -> Option<LaneStatus> {
        self.0.read().await.as_ref()?.status(subscription).await
    }
}

#[async_trait]
impl Readiness for Running {
    async fn ready(&self) -> Result<Vec<Lack>, String> {
        match self.0.read().await.as_ref() {
            Some(engine) if engine.is_running() => Ok(engine.lacks()),
            Some(_) => Err("deliveries have stopped because of a fault; the log of the platform says why".to_owned()),
            None => Err("the platform is stopping".to_owned()),
        }
    }
}

impl Platform {
    /// Starts it: the data folder, what the configuration registers, deliveries, and last the API.
    pub(crate) async fn start(config: &Config) -> Result<Platform, Failure> {
        let settings = &config.settings;
        let listener = listen(settings.top.listen).await?;
        let address = listener.local_addr().context("the address that is listened on is not known")?;
        let public_url =
            settings.top.public_url.as_ref().map_or_else(|| format!("http://{address}"), |url| url.0.clone());

        let sqlite = Arc::new(data::open_to_serve(config)?);
        let store: Arc<dyn Store> = Arc::clone(&sqlite) as Arc<dyn Store>;
        registration::apply(sqlite.as_ref(), &config.pims, Timestamp::now())
            .await
            .map_err(|error| Failure::new(Exit::Configuration, error))?;

        let connector = connector(settings)?;
        let style = EnvelopeStyle::new(&settings.top.source, &public_url);
        let https = HttpsSink::new(connector.clone(), style.clone(), https_settings(settings));
        let pubsub = pubsub::sink(settings, style.clone(), &connector)?;
        let kafka = KafkaSink::new(connector.clone(), style, kafka_settings(settings))
            .context("Kafka clients connect by way of a port of 127.0.0.1, and none can be listened on")?;
        let sinks = Arc::new(Sinks::new(connector.heard().clone(), https, pubsub, kafka));
        let sink = Arc::clone(&sinks) as Arc<dyn Sink>;
        let traces = Traces::start(&settings.traces, Client::new(connector.exempt()))?;
        let tracer = traces.tracer().map(|tracer| Arc::clone(tracer) as Arc<dyn DeliveryTracer>);
        let engine = Engine::start_traced(
            Arc::clone(&store),
            sink,
            engine_settings(settings),
            tracer,
            connector.heard().clone(),
        )
        .await
        .map_err(|error| Failure::new(Exit::Data, error))?;
        let engine_meters = Arc::clone(engine.meters());
        let running = Arc::new(Running(RwLock::new(Some(engine))));
        let outbox = Arc::clone(&store) as Arc<dyn Outbox>;
        let notifier = notifications::start(outbox, connector.clone(), settings, &public_url)?;
        let pims = PimClient::new(Client::new(connector.exempt()), settings.tokens.timeout);
        let gateway: Arc<dyn PimGateway> = Arc::new(HttpGateway::new(pims.clone()));
        let rechecking = tokio::spawn(recheck(Arc::clone(&store), Arc::clone(&gateway), settings.clone()));

        let attributes = HttpAttributes::new(pims.clone());
        let api = Api::new(Parts {
            store: Arc::clone(&store),
            gateway,
            lanes: Arc::clone(&running) as Arc<dyn LaneStatuses>,
            readiness: Arc::clone(&running) as Arc<dyn Readiness>,
            catalogue: Arc::new(catalogue(settings)),
            settings: api_settings(settings, public_url),
        });
        let api = api.with_attribute_source(Arc::new(attributes));
        let api = match traces.tracer() {
            Some(tracer) => api.with_tracer(Arc::clone(tracer) as Arc<dyn AppendTracer>),
            None => api,
        };
        let metrics = Metrics::new(metrics::Sources {
            counters: Arc::clone(api.counters()),
            bridge: Arc::downgrade(api.bridge()),
            running: Arc::clone(&running),
            engine: engine_meters,
            sinks,
            store: Arc::downgrade(&sqlite),
            store_meters: Arc::clone(sqlite.meters()),
            notify: Arc::clone(notifier.meters()),
            spans: Arc::clone(&traces.fates),
            per_subscription_at_most: settings.metrics.per_subscription_at_most.0,
        });
        let api = Arc::new(api.with_metrics(Arc::clone(&metrics) as Arc<dyn MetricsPage>));
        let entities = HttpEntities::new(pims);
        let reconciling = reconcile(settings, Arc::clone(api.bridge()), Arc::clone(&store), entities);
        let (stop, mut stopped) = watch::channel(false);
        let (metrics_address, scraping) = match settings.metrics.listen {
            Some(address) => {
                let mut stopped = stop.subscribe();
                let stopped = async move { _ = stopped.wait_for(|stopped| *stopped).await };
                let (address, serving) = metrics::listen(address, metrics, stopped).await?;
                (Some(address), Some(tokio::spawn(serving)))
            }
            None => (None, None),
        };
        let serving = tokio::spawn(api::serve(listener, api, async move {
            // An error is the sender's end, which is a stop as well.
            _ = stopped.wait_for(|stopped| *stopped).await;
        }));
        let checking_egress = check_egress(settings, connector);
        let pruning = tokio::spawn(prune(Arc::clone(&store), settings.storage.keep_logs));
        let ageing = tokio::spawn(age(Arc::clone(&store), stop.subscribe()));
        Ok(Platform {
            address,
            metrics_address,
            running,
            store,
            stop,
            serving,
            scraping,
            pruning,
            ageing,
            rechecking,
            reconciling,
            checking_egress,
            notifier,
            traces,
        })
    }

    /// How a subscription's delivery stands.
    pub(crate) async fn status(&self, subscription: SubscriptionId) -> Option<LaneStatus> {
        self.running.status(subscription).await
    }

    /// Stops it: takes no more requests, lets attempts under way end, saves how far every subscription has come.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the API did not stop in order");
        }
        if let Some(scraping) = self.scraping
            && let Err(error) = scraping.await
        {
            tracing::error!(%error, "the listener for metrics did not stop in order");
        }
        self.pruning.abort();
        self.rechecking.abort();
        if let Some(reconciling) = self.reconciling {
            reconciling.abort();
        }
        if let Some(checking_egress) = self.checking_egress {
            checking_egress.abort();
        }
        if let Some(engine) = self.running.0.write().await.take() {
            engine.stop().await;
        }
        if let Err(error) = self.ageing.await {
            tracing::error!(%error, "the hours of service were not counted in order");
        }
        self.notifier.stop().await;
        self.traces.stop().await;
        // Closing the store waits for the disk.
        let store = self.store;
        if let Err(error) = tokio::task::spawn_blocking(move || drop(store)).await {
            tracing::error!(%error, "the store did not close in order");
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let error = anyhow::Error::from(error).context(format!("cannot listen on {address}"));
        Failure::new(Exit::Failed, error).hint("name another address by --listen; port 0 takes any free one")
    })
}

fn connector(settings: &Settings) -> Result<Connector, Failure> {
    let tls = tls(settings).map_err(|error| Failure::new(Exit::Configuration, error))?;
    Ok(Connector::new(Arc::new(Resolver::system()), addresses(settings), tls))
}

/// TLS with the public roots and those that the operator adds.
pub(crate) fn tls(settings: &Settings) -> anyhow::Result<TlsClient> {
    let mut roots = Vec::new();
    for path in &settings.top.extra_roots {
        let named = || path.display().to_string();
        let text = std::fs::read(path).with_context(named)?;
        roots.extend(roots_from_pem(&text).with_context(named)?);
    }
    Ok(TlsClient::new(&roots)?)
}

fn addresses(settings: &Settings) -> AddressPolicy {
    AddressPolicy {
        allow_networks: settings.top.allow_networks.clone(),
        nat64_prefixes: settings.top.nat64_prefixes.iter().map(|prefix| prefix.0).collect(),
    }
}

fn https_settings(settings: &Settings) -> HttpsSettings {
    let delivery = &settings.delivery;
    HttpsSettings {
        attempt_timeout: delivery.attempt_timeout,
        connections_per_subscription: delivery.max_in_flight.0,
        connections: delivery.max_connections.0,
        ..HttpsSettings::default()
    }
}

fn kafka_settings(settings: &Settings) -> KafkaSettings {
    let delivery = &settings.delivery;
    KafkaSettings {
        clients: delivery.max_kafka_clients.0,
        connections: delivery.max_connections.0,
        ..KafkaSettings::default()
    }
}

fn engine_settings(settings: &Settings) -> engine::Settings {
    let delivery = &settings.delivery;
    let defaults = delivery::Settings::default();
    engine::Settings {
        delivery: delivery::Settings {
            lowest_rate: delivery.rate_lowest.0,
            highest_rate: delivery.rate_highest.0,
            first_rate: delivery.rate_first.0,
            max_in_flight: delivery.max_in_flight.0,
            retry_delays: delivery.retry_delays.clone(),
            suspend_after: delivery.suspend_after,
            topic_patience: delivery.topic_patience,
            // A lane that may have more under way than it holds ready would run dry.
            max_in_hand: defaults.max_in_hand.max(2 * delivery.max_in_flight.0),
            ..defaults
        },
        host_rate: delivery.host_rate.0,
        save_every: delivery.save_interval,
        frequent: frequent(settings),
        retention: settings.storage.keep_events,
        ..engine::Settings::default()
    }
}

fn catalogue(settings: &Settings) -> Catalogue {
    let further = settings.ingest.event_types.iter();
    Catalogue::with_registered(further.map(|name| RegisteredType { name: EventType::new(name), source: None }))
}

fn api_settings(settings: &Settings, public_url: String) -> api::Settings {
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    let defaults = api::Settings::default();
    api::Settings {
        public_url,
        operator_key: settings.api.operator_key.as_ref().map(OperatorKey::new),
        metrics_key: settings.metrics.key.as_ref().map(OperatorKey::new),
        frequent: frequent(settings),
        requests_per_second: u32::try_from(settings.api.rate.0).unwrap_or(u32::MAX),
        unknown_types: match settings.ingest.unknown_types {
            UnknownTypes::Accept => api::UnknownTypes::Accept,
            UnknownTypes::Reject => api::UnknownTypes::Reject,
        },
        schema_check: match settings.ingest.schema_check {
            SchemaCheck::Off => api::SchemaCheck::Off,
            SchemaCheck::Warn => api::SchemaCheck::Warn,
            SchemaCheck::Reject => api::SchemaCheck::Reject,
        },
        allow_http: settings.top.allow_http_destinations,
        addresses: addresses(settings),
        trusted_proxies: settings.api.trusted_proxies.clone(),
        verdicts: api::VerdictCache {
            yes: settings.tokens.yes_for,
            no: settings.tokens.no_for,
            at_most: settings.tokens.max_cached.0,
            check: settings.tokens.timeout,
        },
        server: api::ServerBounds {
            connections: settings.api.max_connections.0,
            header_timeout: settings.api.header_timeout,
            body_timeout: settings.api.body_timeout,
            management_body: bytes(settings.api.max_body.0),
            ingest_body: bytes(settings.ingest.max_request.0),
            body_memory: settings.api.body_memory.0.max(LEAST_BODY_MEMORY),
            ..defaults.server
        },
        ..defaults
    }
}

fn frequent(settings: &Settings) -> Frequent {
    Frequent { times: settings.notifications.frequent_suspensions.0, ..Frequent::default() }
}

/// Asks PIMs now and then whether their clients may still use the platform.
async fn recheck(store: Arc<dyn Store>, gateway: Arc<dyn PimGateway>, settings: Settings) {
    let (every, pause) = (settings.tokens.recheck_every, settings.tokens.recheck_pause);
    if every.is_zero() {
        return;
    }
    loop {
        tokio::time::sleep(every).await;
        let round = client_life::recheck_permissions(store.as_ref(), gateway.as_ref(), pause, frequent(&settings));
        if let Err(error) = round.await {
            tracing::warn!(%error, "clients' permissions were not checked; the next round tries again");
        }
    }
}

/// Starts to look now and then for what PIMs failed to send, where that is switched on.
fn reconcile(
    settings: &Settings,
    bridge: Arc<Bridge>,
    store: Arc<dyn Store>,
    entities: HttpEntities,
) -> Option<JoinHandle<()>> {
    let (every, overlap) = (settings.events_api.reconcile_every, settings.events_api.reconcile_overlap);
    let reconciler = Reconciler::new(bridge, store, Arc::new(entities), overlap);
    (!every.is_zero()).then(|| tokio::spawn(reconciler.run(every)))
}

/// Starts to ask the hosts of `egress.check` while no other host answers, where there are any.
fn check_egress(settings: &Settings, connector: Connector) -> Option<JoinHandle<()>> {
    let hosts = settings.egress.check.iter().map(|check| (check.host.clone(), check.port)).collect::<Vec<_>>();
    (!hosts.is_empty()).then(|| tokio::spawn(check_while_silent(connector, hosts)))
}

/// Deletes what the Events API bridge kept of PIMs that are not registered any more, slice by slice.
async fn prune_snapshots(store: &dyn Store) {
    loop {
        match store.prune_snapshots().await {
            Ok(0) => return,
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => {
                tracing::warn!(%error, "what was kept of removed PIMs was not deleted; the next try is in an hour");
                return;
            }
        }
    }
}

/// Counts the hours of service, by which everything ages: the clock that never steps says how long the platform has
/// run.
async fn age(store: Arc<dyn Store>, mut stopped: watch::Receiver<bool>) {
    let mut told = Instant::now();
    loop {
        let stop = tokio::time::timeout(SERVED_EVERY, stopped.wait_for(|stopped| *stopped)).await.is_ok();
        let now = Instant::now();
        match store.served(now.duration_since(told)).await {
            Ok(_) => told = now,
            Err(error) => {
                tracing::warn!(%error, "the hours of service were not counted; they will be with the next try")
            }
        }
        if stop {
            return;
        }
    }
}

/// Deletes log entries that are older than `keep`, and what was deleted before that, now and then. Ages are counted in
/// hours of service.
async fn prune(store: Arc<dyn Store>, keep: Duration) {
    loop {
        match store.prune_entries(store.hour().ago(keep)).await {
            Ok(0) => {}
            Ok(entries) => tracing::info!(entries, "deleted old log entries"),
            Err(error) => tracing::warn!(%error, "old log entries were not deleted; the next try is in an hour"),
        }
        prune_snapshots(store.as_ref()).await;
        // However short the logs are kept: the engine must have seen an end before it is forgotten.
        match store.prune_deleted(store.hour().ago(keep.max(PRUNE_EVERY))).await {
            Ok(0) => {}
            Ok(pruned) => tracing::info!(pruned, "forgot subscribers and subscriptions that were deleted long ago"),
            Err(error) => {
                tracing::warn!(%error, "deleted subscriptions were not forgotten; the next try is in an hour")
            }
        }
        tokio::time::sleep(PRUNE_EVERY).await;
    }
}
