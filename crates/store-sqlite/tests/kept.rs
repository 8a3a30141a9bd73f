//! Kept events in a file: restarts, a store of an earlier version, a nearly full disk, and the keys of events.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod counted;

use std::path::Path;
use std::time::{Duration, Instant};

use domain::event::EventParts;
use domain::fate::GivenUp;
use domain::outcome::{ErrorReason, Lack};
use domain::subscription::Subscription;
use domain::{Event, PimId, Position};
use store::conformance::sample;
use store::vault::MasterKey;
use store::{
    AppendError, Backend, EventLog, Facts, Floors, KeepBounds, Kept, KeptQuery, LaneSave, Ledger, ReadLimit, Save,
    Scope, Shard, Vault,
};
use store_sqlite::{Settings, SqliteStore};

const ALL: ReadLimit = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };
const PIM: PimId = sample::PIM;
/// Longer than any answer takes.
const LONG: Duration = Duration::from_secs(60);

fn settings(keep: KeepBounds) -> Settings {
    let vault = Vault::new(MasterKey::new("test", &[7; 32]).unwrap(), []).unwrap();
    Settings { min_free_disk_bytes: 0, keep, ..Settings::new(vault) }
}

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open_exclusive(folder, settings(KeepBounds::CONTRACT)).unwrap()
}

fn event(id: u64, bytes: usize) -> Event {
    let data = format!("{{\"text\":\"{}\"}}", "x".repeat(bytes));
    Event::new(EventParts {
        id: &id.to_string(),
        event_type: "com.example.happened",
        time: "2026-11-02T08:00:00Z",
        extensions: "",
        data: &data,
        product_identifier: None,
    })
}

async fn append(store: &SqliteStore, ids: std::ops::Range<u64>, bytes: usize) {
    for id in ids {
        store.append(PIM, vec![event(id, bytes)], sample::at(0)).await.unwrap();
    }
}

async fn trim(store: &SqliteStore, floor: u64) {
    let floors = Floors { pims: Vec::new(), rest: Position(floor) };
    while store.trim(&sample::own(store).await, &floors).await.unwrap() > 0 {}
}

async fn found(store: &SqliteStore) -> Vec<u64> {
    let query = KeptQuery { limit: 1_000_000, ..KeptQuery::default() };
    let mut found = store.find(PIM, &query).await.unwrap();
    let mut ids: Vec<u64> = Vec::new();
    loop {
        ids.extend(found.events.iter().map(|event| event.event.id().parse::<u64>().unwrap()));
        if found.next.is_none() {
            return ids;
        }
        found = store.find(PIM, &KeptQuery { before: found.next, ..query.clone() }).await.unwrap();
    }
}

fn lane(of: &Subscription, facts: Facts) -> LaneSave {
    LaneSave { facts, ..sample::lane(of) }
}

fn given_up(position: u64) -> GivenUp {
    let (reason, at) = (ErrorReason::DestinationFailure, sample::at(60));
    GivenUp { position: Position(position), reason, status: None, attempts: 5, at }
}

#[tokio::test]
async fn what_is_kept_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (_, subscription) = sample::make(&store).await;
    append(&store, 1..50, 2_000).await;
    let facts = Facts { given_up: vec![given_up(3), given_up(40)], ..Facts::default() };
    let save = Save { mark: Position(45), lanes: vec![lane(&subscription, facts)], ..Save::default() };
    store.save(&sample::own(&store).await, save).await.unwrap();
    trim(&store, 30).await;
    let (backlog, bytes, all) = (store.backlog(), store.kept_bytes().await.unwrap(), found(&store).await);
    assert!(backlog.total() > 0 && bytes > backlog.total());
    drop(store);
    let store = open(folder.path());
    let again = (store.backlog(), store.kept_bytes().await.unwrap(), found(&store).await);
    assert_eq!(again, (backlog.clone(), bytes, all));
    assert_eq!(counted::check(folder.path()), bytes);
    assert_eq!(store.figures().await.unwrap().kept_bytes, bytes);
    let of = store.recorded(subscription.id, Position(40)).await.unwrap();
    assert_eq!((of.given_up, of.cursor), (Some(given_up(40)), Position(45)));
    drop(store);
    // Less is kept from now on.
    let store = SqliteStore::open_exclusive(folder.path(), settings(KeepBounds::NONE)).unwrap();
    trim(&store, 30).await;
    assert_eq!(found(&store).await, (30..50).rev().collect::<Vec<_>>());
    assert_eq!((store.backlog(), counted::check(folder.path())), (backlog, 100), "a record of the backlog is left");
}

