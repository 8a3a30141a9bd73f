//! Kafka subscriptions end to end: created through the API, read by a stock consumer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use parts::kafka::{Broker, Listener, PASSWORD, Record, SCRAM_USER, USER};
use serde_json::{Value, json};

use crate::client::Client;
use crate::running::Running;
use crate::sample::{Sample, text};

fn broker() -> Option<&'static Broker> {
    static BROKER: OnceLock<Result<Broker, String>> = OnceLock::new();
    let broker = BROKER.get_or_init(|| Broker::start().map_err(|error| format!("{error:#}")));
    broker.as_ref().inspect_err(|why| parts::left_out("Apache Kafka", &anyhow::anyhow!("{why}"))).ok()
}

fn config(broker: &Broker, topic: &str, password: &str) -> Value {
    json!({
        "broker": broker.bootstrap(Listener::Sasl),
        "topic": topic,
        "sasl_auth": {"mechanism": "plain", "username": USER, "password": password},
        "headers": {"X-Channel": "spring"},
    })
}

/// Creates a subscription to all types of the sample; returns its path and id.
async fn subscribe(client: &mut Client, sample: &Sample, config: Value, options: Value) -> (String, String) {
    let subscriptions = client.subscriber().await;
    let body = json!({"type": "kafka", "events": sample.types(), "config": config, "options": options});
    let id = client.create(&subscriptions, &body).await;
    (format!("{subscriptions}/{id}"), id)
}

async fn patch(client: &mut Client, path: &str, body: Value) {
    let media_type = "application/merge-patch+json";
    let (status, answer) = client.call(Method::PATCH, path, media_type, body.to_string()).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer));
}

