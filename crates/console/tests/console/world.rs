//! A platform without deliveries, and browsers without windows.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::{
    Counters, Deliveries, InProcess, LaneStatuses, LinkBearer, OperatorKey, Parts, PimGateway, Readiness, Tested,
    Tester, Verdict, open_console_link, source_key,
};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use console::{Api, Console, Grant, Sealer, Settings, Unavailable, Visitor};
use domain::attempt::{AttemptOutcome, PastAttempt, PastAttempts};
use domain::event_type::EventTypes;
use domain::fate::{OutcomeCounts, Whereabouts};
use domain::lane_status::LaneStatus;
use domain::outcome::Lack;
use domain::pim::{Origin, Pim, Provenance, StaticToken, TokenCheck};
use domain::subscriber::Owner;
use domain::subscription::Subscription;
use domain::{ClientId, Clock, LoggedEvent, Now, PimId, Position, Secret, SubscriberId, SubscriptionId, Timestamp};
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use intake::Bridge;
use serde_json::{Value, json};
use store::memory::MemoryStore;
use store::{Pims, Shard, Shards};

pub(crate) const PIM_URL: &str = "https://pim.example.com";
/// Producer key of the PIM.
const KEY: &str = "key-of-the-producer";
pub(crate) const OPERATOR_KEY: &str = "the-key-of-the-operator-24";

/// The engine's part: statuses and attempts as told; test events are delivered.
#[derive(Default)]
pub(crate) struct Lanes(pub(crate) Mutex<HashMap<SubscriptionId, LaneStatus>>, pub(crate) Mutex<Vec<PastAttempt>>);

#[async_trait]
impl Deliveries for Lanes {
    async fn whereabouts(&self, _: &Subscription, _: Position) -> Option<Whereabouts> {
        Some(Whereabouts::Waiting)
    }

    async fn outcome_counts(&self, _: &Subscription) -> Vec<OutcomeCounts> {
        vec![]
    }

    async fn attempts(&self, _: &Subscription) -> PastAttempts {
        PastAttempts { since: Timestamp::EPOCH, attempts: self.1.lock().unwrap().clone() }
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
    async fn status(&self, subscription: &Subscription) -> Option<LaneStatus> {
        self.0.lock().unwrap().get(&subscription.id).cloned()
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
        store.add_pim(pim("shop", PIM_URL, &["app", "other"])).await.unwrap();
        let lanes = Arc::new(Lanes::default());
        let api = Arc::new(api::Api::new(Parts {
            store: store.clone(),
            gateway: Arc::new(NoGateway),
            lanes: lanes.clone(),
            deliveries: lanes.clone(),
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
        tokio::spawn(async move {
            let tenure = in_effect.take(Shard::FIRST).await.unwrap();
            let mut committed = in_effect.committed(Shard::FIRST);
            loop {
                let version = *committed.borrow_and_update();
                in_effect.apply(&tenure, version).await.unwrap();
                if committed.changed().await.is_err() {
                    return;
                }
            }
        });
        let within = InProcess::new(api.clone());
        let calls = Arc::new(Calls { within: within.clone(), api });
        let console = Console::new(calls, Arc::new(Checksum), clock, settings);
        let console = TowerToHyperService::new(console::router(Arc::new(console)));
        World { lanes, within, console, moved }
    }

    /// Moves the clock.
    pub(crate) fn later(&self, by: Duration) {
        self.moved.fetch_add(by.as_micros() as i64, Ordering::SeqCst);
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

    /// Status of a subscription.
    pub(crate) async fn status_of(&self, client: &str, path: &str) -> String {
        let (_, one) = self.api(client, Method::GET, &format!("/api/v1{path}"), None).await;
        one["status"].as_str().unwrap_or("gone").to_owned()
    }

    /// A browser with this address.
    pub(crate) fn browser(&self, address: &str) -> Browser<'_> {
        Browser { world: self, address: address.parse().unwrap(), cookie: None }
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

/// A browser that keeps the console's cookie.
pub(crate) struct Browser<'w> {
    world: &'w World,
    address: IpAddr,
    pub(crate) cookie: Option<String>,
}

/// A response.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Page {
    /// Where it redirects to.
    pub(crate) fn location(&self) -> &str {
        self.headers.get(LOCATION).map_or("", |to| to.to_str().unwrap())
    }

    /// The token of its forms.
    pub(crate) fn csrf(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"csrf\" value=\"").unwrap_or_else(|| panic!("{}", self.body));
        rest.split('"').next().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn has(&self, text: &str) -> &Page {
        assert!(self.body.contains(text), "no {text:?} in {}", self.body);
        self
    }

    #[track_caller]
    pub(crate) fn lacks(&self, text: &str) -> &Page {
        assert!(!self.body.contains(text), "{text:?} in {}", self.body);
        self
    }
}

impl Browser<'_> {
    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send(Method::GET, path, "", String::new()).await
    }

    /// A page that must be there.
    pub(crate) async fn page(&mut self, path: &str) -> Page {
        let page = self.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path} {} {}", page.location(), page.body);
        page
    }

    /// Sends the fields as they are, without a token.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.send(Method::POST, path, "application/x-www-form-urlencoded", body.join("&")).await
    }

    pub(crate) async fn post_json(&mut self, path: &str, body: Value) -> Page {
        self.send(Method::POST, path, "application/json", body.to_string()).await
    }

    /// Sends a form of a page, with its token.
    pub(crate) async fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Page {
        let csrf = self.page(page).await.csrf();
        let fields = [fields, &[("csrf", csrf.as_str())]].concat();
        self.post(action, &fields).await
    }

    async fn send(&mut self, method: Method, path: &str, media_type: &str, body: String) -> Page {
        let mut request = Request::builder().method(method).uri(path);
        if !media_type.is_empty() {
            request = request.header(CONTENT_TYPE, media_type);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let mut request = request.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(Visitor(self.address));
        let Ok(response) = self.world.console.call(request).await;
        let (parts, body) = response.into_parts();
        if let Some(cookie) = parts.headers.get(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let pair = cookie.split(';').next().unwrap();
            self.cookie = (!cookie.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Page { status: parts.status, headers: parts.headers, body }
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
