//! `/metrics` of the real binary, parsed by Prometheus' own parsers: the list, the values after known events, and
//! access control.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use domain::Clock;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;

use crate::client::Client;
use crate::receiver::Receiver;
use crate::running::Running;
use crate::sample::{event, types};

const KEY: &str = "a-key-for-those-who-scrape";
const OPERATOR_KEY: &str = "the-operator-key-of-the-tests";

const TEXT: &str = "text/plain;version=0.0.4";
const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";

#[derive(Deserialize)]
struct Family {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    help: String,
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// A scrape.
struct Page(Vec<Family>);

impl Page {
    fn samples(&self, name: &str) -> impl Iterator<Item = &Sample> {
        self.0.iter().flat_map(|family| &family.samples).filter(move |sample| sample.name == name)
    }

    /// The sample with these labels, and possibly others; the sum if there are several.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |sample: &&Sample| {
            labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|label| label == value))
        };
        self.samples(name).filter(fits).map(|sample| sample.value).sum()
    }

    #[track_caller]
    fn check(&self, name: &str, labels: &[(&str, &str)], expect: f64) {
        assert!(self.samples(name).next().is_some(), "{name} is not there");
        assert_eq!(self.value(name, labels), expect, "{name} {labels:?}");
    }
}

/// Status, media type and text of a response.
pub(crate) async fn get(address: &str, path: &str, accept: &str, key: Option<&str>) -> (StatusCode, String, String) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::get(path).header("host", address).header("accept", accept);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let answer = sender.send_request(request.body(Empty::<bytes::Bytes>::new()).unwrap()).await.unwrap();
    let status = answer.status();
    let content_type = answer.headers().get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    (status, content_type, String::from_utf8(text.to_vec()).unwrap())
}

/// The page in the older format.
pub(crate) async fn text(address: &str) -> String {
    get(address, "/metrics", TEXT, None).await.2
}

/// Python with Prometheus' own client, or `None` if not available.
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = PYTHON.get_or_init(|| {
        parts::python::with_packages("prometheus", "prometheus-client==0.26.0\n")
            .inspect_err(|error| parts::left_out("metrics read by Prometheus' parser", error))
            .ok()
    });
    found.as_deref()
}

fn parse(python: &Path, format: &str, text: &str) -> Page {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/metrics.py");
    let mut child =
        Command::new(python).arg(script).arg(format).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "Prometheus cannot read this:\n{text}");
    Page(serde_json::from_slice(&output.stdout).unwrap())
}

