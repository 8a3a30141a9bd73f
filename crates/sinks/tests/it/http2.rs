//! HTTP/2: one shared connection, GOAWAY, and an unresponsive connection.

use bytes::Bytes;
use domain::outcome::{ErrorReason, Failure, Outcome};
use h2::Reason;
use h2::server::{Connection, SendResponse};
use http::{Request, Response};
use sinks::Sink;
use sinks::https::{HttpsSettings, HttpsSink};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::endpoint::*;
use crate::tls::Authority;

type Server = Connection<TlsStream<TcpStream>, Bytes>;

async fn http2<F, S>(settings: HttpsSettings, script: S) -> (HttpsSink, Endpoint, String)
where
    S: Fn(usize, Server) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let authority = Authority::new();
    let acceptor = authority.server("localhost", &["h2"], |_| ());
    let endpoint = Endpoint::start(move |number, stream| {
        let (acceptor, script) = (acceptor.clone(), script.clone());
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let Ok(server) = h2::server::handshake(stream).await else { return };
            script(number, server).await;
        }
    })
    .await;
    let sink = sink_on(connector(&["127.0.0.0/8"], &[authority.root]), settings);
    let url = format!("https://localhost:{}/hook", endpoint.address.port());
    (sink, endpoint, url)
}

fn respond(answer: &mut SendResponse<Bytes>, status: u16) {
    answer.send_response(Response::builder().status(status).body(()).unwrap(), true).unwrap();
}

/// Reads a request's body to its end and responds.
fn serve(request: Request<h2::RecvStream>, mut answer: SendResponse<Bytes>) {
    tokio::spawn(async move {
        let mut body = request.into_body();
        while let Some(part) = body.data().await {
            body.flow_control().release_capacity(part.unwrap().len()).unwrap();
        }
        respond(&mut answer, 204);
    });
}

pub(crate) async fn serve_all(mut server: Server) {
    while let Some(Ok((request, answer))) = server.accept().await {
        serve(request, answer);
    }
}

#[tokio::test]
async fn one_connection_is_shared_and_forgotten() {
    let (tell, mut closed) = tokio::sync::mpsc::unbounded_channel();
    let (sink, endpoint, url) = http2(HttpsSettings::default(), move |number, server| {
        let tell = tell.clone();
        async move {
            serve_all(server).await;
            tell.send(number).unwrap();
        }
    })
    .await;
    let subscription = subscription(&url);
    let outcomes = futures_util::future::join_all((0..40).map(|_| deliver(&sink, &subscription))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Delivered), "{outcomes:?}");
    assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered);
    assert_eq!((endpoint.connections(), sink.open_connections()), (1, 1));
    sink.forget(subscription.id);
    assert_eq!(closed.recv().await, Some(1));
}

#[tokio::test]
async fn the_request_names_its_url() {
    let (sink, _endpoint, url) = http2(HttpsSettings::default(), |_, mut server| async move {
        while let Some(Ok((request, mut answer))) = server.accept().await {
            let named = request.uri().to_string();
            let right = named.starts_with("https://localhost:") && named.ends_with("/hook");
            respond(&mut answer, if right && !request.headers().contains_key("host") { 204 } else { 400 });
        }
    })
    .await;
    assert_eq!(deliver(&sink, &subscription(&url)).await, Outcome::Delivered);
}

/// A server that responds to the first request on each connection with a GOAWAY that names `last`, and then ends.
async fn saying_goodbye(last: u8) -> (HttpsSink, Endpoint) {
    let authority = Authority::new();
    let acceptor = authority.server("localhost", &["h2"], |_| ());
    let endpoint = Endpoint::start(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            // RFC 9113: empty SETTINGS; after the HEADERS, GOAWAY.
            stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
            stream.read_exact(&mut [0; 24]).await.unwrap();
            loop {
                let mut head = [0; 9];
                stream.read_exact(&mut head).await.unwrap();
                let length = usize::from(head[1]) * 256 + usize::from(head[2]);
                stream.read_exact(&mut vec![0; length]).await.unwrap();
                if head[3] == 1 {
                    break;
                }
            }
            stream.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, 0]).await.unwrap();
            stream.shutdown().await.unwrap();
            while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
        }
    })
    .await;
    (sink_on(connector(&["127.0.0.0/8"], &[authority.root]), HttpsSettings::default()), endpoint)
}

fn failure(reason: ErrorReason, message: String) -> Failure {
    Failure { reason, code: 500, message, answer: None }
}

#[tokio::test]
async fn a_goaway_for_earlier_streams_leaves_the_request_unprocessed() {
    let (sink, endpoint) = saying_goodbye(0).await;
    let port = endpoint.address.port();
    let message = format!("localhost:{port}: the server closed the HTTP/2 connection (GOAWAY) before a response");
    let expect = Outcome::NotProcessed(failure(ErrorReason::ServerGoaway, message));
    assert_eq!(deliver(&sink, &subscription(&format!("https://localhost:{port}/"))).await, expect);
    assert_eq!(endpoint.connections(), 4, "sent again at once three times, each on another connection");
}

