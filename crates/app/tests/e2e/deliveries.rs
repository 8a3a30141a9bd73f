//! Every event reaches exactly the matching subscriptions, signed, and byte-stable in JavaScript.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_lc_rs::digest;
use serde_json::{Value, json};

use crate::client::{Client, SECRET};
use crate::receiver::{Delivery, Receiver};
use crate::running::Running;
use crate::sample::{Sample, text};

/// Types for which `data.product.identifier` depends on the subscription (contract page 2).
const WITH_IDENTIFIER: [&str; 6] = [
    "com.akeneo.pim.v1.product.created",
    "com.akeneo.pim.v1.product.updated",
    "com.akeneo.pim.v1.product.updated.delta",
    "com.akeneo.pim.v1.product.deleted",
    "com.akeneo.pim.v1.product.became-complete",
    "com.akeneo.pim.v1.product.became-incomplete",
];

/// Number of the contract's filters under test; a subscriber has at most 20 subscriptions.
const FILTERS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_subscription_gets_exactly_its_events() {
    let folder = tempfile::tempdir().unwrap();
    let sample = Sample::read();
    let platform = Running::start(folder.path(), &[]);
    let receiver = Receiver::start(Duration::ZERO).await;
    let mut client = Client::connect(&platform.address).await.unwrap();
    let subscriptions = client.subscriber().await;
    let all_types = sample.types();

    let mut expected: Vec<(String, usize)> = Vec::new();
    for (index, (filter, matches, _)) in sample.vectors.iter().take(FILTERS).enumerate() {
        let path = format!("/filter/{index}");
        client.subscribe(&subscriptions, &receiver.url(&path), &all_types, json!({"filter": filter})).await;
        expected.push((path, *matches));
    }
    let with = json!({"send_product_identifier": true});
    let everything = client.subscribe(&subscriptions, &receiver.url("/with"), &all_types, with).await;
    client.subscribe(&subscriptions, &receiver.url("/without"), &all_types, json!({})).await;
    let few = &all_types[..2];
    client.subscribe(&subscriptions, &receiver.url("/few"), few, json!({})).await;
    let of_few = |event: &&Value| few.iter().any(|name| name == text(event, "type"));
    let few_count = sample.events.iter().filter(of_few).count();
    expected.extend([
        ("/with".into(), sample.events.len()),
        ("/without".into(), sample.events.len()),
        ("/few".into(), few_count),
    ]);

    for batch in sample.lines.chunks(100) {
        client.publish(batch).await.unwrap();
    }
    for (path, count) in &expected {
        receiver.wait_until(Duration::from_secs(120), path, || receiver.count(path) >= *count).await;
    }
    receiver.wait_for_silence(Duration::from_millis(700)).await;

    let total: usize = expected.iter().map(|(path, _)| receiver.count(path)).sum();
    for (path, count) in &expected {
        assert_eq!(receiver.count(path), *count, "{path}");
    }
    for (index, (filter, _, sha256)) in sample.vectors.iter().take(FILTERS).enumerate() {
        let arrived = ids(&receiver.at(&format!("/filter/{index}")));
        let in_order: Vec<_> =
            sample.events.iter().map(|event| text(event, "id")).filter(|id| arrived.contains(*id)).collect();
        assert_eq!(&hex(&in_order.join("\n")), sha256, "{filter}");
    }
    let posted: BTreeSet<_> = sample.events.iter().map(|event| text(event, "id").to_owned()).collect();
    assert_eq!(ids(&receiver.at("/with")), posted);
    assert_eq!(ids(&receiver.at("/without")), posted);
    check_identifiers(&sample, &receiver);
    for delivery in receiver.at("/with") {
        let event: Value = serde_json::from_slice(&delivery.body).unwrap();
        assert_eq!(text(&event, "subject"), everything);
        assert_eq!(text(&event, "source"), "akeneo-event-platform");
    }
    let deliveries: Vec<_> = expected.iter().flat_map(|(path, _)| receiver.at(path)).collect();
    judge_in_javascript(&deliveries);
    println!("{} events made {total} deliveries to {} subscriptions", sample.events.len(), expected.len());
}

fn ids(deliveries: &[Delivery]) -> BTreeSet<String> {
    let id = |delivery: &Delivery| text(&serde_json::from_slice(&delivery.body).unwrap(), "id").to_owned();
    deliveries.iter().map(id).collect()
}

fn hex(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_identifiers(sample: &Sample, receiver: &Receiver) {
    for (path, sent) in [("/with", true), ("/without", false)] {
        for delivery in receiver.at(path) {
            let event: Value = serde_json::from_slice(&delivery.body).unwrap();
            let posted = sample.events.iter().find(|posted| posted["id"] == event["id"]).unwrap();
            let mut data = posted["data"].clone();
            if !sent && WITH_IDENTIFIER.contains(&text(&event, "type")) {
                data["product"].as_object_mut().unwrap().remove("identifier");
            }
            // Numbers may be written differently; both are parsed to the same value here.
            assert_eq!(event["data"], data, "{path} {}", text(&event, "id"));
        }
    }
}

/// A JavaScript receiver parses and re-serialises, and verifies both signatures.
fn judge_in_javascript(deliveries: &[Delivery]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/check.js");
    let spawned = Command::new("node").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut node) = spawned else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "node is missing, and CI=true");
        println!("left out: node is missing, so no JavaScript judged the bodies and signatures");
        return;
    };
    let mut lines = String::new();
    for delivery in deliveries {
        let line = json!({
            "secret": SECRET,
            "body": String::from_utf8(delivery.body.to_vec()).unwrap(),
            "akeneo": delivery.header("x-akeneo-signature-primary"),
            "id": delivery.header("webhook-id"),
            "timestamp": delivery.header("webhook-timestamp"),
            "standard": delivery.header("webhook-signature"),
        });
        lines.push_str(&format!("{line}\n"));
    }
    node.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), deliveries.len().to_string());
}
