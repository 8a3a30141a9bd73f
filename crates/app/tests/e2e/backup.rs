//! A backup that was taken while events came in is restored elsewhere: it has all that was acknowledged before it
//! began.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::client::Client;
use crate::receiver::Receiver;
use crate::running::{Running, postrider};
use crate::sample::{event, types};

/// Events per request.
const BATCH: usize = 10;
/// So many are acknowledged before the backup begins.
const BEFORE: usize = 2000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_has_all_that_was_acknowledged_before_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Duration::ZERO).await;
    let platform = Running::start(folder.path(), &[]);
    let mut client = Client::connect(&platform.address).await.unwrap();
    let subscriptions = client.subscriber().await;
    client.subscribe(&subscriptions, &receiver.url("/live"), &types(&["product.updated"]), json!({})).await;
    // What is held is delivered by the restored platform alone.
    let hold = json!({"options": {"hold": true}});
    let held = client.subscribe(&subscriptions, &receiver.url("/held"), &types(&["product.updated"]), hold).await;
    client.order(&format!("{subscriptions}/{held}/suspend")).await.unwrap();

    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    let producers: Vec<_> = (0..4)
        .map(|producer| tokio::spawn(produce(platform.address.clone(), producer, Arc::clone(&acknowledged))))
        .collect();
    receiver.wait_until(Duration::from_secs(60), "load", || acknowledged.lock().unwrap().len() >= BEFORE).await;
    let before = acknowledged.lock().unwrap().clone();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    let (data, to) = (data.to_str().unwrap().to_owned(), backup.to_str().unwrap().to_owned());
    let run =
        tokio::task::spawn_blocking(move || postrider(&["backup", "--with-key", &to, "--data-dir", &data]).output());
    let output = run.await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let after = acknowledged.lock().unwrap().len();
    assert!(after > before.len(), "no event came in while the backup was taken");
    platform.kill();
    for producer in producers {
        producer.await.unwrap();
    }

    let elsewhere = tempfile::tempdir().unwrap();
    restore(&backup, &elsewhere.path().join("data"));
    let platform = Running::start(elsewhere.path(), &[]);
    let mut client = Client::connect(&platform.address).await.unwrap();
    client.order(&format!("{subscriptions}/{held}/resume")).await.unwrap();
    let arrived = || receiver.at("/held").iter().map(|delivery| delivery.id()).collect::<HashSet<_>>();
    let enough = || receiver.count("/held") >= before.len() && arrived().is_superset(&before);
    receiver.wait_until(Duration::from_secs(60), "all that was acknowledged before", enough).await;
    // The dedup window is part of the copy.
    let known = before.iter().next().unwrap();
    let again = client.call(
        http::Method::POST,
        "/api/v1/events",
        "application/cloudevents+json",
        event(known, "product.updated"),
    );
    let (_, answer) = again.await.unwrap();
    assert_eq!(answer, r#"{"accepted":1,"duplicates":1}"#);
    println!("{} events were acknowledged before the backup, {after} until its end", before.len());
}

/// What docs/operators/backup.md says.
fn restore(backup: &Path, data: &Path) {
    std::fs::create_dir(data).unwrap();
    for name in ["postrider.db", "encryption.keys"] {
        let file = backup.join(name);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        std::fs::copy(file, data.join(name)).unwrap();
    }
    let mode = std::fs::metadata(backup).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode, std::fs::read_dir(backup).unwrap().count()), (0o700, 2));
}

/// Posts batches until the platform is gone.
async fn produce(address: String, producer: usize, acknowledged: Arc<Mutex<HashSet<String>>>) {
    let Ok(mut client) = Client::connect(&address).await else { return };
    for request in 0.. {
        let ids: Vec<_> = (0..BATCH).map(|number| format!("{producer}-{request}-{number}")).collect();
        let events: Vec<_> = ids.iter().map(|id| event(id, "product.updated")).collect();
        if client.publish(&events).await.is_err() {
            return;
        }
        acknowledged.lock().unwrap().extend(ids);
        // Producers that leave the disk no moment would make the restored backlog needlessly long.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
