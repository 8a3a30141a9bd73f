//! Connections kept, reused, and closed; and the data sent on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::Secret;
use domain::destination::Destination;
use domain::outcome::Outcome;
use sinks::Sink;
use sinks::https::HttpsSettings;
use tokio::sync::mpsc;

use crate::endpoint::*;

/// Responds to all requests and reports connections closed by the other side.
async fn telling() -> (Endpoint, mpsc::UnboundedReceiver<usize>) {
    let (tell, closed) = mpsc::unbounded_channel();
    let endpoint = Endpoint::start(move |number, mut stream| {
        let tell = tell.clone();
        async move {
            while answer(&mut stream, OK).await {}
            tell.send(number).unwrap();
        }
    })
    .await;
    (endpoint, closed)
}

#[tokio::test]
async fn a_request_has_the_headers_of_the_contract() {
    let (tell, mut requests) = mpsc::unbounded_channel();
    let endpoint = Endpoint::start(move |_, mut stream| {
        let tell = tell.clone();
        async move {
            while let Some(request) = read_request(&mut stream).await {
                tell.send(request).unwrap();
                tokio::io::AsyncWriteExt::write_all(&mut stream, OK).await.unwrap();
            }
        }
    })
    .await;
    let sink = sink(HttpsSettings::default());
    let mut subscription = subscription(&endpoint.url());
    if let Destination::Https(https) = &mut subscription.destination {
        https.secondary = Some(Secret::new("other"));
        https.headers.0.push(("X-Shop".to_owned(), Secret::new("berlin")));
    }
    assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered);
    subscription.options.cloudevents_content_type = true;
    subscription.revision += 1;
    assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered);

    let first = requests.recv().await.unwrap();
    let (head, body) = first.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("POST /hook?a=b HTTP/1.1"));
    let headers: Vec<(&str, &str)> = lines.map(|line| line.split_once(": ").unwrap()).collect();
    let header = |name: &str| headers.iter().find(|(other, _)| *other == name).map(|(_, value)| *value).unwrap();
    let host = endpoint.address.to_string();
    assert_eq!(header("host"), host);
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("content-length"), body.len().to_string());
    assert_eq!(header("user-agent"), concat!("Postrider/", env!("CARGO_PKG_VERSION")));
    assert_eq!(header("x-shop"), "berlin");
    assert_eq!(header("x-correlation-id").len(), 36);
    let key = wire::signature::SigningKey::new(&Secret::new("your_primary_secret"));
    let other = wire::signature::SigningKey::new(&Secret::new("other"));
    assert_eq!(header("x-akeneo-signature-primary"), key.akeneo(body.as_bytes()));
    assert_eq!(header("x-akeneo-signature-secondary"), other.akeneo(body.as_bytes()));
    assert_eq!(header("x-akeneo-signature-algorithm"), "HmacSHA256");
    assert_eq!(header("webhook-id"), "018e32e0-5c1e-7f4b-9a3b-000000000001");
    assert_eq!(header("webhook-signature").split(' ').count(), 2);
    assert!(header("webhook-timestamp").parse::<u64>().is_ok());
    assert_eq!(headers.len(), 12, "{headers:?}");
    assert!(body.contains(&format!(r#""subject":"{}""#, subscription.id)), "{body}");

    let second = requests.recv().await.unwrap();
    assert!(second.contains("\r\ncontent-type: application/cloudevents+json\r\n"), "{second}");
    let id = |request: &str| request.lines().find(|line| line.starts_with("x-correlation-id")).unwrap().to_owned();
    assert_ne!(id(&first), id(&second));
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let (endpoint, _closed) = telling().await;
    let sink = sink(HttpsSettings::default());
    let subscription = subscription(&endpoint.url());
    for _ in 0..20 {
        assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered);
    }
    assert_eq!((endpoint.connections(), sink.open_connections()), (1, 1));
}

#[tokio::test]
async fn an_answer_that_ends_the_connection_is_respected() {
    let endpoint = Endpoint::answering(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
    let sink = sink(HttpsSettings::default());
    let subscription = subscription(&endpoint.url());
    for _ in 0..3 {
        assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered);
    }
    assert_eq!((endpoint.connections(), sink.open_connections()), (3, 0));
}

/// The first connection responds once and ends with the second request; `last` is its final output.
async fn check_stale(last: &'static [u8], expect: Outcome, connections: usize) {
    let endpoint = Endpoint::start(move |number, mut stream| async move {
        answer(&mut stream, OK).await;
        match number {
            1 => drop(answer(&mut stream, last).await),
            _ => while answer(&mut stream, OK).await {},
        }
    })
    .await;
    let sink = sink(HttpsSettings::default());
    let subscription = subscription(&endpoint.url());
    assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered);
    let said = deliver(&sink, &subscription).await;
    assert_eq!(std::mem::discriminant(&said), std::mem::discriminant(&expect), "{said:?}");
    assert_eq!(endpoint.connections(), connections);
}

