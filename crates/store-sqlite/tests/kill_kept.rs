//! The process is killed at random moments while events are delivered, given up, kept and deleted: what is recorded
//! about each kept event is what was saved with the cursor that passed it, and everything is counted.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod counted;
mod killing;

use std::cell::Cell;
use std::path::Path;

use domain::event::EventParts;
use domain::fate::GivenUp;
use domain::outcome::{ErrorReason, SuspensionReason};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{Event, Position};
use store::conformance::sample;
use store::vault::MasterKey;
use store::{
    EventLog, Facts, Floors, KeepBounds, Kept, KeptQuery, LaneSave, Ledger, ReadLimit, Save, Scope, Shard,
    Subscriptions, Vault,
};
use store_sqlite::{Settings, SqliteStore};

const ALL: ReadLimit = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };

fn open(folder: &Path) -> SqliteStore {
    let vault = Vault::new(MasterKey::new("test", &[7; 32]).unwrap(), []).unwrap();
    let keep = KeepBounds { hours: 24, bytes: 3 << 20 };
    let settings = Settings { min_free_disk_bytes: 0, checkpoint_pages: 200, keep, ..Settings::new(vault) };
    SqliteStore::open_exclusive(folder, settings).unwrap()
}

fn event(id: &str) -> Event {
    let data = format!("{{\"text\":\"{}\"}}", "x".repeat(700));
    Event::new(EventParts {
        id,
        event_type: "com.example.happened",
        time: "2026-11-02T08:00:00Z",
        extensions: "",
        data: &data,
        product_identifier: None,
    })
}

/// Every seventh event is given up, in the save that passes it.
fn is_given_up(position: u64) -> bool {
    position.is_multiple_of(7)
}

fn facts(from: u64, until: u64) -> Facts {
    let given_up = |position| GivenUp {
        position: Position(position),
        reason: ErrorReason::DestinationFailure,
        status: None,
        attempts: 5,
        at: sample::at(60),
    };
    Facts {
        given_up: (from..until).filter(|position| is_given_up(*position)).map(given_up).collect(),
        ..Facts::default()
    }
}

async fn subscription(store: &SqliteStore) -> Subscription {
    match store.changed_since(Shard::FIRST, None).await.unwrap().1.pop() {
        Some(stored) => stored,
        None => sample::make(store).await.1,
    }
}

/// Appends, saves, trims, and suspends or resumes, one after another.
fn child(folder: &Path, round: &str) {
    let store = open(folder);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let tenure = sample::own(&store).await;
        let mut of = subscription(&store).await;
        for step in 0u64.. {
            let ids = (0..1 + step % 40).map(|number| event(&format!("{round}.{step}.{number}"))).collect();
            store.append(sample::PIM, ids, sample::at(0)).await.unwrap();
            let lanes = store.load(&tenure).await.unwrap().lanes;
            let cursor = lanes[0].cursor.map_or(1, |cursor| cursor.0);
            let head = store.tail(Shard::FIRST).head().0;
            let lane = LaneSave {
                subscription: of.id,
                generation: of.generation,
                cursor: Some(Position(head)),
                memory: None,
                exceptions: Vec::new(),
                settled: Vec::new(),
                drop_exceptions: false,
                entries: Vec::new(),
                facts: facts(cursor, head),
            };
            store.save(&tenure, Save { mark: Position(head), lanes: vec![lane], ..Save::default() }).await.unwrap();
            killing::acknowledge(&head.to_string());
            if step % 3 == 0 {
                let floors = Floors { pims: Vec::new(), rest: Position(head.saturating_sub(300)) };
                while store.trim(&tenure, &floors).await.unwrap() > 0 {}
            }
            if step % 10 == 9 {
                let hold = SubscriptionStatus::Suspended(SuspensionReason::PimWithdrawn);
                let status = if of.status.is_active() { hold } else { SubscriptionStatus::Active };
                of = sample::put(&store, sample::changed(&of, |next| next.status = status)).await;
            }
        }
    });
}

#[test]
fn what_is_recorded_survives_a_kill() {
    if let Some((folder, round)) = killing::child() {
        return child(&folder, &round);
    }
    let saved = Cell::new(0);
    killing::kill_again_and_again(
        "what_is_recorded_survives_a_kill",
        300,
        |_, head| saved.set(head.parse().unwrap()),
        |round, folder| check(folder, saved.get(), round),
    );
}

fn check(folder: &Path, saved: u64, round: u64) {
    let store = open(folder);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let bytes = counted::check(folder);
        assert_eq!(store.kept_bytes().await.unwrap(), bytes, "round {round}");
        let of = subscription(&store).await;
        let from = store.kept_from(sample::PIM).await.unwrap();
        let events = store.read(Scope::Pim(sample::PIM), from, ALL).await.unwrap().events;
        let head = store.tail(Shard::FIRST).head().0;
        let positions = events.iter().map(|event| event.position.0);
        assert!(positions.eq(from.0..head), "round {round}: all events from {from} to {head} are there");
        let cursor = store.recorded(of.id, Position(1)).await.unwrap().cursor.0;
        assert!(cursor >= saved, "round {round}: {saved} was acknowledged, the cursor is {cursor}");
        for position in (from.0..head).rev().take(3_000) {
            let recorded = store.recorded(of.id, Position(position)).await.unwrap();
            let expect = is_given_up(position) && position < cursor;
            assert_eq!(recorded.given_up.is_some(), expect, "round {round}: {position}, the cursor is {cursor}");
        }
        // Every event is found by its id.
        for event in events.iter().step_by(97) {
            let query = KeptQuery { ids: vec![event.event.id().to_owned()], limit: 9, ..KeptQuery::default() };
            let found = store.find(sample::PIM, &query).await.unwrap().events;
            assert_eq!(found, std::slice::from_ref(event), "round {round}");
        }
    });
}