/// Nothing is known about the subscriptions of that time, so its events have no fate.
#[tokio::test]
async fn nothing_is_kept_from_before_an_upgrade() {
    let folder = tempfile::tempdir().unwrap();
    let old = rusqlite::Connection::open(folder.path().join("postrider.db")).unwrap();
    old.execute_batch(include_str!("schema_3.sql")).unwrap();
    drop(old);
    let store = open(folder.path());
    let pim = store::Pims::all_pims(&store).await.unwrap().remove(0).id;
    assert_eq!((pim, store.kept_from(pim).await.unwrap()), (PIM, Position(4)));
    assert!(found(&store).await.is_empty());
    assert_eq!(store.read(Scope::Pim(pim), Position(1), ALL).await.unwrap().events.len(), 3, "lanes get them");
    let of = store::Subscriptions::changed_since(&store, Shard::FIRST, None).await.unwrap().1.remove(0);
    let history = store.history(of.id).await.unwrap().unwrap();
    assert_eq!((history.eras.len(), history.eras[0].from, history.from_creation), (1, Position(4), false));
    assert_eq!((history.eras[0].status, history.eras[0].holds), (of.status, true));
    append(&store, 4..6, 10).await;
    trim(&store, 5).await;
    assert_eq!(found(&store).await, [5, 4]);
    assert_eq!(
        store.read(Scope::Pim(pim), Position(1), ALL).await.unwrap().events.len(),
        2,
        "the old ones are deleted"
    );
    counted::check(folder.path());
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.history(of.id).await.unwrap(), Some(history), "once");
}

/// Appends reuse the pages of kept events; backlog is never deleted for them.
#[tokio::test]
async fn a_nearly_full_disk_takes_kept_events_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (_, subscription) = sample::make(&store).await;
    append(&store, 1..701, 10_000).await;
    let facts = Facts { given_up: vec![given_up(650)], ..Facts::default() };
    let save = Save { mark: Position(700), lanes: vec![lane(&subscription, facts)], ..Save::default() };
    store.save(&sample::own(&store).await, save).await.unwrap();
    trim(&store, 601).await;
    drop(store);
    let database = folder.path().join("postrider.db");
    let size = std::fs::metadata(&database).unwrap().len();
    let low = Settings { min_free_disk_bytes: u64::MAX / 2, ..settings(KeepBounds::CONTRACT) };
    let store = SqliteStore::open_exclusive(folder.path(), low).unwrap();
    assert_eq!(store.lacks().await, []);
    let mut last = 701;
    let refused = loop {
        match store.append(PIM, vec![event(last, 10_000)], sample::at(0)).await {
            Ok(_) => last += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&refused, AppendError::BacklogFull { message, .. } if message.contains("the disk is nearly full"))
    );
    assert!((1_000..1_400).contains(&last), "most of the room of 600 kept events is used: {last}");
    assert_eq!(store.lacks().await, [Lack::Disk]);
    assert_eq!(found(&store).await, (601..last).rev().collect::<Vec<_>>(), "no backlog is lost");
    assert_eq!(store.kept_from(PIM).await.unwrap(), Position(601));
    assert_eq!(counted::check(folder.path()), 100, "the record of an event given up");
    trim(&store, u64::MAX).await;
    assert_eq!(store.lacks().await, []);
    append(&store, last..last + 1, 10_000).await;
    drop(store);
    let now = std::fs::metadata(&database).unwrap().len();
    assert!(now <= size, "the file doesn't grow: {now} of {size}");
}

/// One call deletes a bounded number of frames, so that appends are not delayed.
#[tokio::test]
async fn kept_events_are_deleted_in_slices() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, 1..1_001, 10).await;
    trim(&store, u64::MAX).await;
    sample::serve(&store, 100).await;
    let floors = Floors { pims: Vec::new(), rest: Position(u64::MAX) };
    let tenure = sample::own(&store).await;
    let mut left = 1_000;
    while left > 0 {
        let deleted = store.trim(&tenure, &floors).await.unwrap();
        assert!((1..=128).contains(&deleted), "{deleted}");
        left -= deleted;
        counted::check(folder.path());
    }
    assert_eq!(store.trim(&tenure, &floors).await.unwrap(), 0);
}

