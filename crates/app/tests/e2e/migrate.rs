//! `postrider migrate`: a platform with a backlog, waiting retries, held events, product states, a replay and logs
//! moves from the file to PostgreSQL, interrupted again and again.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use parts::postgres::Postgres;
use serde_json::{Value, json};

use crate::backend::KEYS;
use crate::client::Client;
use crate::random::Random;
use crate::receiver::Receiver;
use crate::running::{Running, pim_with_events_api, postrider};
use crate::sample::{event, types};

/// Phases of the test, for the answers of the endpoints.
const BEFORE: usize = 0;
const REPLAYING: usize = 1;
const MOVED: usize = 2;
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

/// An Events API request with the state of a product.
async fn update(client: &mut Client, id: &str, enabled: bool) {
    let product = json!({"identifier": "moved", "enabled": enabled, "values": {}});
    assert_eq!(client.events_api("product.updated", id, &product).await, Ok(StatusCode::ACCEPTED));
}

/// Tables to which the move writes, in its order, as a move of a copy shows.
fn written(server: &Postgres, folder: &Path) -> Vec<&'static str> {
    let url = server.create("rehearsal").unwrap();
    let scratch = tempfile::tempdir().unwrap();
    copy(folder, scratch.path());
    copy(&folder.join("data"), &scratch.path().join("data"));
    let (done, output) = said(scratch.path(), &["migrate", "--to", &url]);
    assert!(done, "{output}");
    let all = store::moving::TABLES.into_iter().chain([store::moving::IDS, store::moving::FRAMES]);
    let has_rows = |table: &&str| server.query("rehearsal", &format!("SELECT count(*) FROM {table}")).unwrap() != "0";
    all.map(|table| table.name).filter(has_rows).collect()
}

