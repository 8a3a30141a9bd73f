//! Snapshots, and the events appended with them.

use domain::PimId;

use super::sample::*;
use crate::Store;
use crate::conformance::STATE_BYTES;
use crate::snapshots::{AppendNewError, Snapshot, SnapshotKey, SnapshotKind, SnapshotSave, StoredStatus, size};

fn product(key: &str) -> SnapshotKey {
    SnapshotKey { kind: SnapshotKind::Product, key: key.to_owned() }
}

fn save(key: &str, seen: Option<u64>, body: &str) -> SnapshotSave {
    SnapshotSave { key: product(key), seen, body: Some(body.as_bytes().to_vec()) }
}

async fn snapshot(store: &dyn Store, pim: PimId, key: SnapshotKey) -> Option<Snapshot> {
    store.snapshots(pim, vec![key.clone()]).await.unwrap().remove(&key)
}

async fn body(store: &dyn Store, key: &str) -> Option<String> {
    let found = snapshot(store, PIM, product(key)).await?;
    assert!(found.revision > 0);
    Some(String::from_utf8(found.body).unwrap())
}

async fn revision(store: &dyn Store, key: &str) -> Option<u64> {
    snapshot(store, PIM, product(key)).await.map(|found| found.revision)
}

/// Creates or changes a snapshot, with an event.
async fn put(store: &dyn Store, id: &str, key: &str, to: &str) {
    let seen = revision(store, key).await;
    store.append_new(PIM, events(id), vec![save(key, seen, to)], at(0)).await.unwrap();
}

/// Appended events are in log and tail; saved states can be read, large or empty.
pub async fn events_and_snapshots_come_together(store: &dyn Store) {
    own(store).await;
    assert_eq!(store.snapshots(PIM, vec![product("p")]).await.unwrap().len(), 0);
    let large = "x".repeat(300_000);
    let saves = vec![save("p", None, "one"), save("q", None, &large), save("r", None, "")];
    store.append_new(PIM, events("a b"), saves, at(0)).await.unwrap();
    assert_eq!(read(store, None, 1, ALL).await, ("a b".to_owned(), 3));
    assert_eq!(store.tail(shard(store)).head().0, 3);
    let found = store.snapshots(PIM, vec![product("p"), product("nobody"), product("q")]).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(body(store, "p").await.as_deref(), Some("one"));
    assert_eq!(body(store, "q").await, Some(large));
    assert_eq!(body(store, "r").await.as_deref(), Some(""));
    put(store, "c", "p", "two").await;
    assert_eq!(body(store, "p").await.as_deref(), Some("two"));
    assert_eq!(read(store, None, 3, ALL).await, ("c".to_owned(), 4));
}

/// A known id rejects the whole request: other events, their ids and snapshots.
pub async fn a_known_event_rejects_the_request(store: &dyn Store) {
    append(store, PIM, "a b", at(0)).await;
    let stopped = store.append_new(PIM, events("c b d a"), vec![save("p", None, "one")], at(1)).await.unwrap_err();
    assert!(matches!(stopped, AppendNewError::Known(ids) if ids == ["b", "a"]));
    assert_eq!(body(store, "p").await, None);
    store.append_new(PIM, events("c d"), vec![save("p", None, "one")], at(1)).await.unwrap();
    assert_eq!(read(store, None, 1, ALL).await, ("a b c d".to_owned(), 5));
    // The id expires with the window, as elsewhere.
    serve(store, 25).await;
    store.append_new(PIM, events("a"), Vec::new(), at(1)).await.unwrap();
    assert_eq!(read(store, None, 5, ALL).await, ("a".to_owned(), 6));
}

