//! The server itself: methods, paths, slow and greedy clients, panics, shutdown.

use std::time::Duration;

use api::ServerBounds;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{KEY, World, event};

/// Sends bytes and returns the response up to the end of the connection.
async fn raw(world: &World, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(bytes.as_ref()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("closed in time").ok();
    String::from_utf8_lossy(&answer).into_owned()
}

fn impatient() -> impl FnOnce(&mut api::Settings) {
    |settings| {
        settings.server = ServerBounds {
            header_timeout: Duration::from_millis(200),
            body_timeout: Duration::from_millis(200),
            drain: Duration::from_millis(500),
            ..ServerBounds::default()
        };
    }
}

#[tokio::test]
async fn head_is_get_without_a_body_and_options_is_405() {
    let world = World::new().await;
    world.subscriber().await;
    let get = world.call("GET", "/api/v1/subscribers").send().await;
    let head = world.call("HEAD", "/api/v1/subscribers").send().await;
    assert_eq!((head.status, head.body.len()), (get.status, 0));
    assert_eq!(head.headers["content-length"], get.headers["content-length"]);
    for (path, allow) in [
        ("/api/v1/subscribers", "GET,HEAD,POST"),
        ("/api/v1/events", "GET,HEAD,POST"),
        ("/api/v1/subscribers/x/subscriptions/y", "GET,HEAD,PATCH,DELETE"),
        ("/api/v1/logs", "GET,HEAD"),
        ("/health/live", "GET,HEAD"),
    ] {
        let options = world.bare("OPTIONS", path).send().await;
        options.refused(405, "method_not_allowed");
        assert_eq!(options.headers["allow"], allow, "{path}");
    }
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing() {
    let world = World::new().await;
    let one = world.subscription(&world.subscriber().await).await;
    *world.engine.broken.lock().unwrap() = Some("panic".into());
    let answer = world.call("GET", &format!("{one}/status")).send().await;
    answer.refused(500, "internal_error");
    assert!(!String::from_utf8_lossy(&answer.body).contains("secret detail"));
    world.call("GET", &one).send().await.expect(200);
}

#[tokio::test]
async fn too_many_header_fields() {
    let world = World::new().await;
    let mut call = world.call("GET", "/api/v1/subscribers");
    for index in 0..100 {
        call = call.header(&format!("x-{index}"), "1");
    }
    call.send().await.refused(431, "too_many_header_fields");
}

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let world = World::with(impatient()).await;
    assert_eq!(raw(&world, "").await, "", "no first byte");
    assert_eq!(raw(&world, "PRI * HT").await, "", "half an HTTP/2 preface");
    let half_a_head = raw(&world, "GET /health/live HTTP/1.1\r\nhost:").await;
    assert!(half_a_head.is_empty() || half_a_head.starts_with("HTTP/1.1 408"), "{half_a_head}");
    let half_a_body = format!(
        "POST /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 100\r\n\r\n{{"
    );
    let half_a_body = raw(&world, half_a_body).await;
    assert!(half_a_body.starts_with("HTTP/1.1 408") && half_a_body.contains("body_timeout"), "{half_a_body}");
    let idle = raw(&world, "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(idle.starts_with("HTTP/1.1 200"), "{idle}");
}

#[tokio::test]
async fn http_2_is_spoken_where_a_client_begins_with_it() {
    let world = World::with(impatient()).await;
    let stream = TcpStream::connect(world.address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let connection = tokio::spawn(connection);
    let uri = format!("http://{}/health/live", world.address);
    let request = http::Request::builder().uri(uri).body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    // An idle connection is closed although its client answers pings.
    tokio::time::timeout(Duration::from_secs(10), connection).await.expect("closed in time").unwrap().ok();
}

#[tokio::test]
async fn connections_are_bounded_and_wait_for_their_turn() {
    let world = World::with(|settings| settings.server.connections = 1).await;
    let first = TcpStream::connect(world.address).await.unwrap();
    let waiting = tokio::spawn(world.bare("GET", "/health/live").send());
    let (mut reader, mut writer) = first.into_split();
    writer.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    reader.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert!(!waiting.is_finished(), "the place is taken");
    drop((reader, writer));
    waiting.await.unwrap().expect(200);
}

#[tokio::test]
async fn it_stops_gracefully() {
    let world = World::with(impatient()).await;
    let kept = TcpStream::connect(world.address).await.unwrap();
    world.produce(event("1")).await.expect(202);
    world.stop.lock().unwrap().take().unwrap().send(()).unwrap();
    let server = world.server.lock().unwrap().take().unwrap();
    tokio::time::timeout(Duration::from_secs(10), server).await.expect("it ends").unwrap();
    assert!(TcpStream::connect(world.address).await.is_err(), "nobody listens any more");
    drop(kept);
}

#[tokio::test]
async fn the_answer_to_a_body_that_is_too_large_arrives() {
    let world = World::new().await;
    for _ in 0..10 {
        let body = json!({"name": "x".repeat(400 * 1024)});
        world.call("POST", "/api/v1/subscribers").json(&body).send().await.refused(413, "body_too_large");
    }
}

#[tokio::test]
async fn a_store_that_fails_is_a_503_and_nothing_is_lost_or_half_done() {
    let world = World::new().await;
    let path = world.subscriber().await;
    world.produce(event("1")).await.expect(202);
    world.store_works(false);
    let refused = [
        world.produce(event("2")).await,
        world.call("PATCH", &path).json(&json!({"name": "x"})).send().await,
        world.call("DELETE", &path).send().await,
    ];
    for answer in refused {
        let message = answer.refused(503, "store_unavailable");
        assert!(!message.contains("disk"), "no inner detail: {message}");
        assert!(answer.headers.contains_key("retry-after"));
    }
    world.bare("GET", "/health/ready").send().await.refused(503, "not_ready");
    world.store_works(true);
    assert_eq!(world.call("GET", &path).send().await.expect(200)["name"], "My shop");
    assert_eq!(world.produce(event("2")).await.expect(202), json!({"accepted": 1, "duplicates": 0}));
}