#[tokio::test]
async fn a_goaway_that_names_the_request_is_a_failure() {
    let (sink, endpoint) = saying_goodbye(1).await;
    let port = endpoint.address.port();
    let message = format!("localhost:{port}: the server closed the HTTP/2 connection (GOAWAY) before a response");
    check_failed(&sink, &format!("https://localhost:{port}/"), ErrorReason::ServerGoaway, &message).await;
    assert_eq!(endpoint.connections(), 2, "not sent again");
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_on_another_connection() {
    let (sink, endpoint, url) = http2(HttpsSettings::default(), |number, mut server| async move {
        let mut requests = 0;
        while let Some(Ok((request, mut answer))) = server.accept().await {
            requests += 1;
            match (number, requests) {
                // Three connections refuse; the fourth serves, and refuses later.
                (1..=3, _) | (4, 2) => answer.send_reset(Reason::REFUSED_STREAM),
                _ => serve(request, answer),
            }
        }
    })
    .await;
    let subscription = subscription(&url);
    for connections in [4, 5, 5] {
        assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered);
        assert_eq!(endpoint.connections(), connections);
    }
}

#[tokio::test]
async fn a_server_that_refuses_all_streams_is_not_asked_for_ever() {
    let (sink, endpoint, url) = http2(HttpsSettings::default(), |_, mut server| async move {
        while let Some(Ok((_request, mut answer))) = server.accept().await {
            answer.send_reset(Reason::REFUSED_STREAM);
        }
    })
    .await;
    let port = endpoint.address.port();
    let message = format!("localhost:{port}: the server refused the HTTP/2 stream (REFUSED_STREAM) before a response");
    let expect = Outcome::NotProcessed(failure(ErrorReason::ConnectionReset, message));
    assert_eq!(deliver(&sink, &subscription(&url)).await, expect);
    assert_eq!(endpoint.connections(), 4);
}

#[tokio::test]
async fn a_truncated_success_says_which_side_ended_it() {
    let (sink, endpoint, url) = http2(HttpsSettings::default(), |_, mut server| async move {
        while let Some(Ok((_request, mut answer))) = server.accept().await {
            let head = Response::builder().status(200).header("content-length", "100").body(()).unwrap();
            let mut body = answer.send_response(head, false).unwrap();
            body.send_data(Bytes::from_static(b"half"), true).unwrap();
        }
    })
    .await;
    let port = endpoint.address.port();
    let message = format!("localhost:{port}: the server ended the body before its declared length during the response");
    check_failed(&sink, &url, ErrorReason::UnexpectedEof, &message).await;
    assert_eq!(endpoint.connections(), 1, "the connection is as good as before");
}

#[tokio::test]
async fn an_answer_may_have_many_headers() {
    let (sink, _endpoint, url) = http2(HttpsSettings::default(), |_, mut server| async move {
        while let Some(Ok((request, mut answer))) = server.accept().await {
            let count = if request.uri().path() == "/hook" { 1_500 } else { 3_000 };
            let head = (0..count).fold(Response::builder().status(204), |head, number| {
                head.header("set-cookie", format!("c{number}=12345"))
            });
            answer.send_response(head.body(()).unwrap(), true).unwrap();
        }
    })
    .await;
    assert_eq!(deliver(&sink, &subscription(&url)).await, Outcome::Delivered);
    let Outcome::Failed(failure) = deliver(&sink, &subscription(&format!("{url}/more"))).await else { panic!() };
    assert_eq!(failure.reason, ErrorReason::DestinationFailure, "{failure:?}");
}

#[tokio::test]
async fn an_end_before_the_answer() {
    let (sink, endpoint, url) = http2(HttpsSettings::default(), |_, mut server| async move {
        let Some(Ok((request, _answer))) = server.accept().await else { return };
        let mut body = request.into_body();
        tokio::select! {
            _ = async { while body.data().await.is_some() {} } => (),
            _ = server.accept() => (),
        }
    })
    .await;
    let port = endpoint.address.port();
    let message = format!("localhost:{port}: the server closed the connection before a response");
    check_failed(&sink, &url, ErrorReason::UnexpectedEof, &message).await;
}

#[tokio::test]
async fn a_connection_that_was_ended_while_it_rested_is_replaced() {
    let (sink, endpoint, url) = http2(HttpsSettings::default(), |number, mut server| async move {
        if number == 1 {
            if let Some(Ok((request, answer))) = server.accept().await {
                serve(request, answer);
            }
            // The second request finds the connection ended, or is rejected as too late.
            server.graceful_shutdown();
        }
        serve_all(server).await;
    })
    .await;
    let subscription = subscription(&url);
    for _ in 0..3 {
        assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered);
    }
    assert_eq!(endpoint.connections(), 2);
}

#[tokio::test]
async fn a_reset_stream_leaves_the_connection() {
    let (sink, endpoint, url) = http2(HttpsSettings::default(), |_, mut server| async move {
        let mut requests = 0;
        while let Some(Ok((_request, mut answer))) = server.accept().await {
            requests += 1;
            match requests {
                1 => answer.send_reset(Reason::INTERNAL_ERROR),
                _ => respond(&mut answer, 204),
            }
        }
    })
    .await;
    let subscription = subscription(&url);
    let Outcome::Failed(failure) = deliver(&sink, &subscription).await else { panic!("not failed") };
    assert_eq!(failure.reason, ErrorReason::ConnectionReset);
    assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered);
    assert_eq!(endpoint.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_no_longer_answers_is_replaced() {
    let (sink, endpoint, url) = http2(impatient(), |number, mut server| async move {
        if number == 1 {
            let _request = server.accept().await;
            std::future::pending::<()>().await;
        }
        serve_all(server).await;
    })
    .await;
    let subscription = subscription(&url);
    let Outcome::Silent(failure) = deliver(&sink, &subscription).await else { panic!("not failed") };
    assert_eq!(failure.reason, ErrorReason::DestinationTimeout);
    assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered);
    assert_eq!(endpoint.connections(), 2);
}
