//! A process dies between the commit of a change and the sending of its notification: the next process sends it.
//!
//! The test starts itself as a child (`NOTIFY_CHILD` names the data folder, `NOTIFY_URL` the webhook) that suspends a
//! subscription and aborts.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use domain::Clock;
use notify::{Notifier, Ways};
use store::vault::MasterKey;
use store::{Outbox, Shard, Vault};
use store_sqlite::{OpenError, Settings, SqliteStore};

use crate::receiver::Receiver;
use crate::world::{client, contact, make, settings, suspend, until};

/// Both processes must open what the other sealed.
const KEY: [u8; 32] = [7; 32];

/// Opens the store. A child that another test is just starting may hold the lock until it has become its program.
fn open(folder: &Path) -> SqliteStore {
    for _ in 0..1_000_000 {
        let vault = Vault::new(MasterKey::new("k1", &KEY).unwrap(), []).unwrap();
        let settings = Settings { min_free_disk_bytes: 0, ..Settings::new(vault) };
        match SqliteStore::open_exclusive(folder, settings) {
            Err(OpenError::Locked(_)) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
    panic!("{} stays locked", folder.display());
}

async fn child(folder: &Path, url: &str) {
    let store = open(folder);
    let (_, subscription) = make(&store, contact(false, Some(url))).await;
    suspend(&store, subscription).await;
    std::process::abort();
}

#[tokio::test]
async fn a_notification_arrives_although_the_process_was_killed_before_it_was_sent() {
    if let (Ok(folder), Ok(url)) = (std::env::var("NOTIFY_CHILD"), std::env::var("NOTIFY_URL")) {
        return child(Path::new(&folder), &url).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[]).await;
    let mut process = Command::new(std::env::current_exe().unwrap());
    process
        .args(["kill::a_notification_arrives_although_the_process_was_killed_before_it_was_sent", "--exact"])
        .env("NOTIFY_CHILD", folder.path())
        .env("NOTIFY_URL", receiver.url());
    let ended = tokio::task::spawn_blocking(move || process.output()).await.unwrap().unwrap();
    assert!(!ended.status.success(), "it was to be killed: {}", String::from_utf8_lossy(&ended.stdout));
    assert!(receiver.got().is_empty(), "nothing was sent before the kill");

    let store = Arc::new(open(folder.path()));
    let waiting = store.notifications(Shard::FIRST, None, 10).await.unwrap();
    assert_eq!(waiting.len(), 1, "it was recorded with the change");
    let ways = || Ways { webhooks: client(&["127.0.0.0/8"]), mailer: None, contacts: None };
    let notifier = Notifier::start(store.clone(), Shard::FIRST, ways(), settings(), Clock::system());
    until("it arrives", async || store.notifications(Shard::FIRST, None, 10).await.unwrap().is_empty()).await;
    notifier.stop().await;
    assert_eq!(receiver.got().len(), 1);
    assert!(receiver.got()[0].body.contains(&waiting[0].notification.subscription_id.to_string()));
    drop(store);

    // Sent and recorded: the next start has nothing to send.
    let store = Arc::new(open(folder.path()));
    let notifier = Notifier::start(store.clone(), Shard::FIRST, ways(), settings(), Clock::system());
    suspend_another(&store, &receiver).await;
    until("the other one arrives", async || receiver.got().len() > 1).await;
    notifier.stop().await;
    assert_eq!(receiver.got().len(), 2);
}

/// A marker: notifications after it are not delayed.
async fn suspend_another(store: &SqliteStore, receiver: &Receiver) {
    let (_, subscription) = make(store, contact(false, Some(&receiver.url()))).await;
    suspend(store, subscription).await;
}

#[tokio::test]
async fn addresses_of_notifications_are_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (_, subscription) = make(&store, contact(false, Some("https://hidden-place.example/hook"))).await;
    suspend(&store, subscription).await;
    drop(store);
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let found = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!found("hidden-place") && !found(crate::world::SECRET), "{}", path.display());
    }
}
