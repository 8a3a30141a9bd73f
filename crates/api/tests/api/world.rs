//! The world of these tests: a server on a free port, two PIMs, a scripted gateway, and an engine that only reports "in
//! effect".

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::{
    Api, Counters, Deliveries, Gathered, LaneStatuses, Member, Members, Nodes, Parts, PimGateway, Readiness, Settings,
    ShardState, Tested, Tester, Unanswered, Verdict,
};
use async_trait::async_trait;
use aws_lc_rs::digest;
use domain::attempt::{AttemptOutcome, PastAttempt, PastAttempts};
use domain::backlog;
use domain::event_type::EventTypes;
use domain::fate::{OutcomeCounts, Whereabouts};
use domain::lane_status::LaneStatus;
use domain::outcome::Lack;
use domain::pim::{Origin, Pim, Probe, SourceKey, StaticToken, TokenCheck};
use domain::subscriber::Owner;
use domain::subscription::Subscription;
use domain::traffic::{Traffic, TrafficCounts, Trouble};
use domain::{ClientId, Clock, LoggedEvent, PimId, Position, Secret, SubscriptionId, Timestamp, testing};
use intake::Bridge;
use serde_json::{Value, json};
use store::memory::{MemorySettings, MemoryStore};
use store::{EventLog, Outbox, Pims, READS, Shard, Shards, StoreError, Tenure};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::call::{Answer, Call};
use crate::staged::{Gate, Lag, Staged};

/// Producer key of the first PIM.
pub(crate) const KEY: &str = "source-key-of-the-shop";
/// URL of the first PIM.
pub(crate) const PIM_URL: &str = "https://pim.example.com";

/// The gateway's scripted verdicts; unknown tokens are rejected.
#[derive(Default)]
pub(crate) struct Scripted {
    says: Mutex<HashMap<String, Verdict>>,
    asked: Mutex<Vec<String>>,
}

