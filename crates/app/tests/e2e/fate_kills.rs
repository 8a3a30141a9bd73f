//! Fates under load with kill -9, suspensions, and changes of filter and destination. The checker knows only the
//! accepted ids and the receiver's own record: a fate that is missing or contradicts them fails.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::Client;
use crate::load::Load;
use crate::random::Random;
use crate::receiver::{Delivery, Receiver};
use crate::running::Running;
use crate::sample::{is_full, types};

/// Retries fall due within the test.
const SETTINGS: [&str; 6] =
    ["--delivery-retry-delays", "300ms,300ms,300ms", "--delivery-max-in-flight", "8", "--delivery-suspend-after", "1h"];

/// Longer than any delivery takes to arrive, retries included.
const SILENCE: Duration = Duration::from_millis(1_200);

/// Endpoints of the subscriptions; `/x…` are their second ones.
const ENDPOINTS: [&str; 4] = ["/plain", "/holds", "/filter", "/moves"];

/// One event in 50 is refused, one in 50 fails once. Decided by its id.
fn answer(id: &str) -> Answer {
    match id {
        _ if id.ends_with("7-3") => Answer::Refused,
        _ if id.ends_with("7-4") => Answer::FailsAlways,
        _ => Answer::Accepted,
    }
}

#[derive(PartialEq, Eq)]
enum Answer {
    Accepted,
    Refused,
    FailsAlways,
}

