//! A platform without deliveries.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::{
    Counters, Deliveries, Gathered, InProcess, LaneStatuses, LinkBearer, Members, Nodes, OperatorKey, Parts,
    PimGateway, Readiness, Tested, Tester, Unanswered, Verdict, open_console_link, source_key,
};
use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use console::{Api, Console, Grant, Sealer, Settings, Unavailable, Visitor};
use domain::attempt::{AttemptOutcome, PastAttempt, PastAttempts};
use domain::backlog;
use domain::event_type::EventTypes;
use domain::fate::{GivenUp, OutcomeCounts, Whereabouts};
use domain::lane_status::LaneStatus;
use domain::outcome::{ErrorReason, Lack};
use domain::pim::{Origin, Pim, Provenance, StaticToken, TokenCheck};
use domain::subscriber::Owner;
use domain::subscription::Subscription;
use domain::traffic::{Traffic, Trouble};
use domain::{ClientId, Clock, LoggedEvent, Now, PimId, Position, Secret, SubscriberId, SubscriptionId, Timestamp};
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use hyper_util::service::TowerToHyperService;
use intake::Bridge;
use serde_json::{Value, json};
use store::memory::MemoryStore;
use store::{Facts, LaneSave, Ledger, Pims, READS, Save, Shard, Shards, StoreError, Tenure, edit_client};

use crate::browser::Browser;

pub(crate) const PIM_URL: &str = "https://pim.example.com";
/// Producer key of the PIM.
const KEY: &str = "key-of-the-producer";
pub(crate) const OPERATOR_KEY: &str = "the-key-of-the-operator-24";

/// The engine's part: statuses, attempts and arrivals as told; test events are delivered.
#[derive(Default)]
pub(crate) struct Lanes {
    pub(crate) statuses: Mutex<HashMap<SubscriptionId, LaneStatus>>,
    pub(crate) attempts: Mutex<Vec<PastAttempt>>,
    /// The backlog over time, of whatever is asked for.
    pub(crate) backlog: Mutex<Vec<backlog::Step>>,
    /// Where every event is; waiting, unless told.
    pub(crate) whereabouts: Mutex<Option<Whereabouts>>,
    /// Types of accepted events, and the time of their acceptance.
    pub(crate) arrivals: Mutex<Vec<(&'static str, Timestamp)>>,
    /// Shards whose node does not answer.
    pub(crate) missing: Mutex<Vec<u8>>,
}

impl Lanes {
    fn answers(&self) -> Result<(), Unanswered> {
        if self.missing.lock().unwrap().is_empty() { Ok(()) } else { Err(Unanswered) }
    }
}

#[async_trait]
impl Deliveries for Lanes {
    async fn whereabouts(&self, _: &Subscription, _: Position) -> Result<Option<Whereabouts>, Unanswered> {
        self.answers()?;
        Ok(Some(self.whereabouts.lock().unwrap().clone().unwrap_or(Whereabouts::Waiting)))
    }

    async fn outcome_counts(&self, _: PimId, _: Vec<SubscriptionId>) -> Result<Vec<OutcomeCounts>, Unanswered> {
        Ok(vec![])
    }

    async fn backlog(&self, _: backlog::Of) -> Gathered<Vec<backlog::Step>> {
        Gathered { all: self.backlog.lock().unwrap().clone(), missing: Vec::new() }
    }

    async fn traffic_of(&self, _: PimId) -> Result<Traffic, Unanswered> {
        self.answers()?;
        let mut traffic = Traffic::new(Traffic::STEP_OF_PIM);
        self.arrivals.lock().unwrap().iter().for_each(|(of_type, at)| traffic.arrived(of_type, *at));
        Ok(traffic)
    }

    async fn traffic(&self) -> Gathered<Traffic> {
        Gathered { all: Traffic::new(Traffic::STEP), missing: self.missing.lock().unwrap().clone() }
    }

    async fn troubled(&self, _: usize) -> Gathered<Vec<Trouble>> {
        Gathered { all: Vec::new(), missing: self.missing.lock().unwrap().clone() }
    }

