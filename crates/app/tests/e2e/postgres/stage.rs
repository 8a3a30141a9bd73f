//! A platform on PostgreSQL, producers that go on through its trouble, and the checker.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use crate::backend::KEYS;
use crate::client::Client;
use crate::load::grows;
use crate::receiver::{Delivery, Receiver};
use crate::running::{PIM, Running};
use crate::sample::{event, types};

const PRODUCERS: usize = 3;
const BATCH: usize = 5;

/// A platform on this database, with short limits.
pub(super) fn platform(folder: &Path, url: &str) -> Running {
    platform_with(folder, PIM, url)
}

/// The same with a configuration file.
pub(super) fn platform_with(folder: &Path, file: &str, url: &str) -> Running {
    let more = ["--store-backend", "postgres", "--store-url", url, "--store-lease", "3s", "--store-timeout", "3s"];
    Running::start_with(folder, file, &[&more[..], &["--encryption-keys", KEYS]].concat(), &[])
}

/// Status and body of the readiness check.
pub(super) async fn readiness(platform: &Running) -> (u16, Value) {
    Client::connect(&platform.address).await.unwrap().ask(Method::GET, "/health/ready", Value::Null).await
}

/// Waits until the platform is ready again.
pub(super) async fn ready(platform: &Running) {
    let by = Instant::now() + Duration::from_secs(15);
    loop {
        let (status, said) = readiness(platform).await;
        if status == 200 {
            return;
        }
        assert!(Instant::now() < by, "{status} {said}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until the platform is not ready for a lack.
pub(super) async fn lacks(platform: &Running, lack: &str) {
    unready(platform, |lacks| lacks.contains(&lack.into())).await;
}

/// Waits until the platform is not ready.
pub(super) async fn lacks_any(platform: &Running) {
    unready(platform, |_| true).await;
}

async fn unready(platform: &Running, expected: impl Fn(&[Value]) -> bool) {
    let by = Instant::now() + Duration::from_secs(30);
    loop {
        let (status, said) = readiness(platform).await;
        if status == 503 && expected(said["lacks"].as_array().map_or(&[], Vec::as_slice)) {
            return;
        }
        assert!(Instant::now() < by, "{status} {said}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What producers were told.
#[derive(Default)]
struct Told {
    acknowledged: Mutex<HashSet<String>>,
    refused: Mutex<HashSet<u16>>,
    stop: AtomicBool,
}

/// Producers.
pub(super) struct Load {
    told: Arc<Told>,
    producers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    pub(super) fn start(platform: &Running) -> Load {
        Load::start_as("p", platform)
    }

    /// The same with a name that is part of the events' ids.
    pub(super) fn start_as(name: &str, platform: &Running) -> Load {
        let told = Arc::new(Told::default());
        let producers = (0..PRODUCERS)
            .map(|producer| {
                tokio::spawn(produce(platform.address.clone(), format!("{name}{producer}"), Arc::clone(&told)))
            })
            .collect();
        Load { told, producers }
    }

    /// Number of acknowledged events.
    pub(super) fn acknowledged(&self) -> usize {
        self.told.acknowledged.lock().unwrap().len()
    }

    pub(super) fn acknowledged_ids(&self) -> HashSet<String> {
        self.told.acknowledged.lock().unwrap().clone()
    }

    /// Statuses of refusals.
    pub(super) fn refused(&self) -> HashSet<u16> {
        self.told.refused.lock().unwrap().clone()
    }

    /// Waits until this many more are acknowledged.
    pub(super) async fn more(&self, count: usize, within: Duration) -> bool {
        grows(|| self.acknowledged(), count, within).await
    }

    /// The same; nothing else is expected.
    pub(super) async fn goes_on(&self) {
        assert!(self.more(100, Duration::from_secs(60)).await, "intake does not go on: {:?}", self.refused());
    }

    /// Stops it; what was acknowledged. All refusals asked for a repetition.
    pub(super) async fn stop(mut self) -> HashSet<String> {
        self.told.stop.store(true, Ordering::SeqCst);
        for producer in std::mem::take(&mut self.producers) {
            producer.await.unwrap();
        }
        let refused = self.refused();
        assert!(refused.iter().all(|status| *status == 503), "{refused:?}");
        self.acknowledged_ids()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.producers.iter().for_each(tokio::task::JoinHandle::abort);
    }
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
            let Some(connected) = &mut client else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
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

/// A receiver with a subscription that delivers to `/live`, and one that delivers nothing to `/held` before it is
/// resumed: only there the checker can see whether an event was still stored at that moment.
pub(super) struct Watched {
    receiver: Receiver,
    held: String,
}

impl Watched {
    pub(super) async fn start(platform: &Running) -> Watched {
        let receiver = Receiver::start(Duration::from_millis(1)).await;
        let mut client = Client::connect(&platform.address).await.unwrap();
        let subscriptions = client.subscriber().await;
        let of = types(&["product.updated"]);
        client.subscribe(&subscriptions, &receiver.url("/live"), &of, json!({})).await;
        let hold = json!({"options": {"hold": true}});
        let held = client.subscribe(&subscriptions, &receiver.url("/held"), &of, hold).await;
        let held = format!("{subscriptions}/{held}");
        client.order(&format!("{held}/suspend")).await.unwrap();
        Watched { receiver, held }
    }

    /// Numbers of live deliveries, and of the events in them.
    pub(super) fn live(&self) -> (usize, usize) {
        let ids: Vec<String> = self.receiver.at("/live").iter().map(Delivery::id).collect();
        (ids.len(), ids.iter().collect::<HashSet<_>>().len())
    }

    /// Resumes the subscription that holds; numbers of acknowledged events that arrive neither live nor there.
    pub(super) async fn missing(&self, platform: &Running, acknowledged: &HashSet<String>) -> (usize, usize) {
        let mut client = Client::connect(&platform.address).await.unwrap();
        let resumed = client.order(&format!("{}/resume", self.held)).await.unwrap();
        assert!(resumed.is_success(), "{resumed}");
        (self.missing_at("/live", acknowledged).await, self.missing_at("/held", acknowledged).await)
    }

    /// Checks that all has arrived, or does so soon.
    pub(super) async fn has_all(&self, platform: &Running, acknowledged: &HashSet<String>) {
        let missing = self.missing(platform, acknowledged).await;
        println!("{} events acknowledged, missing (live, held): {missing:?}", acknowledged.len());
        assert_eq!(missing, (0, 0));
    }

    /// Acknowledged events that have not arrived when all is quiet.
    async fn missing_at(&self, path: &str, acknowledged: &HashSet<String>) -> usize {
        let (mut quiet, mut before) = (Instant::now(), 0);
        loop {
            let arrived: HashSet<String> = self.receiver.at(path).iter().map(Delivery::id).collect();
            let missing = acknowledged.difference(&arrived).count();
            if missing != before {
                (quiet, before) = (Instant::now(), missing);
            }
            if missing == 0 || quiet.elapsed() > Duration::from_secs(15) {
                return missing;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
