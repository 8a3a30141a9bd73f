//! The listener: request parsing, and isolation from disconnecting, slow and numerous clients.

use std::time::Duration;

use api::ServerBounds;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::world::{KEY, World, event};

/// Longer than any operation here, shorter than the effects without the tested bounds.
const SOON: Duration = Duration::from_secs(15);

async fn connect_from(world: &World, source: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    socket.connect(world.address).await.unwrap()
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.expect("closed in time").ok();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends bytes and returns the response up to the end of the connection.
async fn raw(world: &World, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(bytes.as_ref()).await.unwrap();
    read_to_end(&mut stream).await
}

/// The last response on a connection: status, head, body.
fn last(answers: &str) -> (u16, &str, Value) {
    let start = answers.rfind("HTTP/1.1 ").unwrap_or_else(|| panic!("no answer in {answers:?}"));
    let (head, body) = answers[start..].split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head, serde_json::from_str(body).unwrap_or(Value::Null))
}

/// An unreadable head gets a response in the usual format, which ends the connection.
async fn check_refused(world: &World, bytes: impl AsRef<[u8]>, status: u16, code: &str) {
    let sent = String::from_utf8_lossy(&bytes.as_ref()[..bytes.as_ref().len().min(100)]).into_owned();
    let answers = raw(world, bytes).await;
    let (said, head, body) = last(&answers);
    assert_eq!((said, &body["errors"][0]["code"]), (status, &json!(code)), "{sent:?} was answered {answers:?}");
    assert!(head.contains("content-type: application/json") && head.contains("connection: close"), "{head}");
}

