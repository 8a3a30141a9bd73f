//! Properties of a file: it is reopened, opened by two processes, opened with the wrong key, or on a full disk.

#![expect(clippy::unwrap_used, reason = "these are tests")]

#[cfg(unix)]
mod access;
mod backlog;
mod batches;

use std::path::Path;
use std::time::{Duration, Instant};

use domain::destination::DestinationType;
use domain::notification::{Notification, NotificationKind};
use domain::pim::Pim;
use domain::subscriber::Owner;
use domain::subscription::SubscriptionStatus;
use domain::{ClientId, Event, PimId, Position, Secret, ServiceHour, Timestamp, testing};
use store::conformance::sample;
use store::vault::MasterKey;
use store::{
    AppendError, Backend, ChangeError, Entries, EventLog, Floors, KeepBounds, Ledger, Outbox, Pims, Put, ReadLimit,
    Save, Scope, Shard, Shards, SnapshotKey, SnapshotKind, SnapshotSave, Snapshots, StatusFilter, StoreError,
    SubscriptionQuery, Subscriptions, Vault, Whose, edit_pim,
};
use store_sqlite::{OpenError, Settings, SqliteStore};

const ALL: ReadLimit = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };

fn key() -> MasterKey {
    MasterKey::new("test", &[7; 32]).unwrap()
}

fn settings() -> Settings {
    Settings { min_free_disk_bytes: 0, ..Settings::new(Vault::new(key(), []).unwrap()) }
}

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open_exclusive(folder, settings()).unwrap()
}

fn now() -> Timestamp {
    sample::at(0)
}

fn event(id: u64, bytes: usize) -> Event {
    let data = format!("{{\"text\":\"{}\"}}", "x".repeat(bytes));
    testing::event(&id.to_string(), "com.example.happened", &data)
}

fn pim(name: &str) -> Pim {
    Pim { events_api_secret: Some(Secret::new("a secret nobody may find")), ..testing::pim(name) }
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let registered = store.add_pim(pim("a")).await.unwrap();
    let (subscriber, subscription) = sample::make(&store).await;
    store.append(PimId(1), (1..=700).map(|id| event(id, 100)).collect(), now()).await.unwrap();
    store.save(&sample::own(&store).await, Save { mark: Position(9), ..Save::default() }).await.unwrap();
    let (events, ledger) = (
        store.read(Scope::Shard(Shard::FIRST), Position(1), ALL).await.unwrap().events,
        store.load(&sample::own(&store).await).await.unwrap(),
    );
    let (version, _) = store.changed_since(Shard::FIRST, None).await.unwrap();
    drop(store);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the write-ahead log is folded into the database: {left:?}");
    let store = open(folder.path());
    assert_eq!(store.tail(Shard::FIRST).head(), Position(701));
    assert_eq!(*store.committed(Shard::FIRST).borrow(), version);
    assert_eq!(store.read(Scope::Shard(Shard::FIRST), Position(1), ALL).await.unwrap().events, events);
    assert_eq!(store.load(&sample::own(&store).await).await.unwrap(), ledger);
    assert_eq!(store.all_pims().await.unwrap(), [registered]);
    assert_eq!(store.subscriber(subscriber.id).await.unwrap(), Some(subscriber));
    assert_eq!(store.subscription(subscription.id).await.unwrap(), Some(subscription));
    let again = store.append(PimId(1), (1..=701).map(|id| event(id, 100)).collect(), now()).await.unwrap();
    assert_eq!((again.accepted, again.duplicates), (701, 700));
}

