//! The platform in one process: startup and shutdown of store, sinks, engine and API.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use api::{Api, Deliveries, LaneStatuses, MetricsPage, Nodes, Parts, PimGateway, Readiness};
use domain::lane_status::LaneStatus;
use domain::{Clock, SubscriptionId};
use engine::Common;
use engine::trace::DeliveryTracer;
use intake::Bridge;
use sinks::Sink;
use sinks::client::HttpClient;
use sinks::egress::check_while_silent;
use store::trace::AppendTracer;
use store::{Backend, Store};
use supervise::Supervisor;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::asking::Asking;
use crate::config::Config;
use crate::config::settings::Settings;
use crate::failure::{Exit, Failure};
use crate::metrics::{self, Metrics};
use crate::neighbours::Neighbours;
use crate::notifications::Notifications;
use crate::pim_attributes::HttpAttributes;
use crate::pim_client::PimClient;
use crate::pim_entities::HttpEntities;
use crate::pim_gateway::HttpGateway;
use crate::running::Running;
use crate::shards::{self, Parts as ShardParts, Rechecking, Reconciling, Shards};
use crate::test_delivery::TestDelivery;
use crate::traces::Traces;
use crate::{console_parts, data, destinations, egress, registration, tuning};

/// A running platform.
pub(crate) struct Platform {
    /// Address of the API.
    pub(crate) address: SocketAddr,
    /// Address of the metrics listener.
    pub(crate) metrics_address: Option<SocketAddr>,
    asking: Arc<Asking>,
    store: Arc<dyn Backend>,
    supervisor: Supervisor,
    /// The listeners; each returns once it has answered its pending requests.
    serving: Vec<JoinHandle<()>>,
    /// Deliveries of all shards, and the maintenance of their owner.
    delivering: JoinHandle<()>,
    /// All requests have been answered.
    drained: watch::Sender<bool>,
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

        let backend = data::open_to_serve(config).await?;
        let store: Arc<dyn Store> = Arc::clone(&backend) as Arc<dyn Store>;
        supervisor.need("the store", backend.ended());
        registration::apply(store.as_ref(), &config.pims, clock.wall())
            .await
            .map_err(|error| Failure::new(Exit::Configuration, error))?;

        let connector = egress::connector(settings)?;
        let traces =
            Traces::start(&settings.traces, backend.node(), HttpClient::new(connector.exempt()), clock.clone())?;
        let sinks = Arc::new(destinations::sinks(settings, &public_url, &connector, &clock)?);
        let tester = Arc::new(TestDelivery::new(Arc::clone(&sinks) as Arc<dyn Sink>, clock.clone()));
        let common = Common::new(&clock);
        let running = Arc::new(Running::new(&backend, &common, clock.clone()));
        let vault = data::session_vault(config)?;
        let mut neighbours = Neighbours::new(settings, &backend, &vault, &connector, &clock).await?;
        let asking = neighbours.asking(&running);
        let notify_meters: Arc<notify::Meters> = Arc::default();
        let meters = Arc::clone(&notify_meters);
        let notifications =
            Notifications::new(&store, connector.clone(), settings, &public_url, clock.clone(), meters)?;
        let pims = PimClient::new(HttpClient::new(connector.exempt()), settings.tokens.timeout);
        let append_tracer = traces.tracer().map(|tracer| Arc::clone(tracer) as Arc<dyn AppendTracer>);
        let attributes = Arc::new(HttpAttributes::new(pims.clone()));
        let bridge = Arc::new(Bridge::new(Arc::clone(&store), Some(attributes), append_tracer.clone(), clock.clone()));
        let gateway: Arc<dyn PimGateway> = Arc::new(HttpGateway::new(pims.clone()));
        let shards = Shards::start(ShardParts {
            backend: Arc::clone(&backend),
            running: Arc::clone(&running),
            sink: Arc::clone(&sinks) as Arc<dyn Sink>,
            settings: tuning::engine_settings(settings),
            clock: clock.clone(),
            tracer: traces.tracer().map(|tracer| Arc::clone(tracer) as Arc<dyn DeliveryTracer>),
            heard: connector.heard().clone(),
            common: common.clone(),
            notifications,
            rechecking: rechecking(settings, &gateway, &clock),
            reconciling: reconciling(settings, &bridge, pims, &clock),
            keep_logs: settings.storage.keep_logs,
            profile: shards::profile(neighbours.address.clone()),
        });
        let shards = shards.await.map_err(|error| Failure::new(Exit::Data, error))?;
        let (drained, is_drained) = watch::channel(false);
        let delivering = supervisor.need("deliveries", shards.keep(supervisor.stopping(), is_drained));

