//! The HTTP API: subscribers, subscriptions and logs for the clients of PIMs, and the way in for events.
//!
//! Reading order: the table of contents ([`router`]), who asks ([`auth`]), what every management request goes through
//! (`management`), then one file for each action or resource. [`serve`] puts it on a socket.

mod route;
mod router;

pub mod auth;
mod bodies;
mod body;
mod commits;
mod management;
mod origin;
mod path;
mod rate_limit;
mod refusal;
mod seldom;

mod changing;
pub mod client_life;

mod admin;
mod description;
mod docs;
mod event_types;
mod events;
mod filters;
mod health;
mod ingest_akeneo;
mod logs;
mod schemas;
mod subscribers;
mod subscriptions;

mod counters;
mod metrics;
mod requests;
mod serve;
mod settings;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use domain::event_type::Catalogue;
use domain::lane_status::LaneStatus;
use domain::outcome::Lack;
use domain::{Clock, SubscriptionId};
use intake::Bridge;
use store::Store;
use store::trace::AppendTracer;

pub use admin::tokens::{add_platform_token, end_platform_token};
pub use auth::credential::{new_platform_token, new_source_key, source_key};
pub use auth::gateway::{Permission, PimGateway, Verdict};
pub use auth::operator::OperatorKey;
pub use counters::{Counters, Counts};
pub use description::Published;
pub use metrics::{MetricsPage, Page};
pub use requests::{Answered, Requests, Surface};
pub use router::router;
pub use serve::{serve, serve_router};
pub use settings::{SchemaCheck, ServerBounds, Settings, UnknownTypes, VerdictCache};

use auth::registry::Registry;
use auth::verdicts::Verdicts;
use bodies::Bodies;
use commits::Commits;
use description::Description;
use rate_limit::RateLimit;
use seldom::{ByPim, Causes};

/// How deliveries stand, as the engine knows it.
#[async_trait]
pub trait LaneStatuses: Send + Sync + 'static {
    /// The state of a subscription's lane; `None` while no lane runs for it.
    async fn status(&self, subscription: SubscriptionId) -> Option<LaneStatus>;
}

/// Whether the platform does its work.
#[async_trait]
pub trait Readiness: Send + Sync + 'static {
    /// What deliveries lack while they run; `Err` says why they do not.
    async fn ready(&self) -> Result<Vec<Lack>, String>;
}

/// What the API is made of.
pub struct Parts {
    /// What the platform keeps.
    pub store: Arc<dyn Store>,
    /// Asks PIMs about tokens.
    pub gateway: Arc<dyn PimGateway>,
    /// Asks the engine about lanes.
    pub lanes: Arc<dyn LaneStatuses>,
    /// Asks the engine whether it runs.
    pub readiness: Arc<dyn Readiness>,
    /// The event types that are known.
    pub catalogue: Arc<Catalogue>,
    /// What the operator set.
    pub settings: Settings,
    /// Source of the current time.
    pub clock: Clock,
    /// The Events API bridge.
    pub bridge: Arc<Bridge>,
    /// What the API counts.
    pub counters: Arc<Counters>,
    /// Follows events into the log.
    pub tracer: Option<Arc<dyn AppendTracer>>,
    /// The page behind `/metrics`.
    pub metrics: Option<Arc<dyn MetricsPage>>,
}

/// The API with all that it remembers.
pub struct Api {
    store: Arc<dyn Store>,
    gateway: Arc<dyn PimGateway>,
    lanes: Arc<dyn LaneStatuses>,
    readiness: Arc<dyn Readiness>,
    catalogue: Arc<Catalogue>,
    settings: Settings,
    clock: Clock,
    registry: Registry,
    verdicts: Verdicts,
    rate_limit: RateLimit,
    counters: Arc<Counters>,
    metrics: Option<Arc<dyn MetricsPage>>,
    tracer: Option<Arc<dyn AppendTracer>>,
    bridge: Arc<Bridge>,
    bodies: Bodies,
    commits: Commits,
    causes: Causes,
    unfitting: ByPim,
    description: OnceLock<Description>,
}

impl Api {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Api {
        let Parts { store, gateway, lanes, readiness, catalogue, settings, clock, bridge, counters, tracer, metrics } =
            parts;
        let rate_limit = RateLimit::new(settings.requests_per_second);
        let verdicts = Verdicts::new(settings.verdicts, clock.clone());
        let bodies = Bodies::new(settings.server.body_memory);
        Api {
            store,
            gateway,
            lanes,
            readiness,
            catalogue,
            settings,
            registry: Registry::default(),
            verdicts,
            rate_limit,
            clock,
            counters,
            metrics,
            tracer,
            bridge,
            bodies,
            commits: Commits::default(),
            causes: Causes::default(),
            unfitting: ByPim::default(),
            description: OnceLock::new(),
        }
    }

    /// Bytes of memory that are held for bodies: of requests with a valid key or token, and of those that are yet to be
    /// known.
    pub fn body_memory(&self) -> (u64, u64) {
        self.bodies.used()
    }

    /// The description of the API: made when somebody asks for it first.
    fn description(&self) -> &Description {
        self.description.get_or_init(|| Description::new(&router::contents(), &self.settings, &self.catalogue))
    }

    fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// What bodies are checked against, for a caller of the PIM with this URL.
    fn rules<'a>(&'a self, subject: &'a str) -> wire::api::Rules<'a> {
        wire::api::Rules {
            catalogue: &self.catalogue,
            addresses: &self.settings.addresses,
            allow_http: self.settings.allow_http,
            destination_types: &self.settings.destination_types,
            subject,
        }
    }
}

/// The description of an installation, as files.
pub fn publish(settings: &Settings, catalogue: &Catalogue) -> Published {
    description::publish(&router::contents(), settings, catalogue)
}
