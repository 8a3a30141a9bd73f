//! `postrider migrate`: a platform with a backlog, waiting retries, held events and logs moves from the file to
//! PostgreSQL, interrupted again and again.

use std::collections::HashSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use parts::postgres::Postgres;
use serde_json::{Value, json};

use crate::client::Client;
use crate::random::Random;
use crate::receiver::Receiver;
use crate::running::{PIM, Running, postrider};
use crate::sample::{event, types};

/// Seals on both sides.
const KEYS: &str = "tests:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SETTINGS: [&str; 4] = ["--delivery-retry-delays", "20s,20s,20s", "--encryption-keys", KEYS];

fn command(folder: &Path, args: &[&str]) -> std::process::Command {
    let (config, data) = (folder.join("postrider.toml"), folder.join("data"));
    let at = ["--config", config.to_str().unwrap(), "--data-dir", data.to_str().unwrap(), "--encryption-keys", KEYS];
    postrider(&[args, &at].concat())
}

fn said(folder: &Path, args: &[&str]) -> (bool, String) {
    let output = command(folder, args).output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

async fn publish(client: &mut Client, name: &str, batches: usize) -> HashSet<String> {
    let mut ids = HashSet::new();
    for batch in 0..batches {
        let some: Vec<_> = (0..20).map(|index| format!("{name}-{batch}-{index}")).collect();
        let events: Vec<_> = some.iter().map(|id| event(id, "product.updated")).collect();
        client.publish(&events).await.unwrap();
        ids.extend(some);
    }
    ids
}

fn arrived(receiver: &Receiver, path: &str) -> HashSet<String> {
    receiver.at(path).iter().map(crate::receiver::Delivery::id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_moves_to_postgresql_and_loses_nothing_however_often_it_is_interrupted() {
    if crate::backend::is_postgres() {
        return;
    }
    let (seed, mut random) = Random::of_this_run();
    let server = Postgres::start(&[]).unwrap();
    let url = server.create("moved").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let works = Arc::new(AtomicBool::new(false));
    let receiver = {
        let works = Arc::clone(&works);
        // Two endpoints work; one fails until the move is done.
        Receiver::answering(Duration::ZERO, move |path, _| {
            let fine = path != "/failing" || works.load(Ordering::SeqCst);
            if fine { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
        })
        .await
    };
    let platform = Running::start(folder.path(), &SETTINGS);
    let mut client = Client::connect(&platform.address).await.unwrap();
    let subscriptions = client.subscriber().await;
    let of = types(&["product.updated"]);
    client.subscribe(&subscriptions, &receiver.url("/fine"), &of, json!({})).await;
    let failing = json!({"options": {"hold": true}});
    let failing = client.subscribe(&subscriptions, &receiver.url("/failing"), &of, failing).await;
    let held = client.subscribe(&subscriptions, &receiver.url("/held"), &of, json!({"options": {"hold": true}})).await;
    client.order(&format!("{subscriptions}/{held}/suspend")).await.unwrap();
    let mut ids = publish(&mut client, "before", 40).await;
    receiver.wait_until(Duration::from_secs(60), "deliveries", || arrived(&receiver, "/fine").len() >= ids.len()).await;
    let before = client.log_of(&failing).await;
    let kept = client.get("/api/v1/events?limit=100").await;
    drop(client);
    let (done, output) = said(folder.path(), &["migrate", "--to", &url]);
    assert!(!done && output.contains("another process is serving"), "{output}");
    platform.kill();

    // Interrupted at any moment.
    let mut interrupted = 0;
    for round in 0..12u64 {
        let mut moving = command(folder.path(), &["migrate", "--to", &url]);
        let mut moving = moving.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(20 + 40 * round + random.below(40))).await;
        if moving.try_wait().unwrap().is_some() {
            break;
        }
        moving.kill().unwrap();
        moving.wait().unwrap();
        interrupted += 1;
        // At most one side serves, and this one only if nothing was begun.
        let state = server.query("moved", "SELECT arrived FROM platform").unwrap_or_default();
        if state == "f" {
            let (served, output) = said(folder.path(), &["pim", "list"]);
            assert!(!served && output.contains("are being moved to a database"), "{output}");
            let there = ["--store-backend", "postgres", "--store-url", &url];
            let (served, output) = said(folder.path(), &[&["pim", "list"], &there[..]].concat());
            assert!(!served && output.contains("have not arrived yet"), "{output}");
        }
    }
    let (done, output) = said(folder.path(), &["migrate", "--to", &url]);
    assert!(done, "seed {seed}: {output}");
    println!("seed {seed}: {interrupted} interruptions; {output}");
    let (again, output) = said(folder.path(), &["migrate", "--to", &url]);
    assert!(again && output.contains("already"), "{output}");
    let (served, output) = said(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert!(!served && output.contains("were moved to the database"), "{output}");

    let there = ["--store-backend", "postgres", "--store-url", &url, "--store-lease", "3s"];
    let platform = Running::start_with(folder.path(), PIM, &[&SETTINGS[..], &there].concat(), &[]);
    let mut client = Client::connect(&platform.address).await.unwrap();
    // Known ids are still known.
    let again: Vec<_> = ids.iter().take(20).map(|id| event(id, "product.updated")).collect();
    let body = format!("[{}]", again.join(","));
    let (status, answer) =
        client.call(Method::POST, "/api/v1/events", "application/cloudevents-batch+json", body).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((status, &answer["duplicates"]), (StatusCode::ACCEPTED, &json!(20)), "{answer}");
    let log = client.log_of(&failing).await;
    assert_eq!(log.first(), before.first());
    assert_eq!(client.get("/api/v1/events?limit=100").await, kept);
    works.store(true, Ordering::SeqCst);
    client.order(&format!("{subscriptions}/{held}/resume")).await.unwrap();
    ids.extend(publish(&mut client, "after", 5).await);
    for path in ["/fine", "/held", "/failing"] {
        let what = format!("seed {seed}: all events at {path}");
        receiver.wait_until(Duration::from_secs(90), &what, || arrived(&receiver, path).is_superset(&ids)).await;
    }
    drop(platform);
}
