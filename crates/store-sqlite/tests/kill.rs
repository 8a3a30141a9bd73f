//! The process is killed at random moments: every acknowledged event is stored exactly once, and its id is known.
//!
//! The child appends events and prints acknowledgements.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod killing;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use domain::{Clock, Event, PimId, Position, testing};
use store::vault::MasterKey;
use store::{EventLog, ReadLimit, Scope, Shard, Vault};
use store_sqlite::{Settings, SqliteStore};

const CALLERS: u64 = 16;
const ALL: ReadLimit = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };

fn open(folder: &Path) -> SqliteStore {
    let vault = Vault::new(MasterKey::generate().unwrap(), []).unwrap();
    // Small bounds, so that runs are written and checkpoints made within a round.
    let settings =
        Settings { min_free_disk_bytes: 0, dedup_recent: 500, checkpoint_pages: 200, ..Settings::new(vault) };
    SqliteStore::open_exclusive(folder, settings).unwrap()
}

fn event(id: &str) -> Event {
    let data = format!("{{\"id\":\"{id}\",\"text\":\"{}\"}}", "x".repeat(700));
    testing::event(id, "com.example.happened", &data)
}

/// Ids of a request.
fn ids(round: &str, caller: u64, request: u64) -> Vec<String> {
    (0..1 + (caller + request) % 5).map(|number| format!("{round}.{caller}.{request}.{number}")).collect()
}

fn child(folder: &Path, round: &str) {
    let store = Arc::new(open(folder));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            let (store, round) = (Arc::clone(&store), round.to_owned());
            tasks.spawn(async move {
                for request in 0.. {
                    let events = ids(&round, caller, request).iter().map(|id| event(id)).collect();
                    store.append(PimId(caller as u32 % 3), events, Clock::system().wall()).await.unwrap();
                    killing::acknowledge(&format!("{caller} {request}"));
                }
            });
        }
        tasks.join_all().await;
    });
}

#[test]
fn acknowledged_events_survive_a_kill() {
    if let Some((folder, round)) = killing::child() {
        return child(&folder, &round);
    }
    let acknowledged: RefCell<BTreeMap<String, u32>> = RefCell::default();
    killing::kill_again_and_again(
        "acknowledged_events_survive_a_kill",
        1500,
        |round, what| {
            let (caller, request) = what.split_once(' ').unwrap();
            let (caller, request): (u64, u64) = (caller.parse().unwrap(), request.parse().unwrap());
            let ids = ids(&round.to_string(), caller, request).into_iter().map(|id| (id, caller as u32 % 3));
            acknowledged.borrow_mut().extend(ids);
        },
        |round, folder| check(folder, &acknowledged.borrow(), round),
    );
}

fn check(folder: &Path, acknowledged: &BTreeMap<String, u32>, round: u64) {
    let store = open(folder);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let events = store.read(Scope::Shard(Shard::FIRST), Position(1), ALL).await.unwrap().events;
        let positions = events.iter().map(|event| event.position.0);
        assert!(positions.eq(1..=events.len() as u64), "round {round}: positions have no gaps");
        assert_eq!(store.tail(Shard::FIRST).head().0, events.len() as u64 + 1);
        let there: BTreeSet<_> = events.iter().map(|event| (event.event.id(), event.pim.0)).collect();
        assert_eq!(there.len(), events.len(), "round {round}: an event is there twice");
        for (id, pim) in acknowledged {
            assert!(there.contains(&(id.as_str(), *pim)), "round {round}: {id} was acknowledged and is lost");
        }
        // A request is stored as a whole or not at all.
        for event in &events {
            let (request, number) = event.event.id().rsplit_once('.').unwrap();
            let mut parts = request.split('.').map(|part| part.parse::<u64>().unwrap());
            let [of, caller, request_number] = std::array::from_fn(|_| parts.next().unwrap());
            if number == "0" {
                for id in ids(&of.to_string(), caller, request_number) {
                    assert!(
                        there.contains(&(id.as_str(), event.pim.0)),
                        "round {round}: {id} is missing in its request"
                    );
                }
            }
        }
        // All are still known.
        for pim in 0..3 {
            let again: Vec<_> =
                events.iter().filter(|event| event.pim.0 == pim).map(|event| event.event.clone()).collect();
            for again in again.chunks(500) {
                let appended = store.append(PimId(pim), again.to_vec(), Clock::system().wall()).await.unwrap();
                assert_eq!((appended.accepted, appended.duplicates), (again.len(), again.len()), "round {round}");
            }
        }
    });
}