#[tokio::test]
async fn one_process_serves_and_others_may_change_the_catalogue() {
    let folder = tempfile::tempdir().unwrap();
    let serving = open(folder.path());
    let refused = SqliteStore::open_exclusive(folder.path(), settings()).unwrap_err();
    assert!(matches!(refused, OpenError::Locked(_)) && refused.to_string().contains("stop it first"), "{refused}");
    serving.append(PimId(1), vec![event(1, 10)], now()).await.unwrap();
    let command = SqliteStore::open(folder.path(), settings()).unwrap();
    let added = command.add_pim(pim("a")).await.unwrap();
    assert_eq!(serving.all_pims().await.unwrap(), [added]);
    let (_, subscription) = sample::make(&serving).await;
    serving.append(PimId(1), vec![event(2, 10)], now()).await.unwrap();
    // The command uses the head of the log at that moment, not at its start.
    command.remove_pim(PimId(1), now()).await.unwrap();
    let revoked = serving.subscription(subscription.id).await.unwrap().unwrap();
    assert_eq!((revoked.status, revoked.status_since), (SubscriptionStatus::Revoked, Position(3)));
    // The serving process announces it before the next events.
    let before = *serving.committed(Shard::FIRST).borrow();
    serving.append(PimId(1), vec![event(3, 10)], now()).await.unwrap();
    let after = *serving.committed(Shard::FIRST).borrow();
    assert!(after > before, "{after} > {before}");
    let refused = command.append(PimId(1), vec![event(4, 10)], now()).await.unwrap_err();
    assert!(matches!(refused, AppendError::Store(StoreError::Unavailable(_))), "{refused}");
    let tenure = sample::own(&serving).await;
    assert!(command.trim(&tenure, &Floors { pims: Vec::new(), rest: Position(1) }).await.is_err());
    assert!(command.save(&tenure, Save::default()).await.is_err());
    assert!(command.take(Shard::FIRST).await.is_err(), "who serves cannot be taken over");
    assert_eq!(sample::own(&serving).await, tenure, "and its epoch never changes");
    drop(serving);
    open(folder.path());
}

/// A data folder of an earlier version is migrated with all its data; rows without an hour of service count from then
/// on.
#[tokio::test]
async fn an_older_database_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let old = rusqlite::Connection::open(folder.path().join("postrider.db")).unwrap();
    old.execute_batch(include_str!("../schema_3.sql")).unwrap();
    drop(old);
    let store = open(folder.path());
    let pim = store.all_pims().await.unwrap().remove(0);
    assert_eq!((pim.name.as_str(), pim.revision, pim.static_tokens.len()), ("main", 0, 1));
    let owner = Owner { pim: pim.id, client_id: ClientId("client".to_owned()) };
    let subscriber = store.subscribers(&owner).await.unwrap().remove(0);
    let subscription = store.subscriptions(subscriber.id).await.unwrap().remove(0);
    assert!(subscription.options.hold && !subscription.status.is_active());
    let of_type = |destination_type| SubscriptionQuery {
        of: Whose::default(),
        status: StatusFilter::NotDeleted,
        destination_type: Some(destination_type),
        text: None,
        after: None,
        limit: 10,
    };
    let filtered = store.subscription_page(&of_type(DestinationType::Https)).await.unwrap().items;
    assert_eq!(filtered, std::slice::from_ref(&subscription));
    assert_eq!(store.subscription_page(&of_type(DestinationType::Kafka)).await.unwrap().items, []);
    let events = store.read(Scope::Shard(Shard::FIRST), Position(1), ALL).await.unwrap().events;
    assert_eq!(events.iter().map(|event| event.event.id()).collect::<Vec<_>>(), ["event-1", "event-2", "event-3"]);
    let reported = store.entries(&owner, &sample::query()).await.unwrap().entries;
    assert_eq!(reported.len(), 4);
    assert_eq!(store.notifications(Shard::FIRST, None, 10).await.unwrap().len(), 1);
    assert!(store.backlog().of(pim.id) > 0);
    // Regardless of the clock, a day of service is a day, and a month a month.
    let again = || vec![events[0].event.clone()];
    for hours in [0, 24] {
        sample::serve(&store, hours).await;
        assert_eq!(store.append(pim.id, again(), now()).await.unwrap().duplicates, 1, "after {hours} hours");
    }
    sample::serve(&store, 1).await;
    assert_eq!(store.append(pim.id, again(), now()).await.unwrap().duplicates, 0);
    let month = Duration::from_secs(30 * 24 * 3600);
    sample::serve(&store, 30 * 24 - 25).await;
    assert_eq!(store.first_since(Shard::FIRST, store.hour().ago(month)).await.unwrap(), Position(1));
    assert_eq!(store.prune_entries(&sample::own(&store).await, store.hour().ago(month)).await.unwrap(), 0);
    sample::serve(&store, 1).await;
    assert_eq!(store.first_since(Shard::FIRST, store.hour().ago(month)).await.unwrap(), Position(4));
    assert_eq!(store.prune_entries(&sample::own(&store).await, store.hour().ago(month)).await.unwrap(), 4);
    // Values bound to their row alone are bound to their owner, too.
    assert_eq!((store.reseal().await.unwrap(), store.reseal().await.unwrap()), (4, 0));
    assert_eq!(store.subscriber(subscriber.id).await.unwrap(), Some(subscriber));
    // Earlier notifications know their owner.
    let mut ended = sample::change(vec![]);
    ended.notifications = (0..store::catalog::MOST_NOTIFICATIONS)
        .map(|_| Notification::about(&subscription, NotificationKind::Resumed, None, &pim.url, now()))
        .collect();
    store.change(ended).await.unwrap();
    let kept = store.notification_numbers(Shard::FIRST).await.unwrap().len();
    assert_eq!(kept, store::catalog::MOST_NOTIFICATIONS, "the old one has its owner, and gave way");
}

