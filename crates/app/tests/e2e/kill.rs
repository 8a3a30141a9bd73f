//! Kill -9 at random moments under load: no acknowledged event is lost.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::client::Client;
use crate::random::Random;
use crate::receiver::Receiver;
use crate::running::Running;
use crate::sample::{event, is_full, types};

/// Number of concurrent producers.
const PRODUCERS: usize = 4;
/// Events per request.
const BATCH: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_event_is_lost_by_kill() {
    let rounds = if is_full() { 25 } else { 5 };
    let (seed, mut random) = Random::of_this_run();

    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Duration::from_millis(2)).await;
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    {
        let platform = Running::start(folder.path(), &[]);
        let mut client = Client::connect(&platform.address).await.unwrap();
        let subscriptions = client.subscriber().await;
        for path in ["/a", "/b"] {
            client.subscribe(&subscriptions, &receiver.url(path), &types(&["product.updated"]), json!({})).await;
        }
        platform.kill();
    }
    for round in 0..rounds {
        let platform = Running::start(folder.path(), &[]);
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                tokio::spawn(produce(
                    platform.address.clone(),
                    format!("{round}-{producer}"),
                    Arc::clone(&acknowledged),
                ))
            })
            .collect();
        // The moment of the kill is the subject of this test.
        tokio::time::sleep(Duration::from_millis(50 + random.below(500))).await;
        platform.kill();
        for producer in producers {
            producer.await.unwrap();
        }
    }

    let platform = Running::start(folder.path(), &[]);
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() > rounds * BATCH, "the load was too small: {} events", acknowledged.len());
    for path in ["/a", "/b"] {
        let what = format!("seed {seed}: all acknowledged events at {path}");
        let missing = || acknowledged.difference(&counted(&receiver, path).into_keys().collect()).count();
        receiver
            .wait_until(Duration::from_secs(60), &what, || receiver.count(path) >= acknowledged.len() && missing() == 0)
            .await;
    }
    receiver.wait_for_silence(Duration::from_millis(500)).await;
    for path in ["/a", "/b"] {
        let counts = counted(&receiver, path);
        let arrived: usize = counts.values().sum();
        println!(
            "{path}: {rounds} kills, {} events acknowledged, {} delivered, {} duplicates",
            acknowledged.len(),
            counts.len(),
            arrived - counts.len()
        );
    }
    drop(platform);
}

/// Number of arrivals of each event.
fn counted(receiver: &Receiver, path: &str) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for delivery in receiver.at(path) {
        *counts.entry(delivery.id()).or_default() += 1;
    }
    counts
}

/// Posts until the platform is gone; only 202 counts.
async fn produce(address: String, name: String, acknowledged: Arc<Mutex<HashSet<String>>>) {
    let Ok(mut client) = Client::connect(&address).await else { return };
    for batch in 0.. {
        let ids: Vec<_> = (0..BATCH).map(|index| format!("{name}-{batch}-{index}")).collect();
        let events: Vec<_> = ids.iter().map(|id| event(id, "product.updated")).collect();
        match client.publish(&events).await {
            Ok(()) => acknowledged.lock().unwrap().extend(ids),
            Err(error) if error.starts_with(char::is_numeric) => panic!("refused: {error}"),
            Err(_) => return,
        }
        // Four producers at full speed would leave a backlog that takes minutes to deliver in a debug build.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