    async fn attempts(&self, _: &Subscription) -> Result<PastAttempts, Unanswered> {
        self.answers()?;
        Ok(PastAttempts { since: Timestamp::EPOCH, attempts: self.attempts.lock().unwrap().clone() })
    }
}

#[async_trait]
impl Nodes for Lanes {
    async fn members(&self) -> Result<Members, StoreError> {
        Ok(Members { nodes: Vec::new(), shards: Vec::new() })
    }

    async fn reads(&self) -> Result<u32, StoreError> {
        Ok(READS)
    }
}

#[async_trait]
impl Tester for Lanes {
    async fn attempt(&self, _: Subscription, event: LoggedEvent) -> Option<Tested> {
        Some(Tested { attempt: attempt(event.event.id(), AttemptOutcome::Delivered, None), message: None })
    }
}

/// An attempt that ended now.
pub(crate) fn attempt(event_id: &str, outcome: AttemptOutcome, body: Option<&str>) -> PastAttempt {
    PastAttempt {
        position: Position(1),
        event_id: event_id.to_owned(),
        event_type: "com.akeneo.pim.v1.product.updated".to_owned(),
        started_at: Clock::system().wall(),
        duration: Duration::from_millis(12),
        outcome,
        error_reason: None,
        status: Some(if body.is_some() { 500 } else { 200 }),
        body: body.map(str::to_owned),
        replay: None,
    }
}

#[async_trait]
impl LaneStatuses for Lanes {
    async fn status(&self, subscription: &Subscription) -> Result<Option<LaneStatus>, Unanswered> {
        self.answers()?;
        Ok(self.statuses.lock().unwrap().get(&subscription.id).cloned())
    }

    async fn statuses(&self, _: PimId, of: Vec<SubscriptionId>) -> Result<Vec<Option<LaneStatus>>, Unanswered> {
        self.answers()?;
        let statuses = self.statuses.lock().unwrap();
        Ok(of.iter().map(|id| statuses.get(id).cloned()).collect())
    }
}

#[async_trait]
impl Readiness for Lanes {
    async fn ready(&self) -> Result<Vec<Lack>, String> {
        Ok(vec![])
    }
}

struct NoGateway;

#[async_trait]
impl PimGateway for NoGateway {
    async fn verify(&self, _: &Pim, _: &ClientId, _: &str) -> Verdict {
        Verdict::Rejected { message: "only static tokens in these tests".to_owned() }
    }
}

/// Seals by a checksum: the vault's own tests cover what a seal is worth.
struct Checksum;

fn sum(bytes: &[u8], purpose: &str) -> u8 {
    bytes.iter().chain(purpose.as_bytes()).fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte))
}

impl Sealer for Checksum {
    fn seal(&self, plain: &[u8], purpose: &str) -> Option<Vec<u8>> {
        Some([plain, &[sum(plain, purpose)]].concat())
    }

    fn open(&self, sealed: &[u8], purpose: &str) -> Option<Vec<u8>> {
        let (last, plain) = sealed.split_last()?;
        (*last == sum(plain, purpose)).then(|| plain.to_vec())
    }
}

struct Calls {
    within: InProcess,
    api: Arc<api::Api>,
}

#[async_trait]
impl Api for Calls {
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let from = request.extensions().get::<Visitor>().map(|visitor| visitor.0);
        let bearer = request.extensions().get::<Grant>().map(|grant| LinkBearer {
            owner: Owner { pim: PimId(grant.pim), client_id: ClientId(grant.client_id.clone()) },
            subscriber: SubscriberId::parse(&grant.subscriber).unwrap(),
            read_only: grant.read_only,
            until: Timestamp::from_micros(grant.until),
        });
        self.within.call(request, from, bearer).await
    }

    async fn open_link(&self, secret: &str) -> Result<Option<Grant>, Unavailable> {
        let opened = open_console_link(&self.api, secret).await.map_err(|_| Unavailable)?;
        Ok(opened.map(|bearer| Grant {
            pim: bearer.owner.pim.0,
            client_id: bearer.owner.client_id.0,
            subscriber: bearer.subscriber.to_string(),
            read_only: bearer.read_only,
            until: bearer.until.as_micros(),
        }))
    }
}