/// Events made from an outdated state are rejected.
pub async fn a_changed_state_rejects_the_request(store: &dyn Store) {
    put(store, "a", "p", "one").await;
    let stale = revision(store, "p").await;
    put(store, "b", "p", "two").await;
    for seen in [None, stale, Some(u64::from(u32::MAX))] {
        let saves = vec![save("q", None, "new"), save("p", seen, "three")];
        let stopped = store.append_new(PIM, events("c"), saves, at(0)).await.unwrap_err();
        assert!(matches!(stopped, AppendNewError::Changed), "{seen:?}: {stopped}");
    }
    let missing = SnapshotSave { key: product("nobody"), seen: Some(1), body: None };
    assert!(matches!(store.append_new(PIM, events("c"), vec![missing], at(0)).await, Err(AppendNewError::Changed)));
    assert_eq!(body(store, "p").await.as_deref(), Some("two"));
    assert_eq!(body(store, "q").await, None);
    put(store, "c", "p", "three").await;
    assert_eq!(read(store, None, 1, ALL).await.0, "a b c");
}

/// `body: None` deletes; deleting a missing snapshot is fine.
pub async fn a_removed_entity_leaves_nothing(store: &dyn Store) {
    put(store, "a", "p", "one").await;
    let gone = |seen| vec![SnapshotSave { key: product("p"), seen, body: None }];
    store.append_new(PIM, events("b"), gone(revision(store, "p").await), at(0)).await.unwrap();
    assert_eq!(body(store, "p").await, None);
    store.append_new(PIM, events("c"), gone(None), at(0)).await.unwrap();
    assert_eq!(read(store, None, 1, ALL).await.0, "a b c");
}

/// A removed entity that is created again is a different one.
pub async fn a_revision_never_comes_again(store: &dyn Store) {
    let mut seen = Vec::new();
    for round in 0..3 {
        for step in ["x", "y"] {
            put(store, &format!("{step}{round}"), "p", "same").await;
            seen.push(revision(store, "p").await);
        }
        let gone = SnapshotSave { key: product("p"), seen: *seen.last().unwrap(), body: None };
        store.append_new(PIM, events(&format!("gone{round}")), vec![gone], at(0)).await.unwrap();
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 6);
}

/// The same key of another PIM or kind is a different snapshot.
pub async fn pims_and_kinds_are_kept_apart(store: &dyn Store) {
    let model = SnapshotKey { kind: SnapshotKind::ProductModel, key: "p".to_owned() };
    put(store, "a", "p", "product").await;
    let saves = vec![SnapshotSave { key: model.clone(), seen: None, body: Some(b"model".to_vec()) }];
    store.append_new(PIM, events("b"), saves, at(0)).await.unwrap();
    store.append_new(OTHER, events("a"), vec![save("p", None, "other")], at(0)).await.unwrap();
    assert_eq!(body(store, "p").await.as_deref(), Some("product"));
    assert_eq!(snapshot(store, PIM, model.clone()).await.unwrap().body, b"model");
    assert_eq!(snapshot(store, OTHER, product("p")).await.unwrap().body, b"other");
    assert_eq!(snapshot(store, OTHER, model).await, None);
}

/// One dedup space: events of the bridge are duplicates elsewhere.
pub async fn the_ids_are_known_to_other_appends(store: &dyn Store) {
    store.append_new(PIM, events("a b"), Vec::new(), at(0)).await.unwrap();
    let appended = store.append(PIM, events("b c"), at(1)).await.unwrap();
    assert_eq!((appended.accepted, appended.duplicates), (2, 1));
    assert_eq!(read(store, None, 1, ALL).await.0, "a b c");
}