impl Scripted {
    pub(crate) fn says(&self, token: &str, verdict: Verdict) {
        self.says.lock().unwrap().insert(token.to_owned(), verdict);
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl PimGateway for Scripted {
    async fn verify(&self, _: &Pim, _: &ClientId, token: &str) -> Verdict {
        self.asked.lock().unwrap().push(token.to_owned());
        let says = self.says.lock().unwrap();
        says.get(token).cloned().unwrap_or(Verdict::Rejected { message: "the token is not valid".into() })
    }
}

/// Id of the only node.
pub(crate) const NODE: &str = "019a0000-0000-7000-8000-000000000001";

/// The engine's part in these tests.
#[derive(Default)]
pub(crate) struct Engine {
    pub(crate) lanes: Mutex<HashMap<SubscriptionId, LaneStatus>>,
    pub(crate) broken: Mutex<Option<String>>,
    pub(crate) lacks: Mutex<Vec<Lack>>,
    pub(crate) whereabouts: Mutex<HashMap<Position, Whereabouts>>,
    pub(crate) counts: Mutex<Vec<OutcomeCounts>>,
    pub(crate) attempts: Mutex<Vec<PastAttempt>>,
    pub(crate) traffic: Mutex<Vec<TrafficCounts>>,
    pub(crate) backlog: Mutex<Vec<backlog::Step>>,
    /// Those that were asked for.
    pub(crate) backlogs_of: Mutex<Vec<backlog::Of>>,
    pub(crate) arrivals: Mutex<Vec<(String, Timestamp)>>,
    pub(crate) troubled: Mutex<Vec<Trouble>>,
    /// Whether a node does not know the types of destinations.
    pub(crate) upgrading: Mutex<bool>,
    /// Shards whose node does not answer: no question about a single PIM is answered then.
    pub(crate) missing: Mutex<Vec<u8>>,
    /// Attempts made for test events, and the outcome of the next one.
    pub(crate) tested: Mutex<Vec<(Subscription, LoggedEvent)>>,
    pub(crate) outcome: Mutex<Option<Tested>>,
}

impl Engine {
    fn answers(&self) -> Result<(), Unanswered> {
        if self.missing.lock().unwrap().is_empty() { Ok(()) } else { Err(Unanswered) }
    }

    fn traffic_by(&self, step: Duration) -> Traffic {
        let mut traffic = Traffic::new(step);
        self.traffic.lock().unwrap().iter().for_each(|counts| traffic.add(counts.from, counts));
        self.arrivals.lock().unwrap().iter().for_each(|(of_type, at)| traffic.arrived(of_type, *at));
        traffic
    }
}

#[async_trait]
impl Deliveries for Engine {
    async fn whereabouts(&self, _: &Subscription, position: Position) -> Result<Option<Whereabouts>, Unanswered> {
        self.answers()?;
        Ok(self.whereabouts.lock().unwrap().get(&position).cloned())
    }

    async fn outcome_counts(&self, _: PimId, _: Vec<SubscriptionId>) -> Result<Vec<OutcomeCounts>, Unanswered> {
        self.answers()?;
        Ok(self.counts.lock().unwrap().clone())
    }

    async fn backlog(&self, of: backlog::Of) -> Gathered<Vec<backlog::Step>> {
        self.backlogs_of.lock().unwrap().push(of);
        Gathered { all: self.backlog.lock().unwrap().clone(), missing: self.missing.lock().unwrap().clone() }
    }

    async fn traffic_of(&self, _: PimId) -> Result<Traffic, Unanswered> {
        self.answers()?;
        Ok(self.traffic_by(Traffic::STEP_OF_PIM))
    }

    async fn traffic(&self) -> Gathered<Traffic> {
        Gathered { all: self.traffic_by(Traffic::STEP), missing: self.missing.lock().unwrap().clone() }
    }

    async fn troubled(&self, at_most: usize) -> Gathered<Vec<Trouble>> {
        let all = self.troubled.lock().unwrap().iter().take(at_most).cloned().collect();
        Gathered { all, missing: self.missing.lock().unwrap().clone() }
    }

    async fn attempts(&self, _: &Subscription) -> Result<PastAttempts, Unanswered> {
        self.answers()?;
        Ok(PastAttempts { since: Timestamp::EPOCH, attempts: self.attempts.lock().unwrap().clone() })
    }
}

#[async_trait]
impl Nodes for Engine {
    async fn members(&self) -> Result<Members, StoreError> {
        let shard = ShardState { number: 0, owner: Some(NODE.to_owned()), epoch: 1, lag: 0 };
        let node = Member {
            id: NODE.to_owned(),
            address: None,
            version: "1.2.3".to_owned(),
            live: true,
            fit: true,
            this_node: true,
            shards: 1,
        };
        Ok(Members { nodes: vec![node], shards: vec![shard] })
    }

    async fn reads(&self) -> Result<u32, StoreError> {
        Ok(if *self.upgrading.lock().unwrap() { 0 } else { READS })
    }
}

#[async_trait]
impl Tester for Engine {
    async fn attempt(&self, subscription: Subscription, event: LoggedEvent) -> Option<Tested> {
        let attempt = PastAttempt {
            position: event.position,
            event_id: event.event.id().to_owned(),
            event_type: event.event.event_type().to_owned(),
            started_at: event.accepted_at,
            duration: Duration::from_millis(12),
            outcome: AttemptOutcome::Delivered,
            error_reason: None,
            status: Some(200),
            body: None,
            replay: None,
        };
        self.tested.lock().unwrap().push((subscription, event));
        Some(self.outcome.lock().unwrap().take().unwrap_or(Tested { attempt, message: None }))
    }
}

#[async_trait]
impl LaneStatuses for Engine {
    async fn status(&self, subscription: &Subscription) -> Result<Option<LaneStatus>, Unanswered> {
        self.answers()?;
        if self.broken.lock().unwrap().as_deref() == Some("panic") {
            panic!("a secret detail");
        }
        Ok(self.lanes.lock().unwrap().get(&subscription.id).cloned())
    }

    async fn statuses(&self, _: PimId, of: Vec<SubscriptionId>) -> Result<Vec<Option<LaneStatus>>, Unanswered> {
        self.answers()?;
        let lanes = self.lanes.lock().unwrap();
        Ok(of.iter().map(|id| lanes.get(id).cloned()).collect())
    }
}

#[async_trait]
impl Readiness for Engine {
    async fn ready(&self) -> Result<Vec<Lack>, String> {
        self.broken.lock().unwrap().clone().map_or(Ok(self.lacks.lock().unwrap().clone()), Err)
    }
}

pub(crate) struct World {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) staged: Arc<Staged>,
    pub(crate) gateway: Arc<Scripted>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) bridge: Arc<Bridge>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) api: Arc<Api>,
    pub(crate) address: SocketAddr,
    pub(crate) pim: Pim,
    pub(crate) stop: Mutex<Option<oneshot::Sender<()>>>,
    pub(crate) server: Mutex<Option<tokio::task::JoinHandle<()>>>,
    pub(crate) tenure: Tenure,
}

