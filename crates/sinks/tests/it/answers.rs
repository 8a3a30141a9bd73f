//! The response's status decides, whatever follows it; and the excerpt of a response kept for the log.

use std::time::Duration;

use domain::Secret;
use domain::destination::Destination;
use domain::outcome::{Answer, ErrorReason, Outcome};
use domain::subscription::Subscription;
use sinks::https::HttpsSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::endpoint::*;
use crate::tls::Authority;

/// An endpoint over TLS that responds and closes the connection without `close_notify`.
async fn check_bare_end(answer_bytes: &'static [u8], expect: Outcome) {
    let authority = Authority::new();
    let acceptor = authority.server("localhost", &["http/1.1"], |_| ());
    let endpoint = Endpoint::start(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            answer(&mut stream, answer_bytes).await;
            let (mut tcp, _) = stream.into_inner();
            tcp.shutdown().await.unwrap();
            _ = tcp.read(&mut [0; 64]).await;
        }
    })
    .await;
    let sink = sink_on(connector(&["127.0.0.0/8"], &[authority.root]), HttpsSettings::default());
    let said = deliver(&sink, &subscription(&format!("https://localhost:{}/", endpoint.address.port()))).await;
    assert_eq!(without_message(said), expect, "{}", String::from_utf8_lossy(answer_bytes));
}

fn without_message(outcome: Outcome) -> Outcome {
    match without_answer(outcome) {
        Outcome::Failed(failure) => Outcome::Failed(domain::outcome::Failure { message: String::new(), ..failure }),
        other => other,
    }
}

fn failed(reason: ErrorReason) -> Outcome {
    Outcome::Failed(domain::outcome::Failure { reason, code: 500, message: String::new(), answer: None })
}