/// Of concurrent requests that saw the same state, exactly one is accepted, as a whole.
pub async fn of_many_at_once_one_is_first(store: &dyn Store) {
    own(store).await;
    put(store, "first", "p", "0").await;
    for round in 0..10 {
        let seen = revision(store, "p").await;
        let ids: Vec<String> = (0..8).map(|number| format!("r{round}-{number}")).collect();
        let trying = ids.iter().map(|id| store.append_new(PIM, events(id), vec![save("p", seen, id)], at(0)));
        let mut trying: Vec<_> = trying.map(Some).collect();
        let mut taken = Vec::new();
        std::future::poll_fn(|context| {
            for (slot, id) in trying.iter_mut().zip(&ids) {
                let Some(one) = slot else { continue };
                if let std::task::Poll::Ready(result) = one.as_mut().poll(context) {
                    match result {
                        Ok(()) => taken.push(id.clone()),
                        Err(AppendNewError::Changed) => {}
                        Err(other) => panic!("{other}"),
                    }
                    *slot = None;
                }
            }
            if trying.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        assert_eq!(taken.len(), 1, "round {round}");
        assert_eq!(body(store, "p").await.as_ref(), taken.first());
        assert_eq!(store.tail(shard(store)).head().0, round + 3);
    }
}

/// All data of a removed PIM is deleted, and none of the others.
pub async fn states_of_a_removed_pim_are_pruned(store: &dyn Store) {
    let a = store.add_pim(pim("a")).await.unwrap();
    let b = store.add_pim(pim("b")).await.unwrap();
    for (one, number) in [(&a, 3), (&b, 2)] {
        for index in 0..number {
            let id = format!("e{index}");
            store.append_new(one.id, events(&id), vec![save(&id, None, "x")], at(0)).await.unwrap();
        }
        let note = StoredStatus { text: "note".to_owned(), revision: 0 };
        store.put_bridge_status(one.id, note).await.unwrap();
    }
    assert_eq!(store.prune_snapshots(&own(store).await).await.unwrap(), 0);
    store.remove_pim(a.id, at(1)).await.unwrap();
    let mut pruned = 0;
    loop {
        match store.prune_snapshots(&own(store).await).await.unwrap() {
            0 => break,
            some => pruned += some,
        }
    }
    assert_eq!(pruned, 4);
    assert_eq!(snapshot(store, a.id, product("e0")).await, None);
    assert_eq!(store.bridge_status(a.id).await.unwrap(), None);
    assert!(snapshot(store, b.id, product("e1")).await.is_some());
    assert!(store.bridge_status(b.id).await.unwrap().is_some());
}

/// A state that doesn't fit is not stored and its predecessor is deleted; the events are appended.
pub async fn states_of_a_pim_are_bounded(store: &dyn Store) {
    // Four of these fill the bound.
    let quarter = "x".repeat((STATE_BYTES / 4 - size(&product("a"), b"")) as usize);
    for key in ["a", "b", "c", "d"] {
        put(store, key, key, &quarter).await;
    }
    put(store, "e", "e", "").await;
    assert_eq!(revision(store, "e").await, None);
    let elsewhere = SnapshotSave { key: product("e"), seen: None, body: Some(Vec::new()) };
    store.append_new(OTHER, events("e"), vec![elsewhere], at(0)).await.unwrap();
    assert!(snapshot(store, OTHER, product("e")).await.is_some(), "each PIM has its own bound");
    put(store, "f", "a", &format!("{quarter}x")).await;
    assert_eq!(revision(store, "a").await, None, "the state before must not stay");
    // Deleted states made room, shared by several new ones until it is used up.
    let saves = vec![save("g", None, &quarter[1000..]), save("h", None, &quarter), save("e", None, "")];
    store.append_new(PIM, events("g h i"), saves, at(0)).await.unwrap();
    let mut kept = Vec::new();
    for key in ["a", "b", "c", "d", "e", "g", "h"] {
        kept.extend(revision(store, key).await.map(|_| key));
    }
    assert_eq!(kept, ["b", "c", "d", "e", "g"]);
    let gone = SnapshotSave { key: product("b"), seen: revision(store, "b").await, body: None };
    store.append_new(PIM, events("j"), vec![gone, save("h", None, &quarter)], at(0)).await.unwrap();
    assert!(revision(store, "h").await.is_some());
    assert_eq!(read(store, Some(PIM), 1, ALL).await.0, "a b c d e f g h i j");
}

/// The last one wins.
pub async fn a_note_is_kept_for_each_pim(store: &dyn Store) {
    assert_eq!(store.bridge_status(PIM).await.unwrap(), None);
    let note = |text: &str, revision| StoredStatus { text: text.to_owned(), revision };
    store.put_bridge_status(PIM, note("one", 0)).await.unwrap();
    store.put_bridge_status(PIM, note("two", 1)).await.unwrap();
    assert_eq!(store.bridge_status(PIM).await.unwrap(), Some(note("two", 2)));
    assert_eq!(store.bridge_status(OTHER).await.unwrap(), None);
}