/// A transaction that fails changes nothing.
#[tokio::test]
async fn a_failed_trim_leaves_the_counts_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, 1..10, 1_000).await;
    trim(&store, 5).await;
    sample::serve(&store, 100).await;
    let before = (store.backlog(), store.kept_bytes().await.unwrap());
    let other = rusqlite::Connection::open(folder.path().join("postrider.db")).unwrap();
    other.execute_batch("CREATE TRIGGER kept BEFORE DELETE ON frames BEGIN SELECT RAISE(ROLLBACK, ''); END").unwrap();
    let floors = Floors { pims: Vec::new(), rest: Position(8) };
    store.trim(&sample::own(&store).await, &floors).await.unwrap_err();
    assert_eq!((store.backlog(), store.kept_bytes().await.unwrap()), before);
    other.execute_batch("DROP TRIGGER kept").unwrap();
    trim(&store, 8).await;
    assert_eq!((found(&store).await, counted::check(folder.path())), (vec![9, 8], 0));
}

/// Number of events of the PIM before the end of its segments.
fn indexed(folder: &Path) -> u64 {
    let connection = rusqlite::Connection::open(folder.join("postrider.db")).unwrap();
    let sql = "SELECT coalesce(max(until), 1) - 1 FROM key_segments";
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

async fn until_indexed(folder: &Path, events: u64) {
    let started = Instant::now();
    while indexed(folder) < events {
        assert!(started.elapsed() < LONG, "{} of {events} events are indexed", indexed(folder));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Keys are written behind the head, and a start goes on where they end, from the log instead of the tail.
#[tokio::test]
async fn keys_are_written_behind_the_head() {
    let folder = tempfile::tempdir().unwrap();
    let mut next = 1;
    for (round, count) in [3_000, 2_500, 7_000].into_iter().enumerate() {
        let store = open(folder.path());
        for first in (next..next + count).step_by(100) {
            let events = (first..first + 100).map(|id| event(id, 200)).collect();
            store.append(PIM, events, sample::at(first.cast_signed())).await.unwrap();
        }
        next += count;
        // Complete segments, except for the latest commits.
        until_indexed(folder.path(), (next - 600) / 2_048 * 2_048).await;
        counted::check(folder.path());
        for id in [1, 2_047, 2_048, 2_049, next - 1] {
            let query = KeptQuery { ids: vec![id.to_string()], limit: 5, ..KeptQuery::default() };
            let page = store.find(PIM, &query).await.unwrap();
            let found: Vec<_> = page.events.iter().map(|event| event.position).collect();
            assert_eq!((found, page.next), (vec![Position(id)], None), "{id} in round {round}");
        }
    }
    // They go with their events.
    let store = open(folder.path());
    trim(&store, 5_000).await;
    counted::check(folder.path());
    sample::serve(&store, 100).await;
    trim(&store, u64::MAX).await;
    assert_eq!((counted::check(folder.path()), indexed(folder.path())), (0, 0));
}

/// A search that finds little ends after a bounded amount of work, and goes on in the next call.
#[tokio::test]
async fn a_long_search_takes_several_calls() {
    let folder = tempfile::tempdir().unwrap();
    // Without keys.
    let store = SqliteStore::open_exclusive(folder.path(), settings(KeepBounds::NONE)).unwrap();
    append(&store, 1..1_000, 60_000).await;
    let query = KeptQuery { ids: vec!["2".to_owned()], limit: 5, ..KeptQuery::default() };
    let first = store.find(PIM, &query).await.unwrap();
    assert!(first.events.is_empty(), "60 MB are not read at once");
    let (mut calls, mut before) = (1, first.next);
    let found = loop {
        let page = store.find(PIM, &KeptQuery { before, ..query.clone() }).await.unwrap();
        assert!(page.next < before, "it goes on");
        (calls, before) = (calls + 1, page.next);
        if !page.events.is_empty() {
            break page.events[0].position;
        }
    };
    assert_eq!(found, Position(2));
    assert!((3..=5).contains(&calls), "{calls}");
}