/// Each commit revokes some subscribers with all of their subscriptions, so that no other write waits for long.
#[tokio::test]
async fn a_pim_is_removed_in_several_commits() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.add_pim(pim("a")).await.unwrap();
    for _ in 0..25 {
        let subscriber = sample::subscriber();
        let mut new = sample::change((0..20).map(|_| Put::New(sample::subscription(&subscriber))).collect());
        (new.subscriber, new.subscriber_limit) = (Some(Put::New(subscriber)), usize::MAX);
        store.change(new).await.unwrap();
    }
    let before = *store.committed(Shard::FIRST).borrow();
    store.remove_pim(PimId(1), now()).await.unwrap();
    let mut sizes = Vec::new();
    let mut since = before;
    while sizes.iter().sum::<usize>() < 25 * 20 {
        let page = store.changed_page(Shard::FIRST, Some(since), 1).await.unwrap();
        since = page.version;
        sizes.push(page.subscriptions.len());
    }
    assert_eq!(sizes, [200, 200, 100]);
}

/// Hours that passed before a start count, including a partial hour.
#[tokio::test]
async fn hours_of_service_go_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for minutes in [50, 50, 50] {
        let store = open(folder.path());
        let tenure = sample::own(&store).await;
        store.served(&tenure, Duration::from_secs(60 * minutes)).await.unwrap();
    }
    let store = open(folder.path());
    assert_eq!(store.hour(), ServiceHour(2));
    let beside = SqliteStore::open(folder.path(), settings()).unwrap();
    let tenure = sample::own(&store).await;
    assert!(beside.served(&tenure, Duration::from_secs(3600)).await.is_err(), "only the process that serves counts");
    assert_eq!(beside.hour(), ServiceHour(2));
}

/// Another process's change is visible to whoever looks for it, and soon to everyone.
#[tokio::test]
async fn a_pim_that_another_process_adds_is_known_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let serving = open(folder.path());
    let command = SqliteStore::open(folder.path(), settings()).unwrap();
    let mut seen = serving.pims_version().unwrap();
    for name in ["a", "b", "c"] {
        command.add_pim(pim(name)).await.unwrap();
        serving.look_for_changed_pims().await.unwrap();
        let now = serving.pims_version().unwrap();
        assert!(now > seen);
        seen = now;
    }
    command.add_pim(pim("d")).await.unwrap();
    let start = Instant::now();
    while serving.pims_version().unwrap() == seen {
        assert!(start.elapsed() < Duration::from_secs(10), "nobody looked for it, and it was never seen");
    }
    // The own changes are known from their answer on, even right after a look.
    for name in ["e", "f", "g"] {
        let before = serving.pims_version().unwrap();
        serving.add_pim(pim(name)).await.unwrap();
        assert!(serving.pims_version().unwrap() > before);
    }
    let conflict = edit_pim(&command, PimId(1), |pim| -> Result<(), ChangeError> {
        pim.static_tokens.clear();
        Ok(())
    });
    assert_eq!(conflict.await.unwrap().revision, 1);
    assert!(matches!(serving.update_pim(pim("a")).await, Err(ChangeError::Missing(_))));
}

