//! Every fate of an event, reached on purpose.

use std::time::{Duration, Instant};

use domain::fate::Fate;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::Client;
use crate::receiver::Receiver;
use crate::running::Running;
use crate::sample::{event, types};

const UPDATED: &str = "product.updated";

/// Longer than the duration of an attempt.
const AT_MOST: Duration = Duration::from_secs(20);

/// Answers by path; `/slow` answers late.
fn status(path: &str) -> StatusCode {
    match path {
        "/throttles" => StatusCode::TOO_MANY_REQUESTS,
        "/fails" => StatusCode::SERVICE_UNAVAILABLE,
        "/refuses" => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

/// A row of the table: how the fate is reached, and its message.
struct Row {
    how: &'static str,
    subscription: String,
    event: &'static str,
    fate: Fate,
    /// Part of the message.
    said: &'static str,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fate_is_reached_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Running::start(folder.path(), &[]);
    let receiver = Receiver::answering(Duration::ZERO, |path, _| status(path)).await;
    // Slower than the test, faster than the limit of an attempt.
    let slow = Receiver::start(Duration::from_secs(4)).await;
    let mut client = Client::connect(&platform.address).await.unwrap();
    let path = client.subscriber().await;
    let updated = types(&[UPDATED]);
    let hold = json!({"options": {"hold": true}});

    let delivers = client.subscribe(&path, &receiver.url("/delivers"), &updated, json!({})).await;
    let other = client.subscribe(&path, &receiver.url("/other"), &types(&["product.deleted"]), json!({})).await;
    let filtered = json!({"filter": "user_type=\"api\" and not user=\"erp\""});
    let filters = client.subscribe(&path, &receiver.url("/filters"), &updated, filtered).await;
    let suspended = client.subscribe(&path, &receiver.url("/suspended"), &updated, json!({})).await;
    let holds = client.subscribe(&path, &receiver.url("/holds"), &updated, hold).await;
    for id in [&suspended, &holds] {
        assert_eq!(client.order(&format!("{path}/{id}/suspend")).await, Ok(StatusCode::OK));
    }
    let throttles = client.subscribe(&path, &receiver.url("/throttles"), &updated, json!({})).await;
    let fails = client.subscribe(&path, &receiver.url("/fails"), &updated, json!({})).await;
    let refuses = client.subscribe(&path, &receiver.url("/refuses"), &updated, json!({})).await;
    let drops = client.subscribe(&path, &receiver.url("/fails"), &updated, json!({})).await;
    let waits = client.subscribe(&path, &slow.url("/slow"), &updated, json!({})).await;
    client.publish(&[event("1", UPDATED)]).await.unwrap();
    let late = client.subscribe(&path, &receiver.url("/late"), &updated, json!({})).await;

    let row = |how, subscription: &String, fate, said| Row {
        how,
        subscription: subscription.clone(),
        event: "1",
        fate,
        said,
    };
    until(&mut client, &path, &row("an attempt in progress", &waits, Fate::InFlight, "in progress")).await;
    until(&mut client, &path, &row("answers 503", &drops, Fate::WaitingForRetry, "1 failed attempt")).await;
    assert_eq!(client.order(&format!("{path}/{drops}/suspend")).await, Ok(StatusCode::OK));
    let rows = [
        row("an attempt in progress", &waits, Fate::InFlight, "in progress"),
        row("answers 200", &delivers, Fate::Delivered, "accepted the event"),
        row("another type", &other, Fate::NotSubscribed, "com.akeneo.pim.v1.product.updated"),
        row("the filter", &filters, Fate::FilteredOut, "user=\"erp\""),
        row("suspended without hold", &suspended, Fate::NotActive, "suspended by its owner"),
        row("created later", &late, Fate::NotActive, "before the subscription was created"),
        row("held", &holds, Fate::Waiting, "until the subscription is resumed"),
        row("answers 429", &throttles, Fate::WaitingForRetry, "429"),
        row("answers 503", &fails, Fate::WaitingForRetry, "1 failed attempt"),
        row("answers 400", &refuses, Fate::GivenUp, "status 400"),
        row("suspended while it waited", &drops, Fate::Dropped, "suspended without hold"),
    ];
    let mut table = String::from("| how | fate | message |\n| --- | --- | --- |\n");
    for row in &rows {
        let told = until(&mut client, &path, row).await;
        table.push_str(&format!("| {} | `{}` | {} |\n", row.how, row.fate.as_str(), told["message"].as_str().unwrap()));
        let due = told["next_attempt_at"].is_string();
        assert_eq!(due, row.fate == Fate::WaitingForRetry, "{told}");
    }
    println!("{table}");
    for fate in Fate::ALL {
        assert!(rows.iter().any(|row| row.fate == fate), "{fate:?} is not reached");
    }

    // The same from the store alone, and from a lane that was restored.
    platform.kill();
    let platform = Running::start(folder.path(), &[]);
    let mut client = Client::connect(&platform.address).await.unwrap();
    for row in &rows {
        // Attempts in flight are made again.
        let again = [Fate::InFlight, Fate::Delivered].contains(&row.fate);
        if !again {
            until(&mut client, &path, row).await;
        }
    }
    let row = Row { fate: Fate::Delivered, said: "", ..row("", &waits, Fate::Delivered, "") };
    until(&mut client, &path, &row).await;

    // A resume delivers what was held.
    assert_eq!(client.order(&format!("{path}/{holds}/resume")).await, Ok(StatusCode::OK));
    until(&mut client, &path, &Row { fate: Fate::Delivered, subscription: holds, said: "", ..row }).await;
    let failures = client.get(&format!("{path}/{refuses}/failures")).await;
    let item = &failures["items"][0];
    assert_eq!((&item["event_id"], &item["state"], &item["status"]), (&json!("1"), &json!("given_up"), &json!(400)));
    let failures = client.get(&format!("{path}/{fails}/failures")).await;
    assert_eq!(failures["items"][0]["state"], "waiting_for_retry");
    let dropped = client.get(&format!("{path}/{drops}/failures")).await;
    assert_eq!(dropped["items"], json!([]), "dropped events are not listed");
    let (status, _) = client.ask(Method::GET, &format!("{path}/{delivers}/events/2"), Value::Null).await;
    assert_eq!(status, 404, "never accepted");
}

/// Waits for a row's fate; returns its message.
async fn until(client: &mut Client, path: &str, row: &Row) -> Value {
    let started = Instant::now();
    loop {
        let told = client.get(&format!("{path}/{}/events/{}", row.subscription, row.event)).await;
        if told["fate"] == row.fate.as_str() {
            assert!(told["message"].as_str().unwrap().contains(row.said), "{}: {told}", row.how);
            return told;
        }
        assert!(started.elapsed() < AT_MOST, "{}: {told} instead of {:?}", row.how, row.fate);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