#[tokio::test]
async fn a_stale_connection_is_replaced_once() {
    check_stale(b"", Outcome::Delivered, 2).await;
}

#[tokio::test]
async fn a_connection_that_answered_in_part_was_not_stale() {
    let failed = domain::outcome::Failure {
        reason: domain::outcome::ErrorReason::UnexpectedEof,
        code: 500,
        message: String::new(),
        answer: None,
    };
    check_stale(b"HTTP/1.1 2", Outcome::Failed(failed), 1).await;
}

#[tokio::test]
async fn forgetting_a_subscription_closes_its_connections_only() {
    let (endpoint, mut closed) = telling().await;
    let sink = sink(HttpsSettings::default());
    let (first, second) = (subscription(&endpoint.url()), subscription(&endpoint.url()));
    assert_eq!(deliver(&sink, &first).await, Outcome::Delivered);
    assert_eq!(deliver(&sink, &second).await, Outcome::Delivered);
    sink.forget(first.id);
    assert_eq!(closed.recv().await, Some(1));
    assert_eq!(sink.open_connections(), 1);
    assert_eq!(deliver(&sink, &second).await, Outcome::Delivered);
    assert_eq!(endpoint.connections(), 2);
}

#[tokio::test]
async fn a_new_revision_has_connections_of_its_own() {
    let (endpoint, mut closed) = telling().await;
    let sink = sink(HttpsSettings::default());
    let mut subscription = subscription(&endpoint.url());
    let old = subscription.clone();
    assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered);
    subscription.revision += 1;
    assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered);
    assert_eq!(closed.recv().await, Some(1));
    // A late attempt of the old one neither uses nor closes the new one's connections.
    assert_eq!(deliver(&sink, &old).await, Outcome::Delivered);
    assert_eq!(closed.recv().await, Some(3));
    assert_eq!(sink.open_connections(), 1);
    assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered);
    assert_eq!(endpoint.connections(), 3);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let (endpoint, mut closed) = telling().await;
    let sink = sink(HttpsSettings { idle_timeout: Duration::from_millis(50), ..HttpsSettings::default() });
    assert_eq!(deliver(&sink, &subscription(&endpoint.url())).await, Outcome::Delivered);
    assert_eq!(sink.open_connections(), 1);
    assert_eq!(closed.recv().await, Some(1));
    assert_eq!(sink.open_connections(), 0);
}

#[tokio::test]
async fn a_subscription_has_a_bounded_number_of_connections() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&now), Arc::clone(&most));
    let endpoint = Endpoint::start(move |_, mut stream| {
        let (now, most) = counts.clone();
        async move {
            while read_request(&mut stream).await.is_some() {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                tokio::io::AsyncWriteExt::write_all(&mut stream, OK).await.unwrap();
            }
        }
    })
    .await;
    let sink = sink(HttpsSettings { connections_per_subscription: 3, ..HttpsSettings::default() });
    let subscription = subscription(&endpoint.url());
    let outcomes = futures_util::future::join_all((0..30).map(|_| deliver(&sink, &subscription))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Delivered), "{outcomes:?}");
    assert_eq!(endpoint.connections(), 3);
    assert!(most.load(Ordering::SeqCst) <= 3);
}

#[tokio::test]
async fn over_the_bound_of_all_the_least_recently_used_connection_goes() {
    let (endpoint, mut closed) = telling().await;
    let sink = sink(HttpsSettings { connections: 2, ..HttpsSettings::default() });
    let [first, second, third] = [(); 3].map(|()| subscription(&endpoint.url()));
    for subscription in [&first, &second, &first, &third] {
        assert_eq!(deliver(&sink, subscription).await, Outcome::Delivered);
    }
    assert_eq!(closed.recv().await, Some(2));
    assert_eq!((endpoint.connections(), sink.open_connections()), (3, 2));
}

#[tokio::test]
async fn attempts_wait_for_a_place_when_all_connections_are_in_use() {
    let (endpoint, _closed) = telling().await;
    let sink = sink(HttpsSettings { connections: 2, ..HttpsSettings::default() });
    let subscriptions: Vec<_> = (0..20).map(|_| subscription(&endpoint.url())).collect();
    let outcomes = futures_util::future::join_all(subscriptions.iter().map(|one| deliver(&sink, one))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Delivered), "{outcomes:?}");
    assert!(sink.open_connections() <= 2);
}
