//! The platform in one process: startup and shutdown of store, sinks, engine and API.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use api::{Api, Deliveries, LaneStatuses, MetricsPage, Parts, PimGateway, Readiness};
use domain::lane_status::LaneStatus;
use domain::{Clock, SubscriptionId};
use engine::trace::DeliveryTracer;
use engine::{Ending, Engine};
use intake::{Bridge, Reconciler};
use notify::Notifier;
use sinks::Sink;
use sinks::client::HttpClient;
use sinks::connect::Connector;
use sinks::egress::check_while_silent;
use store::trace::AppendTracer;
use store::{Shard, Store, Tenure};
use supervise::Supervisor;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::config::settings::Settings;
use crate::failure::{Exit, Failure};
use crate::metrics::{self, Metrics};
use crate::pim_attributes::HttpAttributes;
use crate::pim_client::PimClient;
use crate::pim_entities::HttpEntities;
use crate::pim_gateway::HttpGateway;
use crate::running::Running;
use crate::test_delivery::TestDelivery;
use crate::traces::Traces;
use crate::{console_parts, data, destinations, egress, notifications, registration, tuning, upkeep};

/// A running platform.
pub(crate) struct Platform {
    /// Address of the API.
    pub(crate) address: SocketAddr,
    /// Address of the metrics listener.
    pub(crate) metrics_address: Option<SocketAddr>,
    running: Arc<Running>,
    store: Arc<dyn Store>,
    supervisor: Supervisor,
    /// The listeners; each returns once it has answered its pending requests.
    serving: Vec<JoinHandle<()>>,
    ageing: JoinHandle<()>,
    notifier: Notifier,
    traces: Traces,
}

impl Platform {
    /// Starts the platform: data folder, registrations of the configuration, deliveries, and finally the API.
    pub(crate) async fn start(config: &Config) -> Result<Platform, Failure> {
        let settings = &config.settings;
        let listener = listen(settings.top.listen).await?;
        let address = listener.local_addr().context("unknown listen address")?;
        let public_url = tuning::public_url(settings, address);
        let clock = Clock::system();
        let mut supervisor = Supervisor::new();

        let sqlite = Arc::new(data::open_to_serve(config)?);
        let store: Arc<dyn Store> = Arc::clone(&sqlite) as Arc<dyn Store>;
        supervisor.need("the store", sqlite.ended());
        registration::apply(sqlite.as_ref(), &config.pims, clock.wall())
            .await
            .map_err(|error| Failure::new(Exit::Configuration, error))?;

        let connector = egress::connector(settings)?;
        let traces = Traces::start(&settings.traces, HttpClient::new(connector.exempt()), clock.clone())?;
        let sinks = Arc::new(destinations::sinks(settings, &public_url, &connector, &clock)?);
        let tester = Arc::new(TestDelivery::new(Arc::clone(&sinks) as Arc<dyn Sink>, clock.clone()));
        let engine = Engine::start(
            Arc::clone(&store),
            Shard::FIRST,
            Arc::clone(&sinks) as Arc<dyn Sink>,
            tuning::engine_settings(settings),
            clock.clone(),
            traces.tracer().map(|tracer| Arc::clone(tracer) as Arc<dyn DeliveryTracer>),
            connector.heard().clone(),
        )
        .await
        .map_err(|error| Failure::new(Exit::Data, error))?;
        let ended = engine.ended();
        supervisor.need("deliveries", async {
            if ended.await == Ending::Fenced {
                tracing::error!("another process took the deliveries over");
            }
        });
        let (engine_meters, tenure) = (Arc::clone(engine.meters()), engine.tenure());
        let running = Arc::new(Running::new(engine, clock.clone()));
        let notifier =
            notifications::start(&store, tenure.shard, connector.clone(), settings, &public_url, clock.clone())?;
        supervisor.need("notifications", notifier.ended());

        let pims = PimClient::new(HttpClient::new(connector.exempt()), settings.tokens.timeout);
        let append_tracer = traces.tracer().map(|tracer| Arc::clone(tracer) as Arc<dyn AppendTracer>);
        let attributes = Arc::new(HttpAttributes::new(pims.clone()));
        let bridge = Arc::new(Bridge::new(Arc::clone(&store), Some(attributes), append_tracer.clone(), clock.clone()));
        let counters: Arc<api::Counters> = Arc::default();
        let metrics = Metrics::new(metrics::Sources {
            counters: Arc::clone(&counters),
            bridge: Arc::downgrade(&bridge),
            running: Arc::clone(&running),
            engine: engine_meters,
            sinks,
            store: Arc::downgrade(&sqlite),
            store_meters: Arc::clone(sqlite.meters()),
            notify: Arc::clone(notifier.meters()),
            spans: Arc::clone(&traces.fates),
            per_subscription_at_most: settings.metrics.per_subscription_at_most.0,
            clock: clock.clone(),
        });
        let gateway: Arc<dyn PimGateway> = Arc::new(HttpGateway::new(pims.clone()));
        let api = Arc::new(Api::new(Parts {
            store: Arc::clone(&store),
            gateway: Arc::clone(&gateway),
            lanes: Arc::clone(&running) as Arc<dyn LaneStatuses>,
            deliveries: Arc::clone(&running) as Arc<dyn Deliveries>,
            tester,
            readiness: Arc::clone(&running) as Arc<dyn Readiness>,
            event_types: Arc::new(tuning::event_types(settings)),
            settings: tuning::api_settings(settings, public_url.clone()),
            clock: clock.clone(),
            bridge: Arc::clone(&bridge),
            counters,
            tracer: append_tracer,
            metrics: Some(Arc::clone(&metrics) as Arc<dyn MetricsPage>),
        }));

        let mut serving = Vec::new();
        let mut metrics_address = None;
        if let Some(address) = settings.metrics.listen {
            let (address, scraping) = metrics::listen(address, metrics, stopped(&supervisor)).await?;
            metrics_address = Some(address);
            serving.push(supervisor.need("the listener for metrics", scraping));
        }
        let console = console_parts::routes(settings, &public_url, &api, data::session_vault(config)?, clock.clone());
        serving.push(supervisor.need("the API", api::serve_with(listener, api, console, stopped(&supervisor))));
        let ageing =
            supervisor.need("hours of service", upkeep::age(Arc::clone(&store), tenure, supervisor.stopping()));
        let reconciler = Reconciler::new(
            bridge,
            Arc::clone(&store),
            tenure.shard,
            Arc::new(HttpEntities::new(pims)),
            settings.events_api.reconcile_overlap,
            clock.clone(),
        );
        keep_up(&mut supervisor, settings, (&store, tenure), gateway, reconciler, connector, clock);
        Ok(Platform { address, metrics_address, running, store, supervisor, serving, ageing, notifier, traces })
    }