/// A row given to another client doesn't open.
#[tokio::test]
async fn a_sealed_value_is_bound_to_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (subscriber, subscription) = sample::make(&store).await;
    let other = rusqlite::Connection::open(folder.path().join("postrider.db")).unwrap();
    let moved = "UPDATE subscriptions SET body = json_replace(body, '$.client_id', 'another')";
    assert_eq!(other.execute(moved, []).unwrap(), 1);
    let error = store.subscription(subscription.id).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt(message) if message.contains("cannot be opened")), "{error}");
    let moved = "UPDATE subscribers SET body = json_replace(body, '$.owner.pim', 2)";
    assert_eq!(other.execute(moved, []).unwrap(), 1);
    assert!(store.subscriber(subscriber.id).await.is_err());
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let database = folder.path().join("postrider.db");
    rusqlite::Connection::open(&database).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = SqliteStore::open_exclusive(folder.path(), settings()).unwrap_err();
    assert!(error.to_string().contains("newer version (schema 99"), "{error}");
}

#[tokio::test]
async fn another_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("postrider.db");
    rusqlite::Connection::open(&database).unwrap().execute_batch("CREATE TABLE thing (x)").unwrap();
    let error = SqliteStore::open_exclusive(folder.path(), settings()).unwrap_err();
    assert!(error.to_string().contains("belongs to another program (it has \"thing\")"), "{error}");
    std::fs::write(&database, "this is no database at all, only a text that is long enough").unwrap();
    let error = SqliteStore::open_exclusive(folder.path(), settings()).unwrap_err();
    assert!(error.to_string().contains("not a database"), "{error}");
}

#[tokio::test]
async fn secrets_are_sealed_and_a_missing_key_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.add_pim(pim("a")).await.unwrap();
    drop(store);
    let stored = std::fs::read(folder.path().join("postrider.db")).unwrap();
    assert!(!stored.windows(24).any(|window| window == b"a secret nobody may find"));
    let other = MasterKey::new("other", &[8; 32]).unwrap();
    let vault = Vault::new(other.clone(), []).unwrap();
    let error = SqliteStore::open_exclusive(folder.path(), Settings::new(vault)).unwrap_err();
    assert!(error.to_string().starts_with("pim 1 is sealed with the master key \"test\""), "{error}");
    // With both keys, everything can be resealed; afterwards the older key is obsolete.
    let both = Vault::new(other.clone(), [key()]).unwrap();
    let store = SqliteStore::open_exclusive(folder.path(), Settings::new(both)).unwrap();
    let (subscriber, subscription) = sample::make(&store).await;
    assert_eq!((store.reseal().await.unwrap(), store.reseal().await.unwrap()), (1, 0));
    drop(store);
    let newer = Settings { min_free_disk_bytes: 0, ..Settings::new(Vault::new(other, []).unwrap()) };
    let store = SqliteStore::open_exclusive(folder.path(), newer).unwrap();
    assert_eq!(
        store.all_pims().await.unwrap()[0].events_api_secret.as_ref().unwrap().expose(),
        "a secret nobody may find"
    );
    assert_eq!(store.subscriber(subscriber.id).await.unwrap(), Some(subscriber));
    assert_eq!(store.subscription(subscription.id).await.unwrap(), Some(subscription));
}

