//! The process is killed at random moments: each snapshot matches the last of its events in the log, and acknowledged
//! events are known when they are repeated.
//!
//! The child changes entities step by step.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod killing;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use domain::{Clock, Event, PimId, Position, testing};
use store::vault::MasterKey;
use store::{AppendNewError, EventLog, ReadLimit, Scope, SnapshotKey, SnapshotKind, SnapshotSave, Snapshots, Vault};
use store_sqlite::{Settings, SqliteStore};

const ENTITIES: u64 = 12;
const PIM: PimId = PimId(1);
const ALL: ReadLimit = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };

fn open(folder: &Path) -> SqliteStore {
    let vault = Vault::new(MasterKey::generate().unwrap(), []).unwrap();
    let settings =
        Settings { min_free_disk_bytes: 0, dedup_recent: 500, checkpoint_pages: 200, ..Settings::new(vault) };
    SqliteStore::open_exclusive(folder, settings).unwrap()
}

fn key(entity: u64) -> SnapshotKey {
    SnapshotKey { kind: SnapshotKind::Product, key: entity.to_string() }
}

/// A step of an entity: an event, its delta, and the new state, with varying size.
fn step(entity: u64, step: u64, seen: Option<u64>) -> (Vec<Event>, Vec<SnapshotSave>) {
    let event = |id: String| testing::event(&id, "com.example.happened", "{}");
    let padding = "x".repeat(usize::try_from(step % 7).unwrap() * 1500);
    let body = Some(format!("{step} {padding}").into_bytes());
    let events = vec![event(format!("{entity}.{step}")), event(format!("{entity}.{step}.delta"))];
    (events, vec![SnapshotSave { key: key(entity), seen, body }])
}

/// Revision of an entity, and the step that produced it.
async fn state(store: &SqliteStore, entity: u64) -> (Option<u64>, Option<u64>) {
    match store.snapshots(PIM, vec![key(entity)]).await.unwrap().remove(&key(entity)) {
        None => (None, None),
        Some(found) => {
            let text = String::from_utf8(found.body).unwrap();
            (Some(found.revision), Some(text.split_once(' ').unwrap().0.parse().unwrap()))
        }
    }
}

fn child(folder: &Path) {
    let store = Arc::new(open(folder));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for entity in 0..ENTITIES {
            let store = Arc::clone(&store);
            tasks.spawn(async move {
                loop {
                    let (seen, last) = state(&store, entity).await;
                    let next = last.map_or(0, |last| last + 1);
                    let (events, saves) = step(entity, next, seen);
                    store.append_new(PIM, events, saves, Clock::system().wall()).await.unwrap();
                    killing::acknowledge(&format!("{entity} {next}"));
                }
            });
        }
        tasks.join_all().await;
    });
}

#[test]
fn snapshots_and_events_survive_a_kill_together() {
    if let Some((folder, _)) = killing::child() {
        return child(&folder);
    }
    let acknowledged: RefCell<BTreeMap<u64, u64>> = RefCell::default();
    killing::kill_again_and_again(
        "snapshots_and_events_survive_a_kill_together",
        800,
        |_, what| {
            let (entity, step) = what.split_once(' ').unwrap();
            acknowledged.borrow_mut().insert(entity.parse().unwrap(), step.parse().unwrap());
        },
        |round, folder| check(folder, &acknowledged.borrow(), round),
    );
}

fn check(folder: &Path, acknowledged: &BTreeMap<u64, u64>, round: u64) {
    let store = open(folder);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let events = store.read(Scope::Pim(PIM), Position(1), ALL).await.unwrap().events;
        for entity in 0..ENTITIES {
            let prefix = format!("{entity}.");
            let ids = events.iter().map(|event| event.event.id()).filter(|id| id.starts_with(&prefix));
            let ids: Vec<&str> = ids.collect();
            let (revision, last) = state(&store, entity).await;
            let expect = last.map_or(0, |last| last + 1);
            let expect = (0..expect).flat_map(|step| [format!("{entity}.{step}"), format!("{entity}.{step}.delta")]);
            assert!(ids.iter().copied().eq(expect), "round {round}: entity {entity} is at {last:?} and has {ids:?}");
            let Some(acknowledged_step) = acknowledged.get(&entity) else { continue };
            assert!(
                last >= Some(*acknowledged_step),
                "round {round}: step {acknowledged_step} of entity {entity} was acknowledged and is lost"
            );
            // The same request again, as from a sender without the reply.
            let (events, saves) = step(entity, *acknowledged_step, revision);
            let again = store.append_new(PIM, events, saves, Clock::system().wall()).await.unwrap_err();
            assert!(matches!(&again, AppendNewError::Known(ids) if ids.len() == 2), "round {round}: {again}");
            assert_eq!(state(&store, entity).await, (revision, last), "round {round}");
        }
    });
}
