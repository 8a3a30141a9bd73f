//! The life of partitions, against a real server.

use domain::{PimId, Position};
use parts::postgres::Postgres;
use store::conformance::sample::{ALL, PIM, append, at, events, read, serve};
use store::vault::MasterKey;
use store::{EventLog, Floors, KeepBounds, Shard, Shards, Vault};

use super::*;
use crate::{PostgresStore, Settings, Target};

/// In another shard.
const FAR: PimId = PimId(2);

async fn open(server: &Postgres, name: &str) -> PostgresStore {
    let target = Target::parse(&server.create(name).unwrap(), None, &[], true).unwrap();
    let vault = Vault::new(MasterKey::generate().unwrap(), []).unwrap();
    let keep = KeepBounds { hours: 2, bytes: 1 << 30 };
    PostgresStore::open_to_serve(Settings { keep, ..Settings::new(target, vault) }).await.unwrap()
}

/// An hour passes, and the owner of the first shard looks after the partitions.
async fn hour(store: &PostgresStore) {
    serve(store, 1).await;
    let tenure = store.take(Shard::FIRST).await.unwrap();
    tend_all(&store.at, &tenure, "0 seconds").await.unwrap();
}

async fn trim(store: &PostgresStore, pim: PimId, floors: &Floors) {
    let tenure = store.take(store.shard_of(pim)).await.unwrap();
    while store.trim(&tenure, floors).await.unwrap() > 0 {}
}

fn tables(server: &Postgres, name: &str) -> String {
    let sql = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class \
               WHERE relname ~ '^(frames|ids)_[0-9]+$' AND relkind = 'r'";
    server.query(name, sql).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_begin_each_hour_and_are_dropped_once_nobody_needs_them() {
    let server = Postgres::start(&["fsync = off"]).unwrap();
    let name = "life";
    let store = open(&server, name).await;
    append(&store, PIM, "a b", at(0)).await;
    hour(&store).await;
    assert_eq!(tables(&server, name), "frames_0 frames_1 frames_2 ids_1 ids_2");
    append(&store, PIM, "c", at(0)).await;
    assert_eq!(server.query(name, "SELECT string_agg(part::text, ' ' ORDER BY pos) FROM frames").unwrap(), "1 2");
    // Known in any partition of the window.
    assert_eq!(store.append(PIM, events("a c"), at(0)).await.unwrap().duplicates, 2);
    assert_eq!(read(&store, Some(PIM), 1, ALL).await.0, "a b c");

    // Kept for two hours; then the partition goes, with everything in it, and the next ones stay.
    let all = Floors { pims: Vec::new(), rest: Position(u64::MAX) };
    trim(&store, PIM, &all).await;
    hour(&store).await;
    assert!(tables(&server, name).contains("frames_1"), "it is kept");
    hour(&store).await;
    trim(&store, PIM, &all).await;
    hour(&store).await;
    assert!(!tables(&server, name).contains("frames_1"), "{}", tables(&server, name));
    assert!(tables(&server, name).contains("ids_1"), "within the window");
    for _ in 0..25 {
        hour(&store).await;
    }
    assert!(!tables(&server, name).contains("ids_1 "), "{}", tables(&server, name));
    assert_eq!(store.append(PIM, events("a"), at(0)).await.unwrap().duplicates, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_lane_needs_of_an_old_partition_outlives_it() {
    let server = Postgres::start(&["fsync = off"]).unwrap();
    let name = "late";
    let store = open(&server, name).await;
    append(&store, FAR, "held", at(0)).await;
    for number in 0..20 {
        append(&store, PIM, &format!("e{number}"), at(0)).await;
    }
    let all = Floors { pims: Vec::new(), rest: Position(u64::MAX) };
    for _ in 0..6 {
        hour(&store).await;
        trim(&store, PIM, &all).await;
    }
    hour(&store).await;
    assert!(!tables(&server, name).contains("frames_1 "), "{}", tables(&server, name));
    assert_eq!(server.query(name, "SELECT count(*) FROM frames_0").unwrap(), "1");
    let held = store.read(store::Scope::Pim(FAR), Position(1), ALL).await.unwrap();
    assert_eq!(held.events.len(), 1);
    // Released, it is deleted by row.
    trim(&store, FAR, &all).await;
    assert_eq!(server.query(name, "SELECT count(*) FROM frames_0").unwrap(), "0");
    assert_eq!(store.read(store::Scope::Pim(FAR), Position(1), ALL).await.unwrap().events.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_change_of_partitions_is_completed() {
    let server = Postgres::start(&["fsync = off"]).unwrap();
    let name = "interrupted";
    let store = open(&server, name).await;
    append(&store, PIM, "a", at(0)).await;
    // The next partition was created by somebody who died before it was used.
    begin(&store.at.changes).await.unwrap();
    serve(&store, 1).await;
    let tenure = store.take(Shard::FIRST).await.unwrap();
    tend_all(&store.at, &tenure, "0 seconds").await.unwrap();
    append(&store, PIM, "b", at(0)).await;
    assert_eq!(server.query(name, "SELECT string_agg(part::text, ' ' ORDER BY pos) FROM frames").unwrap(), "1 2");
    // Only the owner moves the pointer.
    store.take(Shard::FIRST).await.unwrap();
    serve(&store, 1).await;
    let fenced = tend_all(&store.at, &tenure, "0 seconds").await;
    assert!(matches!(fenced, Err(TenureError::Fenced)), "{fenced:?}");
}
