//! A fake PIM with a REST API: tokens by password grants, attributes, and entities by `updated` in `search_after`
//! pages.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::extract::Request;
use domain::Timestamp;
use http::header::{AUTHORIZATION, DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

#[derive(Default)]
struct State {
    entities: HashMap<String, Vec<Value>>,
    page_size: usize,
    /// Prefix of next links, if unusual.
    links_to: Option<String>,
    /// Responses to send before all others, with `Retry-After`.
    once: VecDeque<(u16, Option<String>)>,
    granted: usize,
    tokens_from: usize,
    /// Path and decoded query of each request with a genuine token.
    asked: Vec<(String, String)>,
    requests: usize,
    /// Its clock; the system time if not set.
    clock: Option<Timestamp>,
    /// Offset of its time zone from UTC, in hours.
    zone: i64,
    held: Option<(String, Arc<Notify>, Arc<Notify>)>,
}

pub(super) struct FakeRest {
    url: String,
    state: Arc<Mutex<State>>,
}

/// A response that is read and held back.
pub(super) struct Held {
    asked: Arc<Notify>,
    go: Arc<Notify>,
}

impl Held {
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    pub(super) fn release(&self) {
        self.go.notify_one();
    }
}

impl FakeRest {
    pub(super) async fn start() -> FakeRest {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { page_size: 100, ..State::default() }));
        let (shared, base) = (Arc::clone(&state), url.clone());
        let answer = move |request: Request| async move {
            let (status, headers, body, wait) = shared.lock().unwrap().answer(&base, &request);
            if let Some((asked, go)) = wait {
                asked.notify_one();
                go.notified().await;
            }
            // What a `Value` cannot represent.
            let body = body.to_string().replace("LONE_SURROGATE", "\\ud800");
            (StatusCode::from_u16(status).unwrap(), headers, body)
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        FakeRest { url, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    pub(super) fn put(&self, kind: &str, items: Vec<Value>) {
        self.state().entities.insert(kind.to_owned(), items);
    }

    pub(super) fn page_size(&self, size: usize) {
        self.state().page_size = size;
    }

    pub(super) fn clock(&self, time: Timestamp) {
        self.state().clock = Some(time);
    }

    /// Sets the offset of its time zone.
    pub(super) fn zone(&self, hours: i64) {
        self.state().zone = hours;
    }

    pub(super) fn links_to(&self, base: &str) {
        self.state().links_to = Some(base.to_owned());
    }

    pub(super) fn answer_once(&self, status: u16, retry_after: Option<&str>) {
        self.state().once.push_back((status, retry_after.map(str::to_owned)));
    }

    /// Holds the next response to this path until it is released.
    pub(super) fn hold(&self, path: &str) -> Held {
        let held = Held { asked: Arc::default(), go: Arc::default() };
        self.state().held = Some((path.to_owned(), Arc::clone(&held.asked), Arc::clone(&held.go)));
        held
    }

    pub(super) fn granted(&self) -> usize {
        self.state().granted
    }

    /// Invalidates all tokens so far.
    pub(super) fn revoke(&self) {
        let mut state = self.state();
        state.tokens_from = state.granted + 1;
    }

    /// Rejects all tokens.
    pub(super) fn reject(&self) {
        self.state().tokens_from = usize::MAX;
    }

    pub(super) fn asked(&self, path: &str) -> Vec<String> {
        self.state().asked.iter().filter(|(of, _)| of == path).map(|(_, query)| query.clone()).collect()
    }

    pub(super) fn requests(&self) -> usize {
        self.state().requests
    }
}

type Wait = Option<(Arc<Notify>, Arc<Notify>)>;

impl State {
    fn answer(&mut self, base: &str, request: &Request) -> (u16, HeaderMap, Value, Wait) {
        self.requests += 1;
        let path = request.uri().path().to_owned();
        if path == "/api/oauth/v1/token" {
            self.granted += 1;
            return (200, HeaderMap::new(), json!({"access_token": format!("token-{}", self.granted)}), None);
        }
        let authorization = request.headers().get(AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
        let token: usize = authorization.trim_start_matches("Bearer token-").parse().unwrap_or_default();
        if token == 0 || token < self.tokens_from {
            return (401, HeaderMap::new(), json!({"code": 401}), None);
        }
        if path == "/api/rest/v1/attributes" {
            let items = json!([
                {"code": "sku", "type": "pim_catalog_identifier"},
                {"code": "name", "type": "pim_catalog_text"}
            ]);
            return (200, HeaderMap::new(), json!({"_links": {}, "_embedded": {"items": items}}), None);
        }
        let query = decoded(request.uri().query().unwrap_or_default());
        self.asked.push((path.clone(), query.clone()));
        if let Some((status, retry_after)) = self.once.pop_front() {
            let retry_after = retry_after.map(|text| (RETRY_AFTER, HeaderValue::from_str(&text).unwrap()));
            return (status, retry_after.into_iter().collect(), json!({}), None);
        }
        let kind = path.rsplit('/').next().unwrap();
        if kind == "products-uuid" && !self.entities.contains_key(kind) {
            return (404, HeaderMap::new(), json!({}), None);
        }
        let page = self.page(base, &path, kind, &query);
        let wait = self.held.take_if(|(of, ..)| *of == path).map(|(_, asked, go)| (asked, go));
        let date = |time: Timestamp| {
            let since_epoch = Duration::from_micros(time.as_micros().unsigned_abs());
            (DATE, HeaderValue::from_str(&httpdate::fmt_http_date(UNIX_EPOCH + since_epoch)).unwrap())
        };
        (200, self.clock.map(date).into_iter().collect(), page, wait)
    }

    fn page(&self, base: &str, path: &str, kind: &str, query: &str) -> Value {
        let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let search: Value = serde_json::from_str(parameter("search").unwrap()).unwrap();
        let since = search["updated"][0]["value"].as_str().unwrap().replace(' ', "T");
        let since = Timestamp::parse(&format!("{since}Z")).unwrap();
        let since = Timestamp::from_micros(since.as_micros() - self.zone * 3_600_000_000);
        let after = parameter("search_after").unwrap_or_default();
        let name = |item: &Value| {
            item["uuid"].as_str().or(item["code"].as_str()).map_or_else(|| item.to_string(), str::to_owned)
        };
        let changed = |item: &&Value| {
            let updated = item["updated"].as_str().and_then(Timestamp::parse);
            updated.is_none_or(|updated| updated > since)
        };
        let items = self.entities.get(kind).into_iter().flatten().filter(changed);
        let mut items: Vec<&Value> = items.filter(|item| name(item).as_str() > after).collect();
        items.sort_by_key(|item| name(item));
        let more = items.len() > self.page_size;
        items.truncate(self.page_size);
        let mut links = json!({});
        if more {
            let base = self.links_to.clone().unwrap_or_else(|| format!("{base}{path}"));
            let search = search.to_string().replace('"', "%22").replace(' ', "%20").replace('>', "%3E");
            let search = search.replace('{', "%7B").replace('}', "%7D");
            let last = name(items[items.len() - 1]);
            links["next"] = json!({"href": format!("{base}?search={search}&search_after={last}&limit=100")});
        }
        json!({"_links": links, "_embedded": {"items": items}})
    }
}

fn decoded(query: &str) -> String {
    let mut parts = query.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}
