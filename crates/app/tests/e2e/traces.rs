//! Traces of the real binary, received by the real OpenTelemetry Collector: one trace per event, from its acceptance to
//! all of its attempts, whatever happens in between.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use parts::collector::{Collector, Span};
use parts::postgres::Postgres;
use serde_json::{Value, json};

use crate::client::Client;
use crate::postgres::answers::{balanced, node_with};
use crate::receiver::Receiver;
use crate::running::Running;
use crate::sample::{event, types};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-11111111111111111111111111111111-2222222222222222-00";

fn collector() -> Option<Collector> {
    Collector::start()
        .inspect_err(|error| parts::left_out("traces taken in by the OpenTelemetry Collector", error))
        .ok()
}

/// Posts one event unchanged, with the request's trace.
async fn post(address: &str, event: &str, traceparent: Option<&str>, media_type: &str) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::post("/api/v1/events")
        .header("host", address)
        .header("authorization", "Bearer a-key-for-the-tests")
        .header("content-type", media_type);
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    let answer =
        sender.send_request(request.body(Full::new(bytes::Bytes::from(event.to_owned()))).unwrap()).await.unwrap();
    let status = answer.status();
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(status, StatusCode::ACCEPTED, "{}", String::from_utf8_lossy(&text));
}

const ONE: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

fn with_extension(id: &str, traceparent: &str) -> String {
    let mut event: Value = serde_json::from_str(&event(id, "product.updated")).unwrap();
    event["traceparent"] = traceparent.into();
    event.to_string()
}