/// Scrapes until the page satisfies the condition.
async fn scrape_until(python: &Path, address: &str, what: &str, enough: impl Fn(&Page) -> bool) -> Page {
    let by = Instant::now() + Duration::from_secs(20);
    loop {
        let (status, content_type, text) = get(address, "/metrics", OPEN_METRICS, None).await;
        assert_eq!(status, StatusCode::OK);
        assert!(content_type.starts_with("application/openmetrics-text"), "{content_type}");
        let page = parse(python, "openmetrics", &text);
        if enough(&page) {
            return page;
        }
        assert!(Instant::now() < by, "{what}: not within 20 s:\n{text}");
        // Pages are cached for one second.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// `name → (type, help, labels)` of `docs/reference/metrics.md`.
fn documented() -> BTreeMap<String, (String, String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
    let text = std::fs::read_to_string(page).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_end_matches(" |").split(" | ").collect();
        (cells[0].trim_end_matches('`').to_owned(), (cells[1].to_owned(), cells[3].to_owned(), cells[2].to_owned()))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_count_events_and_attempts() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::answering(Duration::ZERO, |path, _| match path {
        "/refuses" => StatusCode::BAD_REQUEST,
        "/fails" => StatusCode::SERVICE_UNAVAILABLE,
        "/gone" => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    })
    .await;
    let metrics = format!("127.0.0.1:{}", parts::port::free());
    let platform = Running::start(
        folder.path(),
        &["--metrics-listen", &metrics, "--metrics-per-subscription-at-most", "2", "--metrics-key", KEY],
    );
    let mut client = Client::connect(&platform.address).await.unwrap();
    let subscriptions = client.subscriber().await;
    let updated = types(&["product.updated"]);
    let good = client.subscribe(&subscriptions, &receiver.url("/good"), &updated, json!({})).await;
    let refuses = client.subscribe(&subscriptions, &receiver.url("/refuses"), &updated, json!({})).await;
    client.subscribe(&subscriptions, &receiver.url("/fails"), &updated, json!({})).await;
    client.subscribe(&subscriptions, &receiver.url("/gone"), &types(&["product.deleted"]), json!({})).await;
    let unmatched = json!({"filter": "user=\"nobody\""});
    client.subscribe(&subscriptions, &receiver.url("/filtered"), &updated, unmatched).await;

    let events: Vec<_> = (0..4).map(|index| event(&format!("e{index}"), "product.updated")).collect();
    client.publish(&events).await.unwrap();
    client.publish(&events[..3]).await.unwrap();
    client.publish(&[event("gone", "product.deleted")]).await.unwrap();
    client.publish(&[event("odd", "no.such.type")]).await.unwrap();
    for (body, expect) in [("[{]", StatusCode::BAD_REQUEST), ("[{}]", StatusCode::UNPROCESSABLE_ENTITY)] {
        let batch = "application/cloudevents-batch+json";
        assert_eq!(client.call(Method::POST, "/api/v1/events", batch, body).await.unwrap().0, expect);
    }
    assert_eq!(get(&platform.address, "/api/v1/logs", "", None).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(get(&platform.address, "/nowhere", "", None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&platform.address, "/console", "", None).await.0, StatusCode::SEE_OTHER);

    let page = scrape_until(python, &metrics, "all outcomes", |page| {
        page.value("postrider_delivery_attempts_total", &[]) == 13.0
            && page.value("postrider_suspensions_total", &[]) == 1.0
            && page.value("postrider_waiting_retry_events", &[]) == 4.0
    })
    .await;
    let https = ("destination_type", "https");
    page.check("postrider_events_accepted_total", &[], 9.0);
    page.check("postrider_events_duplicate_total", &[], 3.0);
    page.check("postrider_events_unknown_type_total", &[], 1.0);
    page.check("postrider_events_routed_total", &[], 6.0);
    page.check("postrider_events_matched_total", &[], 13.0);
    page.check("postrider_events_filtered_out_total", &[], 4.0);
    page.check("postrider_ingest_requests_refused_total", &[("reason", "malformed")], 1.0);
    page.check("postrider_ingest_requests_refused_total", &[("reason", "invalid")], 1.0);
    page.check("postrider_ingest_requests_refused_total", &[], 2.0);
    page.check("postrider_delivery_attempts_total", &[https, ("outcome", "delivered")], 4.0);
    page.check("postrider_delivery_attempts_total", &[https, ("outcome", "refused")], 4.0);
    page.check("postrider_delivery_attempts_total", &[https, ("outcome", "failed")], 4.0);
    page.check("postrider_delivery_attempts_total", &[https, ("outcome", "broken")], 1.0);
    page.check("postrider_delivery_failures_total", &[https, ("reason", "destination_failure")], 8.0);
    page.check("postrider_delivery_failures_total", &[https, ("reason", "destination_not_found")], 1.0);
    page.check("postrider_delivery_attempt_duration_seconds_count", &[https], 13.0);
    page.check("postrider_delivery_latency_seconds_count", &[https], 4.0);
    page.check("postrider_delivery_latency_seconds_bucket", &[https, ("le", "+Inf")], 4.0);
    page.check("postrider_events_given_up_total", &[], 5.0);
    page.check("postrider_suspensions_total", &[("reason", "destination_not_found")], 1.0);
    page.check("postrider_subscriptions", &[https, ("status", "active")], 4.0);
    page.check("postrider_subscriptions", &[https, ("status", "suspended")], 1.0);
    page.check("postrider_backlog_events", &[https], 4.0);
    page.check("postrider_http_requests_total", &[("route", "/api/v1/events"), ("status", "2xx")], 4.0);
    page.check("postrider_http_requests_total", &[("route", "none"), ("status", "4xx")], 1.0);
    page.check("postrider_http_requests_total", &[("route", "/console"), ("status", "3xx")], 1.0);
    page.check("postrider_http_request_duration_seconds_count", &[("surface", "console")], 1.0);
    page.check("postrider_http_request_duration_seconds_count", &[("surface", "ingest")], 6.0);
    page.check("postrider_http_unauthorized_total", &[("surface", "management")], 1.0);
    page.check("postrider_store_events_total", &[], 6.0);
    page.check("postrider_notifications_waiting", &[], 1.0);
    page.check("postrider_metrics_missing", &[], 0.0);
    page.check("postrider_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    for above_zero in [
        "postrider_oldest_undelivered_seconds",
        "postrider_store_commit_duration_seconds_sum",
        "postrider_backlog_limit_bytes",
        "postrider_database_used_bytes",
        "postrider_disk_free_bytes",
        "postrider_log_entries_total",
        "postrider_log_span_events",
        "postrider_engine_turn_seconds_count",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(page.value(above_zero, &[]) > 0.0, "{above_zero}");
    }
    let started = page.value("process_start_time_seconds", &[]);
    let now = Clock::system().wall().as_micros() as f64 / 1e6;
    assert!((now - 120.0..=now + 2.0).contains(&started), "{started} is not just before {now}");

    // The two oldest subscriptions have their own series; three have none.
    let of: BTreeSet<_> = page
        .samples("postrider_subscription_delivered_total")
        .map(|sample| sample.labels["subscription"].clone())
        .collect();
    assert_eq!(of, BTreeSet::from([good.clone(), refuses.clone()]));
    page.check("postrider_subscription_delivered_total", &[("subscription", &good), ("pim", "test")], 4.0);
    page.check("postrider_subscription_failed_attempts_total", &[("subscription", &refuses)], 4.0);
    page.check("postrider_subscriptions_without_series", &[], 3.0);

    // Documentation and output match in both directions, and every listed metric is filled.
    let found = page.0.iter().map(|family| {
        let name = match family.kind.as_str() {
            "counter" => format!("{}_total", family.name),
            "info" => format!("{}_info", family.name),
            _ => family.name.clone(),
        };
        (name, (family.kind.clone(), family.help.clone()))
    });
    let documented = documented().into_iter().map(|(name, (kind, help, _))| (name, (kind, help)));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), documented.collect());
    let empty: Vec<_> = page.0.iter().filter(|family| family.samples.is_empty()).map(|family| &family.name).collect();
    assert!(empty.is_empty(), "{empty:?} are listed and never filled");

    // The older format has the same content, and so does the API's own address with a key.
    let (_, content_type, text) = get(&metrics, "/metrics", TEXT, None).await;
    assert!(content_type.starts_with("text/plain; version=0.0.4"), "{content_type}");
    let older = parse(python, "text", &text);
    older.check("postrider_events_accepted_total", &[], 9.0);
    older.check("postrider_delivery_attempt_duration_seconds_count", &[https], 13.0);
    let (status, _, text) = get(&platform.address, "/metrics", OPEN_METRICS, Some(KEY)).await;
    assert_eq!(status, StatusCode::OK);
    parse(python, "openmetrics", &text).check("postrider_events_accepted_total", &[], 9.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_require_their_key() {
    let folder = tempfile::tempdir().unwrap();
    let check = async |settings: &[&str], key: Option<&str>, expect: StatusCode, code: &str| {
        let platform = Running::start(folder.path(), settings);
        let (status, _, text) = get(&platform.address, "/metrics", TEXT, key).await;
        assert_eq!(status, expect, "{settings:?} {key:?}: {text}");
        assert!(text.contains(code), "{text}");
    };
    let both = ["--metrics-key", KEY, "--api-operator-key", OPERATOR_KEY];
    check(&[], Some(KEY), StatusCode::FORBIDDEN, "metrics_off").await;
    check(&both, None, StatusCode::UNAUTHORIZED, "missing_metrics_key").await;
    check(&both, Some("another-key-of-twenty-four-characters"), StatusCode::UNAUTHORIZED, "invalid_metrics_key").await;
    check(&both[..2], Some(OPERATOR_KEY), StatusCode::UNAUTHORIZED, "invalid_metrics_key").await;
    check(&both, Some(KEY), StatusCode::OK, "postrider_build_info").await;
    check(&both[2..], Some(OPERATOR_KEY), StatusCode::OK, "postrider_build_info").await;

    // By default no subscription has its own series; a separate listener serves nothing else.
    let metrics = format!("127.0.0.1:{}", parts::port::free());
    let platform = Running::start(folder.path(), &["--metrics-listen", &metrics]);
    let mut client = Client::connect(&platform.address).await.unwrap();
    let subscriptions = client.subscriber().await;
    client.subscribe(&subscriptions, "http://127.0.0.1:9/", &types(&["product.updated"]), json!({})).await;
    let (_, _, text) = get(&metrics, "/metrics", TEXT, None).await;
    assert!(!text.contains("subscription=\""), "{text}");
    assert!(text.contains("postrider_subscriptions_without_series 1"), "{text}");
    assert_eq!(get(&metrics, "/api/v1/event-types", "", None).await.0, StatusCode::NOT_FOUND);
}

/// The example alerts use existing metrics and labels; Prometheus itself parses them.
#[test]
fn alerts_use_existing_metrics() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators/prometheus-alerts.yml");
    let selectors = match parts::prometheus::rules(&file) {
        Ok(selectors) => selectors,
        Err(error) => return parts::left_out("alerts read by Prometheus", &error),
    };
    assert!(selectors.len() >= 10, "{selectors:?}");
    let documented = documented();
    for selector in selectors.iter().filter(|selector| selector.metric != "up") {
        let name = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| selector.metric.strip_suffix(suffix))
            .filter(|name| documented.get(*name).is_some_and(|(kind, ..)| kind == "histogram"))
            .unwrap_or(&selector.metric);
        let (_, _, labels) = documented.get(name).unwrap_or_else(|| panic!("no such metric: {selector:?}"));
        for label in &selector.labels {
            assert!(labels.contains(&format!("`{label}`")), "no such label: {selector:?}");
        }
    }
}
