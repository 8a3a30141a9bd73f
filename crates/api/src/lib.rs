//! The HTTP API: subscribers, subscriptions and logs for the clients of PIMs, and event ingest.
//!
//! Reading order: the route table ([`router`]), authentication ([`auth`]), the common part of management requests
//! (`management`), then one file per action or resource. [`serve`] is the server.

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
mod confirm;
mod console_links;
mod deliveries;
mod description;
mod docs;
mod event_types;
mod events;
mod filters;
mod health;
mod in_process;
mod ingest_akeneo;
mod kept;
mod logs;
mod nodes;
mod schemas;
mod subscribers;
mod subscriptions;
mod traffic;

mod counters;
mod metrics;
mod requests;
mod serve;
mod settings;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use domain::attempt::PastAttempt;
use domain::event_type::EventTypes;
use domain::outcome::Lack;
use domain::subscription::Subscription;
use domain::{Clock, LoggedEvent, SubscriptionId, Timestamp};
use intake::Bridge;
use store::Store;
use store::trace::AppendTracer;
use wire::envelope::EnvelopeStyle;

pub use admin::tokens::{add_platform_token, end_platform_token};
pub use auth::bearer::LinkBearer;
pub use auth::credential::{new_platform_token, new_source_key, source_key};
pub use auth::gateway::{Permission, PimGateway, Verdict};
pub use auth::operator::OperatorKey;
pub use console_links::open_console_link;
pub use counters::{Counters, Counts};
pub use deliveries::{Deliveries, Gathered, LaneStatuses, Unanswered};
pub use description::Published;
pub use in_process::{InProcess, client_address};
pub use metrics::{MetricsPage, Page};
pub use nodes::{Member, Members, Nodes, ShardState};
pub use requests::{Answered, Requests, Surface, count_console};
pub use router::router;
pub use serve::{serve, serve_router, serve_with};
pub use settings::{SchemaCheck, ServerBounds, Settings, UnknownTypes, VerdictCache};

use auth::registry::Registry;
use auth::verdicts::Verdicts;
use bodies::Bodies;
use commits::Commits;
use description::Description;
use rate_limit::{Buckets, RateLimit};
use seldom::{ByPim, Causes};

/// An attempt for a test event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tested {
    /// The attempt.
    pub attempt: PastAttempt,
    /// Why the event was not delivered.
    pub message: Option<String>,
}

/// Attempts that count nowhere.
#[async_trait]
pub trait Tester: Send + Sync + 'static {
    /// Makes one attempt to deliver an event to the subscription's destination, as deliveries are made. `None` if the
    /// platform stops.
    async fn attempt(&self, subscription: Subscription, event: LoggedEvent) -> Option<Tested>;
}

/// Whether the platform is operational.
#[async_trait]
pub trait Readiness: Send + Sync + 'static {
    /// Missing resources of running deliveries; `Err` is the reason why they have stopped.
    async fn ready(&self) -> Result<Vec<Lack>, String>;
}

/// Dependencies of the API.
pub struct Parts {
    /// Storage.
    pub store: Arc<dyn Store>,
    /// Checks tokens with PIMs.
    pub gateway: Arc<dyn PimGateway>,
    /// Status of lanes.
    pub lanes: Arc<dyn LaneStatuses>,
    /// Single events and attempts.
    pub deliveries: Arc<dyn Deliveries>,
    /// Nodes and shards.
    pub nodes: Arc<dyn Nodes>,
    /// Sends test events.
    pub tester: Arc<dyn Tester>,
    /// Health of the engine.
    pub readiness: Arc<dyn Readiness>,
    /// The known event types.
    pub event_types: Arc<EventTypes>,
    /// The operator's settings.
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

/// The API with its state.
pub struct Api {
    store: Arc<dyn Store>,
    gateway: Arc<dyn PimGateway>,
    lanes: Arc<dyn LaneStatuses>,
    deliveries: Arc<dyn Deliveries>,
    nodes: Arc<dyn Nodes>,
    tester: Arc<dyn Tester>,
    readiness: Arc<dyn Readiness>,
    event_types: Arc<EventTypes>,
    envelope: EnvelopeStyle,
    settings: Settings,
    clock: Clock,
    tests: Buckets<SubscriptionId>,
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
    /// Builds the API.
    pub fn new(parts: Parts) -> Api {
        let Parts { store, gateway, lanes, deliveries, tester, readiness, event_types, settings, clock, .. } = parts;
        let Parts { nodes, bridge, counters, tracer, .. } = parts;
        let rate_limit = RateLimit::new(settings.requests_per_second);
        let verdicts = Verdicts::new(settings.verdicts, clock.clone());
        let bodies = Bodies::new(settings.server.body_memory);
        let envelope = EnvelopeStyle::new(&settings.source, &settings.public_url);
        Api {
            store,
            gateway,
            lanes,
            deliveries,
            nodes,
            tester,
            envelope,
            tests: Buckets::default(),
            readiness,
            event_types,
            settings,
            registry: Registry::default(),
            verdicts,
            rate_limit,
            clock,
            counters,
            metrics: parts.metrics,
            tracer,
            bridge,
            bodies,
            commits: Commits::default(),
            causes: Causes::default(),
            unfitting: ByPim::default(),
            description: OnceLock::new(),
        }
    }

    /// Bytes reserved for bodies: of authenticated requests, and of unauthenticated ones.
    pub fn body_memory(&self) -> (u64, u64) {
        self.bodies.used()
    }

    /// The description of the API, built on first use.
    fn description(&self) -> &Description {
        self.description.get_or_init(|| Description::new(&router::contents(), &self.settings, &self.event_types))
    }

    /// The time before which no event is kept.
    fn kept_since(&self) -> Timestamp {
        let kept_for = i64::try_from(self.settings.keep_delivered.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(self.clock.wall().as_micros().saturating_sub(kept_for))
    }

    fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// Context for the validation of bodies, for a caller of the PIM with this URL.
    fn rules<'a>(&'a self, subject: &'a str) -> wire::api::Rules<'a> {
        wire::api::Rules {
            event_types: &self.event_types,
            addresses: &self.settings.addresses,
            allow_http: self.settings.allow_http,
            destination_types: &self.settings.destination_types,
            subject,
        }
    }
}

/// The description of an installation, as files.
pub fn publish(settings: &Settings, event_types: &EventTypes) -> Published {
    description::publish(&router::contents(), settings, event_types)
}