/// Spans of each event, once there are enough.
async fn spans_of(collector: &Collector, expect: &[(&str, usize)]) -> BTreeMap<String, Vec<Span>> {
    let by = Instant::now() + Duration::from_secs(20);
    loop {
        let mut found: BTreeMap<String, Vec<Span>> = BTreeMap::new();
        for span in collector.spans().unwrap() {
            found.entry(span.attribute("cloudevents.event_id").unwrap()).or_default().push(span);
        }
        let counts: Vec<_> = expect.iter().map(|(id, _)| (*id, found.get(*id).map_or(0, Vec::len))).collect();
        if counts == expect {
            return found;
        }
        assert!(Instant::now() < by, "expected {expect:?}, found {counts:?}\n{}", collector.process().printed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Checks one trace: an acceptance with this parent, and all other spans below it. Returns acceptance, routing, and
/// attempts in order.
#[track_caller]
fn one_trace<'s>(spans: &'s [Span], trace: Option<&str>, parent: &str) -> (&'s Span, &'s Span, Vec<&'s Span>) {
    let of = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let ([accept], [route]) = (&of("postrider.accept")[..], &of("postrider.route")[..]) else { panic!("{spans:?}") };
    let mut attempts = of("postrider.deliver");
    attempts.sort_by_key(|span| span.start_time_unix_nano.parse::<u64>().unwrap());
    assert_eq!(accept.parent_span_id, parent, "{accept:?}");
    if let Some(trace) = trace {
        assert_eq!(accept.trace_id, trace);
    }
    for span in attempts.iter().copied().chain([*route]) {
        assert_eq!((&span.trace_id, &span.parent_span_id), (&accept.trace_id, &accept.span_id), "{span:?}");
    }
    for span in spans {
        let (start, end): (u64, u64) =
            (span.start_time_unix_nano.parse().unwrap(), span.end_time_unix_nano.parse().unwrap());
        assert!(start <= end, "{span:?}");
    }
    (accept, route, attempts)
}

#[track_caller]
fn check(span: &Span, expect: &[(&str, &str)]) {
    for (name, value) in expect {
        assert_eq!(span.attribute(name).as_deref(), Some(*value), "{name} of {span:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_one_trace_across_retries_and_restarts() {
    let Some(collector) = collector() else { return };
    let folder = tempfile::tempdir().unwrap();
    let failures = Arc::new(AtomicUsize::new(0));
    let failed = Arc::clone(&failures);
    let receiver = Receiver::answering(Duration::ZERO, move |path, id| {
        if path == "/fails-once" && id != "batch-1" && failed.fetch_add(1, Ordering::SeqCst) < 3 {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::OK
        }
    })
    .await;
    let url = collector.url();
    let settings = [
        "--traces-endpoint",
        &url,
        "--delivery-retry-delays",
        "6s",
        "--traces-service-name",
        "shop-events",
        "--public-url",
        "https://events.example.com",
    ];
    let platform = Running::start(folder.path(), &settings);
    let mut client = Client::connect(&platform.address).await.unwrap();
    let subscriptions = client.subscriber().await;
    let updated = types(&["product.updated"]);
    let unmatched = json!({"filter": "user=\"nobody\""});
    let id = client.subscribe(&subscriptions, &receiver.url("/fails-once"), &updated, json!({})).await;
    client.subscribe(&subscriptions, &receiver.url("/filtered"), &updated, unmatched).await;

    // An event that names its trace, one whose request does, and one without.
    post(&platform.address, &with_extension("named", PARENT), None, ONE).await;
    post(&platform.address, &event("by-request", "product.updated"), Some(OTHER), ONE).await;
    post(&platform.address, &event("alone", "product.updated"), None, ONE).await;
    receiver.wait_until(Duration::from_secs(10), "first attempts", || receiver.count("/fails-once") == 3).await;
    // The retry is made by another run of the platform.
    platform.terminate();
    assert!(platform.wait(Duration::from_secs(20)).success());
    let platform = Running::start(folder.path(), &settings);
    receiver.wait_until(Duration::from_secs(20), "second attempts", || receiver.count("/fails-once") == 6).await;
    // The other events of the request have their own traces, linked to the request's.
    let batch = format!("[{},{}]", event("batch-1", "product.updated"), event("batch-2", "family.updated"));
    post(&platform.address, &batch, Some(OTHER), BATCH).await;
    // Events not recorded by their producer are not recorded here.
    post(&platform.address, &event("silent", "product.updated"), Some(UNSAMPLED), ONE).await;
    post(&platform.address, &with_extension("named", PARENT), None, ONE).await;
    receiver.wait_until(Duration::from_secs(10), "the others", || receiver.count("/fails-once") == 8).await;
    platform.terminate();
    assert!(platform.wait(Duration::from_secs(20)).success());

    let expect = [("named", 5), ("by-request", 4), ("alone", 4), ("batch-1", 3), ("batch-2", 2), ("silent", 0)];
    let mut found = spans_of(&collector, &expect).await;
    // The second sending; its span has the id of the first, because it is the same event.
    let again = found["named"].iter().position(|span| span.attribute("postrider.duplicate").is_some()).unwrap();
    let again = found.get_mut("named").unwrap().remove(again);
    check(&again, &[("postrider.duplicate", "true")]);
    assert_eq!(again.trace_id, PARENT[3..35]);

    for (id_of_event, trace, parent) in [
        ("named", Some(&PARENT[3..35]), &PARENT[36..52]),
        ("by-request", Some(&OTHER[3..35]), &OTHER[36..52]),
        ("alone", None, ""),
    ] {
        let (accept, route, attempts) = one_trace(&found[id_of_event], trace, parent);
        check(
            accept,
            &[("postrider.pim", "test"), ("postrider.way", "events"), ("messaging.operation.type", "receive")],
        );
        check(route, &[("postrider.matched", "1"), ("postrider.filtered_out", "1")]);
        let [first, second] = attempts[..] else { panic!("{attempts:?}") };
        let of_both = [("postrider.subscription.id", id.as_str()), ("postrider.destination.type", "https")];
        check(first, &of_both);
        check(second, &of_both);
        check(
            first,
            &[("postrider.outcome", "failed"), ("error.type", "destination_failure"), ("postrider.attempt", "1")],
        );
        check(
            second,
            &[("postrider.outcome", "delivered"), ("postrider.attempt", "2"), ("server.address", "127.0.0.1")],
        );
        assert!(first.failed() && !second.failed());
        assert_eq!((accept.kind, route.kind, first.kind), (5, 1, 3));
        assert!(accept.resource.contains(&("service.name".to_owned(), "shop-events".to_owned())), "{accept:?}");
        // Each request told the receiver its span; the body is the same as without traces.
        let deliveries: Vec<_> =
            receiver.at("/fails-once").into_iter().filter(|delivery| delivery.id() == id_of_event).collect();
        for (delivery, span) in deliveries.iter().zip(&attempts) {
            assert_eq!(delivery.header("traceparent"), format!("00-{}-{}-01", span.trace_id, span.span_id));
            let body: Value = serde_json::from_slice(&delivery.body).unwrap();
            assert_eq!(body.get("traceparent").is_some(), id_of_event == "named");
        }
        assert_eq!(deliveries[0].body, deliveries[1].body);
    }
    for (id_of_event, attempts) in [("batch-1", 1), ("batch-2", 0)] {
        let spans = &found[id_of_event];
        let (accept, _, found) = one_trace(spans, None, "");
        assert_eq!(found.len(), attempts);
        assert_ne!(accept.trace_id, OTHER[3..35]);
        assert_eq!((&*accept.links[0].trace_id, &*accept.links[0].span_id), (&OTHER[3..35], &OTHER[36..52]));
        check(accept, &[("messaging.batch.message_count", "2")]);
    }
    let silent: Vec<_> = receiver.at("/fails-once").into_iter().filter(|delivery| delivery.id() == "silent").collect();
    assert_eq!(silent[0].header("traceparent"), "");

    // Documentation and recorded spans match.
    let documented = documented();
    let mut recorded: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for span in found.values().flatten().chain([&again]) {
        recorded.entry(span.name.clone()).or_default().extend(span.attributes().map(str::to_owned));
    }
    assert_eq!(recorded.keys().collect::<Vec<_>>(), documented.keys().collect::<Vec<_>>());
    for (name, attributes) in &recorded {
        assert!(attributes.is_subset(&documented[name]), "{name}: {attributes:?} are not all documented");
        let missing: Vec<_> = documented[name].difference(attributes).map(String::as_str).collect();
        // Attributes of topics only.
        let of_topics = ["messaging.batch.message_count", "messaging.destination.name", "messaging.system"];
        assert!(missing.iter().all(|name| of_topics.contains(name)), "{name}: {missing:?} were not recorded");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_one_trace_across_nodes() {
    let Some(collector) = collector() else { return };
    let server = Postgres::start(&["fsync = off"]).unwrap();
    let (database, url) = (server.create("nodes").unwrap(), collector.url());
    let folder = tempfile::tempdir().unwrap();
    let start = |name: &str| node_with(&folder.path().join(name), &database, &["--traces-endpoint", &url]);
    let (owner, other) = balanced([start("a"), start("b")]).await;
    let receiver = Receiver::start(Duration::ZERO).await;
    let mut client = Client::connect(&other.address).await.unwrap();
    let subscriptions = client.subscriber().await;
    client.subscribe(&subscriptions, &receiver.url("/"), &types(&["product.updated"]), json!({})).await;
    post(&other.address, &event("travels", "product.updated"), Some(OTHER), ONE).await;

    let found = spans_of(&collector, &[("travels", 3)]).await;
    let (accept, route, attempts) = one_trace(&found["travels"], Some(&OTHER[3..35]), &OTHER[36..52]);
    assert_eq!(receiver.at("/")[0].header("traceparent")[3..35], OTHER[3..35]);
    // The nodes are told apart by the ids that `postrider cluster` lists.
    let node = |span: &Span| span.resource.iter().find(|(key, _)| key == "service.instance.id").unwrap().1.clone();
    assert_eq!(node(route), node(attempts[0]));
    assert_ne!(node(accept), node(route));
    let nodes = server.query("nodes", "SELECT id FROM node").unwrap();
    assert!(nodes.contains(&node(accept)) && nodes.contains(&node(route)), "{nodes}");
    drop(owner);
}

/// Span → attributes, of `docs/reference/traces.md`.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/traces.md");
    let text = std::fs::read_to_string(page).unwrap();
    let sections = text.split("\n## `").skip(1).map(|section| section.split_once('`').unwrap());
    sections
        .map(|(name, rest)| {
            let rows = rest.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
            (name.to_owned(), rows.map(str::to_owned).collect())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_or_is_gone_changes_nothing() {
    let Some(collector) = collector() else { return };
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Duration::ZERO).await;
    let metrics = format!("127.0.0.1:{}", parts::port::free());
    // By OpenTelemetry's own variables, with a queue that fills up quickly.
    let url = collector.url();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_SERVICE_NAME", "by-the-environment"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
    ];
    let platform = Running::start_in(folder.path(), &["--metrics-listen", &metrics], &environment);
    let mut client = Client::connect(&platform.address).await.unwrap();
    let subscriptions = client.subscriber().await;
    client.subscribe(&subscriptions, &receiver.url("/"), &types(&["product.updated"]), json!({})).await;
    client.publish(&[event("seen", "product.updated")]).await.unwrap();
    let found = spans_of(&collector, &[("seen", 3)]).await;
    assert!(found["seen"][0].resource.contains(&("service.name".to_owned(), "by-the-environment".to_owned())));

    collector.process().freeze().unwrap();
    let events: Vec<_> = (0..200).map(|index| event(&format!("e{index}"), "product.updated")).collect();
    client.publish(&events).await.unwrap();
    receiver.wait_until(Duration::from_secs(10), "all events", || receiver.count("/") == 201).await;
    let lost = async |what: &str| {
        let by = Instant::now() + Duration::from_secs(15);
        loop {
            let text = crate::metrics::text(&metrics).await;
            let sample = format!("postrider_spans_total{{result=\"{what}\"}} ");
            let value = text.lines().find_map(|line| line.strip_prefix(&sample)).unwrap().parse::<u64>().unwrap();
            if value > 0 {
                return value;
            }
            assert!(Instant::now() < by, "no spans are {what}:\n{text}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    // 603 spans, of which 64 are queued and as many are being sent.
    assert!(lost("dropped").await >= 400);
    assert!(lost("failed").await >= 1);
    drop(collector);
    client.publish(&[event("after", "product.updated")]).await.unwrap();
    receiver.wait_until(Duration::from_secs(10), "the last event", || receiver.count("/") == 202).await;
    platform.terminate();
    assert!(platform.wait(Duration::from_secs(10)).success());
}