/// A client of the first PIM with its own static token `<client>-token`.
pub(crate) fn owner_of(client: &str) -> Owner {
    Owner { pim: PimId(1), client_id: ClientId(client.into()) }
}

fn pim(name: &str, url: &str, key: &str, clients: &[&str], token_check: TokenCheck) -> Pim {
    let sha256 = digest::digest(&digest::SHA256, key.as_bytes());
    let token = |client: &&str| StaticToken {
        client_id: ClientId((*client).into()),
        token: Secret::new(format!("{client}-token")),
    };
    Pim {
        url: url.into(),
        url_key: domain::pim::url_key(url).unwrap(),
        keys: vec![SourceKey {
            prefix: key[..6].into(),
            sha256: sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
            created_at: Timestamp::EPOCH,
            origin: Origin::Command,
        }],
        token_check,
        static_tokens: clients.iter().map(token).collect(),
        ..testing::pim(name)
    }
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(|_| {}).await
    }

    pub(crate) async fn with(set: impl FnOnce(&mut Settings)) -> World {
        World::over(MemoryStore::default(), Clock::system(), set).await
    }

    /// A world with a clock of its own.
    pub(crate) async fn at(clock: Clock) -> World {
        World::over(MemoryStore::default(), clock, |_| {}).await
    }

    pub(crate) async fn with_log_of(bytes: u64) -> World {
        World::over(
            MemoryStore::new(MemorySettings { max_log_bytes: bytes, ..MemorySettings::default() }),
            Clock::system(),
            |_| {},
        )
        .await
    }

    async fn over(store: MemoryStore, clock: Clock, set: impl FnOnce(&mut Settings)) -> World {
        let store = Arc::new(store);
        let probe = TokenCheck::Probe { probe: Probe::SystemInformation, trust_client_id: true, clients: vec![] };
        let shop = store.add_pim(pim("shop", PIM_URL, KEY, &["app", "other"], probe)).await.unwrap();
        store
            .add_pim(pim("second", "https://second.example.com/pim", "second-key", &["app"], TokenCheck::Static))
            .await
            .unwrap();
        let gateway = Arc::new(Scripted::default());
        let engine = Arc::new(Engine::default());
        let mut settings = Settings {
            public_url: "https://events.example.com".into(),
            requests_per_second: 100_000,
            ..Settings::default()
        };
        set(&mut settings);
        let staged = Arc::new(Staged(store.clone(), AtomicBool::new(false), Gate::default(), Lag::default()));
        let bridge = Arc::new(Bridge::new(staged.clone(), None, None, clock.clone()));
        let counters: Arc<Counters> = Arc::default();
        let api = Arc::new(Api::new(Parts {
            store: staged.clone(),
            gateway: gateway.clone(),
            lanes: engine.clone(),
            deliveries: engine.clone(),
            nodes: engine.clone(),
            tester: engine.clone(),
            readiness: engine.clone(),
            event_types: Arc::new(EventTypes::new()),
            settings,
            clock,
            bridge: bridge.clone(),
            counters: counters.clone(),
            tracer: None,
            metrics: None,
        }));
        let in_effect = store.clone();
        let tenure = store.take(Shard::FIRST).await.unwrap();
        tokio::spawn(async move {
            let mut committed = in_effect.committed(Shard::FIRST);
            loop {
                let version = *committed.borrow_and_update();
                in_effect.apply(&tenure, version).await.unwrap();
                if committed.changed().await.is_err() {
                    return;
                }
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(api::serve(listener, api.clone(), async move {
            stopped.await.ok();
        }));
        World {
            store,
            staged,
            gateway,
            engine,
            bridge,
            counters,
            api,
            address,
            pim: shop,
            stop: Mutex::new(Some(stop)),
            server: Mutex::new(Some(server)),
            tenure,
        }
    }

    /// A request without any headers.
    pub(crate) fn bare(&self, method: &str, path: &str) -> Call {
        Call::new(self.address, method, path)
    }

    /// A request of the first PIM's client `app`.
    pub(crate) fn call(&self, method: &str, path: &str) -> Call {
        self.call_as("app", method, path)
    }

    /// A request of a client of the first PIM.
    pub(crate) fn call_as(&self, client: &str, method: &str, path: &str) -> Call {
        self.bare(method, path)
            .header("x-pim-url", PIM_URL)
            .header("x-pim-token", &format!("{client}-token"))
            .header("x-pim-client-id", client)
    }

    /// A request of the second PIM's client `app`, with the same client id.
    pub(crate) fn call_second(&self, method: &str, path: &str) -> Call {
        self.bare(method, path)
            .header("x-pim-url", "https://second.example.com/pim")
            .header("x-pim-token", "app-token")
            .header("x-pim-client-id", "app")
    }

    /// A producer's request with one structured event or a batch.
    pub(crate) async fn produce(&self, events: Value) -> Answer {
        let batch = if events.is_array() { "-batch" } else { "" };
        self.bare("POST", "/api/v1/events")
            .header("authorization", &format!("Bearer {KEY}"))
            .header("content-type", &format!("application/cloudevents{batch}+json"))
            .raw(events.to_string())
            .send()
            .await
    }

    /// Creates a subscriber of `app`; returns its path.
    pub(crate) async fn subscriber(&self) -> String {
        self.subscriber_of("app").await
    }

    pub(crate) async fn subscriber_of(&self, client: &str) -> String {
        let made = self.call_as(client, "POST", "/api/v1/subscribers").json(&new_subscriber()).send().await.expect(201);
        format!("/api/v1/subscribers/{}", made["id"].as_str().unwrap())
    }

    /// Creates a subscription of the subscriber at this path; returns its path.
    pub(crate) async fn subscription(&self, subscriber: &str) -> String {
        let path = format!("{subscriber}/subscriptions");
        let made = self.call("POST", &path).json(&new_subscription()).send().await.expect(201);
        format!("{path}/{}", made["id"].as_str().unwrap())
    }

    /// Creates a subscription of a client to these types, with further fields; returns its path.
    pub(crate) async fn subscription_to(&self, client: &str, types: &[&str], more: Value) -> String {
        let path = format!("{}/subscriptions", self.subscriber_of(client).await);
        let mut body = new_subscription();
        body["events"] = types.iter().map(|name| format!("com.akeneo.pim.v1.{name}")).collect();
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let made = self.call_as(client, "POST", &path).json(&body).send().await.expect(201);
        format!("{path}/{}", made["id"].as_str().unwrap())
    }

    /// Sends an event of a type; its entity is a product with this identifier.
    pub(crate) async fn sends(&self, id: &str, of_type: &str) {
        let mut event = event(id);
        event["type"] = json!(format!("com.akeneo.pim.v1.{of_type}"));
        event["data"]["product"]["identifier"] = json!("sku");
        self.produce(event).await.expect(202);
    }

    /// Operations in the log of a client, oldest first.
    pub(crate) async fn operations(&self, client: &str) -> Vec<String> {
        let page = self.call_as(client, "GET", "/api/v1/logs?order=asc&limit=100").send().await.expect(200);
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["operation"].as_str().unwrap().to_owned()).collect()
    }

    /// Kinds of the pending notifications.
    pub(crate) async fn notifications(&self) -> Vec<String> {
        let waiting = self.store.notifications(Shard::FIRST, None, 100).await.unwrap();
        let kind = |kind| serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned();
        waiting.into_iter().map(|notification| kind(notification.notification.kind)).collect()
    }

    /// Makes the store work or fail from now on.
    pub(crate) fn store_works(&self, works: bool) {
        self.staged.1.store(!works, Ordering::SeqCst);
    }

    /// Number of events in the log.
    pub(crate) fn logged(&self) -> u64 {
        self.store.tail(Shard::FIRST).head().0 - 1
    }
}

pub(crate) fn new_subscriber() -> Value {
    json!({"name": "My shop", "contact": {"technical_email": "ops@example.com"}})
}

pub(crate) fn new_subscription() -> Value {
    json!({
        "events": ["com.akeneo.pim.v1.product.updated"],
        "type": "https",
        "config": {"url": "https://shop.example.com/hook", "secret": {"primary": "a-secret"}}
    })
}

pub(crate) fn event(id: &str) -> Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": "pim",
        "type": "com.akeneo.pim.v1.product.updated",
        "time": "2026-11-02T08:00:00Z",
        "data": {
            "product": {"uuid": "4a40cffc-a02d-5dd1-877c-5876596015f4"},
            "author": {"identifier": "peter", "type": "user"},
        }
    })
}
