//! The Events API during a failover: a PIM sends each request once and gives up after half a second.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::json;

use super::failover::{both, pair};
use super::stage::{lacks_any, platform_with};
use crate::client::Client;
use crate::receiver::{Delivery, Receiver};
use crate::running::pim_with_events_api;
use crate::sample::types;

/// Pause between requests.
const PAUSE: Duration = Duration::from_millis(50);
/// Time after which the PIM disconnects.
const GIVES_UP: Duration = Duration::from_millis(500);

/// Sends a product's removal; whether it was sent completely, and the status if the response came in time.
async fn send(address: &str, id: &str) -> (bool, Option<StatusCode>) {
    let Ok(mut client) = Client::connect(address).await else { return (false, None) };
    let product = json!({"identifier": id});
    match tokio::time::timeout(GIVES_UP, client.events_api("product.removed", id, &product)).await {
        Ok(Ok(status)) => (true, Some(status)),
        Ok(Err(_)) => (false, None),
        Err(_) => (true, None),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_api_requests_during_a_failover_arrive() {
    let (mut primary, standby) = pair("on");
    let folder = tempfile::tempdir().unwrap();
    let platform = platform_with(folder.path(), &pim_with_events_api(), &both(&primary, &standby));
    let receiver = Receiver::start(Duration::ZERO).await;
    let mut client = Client::connect(&platform.address).await.unwrap();
    let subscriptions = client.subscriber().await;
    client.subscribe(&subscriptions, &receiver.url("/"), &types(&["product.deleted"]), json!({})).await;

    let (sent, statuses) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let stop = Arc::new(AtomicBool::new(false));
    let pim = tokio::spawn({
        let (address, sent) = (platform.address.clone(), Arc::clone(&sent));
        let (statuses, stop) = (Arc::clone(&statuses), Arc::clone(&stop));
        async move {
            let mut under_way = tokio::task::JoinSet::new();
            for number in 0.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let id = format!("removal-{number}");
                let (address, sent, statuses) = (address.clone(), Arc::clone(&sent), Arc::clone(&statuses));
                under_way.spawn(async move {
                    let (complete, status) = send(&address, &id).await;
                    if complete {
                        sent.lock().unwrap().push(id);
                    }
                    statuses.lock().unwrap().push(status);
                });
                tokio::time::sleep(PAUSE).await;
            }
            while let Some(ended) = under_way.join_next().await {
                ended.unwrap();
            }
        }
    });
    let arrived = || receiver.at("/").iter().map(Delivery::id).collect::<HashSet<_>>();
    receiver.wait_until(Duration::from_secs(30), "the first events", || arrived().len() >= 10).await;
    primary.kill().unwrap();
    lacks_any(&platform).await;
    // Some are sent while nothing can be stored.
    let (before, by) = (sent.lock().unwrap().len(), Instant::now() + Duration::from_secs(30));
    while sent.lock().unwrap().len() < before + 20 {
        assert!(Instant::now() < by, "the PIM cannot send");
        tokio::time::sleep(PAUSE).await;
    }
    standby.promote().unwrap();
    let before = arrived().len();
    receiver.wait_until(Duration::from_secs(60), "events after the failover", || arrived().len() >= before + 40).await;
    stop.store(true, Ordering::SeqCst);
    pim.await.unwrap();
    let sent: HashSet<_> = sent.lock().unwrap().iter().cloned().collect();
    receiver.wait_until(Duration::from_secs(60), "all events", || arrived().is_superset(&sent)).await;
    let statuses = statuses.lock().unwrap();
    let stored = statuses.iter().filter(|status| **status == Some(StatusCode::ACCEPTED)).count();
    println!("{} requests sent, {stored} of them answered by 202", sent.len());
    assert!(stored < sent.len(), "no request waited");
}
