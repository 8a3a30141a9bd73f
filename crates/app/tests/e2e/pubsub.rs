//! Deliveries to Google Pub/Sub: with an emulator, with a service account's credentials, and without any credentials.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use parts::pubsub::{Emulator, PROJECT, Tls};
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client::Client;
use crate::running::Running;
use crate::sample::{Sample, event, text};

/// Time limit of short operations.
const SOON: Duration = Duration::from_secs(60);
/// Number of sample events. The emulator is slow to hand out many in order.
const EVENTS: usize = 500;

fn emulator(tls: Option<&Tls>) -> Option<Emulator> {
    let left_out = |error: &anyhow::Error| parts::left_out("Google's Pub/Sub emulator", error);
    Emulator::start_with(tls).inspect_err(left_out).ok()
}

/// Subscribes a topic to everything.
async fn subscribe(client: &mut Client, topic: &str, types: &[String], more: Value) -> (String, String) {
    let subscriptions = client.subscriber().await;
    let config = json!({"project_id": PROJECT, "topic_id": topic, "headers": {"X-Channel": "spring"}});
    let mut body = json!({"source": "pim", "type": "pubsub", "events": types, "config": config});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let id = client.create(&subscriptions, &body).await;
    (format!("{subscriptions}/{id}"), id)
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let by = Instant::now() + SOON;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < by, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_reach_a_topic_in_order_and_a_deleted_topic_suspends() {
    let Some(emulator) = emulator(None) else { return };
    let topic = emulator.create_topic("pim-events").unwrap();
    let consumer = match emulator.consume(&topic) {
        Ok(consumer) => consumer,
        Err(error) => return parts::left_out("Google's Pub/Sub client for Python", &error),
    };
    let folder = tempfile::tempdir().unwrap();
    let platform = Running::start_in(folder.path(), &[], &[("PUBSUB_EMULATOR_HOST", &emulator.host())]);
    let mut client = Client::connect(&platform.address).await.unwrap();
    let sample = Sample::read();
    let more = json!({"send_product_identifier": true, "options": {"ordering": "per_entity"}});
    let (path, id) = subscribe(&mut client, "pim-events", &sample.types(), more).await;

    // The last ones: the first all concern different products.
    let from = sample.lines.len().saturating_sub(EVENTS);
    let lines = &sample.lines[from..];
    for batch in lines.chunks(100) {
        client.publish(batch).await.unwrap();
    }
    let received = consumer.wait_for(lines.len(), SOON).unwrap();
    assert_eq!(received.len(), lines.len(), "each once: nothing went wrong");
    let posted: BTreeMap<_, _> =
        sample.events[from..].iter().enumerate().map(|(place, event)| (text(event, "id"), (place, event))).collect();
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for message in &received {
        let event: Value = serde_json::from_str(&message.data).unwrap();
        for name in ["id", "type", "source", "subject", "time", "specversion"] {
            assert_eq!(message.attributes[name], text(&event, name), "{name}");
        }
        assert_eq!(message.attributes["content-type"], "application/cloudevents+json");
        assert_eq!(message.attributes["X-Channel"], "spring");
        assert_eq!(message.attributes["subject"], id);
        let (place, posted) = posted[text(&event, "id")];
        assert_eq!(event["data"], posted["data"]);
        if !message.ordering_key.is_empty()
            && let Some(before) = last.insert(&message.ordering_key, place)
        {
            assert!(before < place, "{}: event {place} came after event {before}", message.ordering_key);
        }
    }
    assert!(last.len() < received.len() * 9 / 10, "{} events of {} entities", received.len(), last.len());
    let said = log(folder.path());
    assert!(said.contains(&format!("Pub/Sub destinations use the emulator at {}", emulator.host())), "{said}");

    emulator.delete_topic(&topic).unwrap();
    client.publish(&[event("late", "product.created")]).await.unwrap();
    let subscription =
        until("suspended", async || Some(client.get(&path).await).filter(|s| s["status"] == "suspended")).await;
    assert_eq!(subscription["type"], "pubsub");
    let entries = client.log_of(&id).await;
    let of = |operation: &str| entries.iter().find(|entry| entry["operation"] == operation).expect(operation);
    let failure = of("failed_to_deliver_event");
    assert_eq!(failure["error_reason"], "topic_not_found");
    assert_eq!(failure["error_message"], format!("Pub/Sub answered NOT_FOUND: topic {topic} does not exist"));
    of("subscription_suspended_by_the_platform");
    let status = client.get(&format!("{path}/status")).await;
    assert!(status.to_string().contains("topic_not_found"), "{status}");

    // After being recreated and resumed, it continues.
    emulator.create_topic("pim-events").unwrap();
    let before = emulator.counts(&topic).unwrap().messages;
    client.order(&format!("{path}/resume")).await.unwrap();
    client.publish(&[event("later", "product.created")]).await.unwrap();
    until("delivered", async || (emulator.counts(&topic).unwrap().messages > before).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_credentials_of_a_service_account_are_used_over_tls_and_its_name_is_said_at_the_start() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = Tls { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() };
    let Some(emulator) = emulator(Some(&tls)) else { return };
    let topic = emulator.create_topic("pim-events").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (roots, key) = (folder.path().join("roots.pem"), folder.path().join("google.json"));
    std::fs::write(&roots, &tls.certificate).unwrap();
    // The platform signs tokens itself and requests none.
    let credentials = json!({
        "type": "service_account",
        "client_email": "publisher@postrider-tests.iam.gserviceaccount.com",
        "project_id": PROJECT,
        "private_key_id": "1",
        "private_key": KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap().serialize_pem(),
        "token_uri": "http://127.0.0.1:9/token",
    });
    std::fs::write(&key, credentials.to_string()).unwrap();
    let endpoint = format!("https://localhost:{}", emulator.port());
    let environment =
        [("GOOGLE_APPLICATION_CREDENTIALS", key.to_str().unwrap()), ("SSL_CERT_FILE", roots.to_str().unwrap())];
    let platform = Running::start_in(folder.path(), &["--pubsub-endpoint", &endpoint], &environment);
    until("who it is", async || {
        let expect =
            "grant the role roles/pubsub.publisher to serviceAccount:publisher@postrider-tests.iam.gserviceaccount.com";
        log(folder.path()).contains(expect).then_some(())
    })
    .await;
    let mut client = Client::connect(&platform.address).await.unwrap();
    let sample = Sample::read();
    let (path, id) = subscribe(&mut client, "pim-events", &sample.types(), json!({})).await;
    client.publish(&sample.lines[..100]).await.unwrap();
    until("delivered", async || (emulator.counts(&topic).unwrap().messages == 100).then_some(())).await;

    // An integrator who has not granted the role learns the account.
    let denied = parts::pubsub::Fault { code: "PERMISSION_DENIED", ..Default::default() };
    emulator.fault(&topic, &denied).unwrap();
    client.publish(&sample.lines[100..110]).await.unwrap();
    until("suspended", async || (client.get(&path).await["status"] == "suspended").then_some(())).await;
    let entries = client.log_of(&id).await;
    let said = entries.iter().filter_map(|entry| entry["error_message"].as_str());
    let expect = "Pub/Sub answered PERMISSION_DENIED: serviceAccount:publisher@postrider-tests.iam.gserviceaccount.com \
                  needs the role \
                  roles/pubsub.publisher on projects/postrider-tests/topics/pim-events";
    assert!(said.clone().any(|text| text == expect), "{:?}", said.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_credentials_are_reported_once_they_are_needed() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    // Nothing listens there: no metadata server outside Google Cloud.
    let unused = format!("127.0.0.1:{}", parts::port::free());
    let platform = Running::start_in(folder.path(), &[], &[("HOME", home), ("GCE_METADATA_HOST", &unused)]);
    let mut client = Client::connect(&platform.address).await.unwrap();
    let sample = Sample::read();
    let (path, id) = subscribe(&mut client, "pim-events", &sample.types(), json!({})).await;
    let said = log(folder.path());
    assert!(!said.contains("Pub/Sub") && !said.contains("Google"), "{said}");

    client.publish(&sample.lines[..10]).await.unwrap();
    until("the operator is told", async || log(folder.path()).contains("no usable Google credentials").then_some(()))
        .await;
    let entries = client.log_of(&id).await;
    let failed = entries.iter().filter(|entry| entry["operation"] == "failed_to_deliver_event");
    assert_eq!(failed.count(), 0, "nothing counts against the topic: {entries:?}");
    assert_eq!(client.get(&path).await["status"], "active", "it is not the integrator's to solve");
    let said = log(folder.path());
    let errors: Vec<_> = said.lines().filter(|line| line.contains("no usable Google credentials")).collect();
    let [error] = errors.as_slice() else { panic!("{said}") };
    assert!(error.contains("nothing is delivered to Pub/Sub until this is fixed"), "{error}");
}

/// Google's metadata server, as far as needed.
async fn metadata_server() -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = vec![0; 4_096];
                let read = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..read]).to_lowercase();
                let body = match request.split_whitespace().nth(1) {
                    _ if !request.contains("metadata-flavor: google") => return,
                    Some(path) if path.ends_with("/email") => "machine@postrider-tests.iam.gserviceaccount.com",
                    Some(path) if path.contains("/token") => {
                        r#"{"access_token":"a-token-of-the-machine","expires_in":3600,"token_type":"Bearer"}"#
                    }
                    _ => "googleapis.com",
                };
                let head =
                    "HTTP/1.1 200 OK\r\nmetadata-flavor: Google\r\ncontent-type: application/json\r\nconnection: close";
                let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_account_of_a_machine_of_googles_is_asked_for_and_used() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = Tls { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() };
    let Some(emulator) = emulator(Some(&tls)) else { return };
    let topic = emulator.create_topic("pim-events").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, &tls.certificate).unwrap();
    let metadata = metadata_server().await.to_string();
    let endpoint = format!("https://localhost:{}", emulator.port());
    let environment = [
        ("HOME", folder.path().to_str().unwrap()),
        ("GCE_METADATA_HOST", &metadata),
        ("SSL_CERT_FILE", roots.to_str().unwrap()),
    ];
    let platform = Running::start_in(folder.path(), &["--pubsub-endpoint", &endpoint], &environment);
    until("who it is", async || {
        log(folder.path()).contains("serviceAccount:machine@postrider-tests.iam.gserviceaccount.com").then_some(())
    })
    .await;
    let mut client = Client::connect(&platform.address).await.unwrap();
    let sample = Sample::read();
    subscribe(&mut client, "pim-events", &sample.types(), json!({})).await;
    client.publish(&sample.lines[..10]).await.unwrap();
    until("delivered", async || (emulator.counts(&topic).unwrap().messages == 10).then_some(())).await;
}