fn start_moving(folder: &Path, url: &str) -> Child {
    command(folder, &["migrate", "--to", url]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A session that locks a table against all other writers.
fn hold(server: &Postgres, table: &str) -> Child {
    let lock = format!("BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE; SELECT pg_sleep(60)");
    let mut session = server.program("psql");
    session.args(["-X", "-q", "-d", &server.url("moved"), "-c", &lock]).stdout(Stdio::null()).stderr(Stdio::null());
    let session = session.spawn().unwrap();
    let held = format!(
        "SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass AND mode = 'ExclusiveLock' AND granted"
    );
    while server.query("moved", &held).unwrap() == "0" {}
    session
}

/// Copies the files of a folder.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_dir() {
            continue;
        }
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
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
    let phase = Arc::new(AtomicUsize::new(BEFORE));
    let receiver = {
        let phase = Arc::clone(&phase);
        // One endpoint fails until the move is done, one as soon as its replay begins.
        Receiver::answering(Duration::ZERO, move |path, _| {
            let fine = match path {
                "/failing" => phase.load(Ordering::SeqCst) == MOVED,
                "/again" => phase.load(Ordering::SeqCst) != REPLAYING,
                _ => true,
            };
            if fine { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
        })
        .await
    };
    let file = pim_with_events_api();
    let platform = Running::start_with(folder.path(), &file, &SETTINGS, &[]);
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
    let again = client.subscribe(&subscriptions, &receiver.url("/again"), &of, json!({})).await;
    let again = format!("{subscriptions}/{again}");
    let deltas = types(&["product.updated.delta"]);
    client.subscribe(&subscriptions, &receiver.url("/deltas"), &deltas, json!({})).await;
    update(&mut client, "first", true).await;
    let some = publish(&mut client, "again", 1).await;
    ids.extend(some.iter().cloned());
    receiver.wait_until(Duration::from_secs(30), "events", || arrived(&receiver, "/again").is_superset(&some)).await;
    // A replay skips what the lane has not settled.
    while client.get(&format!("{again}/status")).await["delivery"]["backlog"] != 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    phase.store(REPLAYING, Ordering::SeqCst);
    // A replay ends after 20 failures in a row.
    let few: Vec<_> = some.iter().take(5).collect();
    let (status, replay) = client.ask(Method::POST, &format!("{again}/replay"), json!({"event_ids": few})).await;
    assert_eq!(status, 202, "{replay}");
    let replay = format!("{again}/replays/{}", replay["id"].as_str().unwrap());
    let before = client.log_of(&failing).await;
    let kept = client.get("/api/v1/events?limit=100").await;
    drop(client);
    let (done, output) = said(folder.path(), &["migrate", "--to", &url]);
    assert!(!done && output.contains("another process is serving"), "{output}");
    platform.kill();

    // Interrupted at any moment, mostly while the tables are created. It may have been complete.
    copy(&folder.path().join("data"), &folder.path().join("before"));
    for round in 0..4u64 {
        let mut moving = start_moving(folder.path(), &url);
        tokio::time::sleep(Duration::from_millis(20 + 40 * round + random.below(40))).await;
        moving.kill().unwrap();
        moving.wait().unwrap();
    }
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    copy(&folder.path().join("before"), &folder.path().join("data"));
    server.query("postgres", "DROP DATABASE moved WITH (FORCE)").unwrap();
    server.create("moved").unwrap();
    let empty = tempfile::tempdir().unwrap();
    let there = ["--store-backend", "postgres", "--store-url", &url, "--encryption-keys", KEYS];
    let creates = Running::start_with(empty.path(), "", &there, &[]);
    creates.terminate();
    assert!(creates.wait(Duration::from_secs(30)).success());
    // Interrupted in each table that has rows, and before the last commit.
    let tables = written(&server, folder.path());
    for needed in ["exceptions", "snapshots", "replays", "ids", "frames"] {
        assert!(tables.contains(&needed), "the platform has no {needed}: {tables:?}");
    }
    for table in tables.into_iter().chain(["head"]) {
        let mut holding = hold(&server, table);
        let mut moving = start_moving(folder.path(), &url);
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        while server.query("moved", waiting).unwrap() == "0" {
            if moving.try_wait().unwrap().is_some() {
                panic!("nothing is written to {table}: {:?}", moving.wait_with_output());
            }
        }
        moving.kill().unwrap();
        moving.wait().unwrap();
        holding.kill().unwrap();
        holding.wait().unwrap();
        let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'moved' \
                     AND pid <> pg_backend_pid()";
        server.query("moved", ended).unwrap();
        // At most one side serves.
        let (served, output) = said(folder.path(), &["pim", "list"]);
        assert!(!served && output.contains("are being moved to a database"), "{output}");
        let (served, output) = said(folder.path(), &[&["pim", "list"], &there[..4]].concat());
        assert!(!served && output.contains("have not arrived yet"), "{output}");
    }
    copy(&folder.path().join("data"), &folder.path().join("moving"));
    let (done, output) = said(folder.path(), &["migrate", "--to", &url]);
    assert!(done, "seed {seed}: {output}");
    // As if the database had been completed, but the file not been marked.
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    copy(&folder.path().join("moving"), &folder.path().join("data"));
    let (served, output) = said(folder.path(), &["pim", "list"]);
    assert!(!served && output.contains("are being moved to a database"), "{output}");
    let (done, output) = said(folder.path(), &["migrate", "--to", &url]);
    assert!(done, "seed {seed}: {output}");
    println!("seed {seed}: {output}");
    let (again, output) = said(folder.path(), &["migrate", "--to", &url]);
    assert!(again && output.contains("already"), "{output}");
    let (served, output) = said(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert!(!served && output.contains("were moved to the database"), "{output}");

    let there = ["--store-backend", "postgres", "--store-url", &url, "--store-lease", "3s"];
    let platform = Running::start_with(folder.path(), &file, &[&SETTINGS[..], &there].concat(), &[]);
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
    assert_eq!(client.get(&replay).await["status"], "running");
    // The state of the product is there: its next change has a delta.
    update(&mut client, "second", false).await;
    let delta = || receiver.at("/deltas").last().map(|delivery| delivery.body.clone());
    receiver.wait_until(Duration::from_secs(30), "a delta", || delta().is_some()).await;
    let delta: Value = serde_json::from_slice(&delta().unwrap()).unwrap();
    assert_eq!(delta["data"]["product"]["changes"], json!({"enabled": {"previous": true, "new": false}}), "{delta}");
    phase.store(MOVED, Ordering::SeqCst);
    client.order(&format!("{subscriptions}/{held}/resume")).await.unwrap();
    ids.extend(publish(&mut client, "after", 5).await);
    for path in ["/fine", "/held", "/failing", "/again"] {
        let ids = if path == "/again" { &some } else { &ids };
        let what = format!("seed {seed}: all events at {path}");
        receiver.wait_until(Duration::from_secs(90), &what, || arrived(&receiver, path).is_superset(ids)).await;
    }
    let by = Instant::now() + Duration::from_secs(60);
    let done = loop {
        let replay = client.get(&replay).await;
        if replay["status"] != "running" {
            break replay;
        }
        assert!(Instant::now() < by, "seed {seed}: {replay}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    // What the lane had not saved as settled when it was killed, it delivers again itself; the replay skips that.
    let delivered = ["delivered", "skipped"].map(|count| done[count].as_u64().unwrap()).iter().sum::<u64>();
    assert_eq!((&done["status"], delivered), (&json!("done"), 5), "seed {seed}: {done}");
    drop(platform);
}
