//! Each possible end of an attempt, provoked for real.

use std::time::Duration;

use domain::outcome::{ErrorReason, Failure, Outcome};
use sinks::Sink;
use sinks::https::HttpsSettings;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::endpoint::*;

async fn check_answer(answer: &'static [u8], expect: Outcome) {
    let endpoint = Endpoint::answering(answer).await;
    let sink = sink(HttpsSettings::default());
    assert_eq!(without_answer(deliver(&sink, &subscription(&endpoint.url())).await), expect);
}

fn failure(reason: ErrorReason, code: u16, message: &str) -> Failure {
    Failure { reason, code, message: message.to_owned(), answer: None }
}

#[tokio::test]
async fn a_2xx_is_delivered() {
    check_answer(OK, Outcome::Delivered).await;
    check_answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Outcome::Delivered).await;
    check_answer(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n",
        Outcome::Delivered,
    )
    .await;
}

#[tokio::test]
async fn a_429_is_throttled_with_what_it_asks_for() {
    check_answer(
        b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 17\r\ncontent-length: 0\r\n\r\n",
        Outcome::Throttled { retry_after: Some(Duration::from_secs(17)) },
    )
    .await;
    check_answer(
        b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n",
        Outcome::Throttled { retry_after: None },
    )
    .await;
}

#[tokio::test]
async fn final_answers_break_or_refuse() {
    check_answer(
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        Outcome::Broken(failure(ErrorReason::DestinationNotFound, 404, "the endpoint answered 404 Not Found")),
    )
    .await;
    check_answer(
        b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
        Outcome::Refused(failure(ErrorReason::AuthenticationFailed, 403, "the endpoint answered 403 Forbidden")),
    )
    .await;
    check_answer(
        b"HTTP/1.1 422 Whatever\r\ncontent-length: 0\r\n\r\n",
        Outcome::Refused(failure(
            ErrorReason::DestinationFailure,
            422,
            "the endpoint answered 422 Unprocessable Entity",
        )),
    )
    .await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = elsewhere.local_addr().unwrap();
    let endpoint = Endpoint::start(move |_, mut stream| async move {
        let head = format!("HTTP/1.1 302 Found\r\nlocation: http://{location}/\r\ncontent-length: 0\r\n\r\n");
        answer(&mut stream, head.as_bytes()).await;
    })
    .await;
    let sink = sink(HttpsSettings::default());
    let Outcome::Broken(failure) = deliver(&sink, &subscription(&endpoint.url())).await else { panic!("not broken") };
    assert_eq!((failure.reason, failure.code), (ErrorReason::DestinationRedirected, 302));
    assert!(futures_util::FutureExt::now_or_never(elsewhere.accept()).is_none(), "the redirect was followed");
}