#[tokio::test]
async fn a_failed_write_takes_back_everything_and_the_writer_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(PimId(1), vec![event(1, 10)], now()).await.unwrap();
    let other = rusqlite::Connection::open(folder.path().join("postrider.db")).unwrap();
    // Rolls back the whole transaction, like a full disk.
    let trigger = "CREATE TRIGGER full BEFORE INSERT ON frames BEGIN SELECT RAISE(ROLLBACK, 'no room'); END";
    other.execute_batch(trigger).unwrap();
    let error = store.append(PimId(1), vec![event(2, 10), event(3, 10)], now()).await.unwrap_err();
    assert!(matches!(error, AppendError::Store(StoreError::Unavailable(_))), "{error:?}");
    assert_eq!(store.tail(Shard::FIRST).head(), Position(2));
    other.execute_batch("DROP TRIGGER full").unwrap();
    let appended = store.append(PimId(1), vec![event(3, 10), event(1, 10)], now()).await.unwrap();
    assert_eq!((appended.accepted, appended.duplicates), (2, 1));
    let events = store.read(Scope::Shard(Shard::FIRST), Position(1), ALL).await.unwrap().events;
    assert_eq!(events.iter().map(|event| event.event.id()).collect::<Vec<_>>(), ["1", "3"]);
}

#[tokio::test]
async fn a_damaged_frame_is_an_error_that_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(PimId(1), vec![event(1, 10)], now()).await.unwrap();
    let other = rusqlite::Connection::open(folder.path().join("postrider.db")).unwrap();
    other.execute("UPDATE frames SET body = x'01020304050607'", []).unwrap();
    let error = store.read(Scope::Shard(Shard::FIRST), Position(1), ALL).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt(message) if message.contains("from position 1 on")), "{error}");
}

#[tokio::test]
async fn large_requests_are_cut_into_frames_and_read_from_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let sizes = [10, 200_000, 10, 30_000, 30_000, 30_000];
    let events: Vec<_> = (0..1000u64).map(|id| event(id, sizes[id as usize % 6] / (1 + id as usize / 12))).collect();
    store.append(PimId(1), events.clone(), now()).await.unwrap();
    for from in [1, 2, 3, 100, 256, 257, 999, 1000] {
        let read = store.read(Scope::Pim(PimId(1)), Position(from), ALL).await.unwrap().events;
        assert!(read.iter().map(|event| &event.event).eq(&events[from as usize - 1..]), "from {from}");
    }
    let other = rusqlite::Connection::open(folder.path().join("postrider.db")).unwrap();
    let most: usize = other.query_row("SELECT max(count) FROM frames", [], |row| row.get(0)).unwrap();
    assert!(most <= 256);
    let long = "SELECT count(*) FROM frames WHERE count > 1 AND length(body) > 70000";
    assert_eq!(other.query_row(long, [], |row| row.get::<_, u32>(0)).unwrap(), 0);
}

#[tokio::test]
async fn the_write_ahead_log_starts_over_while_appends_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open_exclusive(folder.path(), Settings { checkpoint_pages: 200, ..settings() }).unwrap();
    for id in 0..700 {
        store.append(PimId(1), vec![event(id, 60_000)], now()).await.unwrap();
    }
    // 40 MB were written; a checkpoint is due every 1.6 MB, and takes a while.
    let length = std::fs::metadata(folder.path().join("postrider.db-wal")).unwrap().len();
    assert!(length < 20 << 20, "{length}");
}

#[tokio::test]
async fn equal_errors_are_one_entry_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let at = |seconds| sample::error("no answer", sample::at(seconds));
    let store = open(folder.path());
    store.add_entry(at(0)).await.unwrap();
    drop(store);
    let store = open(folder.path());
    store.add_entry(at(299)).await.unwrap();
    drop(store);
    let store = open(folder.path());
    store.add_entry(at(599)).await.unwrap();
    store.add_entry(at(900)).await.unwrap();
    let entries = store.entries(&sample::owner(), &sample::query()).await.unwrap().entries;
    let reported: Vec<_> = entries.iter().map(|entry| (entry.timestamp, entry.count)).collect();
    assert_eq!(reported, [(sample::at(599), 3), (sample::at(900), 1)]);
}
