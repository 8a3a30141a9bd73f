//! PostgreSQL with a standby: the primary is killed under load and the standby promoted, the standby stops, connections
//! are cut. The checker is an outside program: it knows only what was acknowledged, and what arrived.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Method;
use parts::postgres::Postgres;
use serde_json::{Value, json};

use crate::client::Client;
use crate::receiver::Receiver;
use crate::running::Running;
use crate::sample::{event, types};

/// Seals in all tests.
const KEYS: &str = "tests:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PRODUCERS: usize = 3;
const BATCH: usize = 5;

/// What producers were told.
#[derive(Default)]
struct Told {
    acknowledged: Mutex<HashSet<String>>,
    refused: Mutex<HashSet<u16>>,
    stop: AtomicBool,
}

/// A primary whose commits wait for its standby, unless `commit` says otherwise.
fn pair(commit: &str) -> (Postgres, Postgres) {
    let mut primary = Postgres::start(&["wal_level = replica", &format!("synchronous_commit = {commit}")]).unwrap();
    let standby = primary.standby("second", &["hot_standby = on"]).unwrap();
    primary.create("platform").unwrap();
    primary.set("synchronous_standby_names = '*'").unwrap();
    let by = Instant::now() + Duration::from_secs(30);
    let attached = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
    while primary.query("postgres", attached).unwrap() != "1" {
        assert!(Instant::now() < by, "the standby is not synchronous");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    (primary, standby)
}

fn platform(folder: &std::path::Path, url: &str) -> Running {
    let more = ["--store-backend", "postgres", "--store-url", url, "--store-lease", "3s", "--store-timeout", "3s"];
    Running::start(folder, &[&more[..], &["--encryption-keys", KEYS]].concat())
}

fn both(primary: &Postgres, standby: &Postgres) -> String {
    format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/platform", primary.port, standby.port)
}

/// Posts until it is stopped; whatever is not acknowledged is sent again, as producers do.
async fn produce(address: String, name: String, told: Arc<Told>) {
    let mut client = None;
    for batch in 0.. {
        let ids: Vec<_> = (0..BATCH).map(|index| format!("{name}-{batch}-{index}")).collect();
        let events: Vec<_> = ids.iter().map(|id| event(id, "product.updated")).collect();
        loop {
            if told.stop.load(Ordering::SeqCst) {
                return;
            }
            if client.is_none() {
                client = Client::connect(&address).await.ok();
            }
            let Some(connected) = &mut client else { continue };
            match connected.publish(&events).await {
                Ok(()) => {
                    told.acknowledged.lock().unwrap().extend(ids);
                    break;
                }
                Err(error) => {
                    let status = error.split_whitespace().next().and_then(|word| word.parse().ok());
                    match status {
                        Some(status) => _ = told.refused.lock().unwrap().insert(status),
                        None => client = None,
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

struct Load {
    told: Arc<Told>,
    producers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(platform: &Running) -> Load {
        let told = Arc::new(Told::default());
        let producers = (0..PRODUCERS)
            .map(|producer| tokio::spawn(produce(platform.address.clone(), format!("p{producer}"), Arc::clone(&told))))
            .collect();
        Load { told, producers }
    }

    fn acknowledged(&self) -> usize {
        self.told.acknowledged.lock().unwrap().len()
    }

    /// Waits until this many more are acknowledged.
    async fn more(&self, count: usize, within: Duration) -> bool {
        let (enough, by) = (self.acknowledged() + count, Instant::now() + within);
        while self.acknowledged() < enough {
            if Instant::now() > by {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }

    async fn stop(self) -> HashSet<String> {
        self.told.stop.store(true, Ordering::SeqCst);
        for producer in self.producers {
            producer.await.unwrap();
        }
        self.told.acknowledged.lock().unwrap().clone()
    }
}

async fn receiving(platform: &Running) -> Receiver {
    let receiver = Receiver::start(Duration::from_millis(1)).await;
    let mut client = Client::connect(&platform.address).await.unwrap();
    let subscriptions = client.subscriber().await;
    client.subscribe(&subscriptions, &receiver.url("/a"), &types(&["product.updated"]), json!({})).await;
    receiver
}

/// A suspended subscription that gets its events at `/held` later: what is lost before that never arrives there.
/// Returns its path.
async fn holding(platform: &Running, receiver: &Receiver) -> String {
    let mut client = Client::connect(&platform.address).await.unwrap();
    let subscriptions = client.subscriber().await;
    let hold = json!({"options": {"hold": true}});
    let held = client.subscribe(&subscriptions, &receiver.url("/held"), &types(&["product.updated"]), hold).await;
    let path = format!("{subscriptions}/{held}");
    client.order(&format!("{path}/suspend")).await.unwrap();
    path
}

/// Acknowledged events that never arrive.
async fn missing(receiver: &Receiver, acknowledged: &HashSet<String>, within: Duration) -> usize {
    missing_at("/a", receiver, acknowledged, within).await
}

async fn missing_at(path: &str, receiver: &Receiver, acknowledged: &HashSet<String>, within: Duration) -> usize {
    let by = Instant::now() + within;
    loop {
        let arrived: HashSet<String> = receiver.at(path).iter().map(crate::receiver::Delivery::id).collect();
        let missing = acknowledged.difference(&arrived).count();
        if missing == 0 || Instant::now() > by {
            return missing;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn readiness(platform: &Running) -> (u16, Value) {
    Client::connect(&platform.address).await.unwrap().ask(Method::GET, "/health/ready", Value::Null).await
}

/// Kills the primary under load, and promotes a standby that has missed the end of the log.
async fn fail_over(commit: &str) -> (usize, usize) {
    let (mut primary, mut standby) = pair(commit);
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), &both(&primary, &standby));
    let receiver = receiving(&platform).await;
    let held = holding(&platform, &receiver).await;
    let load = Load::start(&platform);
    assert!(load.more(200, Duration::from_secs(30)).await, "the load does not start");
    standby.stop().unwrap();
    // Commits that wait for the standby are not acknowledged.
    load.more(200, Duration::from_secs(2)).await;
    primary.kill().unwrap();
    standby.run().unwrap();
    standby.promote().unwrap();
    assert!(load.more(200, Duration::from_secs(60)).await, "intake does not go on: {:?}", load.told.refused.lock());
    assert!(load.told.refused.lock().unwrap().iter().all(|status| *status == 503), "{:?}", load.told.refused.lock());
    let acknowledged = load.stop().await;
    Client::connect(&platform.address).await.unwrap().order(&format!("{held}/resume")).await.unwrap();
    let missing = missing_at("/held", &receiver, &acknowledged, Duration::from_secs(30)).await;
    println!("synchronous_commit = {commit}: {} acknowledged, {missing} of them lost", acknowledged.len());
    (acknowledged.len(), missing)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_loses_nothing_that_was_acknowledged() {
    let (acknowledged, missing) = fail_over("on").await;
    assert!(acknowledged >= 400);
    assert_eq!(missing, 0);
}

/// The checker sees what is lost: without this, the test above proves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_with_local_commits_loses_events_and_the_checker_finds_them() {
    let (_, missing) = fail_over("local").await;
    assert!(missing > 0);
}

/// Commits wait, intake is 503, readiness says why; everything goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_stops_stops_intake_until_it_is_back() {
    let (primary, mut standby) = pair("on");
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), &primary.url("platform"));
    let receiver = receiving(&platform).await;
    let load = Load::start(&platform);
    assert!(load.more(100, Duration::from_secs(30)).await);
    standby.stop().unwrap();
    let by = Instant::now() + Duration::from_secs(30);
    loop {
        let (status, said) = readiness(&platform).await;
        if status == 503 && said["lacks"].as_array().unwrap().contains(&"standby".into()) {
            break;
        }
        assert!(Instant::now() < by, "{status} {said}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(*load.told.refused.lock().unwrap(), HashSet::from([503]));
    standby.run().unwrap();
    assert!(load.more(200, Duration::from_secs(60)).await, "intake does not go on");
    let acknowledged = load.stop().await;
    assert_eq!(missing(&receiver, &acknowledged, Duration::from_secs(30)).await, 0);
    assert_eq!(readiness(&platform).await.0, 200);
}

/// All connections at once, several times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_lose_nothing() {
    let server = Postgres::start(&[]).unwrap();
    server.create("platform").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), &server.url("platform"));
    let receiver = receiving(&platform).await;
    let load = Load::start(&platform);
    for _ in 0..5 {
        assert!(load.more(100, Duration::from_secs(30)).await, "intake does not go on");
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'platform'";
        assert_ne!(server.query("postgres", cut).unwrap(), "0");
    }
    assert!(load.more(100, Duration::from_secs(30)).await, "intake does not go on");
    let acknowledged = load.stop().await;
    assert_eq!(missing(&receiver, &acknowledged, Duration::from_secs(30)).await, 0);
}

/// Killed and started again under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_loses_nothing() {
    let mut server = Postgres::start(&[]).unwrap();
    server.create("platform").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), &server.url("platform"));
    let receiver = receiving(&platform).await;
    let load = Load::start(&platform);
    for _ in 0..2 {
        assert!(load.more(100, Duration::from_secs(30)).await, "intake does not go on");
        server.kill().unwrap();
        server.run().unwrap();
    }
    assert!(load.more(100, Duration::from_secs(30)).await, "intake does not go on");
    let acknowledged = load.stop().await;
    assert_eq!(missing(&receiver, &acknowledged, Duration::from_secs(30)).await, 0);
}

/// A second process on the same database is refused as long as the first one lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_refused() {
    let server = Postgres::start(&[]).unwrap();
    let url = server.create("platform").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), &url);
    let data = folder.path().join("second");
    let args = ["serve", "--listen", "127.0.0.1:0", "--store-backend", "postgres", "--store-url", &url];
    let more = ["--store-lease", "3s", "--encryption-keys", KEYS, "--data-dir", data.to_str().unwrap()];
    let output = crate::running::postrider(&[&args[..], &more].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("another process serves from the database"), "{said}");
    assert!(!said.contains("AAEC"), "{said}");
    platform.terminate();
    assert!(platform.wait(Duration::from_secs(30)).success());
    // It has given its shards back: the next one need not wait until they run out.
    let started = Instant::now();
    let platform = self::platform(folder.path(), &url);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    drop(platform);
}