#[tokio::test]
async fn a_head_that_is_none_has_the_usual_answer() {
    let world = World::new().await;
    for (head, status, code) in [
        ("GET /health/live HTTP/1.1\r\n\r\n", 400, "invalid_host"),
        ("GET /health/live HTTP/1.1\r\nHost:\r\n\r\n", 400, "invalid_host"),
        ("GET /health/live HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "invalid_host"),
        ("GET /health/live HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "invalid_host"),
        ("GET /health live HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ("\x16\x03\x01\x02\x05\x01\x05\x01\x05 not TLS here\r\n\r\n", 400, "malformed_request"),
        ("GET /health/live HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400, "malformed_request"),
    ] {
        check_refused(&world, head, status, code).await;
    }
    let endless = format!("GET /health/live HTTP/1.1\r\nHost: a\r\nx: {}", "y".repeat(100_000));
    check_refused(&world, endless, 431, "request_head_too_large").await;
    let flood: String = (0..300).map(|index| format!("x-{index}: 1\r\n")).collect();
    let flood = format!("GET /health/live HTTP/1.1\r\nHost: a\r\n{flood}\r\n");
    check_refused(&world, flood, 431, "too_many_header_fields").await;
    for fine in [
        "GET http://other.example/health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /health/live HTTP/1.0\r\n\r\n",
        "\r\nGET /health/live HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: close\r\n\r\n",
    ] {
        let answer = raw(&world, fine).await;
        assert!(answer.starts_with("HTTP/1.") && answer.contains(" 200 OK"), "{fine:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_body_has_one_plain_framing() {
    let world = World::new().await;
    let event = event("1").to_string();
    let with = |fields: &str, body: &str| {
        format!(
            "POST /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n\
             Content-Type: application/cloudevents+json\r\n{fields}\r\n\r\n{body}"
        )
    };
    let chunks = format!("{:x}\r\n{event}\r\n0\r\n\r\n", event.len());
    let code = "unsupported_transfer_coding";
    check_refused(&world, with("Transfer-Encoding: gzip, chunked", &chunks), 501, code).await;
    check_refused(&world, with("Transfer-Encoding: gzip", &chunks), 501, code).await;
    let both = format!("Content-Length: {}\r\nTransfer-Encoding: chunked", event.len());
    check_refused(&world, with(&both, &chunks), 400, "malformed_request").await;
    assert_eq!(world.logged(), 0, "nothing was taken");
    let good = with("Transfer-Encoding: chunked\r\nConnection: close", &chunks);
    assert_eq!(last(&raw(&world, good).await).0, 202);
}

#[tokio::test]
async fn requests_before_a_bad_one_are_answered_in_order() {
    let world = World::new().await;
    let good = "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
    let answers = raw(&world, format!("{good}{good}GET / HTTP/1.1\r\n\r\n{good}")).await;
    let statuses: Vec<&str> = answers.match_indices("HTTP/1.1 ").map(|(at, _)| &answers[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "200", "400"]);
    assert_eq!(last(&answers).2["errors"][0]["code"], "invalid_host");
}

#[tokio::test]
async fn a_half_closed_connection_gets_its_response() {
    let world = World::new().await;
    let event = event("1").to_string();
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Type: application/cloudevents+json\r\nContent-Length: {}\r\n\r\n",
        event.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(event.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert_eq!(last(&answer).0, 202, "{answer:?}");
    assert_eq!(world.counters.counts().accepted, 1);
}

#[tokio::test]
async fn complete_requests_count_after_their_client_disconnects() {
    let world = World::new().await;
    for id in 0..20 {
        let event = event(&id.to_string()).to_string();
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        // Resets the connection on close, like a killed producer.
        stream.set_zero_linger().unwrap();
        let request = format!(
            "POST /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n\
             Content-Type: application/cloudevents+json\r\nContent-Length: {}\r\n\r\n{event}",
            event.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        while world.logged() <= id {
            tokio::task::yield_now().await;
        }
        drop(stream);
    }
    world.stop.lock().unwrap().take().unwrap().send(()).unwrap();
    let server = world.server.lock().unwrap().take().unwrap();
    tokio::time::timeout(SOON, server).await.expect("it ends").unwrap();
    assert_eq!(world.counters.counts().accepted, world.logged());
}

fn one_place(settings: &mut api::Settings) {
    settings.server = ServerBounds {
        connections: 1,
        answer_grace: Duration::from_millis(300),
        header_timeout: Duration::from_secs(20),
        ..ServerBounds::default()
    };
}

#[tokio::test]
async fn a_slow_reader_gives_its_place_back() {
    let world = World::with(one_place).await;
    let mut slow = TcpStream::connect(world.address).await.unwrap();
    let ask = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    slow.write_all(ask.as_bytes()).await.unwrap();
    let other = tokio::time::timeout(SOON, world.bare("GET", "/health/live").send()).await;
    other.expect("the place is free again").expect(200);
    drop(slow);
}

#[tokio::test]
async fn a_slow_reader_over_http_2_gives_its_place_back() {
    let world = World::with(one_place).await;
    let io = TokioIo::new(TcpStream::connect(world.address).await.unwrap());
    let mut http2 = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = http2.initial_stream_window_size(1000).handshake(io).await.unwrap();
    tokio::spawn(connection);
    let uri = format!("http://{}/openapi.json", world.address);
    let request = http::Request::builder().uri(uri).body(Empty::<bytes::Bytes>::new()).unwrap();
    let unread = sender.send_request(request).await.unwrap();
    assert_eq!(unread.status(), 200);
    let other = tokio::time::timeout(SOON, world.bare("GET", "/health/live").send()).await;
    other.expect("the place is free again").expect(200);
    drop(unread);
}

#[tokio::test]
async fn one_address_does_not_get_all_places() {
    let world = World::with(|settings| settings.server.connections = 4).await;
    let ask = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = connect_from(&world, "127.0.0.1").await;
        stream.write_all(ask).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        held.push(stream);
    }
    let mut one_more = connect_from(&world, "127.0.0.1").await;
    assert_eq!(read_to_end(&mut one_more).await, "", "it is closed");
    let mut other = connect_from(&world, "127.0.0.2").await;
    other.write_all(ask).await.unwrap();
    let mut answer = [0; 12];
    other.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}