#[tokio::test]
async fn a_status_counts_even_if_its_body_never_ends() {
    let sink = sink(impatient());
    let endpoint = Endpoint::start(|_, mut stream| async move {
        answer(&mut stream, b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\nhalf").await;
        std::future::pending::<()>().await;
    })
    .await;
    let message = "the endpoint answered 503 Service Unavailable";
    let expect = Outcome::Failed(failure(ErrorReason::DestinationFailure, 503, message));
    assert_eq!(without_answer(deliver(&sink, &subscription(&endpoint.url())).await), expect);
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let message = format!("could not connect to {address}: the connection was refused");
    let sink = sink(HttpsSettings::default());
    check_failed(&sink, &format!("http://{address}/"), ErrorReason::ConnectionRefused, &message).await;
}

#[tokio::test]
async fn an_address_without_a_route_is_unreachable() {
    let sink = sink_on(connector(&["240.0.0.0/4"], &[]), HttpsSettings::default());
    let message = "could not connect to 255.255.255.255:81: the network or host is unreachable";
    check_silent(&sink, "http://255.255.255.255:81/", ErrorReason::NetworkUnreachable, message).await;
}

#[tokio::test]
async fn a_reset_before_the_answer() {
    let endpoint = Endpoint::start(|_, mut stream| async move {
        read_request(&mut stream).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let message = format!("{}: the server reset the connection before a response", endpoint.address);
    let sink = sink(HttpsSettings::default());
    check_failed(&sink, &endpoint.url(), ErrorReason::ConnectionReset, &message).await;
}

#[tokio::test]
async fn a_reset_within_the_answer() {
    let endpoint = Endpoint::start(|_, mut stream| async move {
        answer(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
        // The reset must not overtake the sent data: the request's successor would wait for it.
        stream.writable().await.unwrap();
        tokio::task::yield_now().await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let sink = sink(HttpsSettings::default());
    let Outcome::Failed(failure) = deliver(&sink, &subscription(&endpoint.url())).await else { panic!("not failed") };
    assert_eq!((failure.reason, failure.code), (ErrorReason::ConnectionReset, 500));
}

#[tokio::test]
async fn an_end_before_the_answer() {
    for partial in ["", "HTTP/1.1 20"] {
        let endpoint = Endpoint::start(move |_, mut stream| async move {
            answer(&mut stream, partial.as_bytes()).await;
        })
        .await;
        let message = format!("{}: the server closed the connection before a response", endpoint.address);
        let sink = sink(HttpsSettings::default());
        check_failed(&sink, &endpoint.url(), ErrorReason::UnexpectedEof, &message).await;
        assert_eq!(endpoint.connections(), 2, "a new connection is not tried twice");
    }
}

#[tokio::test]
async fn an_end_within_the_body_of_a_success() {
    for half in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let endpoint = Endpoint::start(move |_, mut stream| async move {
            answer(&mut stream, half.as_bytes()).await;
        })
        .await;
        let message = format!("{}: the server closed the connection during the response", endpoint.address);
        let sink = sink(HttpsSettings::default());
        check_failed(&sink, &endpoint.url(), ErrorReason::UnexpectedEof, &message).await;
    }
}

#[tokio::test]
async fn invalid_http_is_a_failure() {
    let endpoint = Endpoint::answering(b"220 mail.example ESMTP\r\n").await;
    let message = format!("{}: the server sent an invalid HTTP response", endpoint.address);
    let sink = sink(HttpsSettings::default());
    check_failed(&sink, &endpoint.url(), ErrorReason::DestinationFailure, &message).await;
}

#[tokio::test]
async fn a_silent_endpoint_times_out() {
    let endpoint = Endpoint::start(|_, mut stream| async move {
        read_request(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let message = format!("no response from {} within 1 s", endpoint.address);
    check_silent(&sink(impatient()), &endpoint.url(), ErrorReason::DestinationTimeout, &message).await;
}

#[tokio::test]
async fn a_silent_tls_server_times_out() {
    let endpoint = Endpoint::start(|_, stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let message = format!("could not connect to {} within 1 s", endpoint.address);
    let url = endpoint.url().replace("http:", "https:");
    check_silent(&sink(impatient()), &url, ErrorReason::DestinationTimeout, &message).await;
}

#[tokio::test]
async fn the_body_of_a_success_counts_against_the_time() {
    let endpoint = Endpoint::start(|_, mut stream| async move {
        answer(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
        std::future::pending::<()>().await;
    })
    .await;
    let message = format!("no complete response from {} within 1 s", endpoint.address);
    check_failed(&sink(impatient()), &endpoint.url(), ErrorReason::DestinationTimeout, &message).await;
}

#[tokio::test]
async fn an_endless_success_is_delivered_at_64_kib_and_its_connection_closed() {
    let (closed, was_closed) = tokio::sync::oneshot::channel();
    let closed = std::sync::Mutex::new(Some(closed));
    let closed = std::sync::Arc::new(closed);
    let endpoint = Endpoint::start(move |_, mut stream| {
        let closed = std::sync::Arc::clone(&closed);
        async move {
            answer(&mut stream, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            let mut sent = 0_usize;
            while stream.write_all(b"400\r\n").await.is_ok()
                && stream.write_all(&[b'x'; 0x400]).await.is_ok()
                && stream.write_all(b"\r\n").await.is_ok()
            {
                sent += 0x400;
            }
            let closed = closed.lock().unwrap().take();
            closed.unwrap().send(sent).unwrap();
        }
    })
    .await;
    let sink = sink(HttpsSettings::default());
    assert_eq!(deliver(&sink, &subscription(&endpoint.url())).await, Outcome::Delivered);
    assert!(was_closed.await.unwrap() >= 64 * 1024);
    assert_eq!(sink.open_connections(), 0);
}