    /// Delivery status of a subscription.
    pub(crate) async fn status(&self, subscription: SubscriptionId) -> Option<LaneStatus> {
        self.running.status(subscription).await
    }

    /// Resolves when the platform cannot go on; gives the task that failed.
    pub(crate) async fn failed(&self) -> &'static str {
        self.supervisor.failed().await
    }

    /// Stops the platform gracefully: accepts no more requests, waits for attempts in flight, and saves the progress of
    /// all subscriptions.
    pub(crate) async fn stop(mut self) {
        self.supervisor.stop();
        for serving in self.serving {
            if let Err(error) = serving.await {
                tracing::error!(%error, "a listener did not stop gracefully");
            }
        }
        self.supervisor.end_kept().await;
        self.running.stop().await;
        if let Err(error) = self.ageing.await {
            tracing::error!(%error, "the count of service hours did not stop gracefully");
        }
        self.notifier.stop().await;
        self.traces.stop().await;
        // Closing the store waits for the disk.
        let store = self.store;
        if let Err(error) = tokio::task::spawn_blocking(move || drop(store)).await {
            tracing::error!(%error, "the store did not close gracefully");
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let error = anyhow::Error::from(error).context(format!("cannot listen on {address}"));
        Failure::new(Exit::Failed, error).hint("choose another address with --listen; port 0 chooses a free port")
    })
}

/// Resolves when the platform stops.
fn stopped(supervisor: &Supervisor) -> impl Future<Output = ()> + use<> {
    let mut stopping = supervisor.stopping();
    async move {
        // An error means that the supervisor is gone, which is a stop as well.
        _ = stopping.wait_for(|stopping| *stopping).await;
    }
}

/// Starts the background tasks that the settings enable.
fn keep_up(
    supervisor: &mut Supervisor,
    settings: &Settings,
    (store, tenure): (&Arc<dyn Store>, Tenure),
    gateway: Arc<dyn PimGateway>,
    reconciler: Reconciler,
    connector: Connector,
    clock: Clock,
) {
    let (pruned, keep) = (Arc::clone(store), settings.storage.keep_logs);
    supervisor.keep("pruning", move || upkeep::prune(Arc::clone(&pruned), tenure, keep));
    if !settings.tokens.recheck_every.is_zero() {
        let (store, settings) = (Arc::clone(store), settings.clone());
        let recheck =
            move || upkeep::recheck(store.clone(), tenure.shard, gateway.clone(), clock.clone(), settings.clone());
        supervisor.keep("permission checks", recheck);
    }
    let every = settings.events_api.reconcile_every;
    if !every.is_zero() {
        let reconciler = Arc::new(reconciler);
        supervisor.keep("reconciliation", move || Arc::clone(&reconciler).run(every));
    }
    let hosts = settings.egress.check.iter().map(|check| (check.host.clone(), check.port)).collect::<Vec<_>>();
    if !hosts.is_empty() {
        supervisor.keep("connectivity checks", move || check_while_silent(connector.clone(), hosts.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::traces;

    /// Service managers kill a process that exceeds its time limit; events in flight would be delivered twice.
    #[test]
    fn service_managers_wait_for_a_graceful_stop() {
        // Requests in flight, then those whose clients have left, deliveries, notifications, spans.
        let drain = api::ServerBounds::default().drain;
        let longest = 2 * drain + engine::STOP_AT_MOST + notify::STOP_AT_MOST + traces::STOP_AT_MOST;
        for (file, before) in [
            ("docs/operators/postrider.service", "TimeoutStopSec="),
            ("deploy/compose/compose.yaml", "stop_grace_period: "),
            ("deploy/helm/postrider/values.yaml", "terminationGracePeriodSeconds: "),
            (
                "deploy/helm/postrider/values.schema.json",
                "\"terminationGracePeriodSeconds\": {\"type\": \"integer\", \"minimum\": ",
            ),
        ] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
            let text = std::fs::read_to_string(path).unwrap();
            let rest = text.split_once(before).unwrap_or_else(|| panic!("{file} has no {before}")).1;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            assert!(
                digits.parse::<u64>().unwrap() > longest.as_secs(),
                "{file}: {digits} s, a stop takes up to {longest:?}"
            );
        }
        let page =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators/kubernetes.md"));
        assert!(page.unwrap().contains(&format!("up to {} s", longest.as_secs())), "{longest:?}");
    }
}