/// A platform with the console.
pub(crate) struct World {
    pub(crate) lanes: Arc<Lanes>,
    store: Arc<MemoryStore>,
    tenure: Tenure,
    pim: PimId,
    within: InProcess,
    console: TowerToHyperService<Router>,
    /// Microseconds that the clock was moved forward.
    moved: Arc<AtomicI64>,
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> World {
        let moved = Arc::new(AtomicI64::new(0));
        let clock = {
            let moved = Arc::clone(&moved);
            let start = Clock::system().wall();
            Clock::new(move || {
                let micros = moved.load(Ordering::SeqCst);
                let now = start + Duration::from_micros(micros as u64);
                Now { steady: now, wall: now }
            })
        };
        let store = Arc::new(MemoryStore::default());
        let pim = store.add_pim(pim("shop", PIM_URL, &["app", "other"])).await.unwrap().id;
        let lanes = Arc::new(Lanes::default());
        let api = Arc::new(api::Api::new(Parts {
            store: store.clone(),
            gateway: Arc::new(NoGateway),
            lanes: lanes.clone(),
            deliveries: lanes.clone(),
            nodes: lanes.clone(),
            tester: lanes.clone(),
            readiness: lanes.clone(),
            event_types: Arc::new(EventTypes::new()),
            settings: api::Settings {
                public_url: "https://events.example.com".to_owned(),
                requests_per_second: 100_000,
                operator_key: Some(OperatorKey::new(&Secret::new(OPERATOR_KEY))),
                ..api::Settings::default()
            },
            clock: clock.clone(),
            bridge: Arc::new(Bridge::new(store.clone(), None, None, clock.clone())),
            counters: Arc::<Counters>::default(),
            tracer: None,
            metrics: None,
        }));
        let in_effect = store.clone();
        let tenure = store.take(Shard::FIRST).await.unwrap();
        let held = tenure;
        tokio::spawn(async move {
            let mut committed = in_effect.committed(Shard::FIRST);
            loop {
                let version = *committed.borrow_and_update();
                in_effect.apply(&held, version).await.unwrap();
                if committed.changed().await.is_err() {
                    return;
                }
            }
        });
        let within = InProcess::new(api.clone());
        let calls = Arc::new(Calls { within: within.clone(), api });
        let console = Console::new(calls, Arc::new(Checksum), clock, settings);
        let console = TowerToHyperService::new(console::router(Arc::new(console)));
        World { lanes, store, tenure, pim, within, console, moved }
    }

    /// Moves the clock.
    pub(crate) fn later(&self, by: Duration) {
        self.moved.fetch_add(by.as_micros() as i64, Ordering::SeqCst);
    }

    /// The PIM no longer knows the client.
    pub(crate) async fn removes(&self, client: &str) {
        let owner = Owner { pim: self.pim, client_id: ClientId(client.to_owned()) };
        let now = Clock::system().wall();
        edit_client(self.store.as_ref(), &owner, |client| client.revoked_at = Some(now)).await.unwrap();
    }

    /// A request of the client to the API.
    pub(crate) async fn api(
        &self,
        client: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-pim-url", PIM_URL)
            .header("x-pim-token", format!("{client}-token"))
            .header("x-pim-client-id", client)
            .header(CONTENT_TYPE, "application/json");
        let body = Bytes::from(body.map(|body| body.to_string()).unwrap_or_default());
        let response = self.within.call(request.body(body).unwrap(), None, None).await;
        (response.status(), serde_json::from_slice(response.body()).unwrap_or(Value::Null))
    }