        let counters: Arc<api::Counters> = Arc::default();
        let metrics = Metrics::new(metrics::Sources {
            counters: Arc::clone(&counters),
            bridge: Arc::downgrade(&bridge),
            running: Arc::clone(&running),
            engine: Arc::clone(&common.meters),
            sinks,
            store: Arc::downgrade(&backend),
            store_meters: Arc::clone(backend.meters()),
            notify: notify_meters,
            calls: Arc::clone(&neighbours.meters),
            owners: Arc::downgrade(&neighbours.owners),
            spans: Arc::clone(&traces.fates),
            per_subscription_at_most: settings.metrics.per_subscription_at_most.0,
            clock: clock.clone(),
        });
        let api = Arc::new(Api::new(Parts {
            store: Arc::clone(&store),
            gateway: Arc::clone(&gateway),
            lanes: Arc::clone(&asking) as Arc<dyn LaneStatuses>,
            deliveries: Arc::clone(&asking) as Arc<dyn Deliveries>,
            nodes: neighbours.view() as Arc<dyn Nodes>,
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
        if let Some(answering) = neighbours.serve(&running, stopped(&supervisor)) {
            serving.push(supervisor.need("the listener for other nodes", answering));
        }
        if let Some(nudging) = neighbours.nudging() {
            supervisor.keep("nudges", nudging);
        }
        let console = console_parts::routes(settings, &public_url, &api, vault, clock.clone());
        serving.push(supervisor.need("the API", api::serve_with(listener, api, console, stopped(&supervisor))));
        let hosts = settings.egress.check.iter().map(|check| (check.host.clone(), check.port)).collect::<Vec<_>>();
        if !hosts.is_empty() {
            supervisor.keep("connectivity checks", move || check_while_silent(connector.clone(), hosts.clone()));
        }
        Ok(Platform {
            address,
            metrics_address,
            asking,
            store: backend,
            supervisor,
            serving,
            delivering,
            drained,
            traces,
        })
    }

    /// Delivery status of a subscription.
    pub(crate) async fn status(&self, subscription: SubscriptionId) -> Option<LaneStatus> {
        let subscription = self.store.subscription(subscription).await.ok()??;
        self.asking.status(&subscription).await.ok()?
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
        self.drained.send_replace(true);
        if let Err(error) = self.delivering.await {
            tracing::error!(%error, "deliveries did not stop gracefully");
        }
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

/// Checks of permissions, if they are enabled.
fn rechecking(settings: &Settings, gateway: &Arc<dyn PimGateway>, clock: &Clock) -> Option<Rechecking> {
    let is_enabled = !settings.tokens.recheck_every.is_zero();
    is_enabled.then(|| Rechecking { gateway: Arc::clone(gateway), clock: clock.clone(), settings: settings.clone() })
}

/// Reconciliation, if it is enabled.
fn reconciling(settings: &Settings, bridge: &Arc<Bridge>, pims: PimClient, clock: &Clock) -> Option<Reconciling> {
    let every = settings.events_api.reconcile_every;
    (!every.is_zero()).then(|| Reconciling {
        bridge: Arc::clone(bridge),
        source: Arc::new(HttpEntities::new(pims)),
        every,
        overlap: settings.events_api.reconcile_overlap,
        clock: clock.clone(),
    })
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
