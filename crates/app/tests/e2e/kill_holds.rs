//! Kill -9 around the suspensions and resumes of a subscription that holds its events: all of them are eventually
//! delivered.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::client::Client;
use crate::load::Load;
use crate::random::Random;
use crate::receiver::Receiver;
use crate::running::Running;
use crate::sample::{is_full, types};

/// A retry must be able to fall due during a suspension.
const SETTINGS: [&str; 2] = ["--delivery-retry-delays", "500ms,500ms,500ms"];

/// Longer than any delivery takes to arrive.
const SILENCE: Duration = Duration::from_millis(400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_survives_kills_and_loses_nothing() {
    let rounds = if is_full() { 15 } else { 4 };
    let (seed, mut random) = Random::of_this_run();
    let folder = tempfile::tempdir().unwrap();
    let seen: Mutex<BTreeSet<String>> = Mutex::default();
    // One event in 40 fails once, so that suspensions and kills also affect events waiting for their retry.
    let receiver = Receiver::answering(Duration::from_millis(1), move |_, id| {
        let first = seen.lock().unwrap().insert(id.to_owned());
        if first && id.ends_with("3-0") { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    })
    .await;
    let load = Load::default();
    let subscription = {
        let platform = Running::start(folder.path(), &SETTINGS);
        let mut client = Client::connect(&platform.address).await.unwrap();
        let subscriptions = client.subscriber().await;
        let options = json!({"options": {"hold": true}});
        let id = client.subscribe(&subscriptions, &receiver.url("/"), &types(&["product.updated"]), options).await;
        platform.kill();
        Subscription { path: format!("{subscriptions}/{id}"), id, seed }
    };

    let (mut unanswered, mut held) = (0, 0);
    for round in 0..rounds {
        // Load, with a suspension in the middle and a kill around its response.
        let platform = Running::start(folder.path(), &SETTINGS);
        let mut client = Client::connect(&platform.address).await.unwrap();
        let producers = produce(&load, &platform, &format!("{round}-a"));
        tokio::time::sleep(random.moment(100, 300)).await;
        let answered = subscription.order_and_kill(client, platform, "suspend", random.moment(0, 200)).await;
        for producer in producers {
            producer.await.unwrap();
        }

        // It is suspended if the response said so. More load, of which nothing may be sent.
        let platform = Running::start(folder.path(), &SETTINGS);
        client = Client::connect(&platform.address).await.unwrap();
        unanswered += usize::from(!answered);
        subscription.check_order(&mut client, answered, "suspend", "suspended").await;
        receiver.wait_for_silence(SILENCE).await;
        let before = receiver.count("/");
        let acknowledged = load.acknowledged();
        let producers = produce(&load, &platform, &format!("{round}-b"));
        tokio::time::sleep(random.moment(50, 200)).await;
        platform.kill();
        for producer in producers {
            producer.await.unwrap();
        }
        held += load.acknowledged() - acknowledged;

        // A restart sends nothing either, for as long as a retry could take. Then the resume, with a kill around its
        // response.
        let platform = Running::start(folder.path(), &SETTINGS);
        client = Client::connect(&platform.address).await.unwrap();
        receiver.wait_for_silence(SILENCE + Duration::from_millis(300)).await;
        assert_eq!(receiver.count("/"), before, "seed {seed}, round {round}: deliveries of a suspended subscription");
        let answered = subscription.order_and_kill(client, platform, "resume", random.moment(0, 200)).await;
        let platform = Running::start(folder.path(), &SETTINGS);
        client = Client::connect(&platform.address).await.unwrap();
        unanswered += usize::from(!answered);
        subscription.check_order(&mut client, answered, "resume", "active").await;
        platform.kill();
    }

    let platform = Running::start(folder.path(), &SETTINGS);
    let mut client = Client::connect(&platform.address).await.unwrap();
    assert!(held >= 10 * rounds, "the load was too small: {held} events during suspensions");
    let posted = load.posted();
    let acknowledged: Vec<_> = posted.iter().filter(|(_, at)| at.is_some()).map(|(id, _)| id).collect();
    let missing = || {
        let taken = taken(&receiver);
        acknowledged.iter().filter(|id| !taken.contains_key(**id)).count()
    };
    let mut waited = 0;
    while missing() > 0 {
        assert!(waited < 240, "seed {seed}: {} of {} acknowledged events are missing", missing(), acknowledged.len());
        waited += 1;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let log = client.log_of(&subscription.id).await;
    for (operation, times) in
        [("subscription_suspended_by_the_user", rounds), ("subscription_resumed_by_the_user", rounds)]
    {
        let found = log.iter().filter(|entry| entry["operation"] == operation).count();
        assert_eq!(found, times, "seed {seed}: {operation}");
    }
    let dropped: Vec<_> = log.iter().filter(|entry| message(entry).contains("dropped")).collect();
    assert!(dropped.is_empty(), "seed {seed}: {dropped:?}");
    receiver.wait_for_silence(SILENCE).await;
    let taken = taken(&receiver);
    let deliveries: usize = taken.values().sum();
    println!(
        "{} kills, {rounds} suspensions with hold, {unanswered} of {} orders unanswered; {} events acknowledged, \
         {held} of them while \
         suspended, all delivered; {} duplicates",
        4 * rounds,
        2 * rounds,
        acknowledged.len(),
        deliveries - taken.len()
    );
}

fn produce(load: &Load, platform: &Running, name: &str) -> Vec<tokio::task::JoinHandle<()>> {
    let one = |producer| load.produce(&platform.address, format!("{name}-{producer}"), Duration::from_millis(10));
    (0..2).map(one).collect()
}

fn message(entry: &Value) -> &str {
    entry["error_message"].as_str().unwrap_or_default()
}

/// Number of 2xx responses for each event.
fn taken(receiver: &Receiver) -> HashMap<String, usize> {
    let mut taken = HashMap::new();
    for delivery in receiver.at("/").iter().filter(|delivery| delivery.status.is_success()) {
        *taken.entry(delivery.id()).or_default() += 1;
    }
    taken
}

struct Subscription {
    path: String,
    id: String,
    seed: u64,
}

impl Subscription {
    /// Calls an action and kills the platform `after` that, with or without a response; returns whether there was one.
    async fn order_and_kill(&self, mut client: Client, platform: Running, order: &str, after: Duration) -> bool {
        let path = format!("{}/{order}", self.path);
        let answer = tokio::spawn(async move { client.order(&path).await });
        tokio::time::sleep(after).await;
        platform.kill();
        match answer.await.unwrap() {
            Ok(status) => {
                assert_eq!(status, StatusCode::OK, "seed {}: {order}", self.seed);
                true
            }
            Err(_) => false,
        }
    }

    /// After the restart the action is in effect if there was a response; otherwise, it is repeated if necessary.
    async fn check_order(&self, client: &mut Client, answered: bool, order: &str, expect: &str) {
        let state = client.get(&self.path).await;
        if state["status"] != expect {
            assert!(!answered, "seed {}: {order} was answered with 200, and after a kill it is {state}", self.seed);
            assert_eq!(client.order(&format!("{}/{order}", self.path)).await, Ok(StatusCode::OK));
        }
    }
}
