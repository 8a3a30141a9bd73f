//! Kill -9 while events wait for their retry: across restarts, none is lost, and none is retried too early.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::json;

use crate::client::Client;
use crate::load::Load;
use crate::random::Random;
use crate::receiver::Receiver;
use crate::running::Running;
use crate::sample::{is_full, types};

/// Retry delays; the default is minutes.
const DELAYS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(3)];
const SETTINGS: [&str; 2] = ["--delivery-retry-delays", "1s,2s,3s"];

/// A failure is on stable storage within this time (it is saved immediately; the rest is for other load on the
/// machine). An attempt interrupted by an earlier crash is repeated immediately and doesn't count (contract page 7).
const SAVED_WITHIN: Duration = Duration::from_millis(500);

/// Share of failing events: one in 40, so that the success rate stays above 90 %, and the first 20 outcomes are
/// successful.
fn failures_of(id: &str) -> usize {
    let numbers: Vec<usize> = id.split('-').filter_map(|part| part.parse().ok()).collect();
    match numbers[..] {
        [_, producer, batch, 0] if batch % 4 == 3 => 1 + (producer + batch / 4) % 2,
        _ => 0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_survive_kills_and_never_come_early() {
    let rounds = if is_full() { 15 } else { 4 };
    let (seed, mut random) = Random::of_this_run();
    let folder = tempfile::tempdir().unwrap();
    let tries: Mutex<HashMap<String, usize>> = Mutex::default();
    let receiver = Receiver::answering(Duration::ZERO, move |_, id| {
        let mut tries = tries.lock().unwrap();
        let before = tries.entry(id.to_owned()).or_default();
        *before += 1;
        if *before <= failures_of(id) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    })
    .await;
    let load = Load::default();
    let (subscriptions, id) = {
        let platform = Running::start(folder.path(), &SETTINGS);
        let mut client = Client::connect(&platform.address).await.unwrap();
        let subscriptions = client.subscriber().await;
        let id = client.subscribe(&subscriptions, &receiver.url("/"), &types(&["product.updated"]), json!({})).await;
        platform.kill();
        (subscriptions, id)
    };

    let mut kills: Vec<Kill> = Vec::new();
    for round in 0..rounds {
        let platform = Running::start(folder.path(), &SETTINGS);
        up_again(&mut kills);
        let producers: Vec<_> = (0..2)
            .map(|producer| load.produce(&platform.address, format!("{round}-{producer}"), Duration::from_millis(10)))
            .collect();
        tokio::time::sleep(random.moment(300, 1_500)).await;
        let at = Instant::now();
        platform.kill();
        kills.push(Kill { at, up_again: Instant::now() });
        for producer in producers {
            producer.await.unwrap();
        }
    }

    let platform = Running::start(folder.path(), &SETTINGS);
    up_again(&mut kills);
    let posted = load.posted();
    let acknowledged: Vec<_> = posted.iter().filter(|(_, at)| at.is_some()).map(|(id, _)| id).collect();
    let difficult = acknowledged.iter().filter(|id| failures_of(id) > 0).count();
    assert!(difficult >= 2 * rounds, "the load was too small: {difficult} events to be tried again");
    let missing = || -> Vec<&String> {
        let taken = taken(&receiver);
        acknowledged.iter().copied().filter(|id| !taken.contains_key(*id)).collect()
    };
    let mut client = Client::connect(&platform.address).await.unwrap();
    let subscription = format!("{subscriptions}/{id}");
    let mut waited = 0;
    // Checked a few times per second: each check reads all arrivals.
    while let Some(first) = missing().first() {
        if waited == 240 {
            let status = client.get(&format!("{subscription}/status")).await;
            let fate = client.get(&format!("{subscription}/events/{first}")).await;
            panic!(
                "seed {seed}: {} of {} acknowledged events are missing: {status}; {first}: {fate}",
                missing().len(),
                acknowledged.len()
            );
        }
        waited += 1;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    receiver.wait_for_silence(DELAYS[2] + Duration::from_secs(1)).await;

    let status = client.get(&format!("{subscription}/status")).await;
    assert_eq!(status["status"], "active", "seed {seed}: {status}");
    assert_eq!(status["delivery"]["waiting_for_retry"], 0, "seed {seed}: {status}");
    let (retries, overtaken) = check_times(&receiver, &kills, seed);
    assert!(retries >= rounds, "the load was too small: {retries} retries");
    let crossed = retries_across(&receiver, &kills);
    assert!(crossed > 0, "seed {seed}: no retry had to survive a restart");
    let taken = taken(&receiver);
    let deliveries: usize = taken.values().sum();
    println!(
        "{rounds} kills, {} events acknowledged, {difficult} of them failed once or twice; {retries} retries, \
         {crossed} of them \
         across a restart, none early; {overtaken} attempts repeated that a kill overtook; {} duplicates",
        acknowledged.len(),
        deliveries - taken.len()
    );
}

/// A kill: its time, and the time when the next process listened.
#[derive(Debug)]
struct Kill {
    at: Instant,
    up_again: Instant,
}

fn up_again(kills: &mut [Kill]) {
    if let Some(kill) = kills.last_mut() {
        kill.up_again = Instant::now();
    }
}

/// Number of 2xx responses for each event.
fn taken(receiver: &Receiver) -> HashMap<String, usize> {
    let mut taken = HashMap::new();
    for delivery in receiver.at("/").iter().filter(|delivery| delivery.status.is_success()) {
        *taken.entry(delivery.id()).or_default() += 1;
    }
    taken
}

/// Times of each rejection, and of the following attempt.
fn failed_attempts(receiver: &Receiver) -> BTreeMap<String, Vec<(Instant, Option<Instant>)>> {
    let mut attempts: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for delivery in receiver.at("/") {
        attempts.entry(delivery.id()).or_default().push((delivery.at, delivery.status));
    }
    let pairs = |attempts: Vec<(Instant, StatusCode)>| {
        let next = attempts.iter().skip(1).map(|(at, _)| Some(*at)).chain([None]);
        let pairs = attempts.iter().zip(next).filter(|((_, status), _)| !status.is_success());
        pairs.map(|((at, _), next)| (*at, next)).collect()
    };
    attempts.into_iter().map(|(id, attempts)| (id, pairs(attempts))).collect()
}

/// Checks that no retry came before its delay after the previous attempt. Returns the number of retries, and of
/// attempts repeated immediately because a kill interrupted their response.
///
/// An attempt that the receiver read before the next process listened may belong to the killed process: it was in the
/// socket's buffer. If a kill followed a failure so closely that it may or may not have been saved, the platform may
/// know fewer failures than the receiver has answered: the delay is at least that of the failures it must know.
fn check_times(receiver: &Receiver, kills: &[Kill], seed: u64) -> (usize, usize) {
    let (mut retries, mut overtaken) = (0, 0);
    for (id, attempts) in failed_attempts(receiver) {
        let mut known = 0;
        for (at, next) in attempts {
            let next = next.unwrap_or_else(|| panic!("seed {seed}: {id} failed and was not tried again"));
            let kill = kills.iter().find(|kill| kill.up_again >= at);
            let doubtful = kill.is_some_and(|kill| kill.at <= at + SAVED_WITHIN && kill.at <= next);
            let pause = next.duration_since(at);
            if pause >= DELAYS[known] {
                retries += 1;
                known += usize::from(!doubtful);
                continue;
            }
            assert!(
                doubtful,
                "seed {seed}: {id} was tried again after {pause:?}, {:?} at least were due after failure {}; the kill \
                 came {:?} later",
                DELAYS[known],
                known + 1,
                kill.map(|kill| kill.at.saturating_duration_since(at))
            );
            overtaken += 1;
        }
    }
    (retries, overtaken)
}

/// Retries whose previous attempt was certainly saved before a kill.
fn retries_across(receiver: &Receiver, kills: &[Kill]) -> usize {
    let across = |(at, next): &(Instant, Option<Instant>)| {
        kills.iter().any(|kill| kill.at > *at + SAVED_WITHIN && next.is_some_and(|next| kill.at < next))
    };
    failed_attempts(receiver).values().flatten().filter(|pair| across(pair)).count()
}
