//! The process is killed at random moments: each snapshot matches the last of its events in the log, and acknowledged
//! events are known when they are repeated.
//!
//! The test starts itself as a child (`KILL_CHILD` names the data folder) that changes entities step by step.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Clock, Event, PimId, Position, testing};
use store::vault::MasterKey;
use store::{AppendNewError, EventLog, ReadLimit, Scope, SnapshotKey, SnapshotKind, SnapshotSave, Snapshots, Vault};
use store_sqlite::{Settings, SqliteStore};

const ROUNDS: u64 = 8;
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
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "acknowledged {entity} {next}").unwrap();
                    out.flush().unwrap();
                }
            });
        }
        tasks.join_all().await;
    });
}

#[test]
fn snapshots_and_events_survive_a_kill_together() {
    if let Ok(folder) = std::env::var("KILL_CHILD") {
        return child(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut seed = Clock::system().wall().as_micros() as u64;
    if let Ok(given) = std::env::var("KILL_SEED") {
        seed = given.parse().unwrap();
    }
    println!("KILL_SEED={seed}");
    let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
    for round in 0..ROUNDS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["snapshots_and_events_survive_a_kill_together", "--exact", "--nocapture"])
            .env("KILL_CHILD", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Counted in acknowledgements, so that a slow machine isn't killed before its first; then a delay unrelated to
        // them.
        let answers = 20 + (seed >> 33) % 800;
        let moment = Duration::from_micros((seed >> 45) % 3000);
        let mut seen = 0;
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some((_, rest)) = line.split_once("acknowledged ") else { continue };
            let (entity, step) = rest.split_once(' ').unwrap();
            acknowledged.insert(entity.parse().unwrap(), step.parse().unwrap());
            seen += 1;
            if seen == answers {
                let killed_at = Instant::now() + moment;
                while Instant::now() < killed_at {
                    std::hint::spin_loop();
                }
                process.kill().unwrap();
            }
        }
        process.wait().unwrap();
        assert!(seen >= answers, "the child ended by itself");
        check(folder.path(), &acknowledged, round);
    }
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