/// What the receiver knows about an event of a subscription.
#[derive(Clone, Copy, Default, Debug)]
struct Record {
    accepted: usize,
    refused: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fate_is_missing_or_contradicts_the_receiver() {
    let rounds = if is_full() { 12 } else { 3 };
    let (seed, mut random) = Random::of_this_run();
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::answering(Duration::from_millis(2), |_, id| match answer(id) {
        Answer::Accepted => StatusCode::OK,
        Answer::Refused => StatusCode::BAD_REQUEST,
        Answer::FailsAlways => StatusCode::SERVICE_UNAVAILABLE,
    })
    .await;
    let load = Load::default();
    let updated = types(&["product.updated"]);
    let (mut path, mut ids) = (String::new(), Vec::new());
    let mut platform = Running::start(folder.path(), &SETTINGS);
    let mut client = Client::connect(&platform.address).await.unwrap();
    path.push_str(&client.subscriber().await);
    for endpoint in ENDPOINTS {
        let more = json!({"options": {"hold": endpoint == "/holds"}});
        ids.push(client.subscribe(&path, &receiver.url(endpoint), &updated, more).await);
    }

    for round in 0..rounds {
        if round % 3 == 0 {
            // Whatever the random changes lead to, each status and filter occurs.
            settle(&mut client, &path, &ids, &receiver).await;
            let body = json!({"filter": "not user=\"erp\""});
            let (status, told) = client.ask(Method::PATCH, &format!("{path}/{}", ids[2]), body).await;
            assert_eq!(status, 200, "{told}");
        }
        // The fate of each event is asked for one by one at the end.
        let pause = if is_full() { random.moment(3, 20) } else { random.moment(10, 60) };
        let producers: Vec<_> =
            (0..2).map(|producer| load.produce(&platform.address, format!("{round}-{producer}"), pause)).collect();
        for _ in 0..random.below(5) + 2 {
            tokio::time::sleep(random.moment(10, 150)).await;
            change(&mut client, &path, &ids, &receiver, &mut random).await;
        }
        tokio::time::sleep(random.moment(0, 120)).await;
        platform.kill();
        for producer in producers {
            producer.await.unwrap();
        }
        platform = Running::start(folder.path(), &SETTINGS);
        client = Client::connect(&platform.address).await.unwrap();
        if round % 6 == 2 && round + 1 < rounds {
            settle(&mut client, &path, &ids, &receiver).await;
            check(&mut client, &path, &ids, &receiver, &load, &format!("seed {seed}, round {round}")).await;
        }
    }
    settle(&mut client, &path, &ids, &receiver).await;
    let sums = check(&mut client, &path, &ids, &receiver, &load, &format!("seed {seed}, at the end")).await;
    println!("{} events accepted; fates over {} subscriptions: {sums:?}", load.acknowledged(), ids.len());
    for fate in ["delivered", "filtered_out", "not_active", "given_up", "dropped"] {
        assert!(!is_full() || sums.contains_key(fate), "seed {seed}: {fate} did not occur: {sums:?}");
    }
}

/// Makes a random change; the platform may refuse it, as the state before is random, too.
async fn change(client: &mut Client, path: &str, ids: &[String], receiver: &Receiver, random: &mut Random) {
    let which = random.below(ids.len() as u64) as usize;
    let one = format!("{path}/{}", ids[which]);
    let (method, at, body) = match (ENDPOINTS[which], random.below(3)) {
        ("/filter", 0) => (Method::PATCH, one, json!({"filter": "not user=\"erp\""})),
        ("/filter", 1) => (Method::PATCH, one, json!({"filter": null})),
        ("/moves", 0) => {
            let to = if random.below(2) == 0 { "/moves" } else { "/x/moves" };
            (Method::PATCH, one, json!({"config": {"url": receiver.url(to)}}))
        }
        (_, 2) => (Method::POST, format!("{one}/suspend"), Value::Null),
        _ => (Method::POST, format!("{one}/resume"), Value::Null),
    };
    let (status, told) = client.ask(method, &at, body).await;
    assert!(status == 200 || status == 409, "{at}: {status} {told}");
}

/// Resumes everything and waits until nothing more arrives.
async fn settle(client: &mut Client, path: &str, ids: &[String], receiver: &Receiver) {
    for id in ids {
        let status = client.order(&format!("{path}/{id}/resume")).await.unwrap();
        assert!([StatusCode::OK, StatusCode::CONFLICT].contains(&status), "{status}");
    }
    for id in ids {
        for _ in 0..600 {
            let status = client.get(&format!("{path}/{id}/status")).await;
            if status["delivery"]["backlog"] == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    receiver.wait_for_silence(SILENCE).await;
}

/// The receiver's record, by subscription and event.
fn records(receiver: &Receiver) -> BTreeMap<(String, String), Record> {
    let mut records: BTreeMap<(String, String), Record> = BTreeMap::new();
    for endpoint in ENDPOINTS.into_iter().chain(["/x/moves"]) {
        for delivery in receiver.at(endpoint) {
            let record = records.entry((subject(&delivery), delivery.id())).or_default();
            let count = if delivery.status.is_success() { &mut record.accepted } else { &mut record.refused };
            *count += 1;
        }
    }
    records
}

fn subject(delivery: &Delivery) -> String {
    let event: Value = serde_json::from_slice(&delivery.body).unwrap();
    event["subject"].as_str().unwrap().to_owned()
}

/// Checks the fate of every posted event for every subscription; returns how many there are of each.
async fn check(
    client: &mut Client,
    path: &str,
    ids: &[String],
    receiver: &Receiver,
    load: &Load,
    what: &str,
) -> BTreeMap<String, usize> {
    let records = records(receiver);
    let mut sums = BTreeMap::new();
    for (event, accepted_at) in load.posted() {
        for subscription in ids {
            let record = records.get(&(subscription.clone(), event.clone())).copied().unwrap_or_default();
            let (status, told) =
                client.ask(Method::GET, &format!("{path}/{subscription}/events/{event}"), Value::Null).await;
            let place = format!("{what}: {event} for {subscription}: {told}, {record:?}");
            if status == 404 && accepted_at.is_none() {
                assert_eq!((record.accepted, record.refused), (0, 0), "{place}: unknown, and yet sent");
                continue;
            }
            assert_eq!(status, 200, "{place}: the fate is missing");
            let (fate, message) = (told["fate"].as_str().unwrap(), told["message"].as_str().unwrap());
            let uncertain = message.contains("may have been delivered");
            match fate {
                "delivered" => assert!(record.accepted > 0, "{place}: it never arrived"),
                "dropped" => assert!(record.accepted == 0 || uncertain, "{place}: it arrived"),
                "given_up" => {
                    assert!(record.accepted == 0 && record.refused > 0, "{place}: not as the receiver says");
                    assert!(answer(&event) != Answer::Accepted, "{place}: it would have been accepted");
                }
                "filtered_out" | "not_active" => {
                    assert_eq!((record.accepted, record.refused), (0, 0), "{place}: it was sent");
                }
                _ => panic!("{place}: nothing is pending"),
            }
            *sums.entry(fate.to_owned()).or_default() += 1;
            *sums.entry("dropped, uncertain".to_owned()).or_default() += usize::from(uncertain);
        }
    }
    sums
}
