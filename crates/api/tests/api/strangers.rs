//! Limits for unauthenticated callers: memory for bodies, log lines, and information about registrations.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::Verdict;
use domain::{Clock, Secret};
use serde_json::{Value, json};
use store::Pims;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tracing::span;
use wire::signature::SigningKey;

use crate::call::Answer;
use crate::world::{PIM_URL, World};

const SECRET: &str = "secret of the connection";

async fn world() -> World {
    let world = World::new().await;
    let pim = domain::pim::Pim { events_api_secret: Some(Secret::new(SECRET)), ..world.pim.clone() };
    world.store.update_pim(pim).await.unwrap();
    world
}

fn timestamp() -> String {
    (Clock::system().wall().as_micros() / 1_000_000).to_string()
}

async fn send(world: &World, source: &str, timestamp: &str, signature: &str) -> Answer {
    world
        .bare("POST", &format!("/ingest/akeneo/{source}"))
        .header("x-akeneo-request-timestamp", timestamp)
        .header("x-akeneo-request-signature", signature)
        .raw(r#"{"events":[]}"#)
        .send()
        .await
}

#[tokio::test]
async fn bodies_of_strangers_share_a_little_memory() {
    const BODY: usize = 5 << 20;
    let world = world().await;
    let made_up = "0".repeat(64);
    let mut strangers = Vec::new();
    for _ in 0..60 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let head = format!(
            "POST /ingest/akeneo/shop HTTP/1.1\r\nHost: a\r\nX-Akeneo-Request-Timestamp: {}\r\n\
             X-Akeneo-Request-Signature: {made_up}\r\nContent-Length: {BODY}\r\n\r\n",
            timestamp()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        strangers.push(tokio::spawn(async move {
            // Unread bytes stay with their sender.
            let (mut reader, mut writer) = stream.into_split();
            let write = tokio::spawn(async move { writer.write_all(&vec![b'x'; BODY]).await.ok() });
            let mut answer = [0; 12];
            reader.read_exact(&mut answer).await.ok();
            drop(write);
            answer
        }));
    }
    let mut most = 0;
    let genuine = {
        let body = r#"{"events":[]}"#;
        let now = timestamp();
        let signature = SigningKey::new(&Secret::new(SECRET)).events_api(&now, body.as_bytes());
        format!(
            "POST /ingest/akeneo/shop HTTP/1.1\r\nHost: a\r\nX-Akeneo-Request-Timestamp: {now}\r\n\
             X-Akeneo-Request-Signature: {signature}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let mut asked = false;
    while !strangers.iter().all(tokio::task::JoinHandle::is_finished) {
        most = most.max(world.api.body_memory().1);
        tokio::time::sleep(Duration::from_millis(1)).await;
        if most > 0 && !asked {
            asked = true;
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            let mut stream = socket.connect(world.address).await.unwrap();
            stream.write_all(genuine.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 202"), "a genuine request gets through: {answer}");
        }
    }
    assert!(asked && most <= 8 << 20, "{most} bytes at once");
    for stranger in strangers {
        let answer = stranger.await.unwrap();
        assert!([b"HTTP/1.1 401", b"HTTP/1.1 503"].contains(&&answer), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(world.api.body_memory(), (0, 0));
}

#[tokio::test]
async fn sources_are_not_disclosed_without_a_secret() {
    let world = world().await;
    let made_up = "0".repeat(64);
    for (timestamp, signature) in
        [(timestamp(), made_up.clone()), ("1".to_owned(), made_up), ("soon".to_owned(), "x".to_owned())]
    {
        let known = send(&world, "shop", &timestamp, &signature).await;
        known.expect(401);
        // The second has no secret for the Events API, the third is not registered.
        for other in ["second", "nobody"] {
            let unknown = send(&world, other, &timestamp, &signature).await;
            assert_eq!((unknown.status, unknown.body), (known.status, known.body.clone()));
        }
    }
    let unsigned = |source: &str| world.bare("POST", &format!("/ingest/akeneo/{source}")).send();
    assert_eq!(unsigned("shop").await.body, unsigned("nobody").await.body);
}

#[tokio::test]
async fn pims_are_not_disclosed_without_a_token() {
    let world = World::new().await;
    let ask = |url: &str| {
        world
            .bare("GET", "/api/v1/subscribers")
            .header("x-pim-url", url)
            .header("x-pim-token", "made-up")
            .header("x-pim-client-id", "app")
            .send()
    };
    let known = ask(PIM_URL).await;
    known.refused(401, "invalid_token");
    for other in ["https://second.example.com/pim", "https://nobody.example.com"] {
        let unknown = ask(other).await;
        assert_eq!((unknown.status, unknown.body), (known.status, known.body.clone()), "{other}");
    }
}

/// Counts lines of the operator's log.
struct Lines(Arc<AtomicUsize>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn strangers_cannot_make_the_log_grow() {
    let world = world().await;
    world.gateway.says("unanswered", Verdict::Unavailable { message: "no route".into() });
    let lines = Arc::new(AtomicUsize::new(0));
    let _counted = tracing::subscriber::set_default(Lines(Arc::clone(&lines)));
    let (made_up, now) = ("0".repeat(64), timestamp());
    for number in 0..30 {
        send(&world, "shop", &now, &made_up).await.expect(401);
        send(&world, &format!("nobody-{number}"), &now, &made_up).await.expect(401);
        send(&world, "shop", "1", &made_up).await.expect(401);
        world.bare("POST", "/ingest/akeneo/shop").send().await.expect(401);
        for (url, token) in [("https://nobody.example.com", "x"), (PIM_URL, "unanswered"), (PIM_URL, "x")] {
            let call = world.bare("GET", "/api/v1/subscribers").header("x-pim-url", url).header("x-pim-token", token);
            call.header("x-pim-client-id", &number.to_string()).send().await;
        }
        world.bare("POST", "/api/v1/events").header("authorization", "Bearer made-up").send().await.expect(401);
    }
    world.store_works(false);
    for _ in 0..30 {
        world.bare("GET", "/health/ready").send().await.expect(503);
        world.bare("POST", "/api/v1/events").header("authorization", "Bearer made-up").send().await;
    }
    let lines = lines.load(Ordering::SeqCst);
    assert!((3..=5).contains(&lines), "{lines} lines for 300 requests, five causes");
}

#[tokio::test]
async fn readiness_names_the_missing_parts() {
    use domain::outcome::Lack;
    let world = World::new().await;
    let ready = async || {
        let answer = world.bare("GET", "/health/ready").send().await;
        (answer.status.as_u16(), answer.value())
    };
    assert_eq!(ready().await, (200, json!({"status": "ready", "lacks": []})));
    *world.engine.lacks.lock().unwrap() = vec![Lack::Silence, Lack::NameServers];
    assert_eq!(ready().await, (200, json!({"status": "ready", "lacks": ["name_servers", "silence"]})));
    world.store_works(false);
    let (status, body): (u16, Value) = ready().await;
    assert_eq!((status, &body["lacks"]), (503, &json!(["name_servers", "silence", "store"])));
    assert_eq!((&body["status"], &body["errors"][0]["code"]), (&json!("not_ready"), &json!("not_ready")));
    world.store_works(true);
    *world.engine.lacks.lock().unwrap() = vec![Lack::Disk];
    assert_eq!(ready().await.0, 503);
}

#[tokio::test]
async fn health_is_answered_while_heavy_requests_have_no_processor() {
    let world = Arc::new(world().await);
    // Occupies all processors, each for a different PIM, until dropped.
    let (busy, idle) = std::sync::mpsc::channel::<()>();
    let idle = Arc::new(std::sync::Mutex::new(idle));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    for pim in 0..processors as u64 {
        let (aside, idle) = (world.bridge.aside().clone(), Arc::clone(&idle));
        tokio::spawn(async move {
            let work = move || _ = idle.lock().unwrap().recv();
            aside.run(fair::Holder { pim: 1_000 + pim, part: 0 }, usize::MAX, work).await
        });
    }
    tokio::task::yield_now().await;
    let removed = json!({
        "action": "product.removed", "event_id": "5c0a3a5e-6d0d-4c5c-9d8b-7a4f0b1e2d3c",
        "event_datetime": "2026-11-03T09:00:13+01:00", "author": "julia", "author_type": "ui",
        "pim_source": "https://pim.example.com", "data": {"resource": {"identifier": "x".repeat(600_000)}}
    });
    let body = json!({"events": vec![removed; 7]}).to_string();
    let now = timestamp();
    let signature = SigningKey::new(&Secret::new(SECRET)).events_api(&now, body.as_bytes());
    let sender = Arc::clone(&world);
    let heavy = tokio::spawn(async move {
        let call = sender.bare("POST", "/ingest/akeneo/shop").header("content-type", "application/json");
        let call = call.header("x-akeneo-request-timestamp", &now);
        call.header("x-akeneo-request-signature", &signature).raw(body).send().await
    });
    while world.bridge.aside().waiting() == 0 {
        assert!(!heavy.is_finished(), "heavy work was done on a thread of the runtime");
        tokio::task::yield_now().await;
    }
    // This runtime has one thread.
    for _ in 0..10 {
        world.bare("GET", "/health/live").send().await.expect(200);
    }
    assert!(!heavy.is_finished());
    drop(busy);
    heavy.await.unwrap().expect(202);
}