    /// Sends an event of the PIM: a product's update by an author.
    pub(crate) async fn event(&self, id: &str, author: &str, more: &str) {
        let body = format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"pim","type":"com.akeneo.pim.v1.product.updated",
                "data":{{"product":{{"uuid":"6a9f8486-2c36-4680-b87f-6f5f8f01b6cf"}},
                "author":{{"identifier":"{author}","type":"api"}},"more":{more}}}}}"#
        );
        let request = Request::builder()
            .method(Method::POST)
            .uri("/api/v1/events")
            .header("authorization", format!("Bearer {KEY}"))
            .header(CONTENT_TYPE, "application/cloudevents+json");
        let response = self.within.call(request.body(Bytes::from(body)).unwrap(), None, None).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED, "{:?}", response.body());
    }

    /// Creates a subscriber; returns its id.
    pub(crate) async fn subscriber(&self, client: &str, name: &str) -> String {
        let body = json!({"name": name, "contact": {"technical_email": "dev@example.com"}});
        let (status, made) = self.api(client, Method::POST, "/api/v1/subscribers", Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    /// Creates a subscription; returns its path below `/api/v1` or `/console`.
    pub(crate) async fn subscription(&self, client: &str, subscriber: &str, url: &str) -> String {
        let body = json!({"type": "https", "events": ["com.akeneo.pim.v1.product.updated"],
            "filter": "not user=\"erp\"", "config": {"url": url, "secret": {"primary": "a secret"}}});
        let path = format!("/api/v1/subscribers/{subscriber}/subscriptions");
        let (status, made) = self.api(client, Method::POST, &path, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        format!("/subscribers/{subscriber}/subscriptions/{}", made["id"].as_str().unwrap())
    }

    /// A subscription's lane gave up the PIM's first event.
    pub(crate) async fn gave_up(&self, path: &str) {
        let subscription = SubscriptionId::parse(path.rsplit('/').next().unwrap()).unwrap();
        let at = Clock::system().wall();
        let reason = ErrorReason::DestinationFailure;
        let given_up = GivenUp { position: Position::FIRST, reason, status: Some(500), attempts: 4, at };
        let failed = OutcomeCounts { failed: 4, ..OutcomeCounts::at(at) };
        let lane = LaneSave {
            subscription,
            generation: 1,
            cursor: Some(Position::FIRST.next()),
            memory: None,
            exceptions: vec![],
            settled: vec![],
            drop_exceptions: false,
            entries: vec![],
            facts: Facts { given_up: vec![given_up], counts: vec![failed], ..Facts::default() },
        };
        let save = Save { mark: Position::FIRST.next(), lanes: vec![lane], replays: vec![] };
        self.store.save(&self.tenure, save).await.unwrap();
        *self.lanes.whereabouts.lock().unwrap() = Some(Whereabouts::Passed);
    }

    /// Status of a subscription.
    pub(crate) async fn status_of(&self, client: &str, path: &str) -> String {
        let (_, one) = self.api(client, Method::GET, &format!("/api/v1{path}"), None).await;
        one["status"].as_str().unwrap_or("gone").to_owned()
    }

    /// A browser with this address.
    pub(crate) fn browser(&self, address: &str) -> Browser<'_> {
        Browser::new(&self.console, address)
    }

    /// A browser in which a client is signed in.
    pub(crate) async fn signed_in(&self, client: &str) -> Browser<'_> {
        let mut browser = self.browser("192.0.2.1");
        let form = integrator(client);
        let page = browser.submit("/console/sign-in", "/console/sign-in", &form).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
        browser
    }

    /// A browser in which the operator is signed in.
    pub(crate) async fn operator(&self) -> Browser<'_> {
        let mut browser = self.browser("192.0.2.2");
        let form = [("key", OPERATOR_KEY)];
        let page = browser.submit("/console/operator", "/console/operator", &form).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
        browser
    }
}

/// The sign-in form of a client.
pub(crate) fn integrator(client: &str) -> [(&'static str, &str); 3] {
    let token = if client == "app" { "app-token" } else { "other-token" };
    [("pim_url", PIM_URL), ("client_id", client), ("token", token)]
}

fn pim(name: &str, url: &str, clients: &[&str]) -> Pim {
    let token = |client: &&str| StaticToken {
        client_id: ClientId((*client).into()),
        token: Secret::new(format!("{client}-token")),
    };
    Pim {
        revision: 0,
        id: PimId(0),
        name: name.into(),
        url: url.into(),
        url_key: domain::pim::url_key(url).unwrap(),
        keys: vec![source_key(&Secret::new(KEY), Timestamp::EPOCH, Origin::Command)],
        token_check: TokenCheck::Static,
        static_tokens: clients.iter().map(token).collect(),
        events_api_secret: None,
        provenance: Provenance::default(),
        created_at: Timestamp::EPOCH,
    }
}
