//! A slow receiver with a long backlog affects neither another receiver's latency nor the platform's memory.

use std::path::Path;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::receiver::Receiver;
use crate::running::Running;
use crate::sample::{event, is_full, types};

/// Response time of the slow receiver.
const HANG: Duration = Duration::from_secs(5);
/// Events to the fast receiver, and their interval.
const MEASURED: usize = 300;
const PACE: Duration = Duration::from_millis(10);
/// Memory limit in MiB: the hot tail of 64 MiB as held in memory, and some room.
const MEMORY: u64 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_receiver_delays_no_other() {
    let backlog = if is_full() { 1_000_000 } else { 30_000 };
    if !is_full() {
        println!("left out: 1,000,000 events of backlog; {backlog} with POSTRIDER_E2E=small");
    }
    let alone = measure(tempfile::tempdir().unwrap().path(), 0).await;
    let beside = measure(tempfile::tempdir().unwrap().path(), backlog).await;
    println!("alone:  p50 {:?}, p90 {:?}, memory {} MiB", alone.p50, alone.p90, alone.memory);
    println!(
        "beside: p50 {:?}, p90 {:?}, memory {} MiB at most, backlog {backlog}",
        beside.p50, beside.p90, beside.memory
    );
    // Generous: other processes share this machine. A wait for the slow receiver would take seconds.
    let slack = Duration::from_millis(30);
    assert!(beside.p50 <= alone.p50 * 3 + slack, "p50 {:?} beside a slow receiver, {:?} alone", beside.p50, alone.p50);
    assert!(beside.p90 <= alone.p90 * 3 + slack, "p90 {:?} beside a slow receiver, {:?} alone", beside.p90, alone.p90);
    assert!(beside.memory <= MEMORY, "{} MiB of memory with a backlog of {backlog}", beside.memory);
}

struct Measured {
    p50: Duration,
    p90: Duration,
    /// Maximum resident memory in MiB.
    memory: u64,
}

async fn measure(folder: &Path, backlog: usize) -> Measured {
    // The slow receiver is slow but not failing: it answers within the time of an attempt.
    let platform = Running::start(folder, &["--delivery-attempt-timeout", "10s"]);
    let fast = Receiver::start(Duration::ZERO).await;
    let slow = Receiver::start(HANG).await;
    let mut client = Client::connect(&platform.address).await.unwrap();
    let subscriptions = client.subscriber().await;
    client.subscribe(&subscriptions, &fast.url("/fast"), &types(&["product.created"]), json!({})).await;
    let mut slow_one = None;
    if backlog > 0 {
        let id = client.subscribe(&subscriptions, &slow.url("/slow"), &types(&["product.updated"]), json!({})).await;
        slow_one = Some(format!("{subscriptions}/{id}"));
        let started = Instant::now();
        for batch in 0..backlog / 1000 {
            let events: Vec<_> = (0..1000).map(|index| event(&format!("{batch}-{index}"), "product.updated")).collect();
            client.publish(&events).await.unwrap();
        }
        println!("{backlog} events of backlog in {:?}", started.elapsed());
    }

    let mut sent = Vec::with_capacity(MEASURED);
    let mut ticks = tokio::time::interval(PACE);
    for index in 0..MEASURED {
        ticks.tick().await;
        sent.push(Instant::now());
        client.publish(&[event(&format!("fast-{index}"), "product.created")]).await.unwrap();
    }
    fast.wait_until(Duration::from_secs(30), "the fast receiver's events", || fast.count("/fast") >= MEASURED).await;
    let mut latencies: Vec<_> = fast
        .at("/fast")
        .iter()
        .map(|delivery| {
            let index: usize = delivery.header("webhook-id").trim_start_matches("fast-").parse().unwrap();
            delivery.at - sent[index]
        })
        .collect();
    latencies.sort();
    if let Some(path) = slow_one {
        // A suspension would have dropped the backlog and invalidated the test.
        let (_, subscription) = client.call(Method::GET, &path, "application/json", "").await.unwrap();
        let subscription: Value = serde_json::from_slice(&subscription).unwrap();
        assert_eq!(subscription["status"], "active");
        assert!(slow.count("/slow") < backlog / 10, "the slow receiver was not slow");
    }
    Measured { p50: latencies[MEASURED / 2], p90: latencies[MEASURED * 9 / 10], memory: platform.memory().1 }
}
