//! A replay of many events, killed several times in the middle: each is delivered at least once more, and marked.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::receiver::Receiver;
use crate::running::Running;
use crate::sample::{event, is_full, types};

/// Events per request.
const BATCH: usize = 1_000;
const KILLS: usize = 3;
/// Progress is saved several times per second, and this machine may be slow: what was replayed earlier than this before
/// a kill is not repeated.
const SAVED_WITHIN: Duration = Duration::from_millis(1_000);
const AT_MOST: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_survives_kills_and_forgets_nothing() {
    let all = if is_full() { 100_000 } else { 10_000 };
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Duration::ZERO).await;
    let mut platform = Some(Running::start(folder.path(), &[]));
    let address = |platform: &Option<Running>| platform.as_ref().unwrap().address.clone();
    let mut client = Client::connect(&address(&platform)).await.unwrap();
    let path = client.subscriber().await;
    let id = client.subscribe(&path, &receiver.url("/"), &types(&["product.updated"]), json!({})).await;
    let path = format!("{path}/{id}");
    let ids: Vec<String> = (0..all).map(|number| format!("event-{number}")).collect();
    for batch in ids.chunks(BATCH) {
        let events: Vec<_> = batch.iter().map(|id| event(id, "product.updated")).collect();
        client.publish(&events).await.unwrap();
    }
    receiver.wait_until(AT_MOST, "the regular deliveries", || receiver.count("/") >= all).await;
    let oldest = oldest(&mut client, &path).await;

    let (status, replay) = client.ask(Method::POST, &format!("{path}/replay"), json!({"from": oldest})).await;
    assert_eq!(status, 202, "{replay}");
    let rid = replay["id"].as_str().unwrap().to_owned();
    let started = Instant::now();
    let mut kills = Vec::new();
    for kill in 1..=KILLS {
        let before = receiver.count("/");
        let enough = all / (KILLS + 2);
        receiver.wait_until(AT_MOST, "the replay", || receiver.count("/") >= before + enough).await;
        let running = client.get(&format!("{path}/replays/{rid}")).await;
        assert_eq!(running["status"], "running", "before kill {kill}: {running}");
        kills.push((Instant::now(), running["matched"].as_u64().unwrap()));
        platform.take().unwrap().kill();
        platform = Some(Running::start(folder.path(), &[]));
        client = Client::connect(&address(&platform)).await.unwrap();
    }
    let done = loop {
        let replay = client.get(&format!("{path}/replays/{rid}")).await;
        if replay["status"] != "running" {
            break replay;
        }
        assert!(started.elapsed() < AT_MOST, "{replay}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let took = started.elapsed();
    assert_eq!(done["status"], "done", "{done}");
    let count = |name: &str| done[name].as_u64().unwrap();
    assert_eq!((count("matched"), count("delivered")), (all as u64, all as u64), "{done}");
    receiver.wait_for_silence(Duration::from_millis(500)).await;

    let deliveries = receiver.at("/");
    let marked: Vec<_> = deliveries.iter().filter(|delivery| delivery.header("x-postrider-replay") == rid).collect();
    let replayed: BTreeSet<String> = marked.iter().map(|delivery| delivery.id()).collect();
    assert_eq!(replayed.len(), all, "each at least once, marked");
    assert!(ids.iter().all(|id| replayed.contains(id)));
    let again = marked.len() - all;
    let unsaved = |at: Instant| kills.iter().any(|(kill, _)| at <= *kill + SAVED_WITHIN && at + SAVED_WITHIN >= *kill);
    let at_most = marked.iter().filter(|delivery| unsaved(delivery.at)).count();
    let kills: Vec<_> = kills.iter().map(|(_, matched)| matched).collect();
    println!("{all} events replayed in {took:.1?} with kills at {kills:?} of them; {again} were delivered twice");
    assert!(again <= at_most, "a crash repeats only what was not saved, at most {at_most}: {again}");
}

/// Acceptance time of the oldest event.
async fn oldest(client: &mut Client, path: &str) -> String {
    let told = client.get(&format!("{path}/events/event-0")).await;
    assert_eq!(told["fate"], "delivered", "{told}");
    match &told["accepted_at"] {
        Value::String(at) => at.clone(),
        other => panic!("{other}"),
    }
}
