//! Trace headers sent to an endpoint.

use std::sync::{Arc, Mutex};

use domain::Secret;
use domain::destination::{CustomHeaders, Destination};
use domain::outcome::Outcome;
use domain::trace_parent::TraceParent;
use sinks::https::HttpsSettings;
use sinks::{Sink, TraceParents};

use crate::endpoint::*;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The request's lines about traces.
async fn check(own: Option<&str>, traces: TraceParents, expect: &[&str]) {
    let seen = Arc::new(Mutex::new(String::new()));
    let noted = Arc::clone(&seen);
    let endpoint = Endpoint::start(move |_, mut stream| {
        let noted = Arc::clone(&noted);
        async move {
            let request = read_request(&mut stream).await.unwrap();
            *noted.lock().unwrap() = request;
            tokio::io::AsyncWriteExt::write_all(&mut stream, OK).await.unwrap();
        }
    })
    .await;
    let mut subscription = subscription(&endpoint.url());
    if let (Some(own), Destination::Https(https)) = (own, &mut subscription.destination) {
        https.headers = CustomHeaders(vec![("traceparent".to_owned(), Secret::new(own))]);
    }
    let sink = sink(HttpsSettings::default());
    let delivery = sinks::Delivery { traces, ..delivery(&subscription) };
    assert_eq!(sink.deliver(delivery).await, [Outcome::Delivered]);
    let request = seen.lock().unwrap().clone();
    let lines: Vec<_> = request.lines().filter(|line| line.starts_with("trace")).collect();
    assert_eq!(lines, expect, "{request}");
}

#[tokio::test]
async fn endpoints_get_the_span_of_a_request() {
    let parent = TraceParent::parse(PARENT);
    check(None, vec![parent], &[&format!("traceparent: {PARENT}")]).await;
    check(None, vec![None], &[]).await;
    check(None, Vec::new(), &[]).await;
    check(Some("own"), vec![parent], &["traceparent: own"]).await;
}
