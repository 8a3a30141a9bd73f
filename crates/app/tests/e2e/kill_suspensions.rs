//! Kill -9 around the moment at which endpoints begin to answer 404: each is suspended once, with one notification, and
//! every event is accounted for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::Clock;
use domain::Timestamp;
use http::StatusCode;
use serde_json::{Value, json};

use crate::client::Client;
use crate::load::{Load, Posted};
use crate::random::Random;
use crate::receiver::{Delivery, Receiver};
use crate::running::Running;
use crate::sample::{is_full, types};

/// Endpoints that disappear in every round; each is a subscription.
const ENDPOINTS: [&str; 3] = ["/0", "/1", "/2"];
/// The endpoint that never disappears: it gets everything.
const FINE: &str = "/fine";

/// Few concurrent attempts, so that there is a backlog to drop.
const IN_FLIGHT: usize = 4;
const SETTINGS: [&str; 2] = ["--delivery-max-in-flight", "4"];

/// Progress is saved every 200 ms (the default), and this machine may be slow: deliveries earlier than this before a
/// kill are known to the platform after it.
const SAVED_WITHIN: Duration = Duration::from_millis(1_000);

/// Longer than any delivery takes to arrive.
const SILENCE: Duration = Duration::from_millis(400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_survives_kills_and_is_notified_once() {
    let rounds = if is_full() { 15 } else { 4 };
    let (seed, mut random) = Random::of_this_run();
    let folder = tempfile::tempdir().unwrap();
    let gone: Arc<Mutex<BTreeSet<&str>>> = Arc::default();
    let receiver = Receiver::answering(Duration::from_millis(4), {
        let gone = Arc::clone(&gone);
        move |path, _| if gone.lock().unwrap().contains(path) { StatusCode::NOT_FOUND } else { StatusCode::OK }
    })
    .await;
    let load = Load::default();
    let mut subscriptions = Vec::new();
    {
        let platform = Running::start(folder.path(), &SETTINGS);
        let mut client = Client::connect(&platform.address).await.unwrap();
        let path = client.subscriber().await;
        for endpoint in ENDPOINTS.into_iter().chain([FINE]) {
            let id = client.subscribe(&path, &receiver.url(endpoint), &types(&["product.updated"]), json!({})).await;
            let path = format!("{path}/{id}");
            subscriptions.push(Subscription { endpoint, id, path, reported: Reported::default(), seed });
        }
        platform.kill();
    }
    subscriptions.pop();

    let mut sums = Sums::default();
    for round in 0..rounds {
        let what = format!("seed {seed}, round {round}");
        // Load; the endpoints disappear one after another; a kill around those moments.
        let seen: Vec<_> = ENDPOINTS.map(|endpoint| receiver.count(endpoint)).into();
        let platform = Running::start(folder.path(), &SETTINGS);
        let pause = random.moment(5, 30);
        let producers: Vec<_> =
            (0..2).map(|producer| load.produce(&platform.address, format!("{round}-a-{producer}"), pause)).collect();
        tokio::time::sleep(random.moment(150, 250)).await;
        let mut moments: Vec<_> = ENDPOINTS.map(|endpoint| (random.moment(0, 80), Some(endpoint))).into();
        moments.push((random.moment(20, 180), None));
        moments.sort();
        let start = Instant::now();
        let (mut platform, mut killed) = (Some(platform), Killed { at: start, time: Clock::system().wall() });
        for (moment, endpoint) in moments {
            tokio::time::sleep(moment.saturating_sub(start.elapsed())).await;
            match endpoint {
                Some(endpoint) => _ = gone.lock().unwrap().insert(endpoint),
                None => {
                    killed = Killed { at: Instant::now(), time: Clock::system().wall() };
                    if let Some(platform) = platform.take() {
                        platform.kill();
                    }
                }
            }
        }
        for producer in producers {
            producer.await.unwrap();
        }

        // Endpoints not suspended before the kill are suspended now, at the latest because of these events.
        let platform = Running::start(folder.path(), &SETTINGS);
        let mut client = Client::connect(&platform.address).await.unwrap();
        assert!(load.post(&mut client, &format!("{round}-b")).await);
        for subscription in &subscriptions {
            subscription.wait_until_suspended(&mut client, &what).await;
        }
        let suspended = load.posted();
        receiver.wait_for_silence(SILENCE).await;
        let before = ENDPOINTS.map(|endpoint| receiver.count(endpoint));

        // Nothing is sent from now on, neither new events nor anything after a second kill.
        for batch in 0..5 {
            assert!(load.post(&mut client, &format!("{round}-c-{batch}")).await);
        }
        tokio::time::sleep(random.moment(0, 100)).await;
        platform.kill();
        let platform = Running::start(folder.path(), &SETTINGS);
        let mut client = Client::connect(&platform.address).await.unwrap();
        receiver.wait_for_silence(SILENCE).await;
        assert_eq!(ENDPOINTS.map(|endpoint| receiver.count(endpoint)), before, "{what}: deliveries while suspended");

        for (subscription, seen) in subscriptions.iter_mut().zip(seen) {
            let arrived = receiver.at(subscription.endpoint).split_off(seen);
            let reported = subscription.news(&mut client).await;
            sums.reported.add(&reported);
            sums.before_kill += u64::from(reported.suspended_at.is_some_and(|at| at < killed.time));
            sums.overtaken += check_account(
                &format!("{what}, {}", subscription.endpoint),
                &reported,
                &suspended,
                round,
                &arrived,
                killed.at,
            );
        }

        // After its resume it gets the events accepted from then on, also across a kill.
        gone.lock().unwrap().clear();
        for subscription in &subscriptions {
            let answer = client.order(&format!("{}/resume", subscription.path)).await;
            assert_eq!(answer, Ok(StatusCode::OK), "{what}");
        }
        for batch in 0..3 {
            assert!(load.post(&mut client, &format!("{round}-d-{batch}")).await);
        }
        tokio::time::sleep(random.moment(0, 60)).await;
        platform.kill();
        let platform = Running::start(folder.path(), &SETTINGS);
        for (endpoint, before) in ENDPOINTS.into_iter().zip(before) {
            let ids = || -> BTreeSet<_> { receiver.at(endpoint)[before..].iter().map(Delivery::id).collect() };
            let expect: BTreeSet<_> = (0..30).map(|event| format!("{round}-d-{}-{}", event / 10, event % 10)).collect();
            let all = format!("{what}: all events after the resume at {endpoint}");
            receiver.wait_until(Duration::from_secs(30), &all, || expect.is_subset(&ids())).await;
            let others: Vec<_> = ids().difference(&expect).cloned().collect();
            assert!(others.is_empty(), "{what}: sent to {endpoint} after the resume, accepted before it: {others:?}");
        }
        // To be saved, so that no later round has to account for these.
        receiver.wait_for_silence(SILENCE).await;
        platform.kill();
    }

    let platform = Running::start(folder.path(), &SETTINGS);
    let posted = load.posted();
    let acknowledged: BTreeSet<_> = posted.iter().filter(|(_, at)| at.is_some()).map(|(id, _)| id.clone()).collect();
    let missing = || {
        let arrived: BTreeSet<_> = receiver.at(FINE).iter().map(Delivery::id).collect();
        acknowledged.difference(&arrived).count()
    };
    let mut waited = 0;
    while missing() > 0 {
        assert!(waited < 240, "seed {seed}: {} of {} events are missing at {FINE}", missing(), acknowledged.len());
        waited += 1;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let Sums { reported, before_kill, overtaken } = sums;
    println!(
        "{} kills, {} suspensions, {before_kill} of them just before a kill: {} events dropped in {} entries, {} \
         failed by themselves, {overtaken} \
         late answers overtaken by a kill; {FINE} got all {} acknowledged events and {} duplicates",
        4 * rounds,
        reported.suspended,
        reported.dropped,
        reported.drops,
        reported.failed,
        acknowledged.len(),
        receiver.count(FINE) - receiver.at(FINE).iter().map(Delivery::id).collect::<BTreeSet<_>>().len()
    );
    drop(platform);
}

/// Log entries of a subscription: in total, or in a round.
#[derive(Clone, Default, Debug)]
struct Reported {
    suspended: u64,
    suspended_at: Option<Timestamp>,
    /// Entries about a dropped backlog, and the events in them.
    drops: u64,
    dropped: u64,
    /// Events that failed by themselves.
    failed: u64,
}

/// Over all rounds.
#[derive(Default)]
struct Sums {
    reported: Reported,
    /// Suspensions before the first kill of their round.
    before_kill: u64,
    /// Responses that the platform never received.
    overtaken: u64,
}

/// The time of a kill by the receiver's clock and by the log's clock.
#[derive(Clone, Copy)]
struct Killed {
    at: Instant,
    time: Timestamp,
}

impl Reported {
    fn add(&mut self, more: &Reported) {
        self.suspended += more.suspended;
        self.drops += more.drops;
        self.dropped += more.dropped;
        self.failed += more.failed;
    }
}

struct Subscription {
    endpoint: &'static str,
    id: String,
    path: String,
    /// Up to the last round.
    reported: Reported,
    seed: u64,
}

impl Subscription {
    async fn wait_until_suspended(&self, client: &mut Client, what: &str) {
        let mut state = Value::Null;
        for _ in 0..300 {
            state = client.get(&format!("{}/status", self.path)).await;
            if state["status"] == "suspended" && state["delivery"]["in_flight"].as_u64().unwrap_or(0) == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what}: {} is not suspended: {state}", self.endpoint);
    }

    /// New log entries.
    async fn news(&mut self, client: &mut Client) -> Reported {
        let mut all = Reported::default();
        for entry in client.log_of(&self.id).await {
            let count = entry["count"].as_u64().unwrap();
            let message = entry["error_message"].as_str().unwrap_or_default();
            match entry["operation"].as_str().unwrap() {
                "subscription_suspended_by_the_platform" => {
                    all.suspended += count;
                    all.suspended_at = Timestamp::parse(entry["timestamp"].as_str().unwrap());
                }
                // Equal entries of several rounds are merged.
                "failed_to_deliver_event" if message.contains("dropped from the backlog") => {
                    let number: u64 = message.split(' ').next().unwrap().parse().unwrap();
                    all.drops += count;
                    all.dropped += count * number;
                }
                "failed_to_deliver_event" => {
                    assert_eq!(entry["error_reason"], "destination_not_found", "seed {}: {entry}", self.seed);
                    all.failed += count;
                }
                _ => {}
            }
        }
        let before = std::mem::replace(&mut self.reported, all.clone());
        Reported {
            suspended: all.suspended - before.suspended,
            suspended_at: all.suspended_at,
            drops: all.drops - before.drops,
            dropped: all.dropped - before.dropped,
            failed: all.failed - before.failed,
        }
    }
}

/// Whether a round's events are accounted for: those acknowledged before the suspension, and at most those posted
/// before it was visible.
///
/// Each of the former was delivered, failed by itself (with an entry, or with a response interrupted by a kill: at most
/// as many as may be in flight), or was dropped. Only deliveries shortly before the kill, whose progress was not saved,
/// may be counted twice: as delivered and as dropped. Returns the number of interrupted responses.
fn check_account(
    what: &str,
    reported: &Reported,
    posted: &Posted,
    round: usize,
    arrived: &[Delivery],
    killed: Instant,
) -> u64 {
    assert_eq!(reported.suspended, 1, "{what}: suspensions in the log");
    assert!(reported.drops <= 1, "{what}: {} entries about the dropped backlog", reported.drops);
    let suspended_at = reported.suspended_at.unwrap();
    let prefixes = [format!("{round}-a-"), format!("{round}-b-")];
    let of_round: BTreeMap<_, _> =
        posted.iter().filter(|(id, _)| prefixes.iter().any(|prefix| id.starts_with(prefix))).collect();
    let surely: BTreeSet<_> =
        of_round.iter().filter(|(_, at)| at.is_some_and(|at| at < suspended_at)).map(|(id, _)| (*id).clone()).collect();
    let ids = |accepts: &dyn Fn(&Delivery) -> bool| -> BTreeSet<String> {
        arrived.iter().filter(|delivery| accepts(delivery)).map(Delivery::id).collect()
    };
    let all = ids(&|_| true);
    let delivered = ids(&|delivery| delivery.status.is_success());
    let undelivered = surely.difference(&delivered).count() as u64;
    let never_tried = surely.difference(&all).count() as u64;
    let refused = arrived.iter().filter(|delivery| !delivery.status.is_success()).count() as u64;
    let unsaved = ids(&|delivery| delivery.at <= killed && delivery.at + SAVED_WITHIN >= killed).len() as u64;
    let at_most = of_round.keys().filter(|id| !all.contains(**id)).count() as u64 + unsaved;
    let numbers = format!(
        "{reported:?}; surely before: {}, of them undelivered {undelivered}, never tried {never_tried}; refused \
         {refused}, unsaved {unsaved}",
        surely.len()
    );
    assert!(reported.drops == 1 || never_tried == 0, "{what}: no entry about the dropped backlog; {numbers}");
    assert!(reported.failed <= refused, "{what}: more failures than answers; {numbers}");
    assert!(reported.dropped >= never_tried, "{what}: dropped without being counted; {numbers}");
    let overtaken = undelivered.saturating_sub(reported.dropped + reported.failed);
    assert!(overtaken <= IN_FLIGHT as u64, "{what}: events unaccounted for; {numbers}");
    assert!(reported.dropped <= at_most, "{what}: counted as dropped, {at_most} at most could be; {numbers}");
    overtaken
}