async fn until_status(client: &mut Client, path: &str, status: &str) {
    let by = Instant::now() + Duration::from_secs(30);
    while client.get(path).await["status"] != status {
        assert!(Instant::now() < by, "it does not become {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Content of a topic once it has this many different events.
fn consumed(broker: &Broker, topic: &str, different: usize) -> Vec<(Record, Value)> {
    let by = Instant::now() + Duration::from_secs(60);
    loop {
        let records = tokio::task::block_in_place(|| broker.consume(topic, different, 30)).unwrap();
        let read = |record: Record| {
            let value = serde_json::from_str(record.value.as_deref().unwrap()).unwrap();
            (record, value)
        };
        let records: Vec<_> = records.into_iter().map(read).collect();
        let ids: BTreeSet<_> = records.iter().map(|(_, event)| text(event, "id")).collect();
        if ids.len() >= different || Instant::now() > by {
            assert_eq!(ids.len(), different);
            return records;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_reach_a_topic_in_order_through_a_kill_of_the_platform() {
    let Some(broker) = tokio::task::block_in_place(broker) else { return };
    let topic = "through-a-kill";
    tokio::task::block_in_place(|| broker.create_topic(topic, 3, &[])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sample = Sample::read();
    let lines = &sample.lines[..sample.lines.len().min(2_000)];

    let platform = Running::start(folder.path(), &[]);
    let mut client = Client::connect(&platform.address).await.unwrap();
    let mut settings = config(broker, topic, PASSWORD);
    settings["broker"] = json!(broker.bootstrap(Listener::MutualTls));
    settings["sasl_auth"] =
        json!({"mechanism": "scram", "scram_variant": "sha-512", "username": SCRAM_USER, "password": PASSWORD});
    let tls = broker.tls();
    settings["tls"] = json!({
        "server_name": tls.server_name,
        "ca_pem": tls.ca_pem,
        "client_cert_pem": tls.client_cert_pem,
        "client_key_pem": tls.client_key_pem,
    });
    let (path, id) = subscribe(&mut client, &sample, settings, json!({})).await;
    let shown = client.get(&path).await["config"].to_string();
    assert!(!shown.contains(PASSWORD) && !shown.contains("PRIVATE KEY"), "{shown}");
    for batch in lines.chunks(100) {
        client.publish(batch).await.unwrap();
    }
    // Somewhere in the middle.
    platform.kill();
    let platform = Running::start(folder.path(), &[]);

    let records = consumed(broker, topic, lines.len());
    let mut client = Client::connect(&platform.address).await.unwrap();
    let status = client.get(&format!("{path}/status")).await;
    assert_eq!((&status["status"], &status["delivery"]["events_per_second"]), (&json!("active"), &Value::Null));
    assert_eq!(status["delivery"]["last_failure"], Value::Null);

    // Each entity's events are in its partition in the order in which they were posted; duplicates are in order as
    // well.
    let position: BTreeMap<&str, usize> =
        sample.events.iter().enumerate().map(|(index, event)| (text(event, "id"), index)).collect();
    let mut last_of_key: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (record, event) in &records {
        assert_eq!(text(event, "subject"), id);
        let headers = [("content-type", "application/cloudevents+json"), ("X-Channel", "spring")];
        assert_eq!(record.headers, headers.map(|(name, value)| (name.to_owned(), Some(value.to_owned()))));
        let key = record.key.as_deref().unwrap();
        assert!(key.contains(' '), "{key}");
        last_of_key.entry(key).or_default().push(position[text(event, "id")]);
    }
    for (key, seen) in last_of_key {
        let mut first_times = Vec::new();
        for position in &seen {
            if !first_times.contains(position) {
                first_times.push(*position);
            }
        }
        assert!(first_times.is_sorted(), "{key}: {seen:?}");
        assert_eq!(seen.last(), seen.iter().max(), "{key}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_suspends_and_held_events_arrive_after_the_fix() {
    let Some(broker) = tokio::task::block_in_place(broker) else { return };
    let topic = "held";
    tokio::task::block_in_place(|| broker.create_topic(topic, 1, &[])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sample = Sample::read();
    let lines = &sample.lines[..120];
    let platform = Running::start(folder.path(), &[]);
    let mut client = Client::connect(&platform.address).await.unwrap();
    let wrong = config(broker, topic, "wrong");
    let (held, held_id) = subscribe(&mut client, &sample, wrong.clone(), json!({"hold": true})).await;
    let (dropped, dropped_id) = subscribe(&mut client, &sample, wrong, json!({})).await;

    client.publish(&lines[..70]).await.unwrap();
    for (path, id) in [(&held, &held_id), (&dropped, &dropped_id)] {
        until_status(&mut client, path, "suspended").await;
        let status = client.get(&format!("{path}/status")).await;
        assert_eq!(text(&status, "reason"), "the destination rejected the credentials or denied the right to publish");
        let log = client.log_of(id).await;
        let operations: Vec<_> = log.iter().map(|entry| text(entry, "operation")).collect();
        assert!(operations.contains(&"subscription_suspended_by_the_platform"), "{operations:?}");
        let failed = log.iter().find(|entry| entry["operation"] == "failed_to_deliver_event").unwrap();
        assert_eq!(failed["error_reason"], "authentication_failed");
        assert_eq!(failed["error_code"], 500);
        let message = text(failed, "error_message");
        let expect = format!(
            "{}: the broker rejected the user name, the password or the SASL mechanism",
            broker.bootstrap(Listener::Sasl)
        );
        assert_eq!(message, expect);
    }

    // More events during the suspension, then the right password and a resume.
    client.publish(&lines[70..]).await.unwrap();
    for path in [&held, &dropped] {
        patch(&mut client, path, json!({"config": {"sasl_auth": {"password": PASSWORD}}})).await;
    }
    assert_eq!(client.order(&format!("{held}/resume")).await, Ok(StatusCode::OK));
    let records = consumed(broker, topic, lines.len());
    assert_eq!(records.len(), lines.len(), "none of them was sent twice");
    for ((_, event), line) in records.iter().zip(lines) {
        let posted: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["id"], posted["id"], "in the order in which they were posted");
        assert_eq!(event["subject"], held_id);
    }
}