#[tokio::test]
async fn the_end_of_a_tls_connection_ends_a_body_without_a_length() {
    check_bare_end(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok", Outcome::Delivered).await;
    check_bare_end(b"HTTP/1.0 200 OK\r\nserver: old\r\n\r\n", Outcome::Delivered).await;
    check_bare_end(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", Outcome::Delivered).await;
    // Missing parts of a declared length are noticed.
    let eof = || failed(ErrorReason::UnexpectedEof);
    check_bare_end(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", eof()).await;
    check_bare_end(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", eof()).await;
    check_bare_end(b"", eof()).await;
}

/// An endpoint that responds as soon as it has read the head, ignores the body, and breaks the connection off.
async fn hasty(answer: &'static [u8]) -> Endpoint {
    Endpoint::start(move |_, mut stream| async move {
        let mut head = [0; 256];
        stream.read_exact(&mut head).await.unwrap();
        stream.write_all(answer).await.unwrap();
        // Closed with unread bytes: the kernel resets the connection behind the response.
    })
    .await
}

/// A subscription whose requests exceed the buffers of two sockets.
fn delivery_of_a_megabyte(subscription: &Subscription) -> sinks::Delivery {
    let large =
        format!(r#"{{"product":{{"uuid":"4c9e5b1e-9a0f-4f4e-8e52-000000000002","note":"{}"}}}}"#, "x".repeat(8 << 20));
    let mut delivery = delivery(subscription);
    let id = "018e32e0-5c1e-7f4b-9a3b-000000000001";
    let event = domain::testing::event(id, "com.akeneo.pim.v1.product.created", &large);
    let logged = domain::LoggedEvent { event, ..(*delivery.events[0]).clone() };
    delivery.events = vec![std::sync::Arc::new(logged)];
    delivery
}

async fn check_hasty(answer: &'static [u8], expect: &str) {
    let endpoint = hasty(answer).await;
    let sink = sink(HttpsSettings::default());
    for _ in 0..20 {
        let subscription = subscription(&endpoint.url());
        let outcomes = sinks::Sink::deliver(&sink, delivery_of_a_megabyte(&subscription)).await;
        let said = match &outcomes[0] {
            Outcome::Delivered => "delivered".to_owned(),
            Outcome::Refused(failure) => format!("refused {}", failure.code),
            Outcome::Failed(failure) => format!("failed {}", failure.reason),
            other => format!("{other:?}"),
        };
        assert_eq!(said, expect, "{outcomes:?}");
    }
}

#[tokio::test]
async fn an_answer_before_the_body_was_read_counts() {
    check_hasty(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", "refused 413").await;
    check_hasty(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "delivered").await;
    // Without a length, and with a reset at the end, the response may be incomplete.
    check_hasty(b"HTTP/1.1 200 OK\r\n\r\nok", "failed connection_reset").await;
    check_hasty(b"HTTP/1.1 2", "failed connection_reset").await;
}

#[tokio::test]
async fn an_answer_may_have_any_number_of_headers_within_64_kib() {
    let head = |count: usize| {
        let cookies: String = (0..count).map(|number| format!("Set-Cookie: c{number}=1; Path=/\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{cookies}Content-Length: 2\r\n\r\nok")
    };
    for count in [0, 90, 120, 400, 2_000] {
        let endpoint = Endpoint::answering(head(count).leak().as_bytes()).await;
        let (sink, subscription) = (sink(HttpsSettings::default()), subscription(&endpoint.url()));
        for _ in 0..3 {
            assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered, "{count} cookies");
        }
        assert_eq!(endpoint.connections(), 1, "{count} cookies: the length was seen");
    }
    let endpoint = Endpoint::answering(head(4_000).leak().as_bytes()).await;
    let message = format!("{}: the response headers are longer than 64 KiB", endpoint.address);
    check_failed(&sink(HttpsSettings::default()), &endpoint.url(), ErrorReason::DestinationFailure, &message).await;
}

async fn kept(answer: &'static [u8]) -> Answer {
    let endpoint = Endpoint::answering(answer).await;
    let sink = sink(HttpsSettings { attempt_timeout: Duration::from_secs(2), ..HttpsSettings::default() });
    let mut subscription = subscription(&endpoint.url());
    if let Destination::Https(https) = &mut subscription.destination {
        https.headers.0.push(("Authorization".to_owned(), Secret::new("Bearer t0ken")));
    }
    match deliver(&sink, &subscription).await {
        Outcome::Failed(failure) | Outcome::Refused(failure) | Outcome::Broken(failure) => *failure.answer.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn responses_are_kept_without_secrets() {
    let answer = kept(
        b"HTTP/1.1 422 Unprocessable Content\r\ncontent-type: text/plain\r\nserver: s t0ken\r\nx-own: a\r\n\
          retry-after: 7\r\ncontent-length: 43\r\n\r\nBearer t0ken, t0ken and your_primary_secret",
    )
    .await;
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers =
        [header("content-type", "text/plain"), header("retry-after", "7"), header("server", "s ***redacted***")];
    let body = "***redacted***, ***redacted*** and ***redacted***".to_owned();
    assert_eq!(answer, Answer { status: 422, headers: headers.to_vec(), body: Some(body) });

    let silent = kept(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(silent, Answer { status: 500, headers: Vec::new(), body: None });
    let packed = kept(b"HTTP/1.1 500 Oops\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok").await;
    assert_eq!(packed.body, None);
    let cut = kept(b"HTTP/1.1 503 Oops\r\ncontent-length: 100\r\n\r\nhalf").await;
    assert_eq!((cut.status, cut.body.as_deref()), (503, Some("half")));
}

/// Sends one event, and returns the responses left beside the outcome.
async fn left_by(answer: &'static [u8]) -> Vec<(usize, Answer)> {
    let endpoint = Endpoint::answering(answer).await;
    let delivery = delivery(&subscription(&endpoint.url()));
    let answers = delivery.answers.clone();
    _ = sinks::Sink::deliver(&sink(HttpsSettings::default()), delivery).await;
    answers.take()
}

#[tokio::test]
async fn the_status_of_a_success_and_the_answer_of_a_429_are_left_beside_the_outcome() {
    let delivered = left_by(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok").await;
    assert_eq!(delivered, [(0, Answer { status: 202, headers: Vec::new(), body: None })]);
    let throttled = left_by(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 7\r\n\r\nlater: ").await;
    assert_eq!(throttled, [(0, Answer { status: 429, headers: Vec::new(), body: Some("later: ".to_owned()) })]);
    // A failure contains its response.
    assert_eq!(left_by(b"HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n").await, []);
}
