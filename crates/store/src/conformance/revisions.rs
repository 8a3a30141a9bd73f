//! No concurrent change is lost, and the state a request was judged by holds in its commit.

use domain::notification::NotificationKind;
use domain::pim::{Origin, SourceKey};
use domain::{ClientId, PimId, Position};

use super::concurrency::{Work, all};
use super::sample::*;
use crate::Store;
use crate::catalog::{ClientRecord, Put};
use crate::condition::Condition;
use crate::edit::{edit_client, edit_pim};
use crate::error::{AppendError, ChangeError};
use crate::snapshots::{AppendNewError, SnapshotKey, SnapshotKind, SnapshotSave, StoredStatus};

fn key(number: usize) -> SourceKey {
    SourceKey {
        prefix: format!("pr_{number:05}"),
        sha256: number.to_string(),
        created_at: at(0),
        origin: Origin::Command,
    }
}

/// A registration read before another change is not written back.
pub async fn a_pim_is_changed_from_its_latest_registration(store: &dyn Store) {
    let read = store.add_pim(pim("a")).await.unwrap();
    let mut first = read.clone();
    first.keys.push(key(1));
    store.update_pim(first).await.unwrap();
    let mut late = read;
    late.keys.push(key(2));
    assert!(matches!(store.update_pim(late).await, Err(ChangeError::Conflict)));
    let stored = store.all_pims().await.unwrap().remove(0);
    assert_eq!((stored.keys.as_slice(), stored.revision), ([key(1)].as_slice(), 1));
    store.update_pim(stored).await.unwrap();
}

/// Twenty keys requested concurrently are twenty keys.
pub async fn keys_that_are_made_at_once_are_all_kept(store: &dyn Store) {
    let of = store.add_pim(pim("a")).await.unwrap().id;
    let making = |number: usize| -> Work<'_> {
        Box::pin(async move {
            let add = |pim: &mut domain::pim::Pim| -> Result<(), ChangeError> {
                pim.keys.push(key(number));
                Ok(())
            };
            let made = edit_pim(store, of, add).await.unwrap();
            assert!(made.keys.contains(&key(number)));
        })
    };
    all((0..20).map(making).collect()).await;
    let mut kept = store.all_pims().await.unwrap().remove(0).keys;
    kept.sort_by_key(|key| key.prefix.clone());
    assert_eq!(kept, (0..20).map(key).collect::<Vec<_>>());
}

/// A changed version indicates that registrations must be read again.
pub async fn the_version_of_pims_differs_after_each_change(store: &dyn Store) {
    let mut seen = vec![store.pims_version().unwrap()];
    let mut added = store.add_pim(pim("a")).await.unwrap();
    seen.push(store.pims_version().unwrap());
    added.keys.push(key(1));
    store.update_pim(added.clone()).await.unwrap();
    seen.push(store.pims_version().unwrap());
    append(store, added.id, "a", at(0)).await;
    assert_eq!(store.pims_version().unwrap(), seen[2], "nothing of a PIM was changed");
    store.remove_pim(added.id, at(0)).await.unwrap();
    seen.push(store.pims_version().unwrap());
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
}

/// A permission granted while the client is being removed doesn't admit it again.
pub async fn a_client_is_changed_from_its_latest_record(store: &dyn Store) {
    let read = store.client(&owner()).await.unwrap();
    edit_client(store, &owner(), |client| client.revoked_at = Some(at(1))).await.unwrap();
    let late = ClientRecord { permission: Some(true), ..read };
    assert!(matches!(store.put_client(&owner(), late).await, Err(ChangeError::Conflict)));
    let both = edit_client(store, &owner(), |client| client.permission = Some(true)).await.unwrap();
    assert_eq!((both.permission, both.revoked_at, both.revision), (Some(true), Some(at(1)), 2));
    assert_eq!(store.client(&owner()).await.unwrap(), both);
    // Without a change, nothing is written.
    let same = edit_client(store, &owner(), |client| client.permission = Some(true)).await.unwrap();
    assert_eq!(same, both);
}

/// A notification read before another put-back isn't put back.
pub async fn a_notification_is_put_back_from_the_latest(store: &dyn Store) {
    let (_, stored) = make(store).await;
    let mut with = change(Vec::new());
    let kind = NotificationKind::SuspendedByUser;
    with.notifications.push(domain::notification::Notification::about(&stored, kind, None, "https://x", at(0)));
    store.change(with).await.unwrap();
    let taken = store.notifications(shard(store), None, 1).await.unwrap().remove(0);
    let mut first = taken.clone();
    first.attempts = 1;
    store.put_back_notification(first).await.unwrap();
    assert!(matches!(store.put_back_notification(taken).await, Err(ChangeError::Conflict)));
    let kept = store.notifications(shard(store), None, 1).await.unwrap().remove(0);
    assert_eq!((kept.attempts, kept.revision), (1, 1));
}

/// Bridge statuses likewise.
pub async fn a_note_is_changed_from_the_latest(store: &dyn Store) {
    let note = |text: &str, revision| StoredStatus { text: text.to_owned(), revision };
    store.put_bridge_status(PIM, note("one", 0)).await.unwrap();
    assert!(matches!(store.put_bridge_status(PIM, note("late", 0)).await, Err(ChangeError::Conflict)));
    store.put_bridge_status(PIM, note("two", 1)).await.unwrap();
    assert_eq!(store.bridge_status(PIM).await.unwrap(), Some(note("two", 2)));
}

/// Conditions that hold, invalidated one by one by `change`.
async fn judged(store: &dyn Store) -> Vec<Condition> {
    let pim = store.add_pim(pim("a")).await.unwrap();
    assert_eq!(pim.id, PIM);
    let client = store.client(&owner()).await.unwrap();
    vec![
        Condition::Pim { id: pim.id, revision: pim.revision },
        Condition::Client { owner: owner(), revision: client.revision },
    ]
}

async fn end_a_key(store: &dyn Store) {
    edit_pim(store, PIM, |pim| -> Result<(), ChangeError> {
        pim.keys.clear();
        Ok(())
    })
    .await
    .unwrap();
}

async fn withdraw(store: &dyn Store) {
    edit_client(store, &owner(), |client| client.permission = Some(false)).await.unwrap();
}

/// A change based on outdated state is rejected as a whole.
pub async fn a_change_is_judged_in_its_commit(store: &dyn Store) {
    let (subscriber, _) = make(store).await;
    let conditions = judged(store).await;
    let new = |conditions: Vec<Condition>| {
        let mut new = change(vec![Put::New(subscription(&subscriber))]);
        new.conditions = conditions;
        new.entries.push(error("never told", at(0)));
        store.change(new)
    };
    new(conditions.clone()).await.unwrap();
    assert_eq!(store.entries(&owner(), &query()).await.unwrap().entries.len(), 1);
    withdraw(store).await;
    assert!(matches!(new(conditions.clone()).await, Err(ChangeError::Outdated)));
    new(conditions[..1].to_vec()).await.unwrap();
    end_a_key(store).await;
    assert!(matches!(new(conditions[..1].to_vec()).await, Err(ChangeError::Outdated)));
    assert_eq!(store.subscriptions(subscriber.id).await.unwrap().len(), 3);
    store.remove_pim(PIM, at(0)).await.unwrap();
    let gone = vec![Condition::Pim { id: PIM, revision: 1 }];
    assert!(matches!(new(gone).await, Err(ChangeError::Outdated)));
}

/// Events sent with a key that has since been revoked are rejected, and may be sent again with another key.
pub async fn an_append_is_judged_in_its_commit(store: &dyn Store) {
    own(store).await;
    let conditions = judged(store).await;
    let append = |ids: &str, conditions: &[Condition]| store.append_if(PIM, events(ids), at(0), conditions.to_vec());
    append("a", &conditions).await.unwrap();
    end_a_key(store).await;
    assert!(matches!(append("b", &conditions).await, Err(AppendError::Outdated)));
    let latest = [Condition::Pim { id: PIM, revision: 1 }, conditions[1].clone()];
    assert_eq!(append("b", &latest).await.unwrap().duplicates, 0);
    withdraw(store).await;
    assert!(matches!(append("c", &latest).await, Err(AppendError::Outdated)));
    let unknown = [Condition::Pim { id: PimId(77), revision: 0 }];
    assert!(matches!(append("c", &unknown).await, Err(AppendError::Outdated)));
    assert_eq!(read(store, None, 1, ALL).await.0, "a b");
    assert_eq!(store.tail(shard(store)).head(), Position(3));
}

/// Bridge requests likewise: neither events nor states are stored.
pub async fn a_request_of_the_bridge_is_judged_in_its_commit(store: &dyn Store) {
    let conditions = judged(store).await;
    let product = SnapshotKey { kind: SnapshotKind::Product, key: "p".to_owned() };
    let append = |id: &str, seen, conditions: &[Condition]| {
        let save = SnapshotSave { key: product.clone(), seen, body: Some(id.as_bytes().to_vec()) };
        store.append_new_if(PIM, events(id), vec![save], at(0), conditions.to_vec())
    };
    append("a", None, &conditions).await.unwrap();
    end_a_key(store).await;
    let refused = append("b", Some(1), &conditions).await.unwrap_err();
    assert!(matches!(refused, AppendNewError::Append(AppendError::Outdated)), "{refused}");
    let kept = store.snapshots(PIM, vec![product.clone()]).await.unwrap().remove(&product).unwrap();
    assert_eq!(kept.body, b"a");
    append("b", Some(kept.revision), &[Condition::Pim { id: PIM, revision: 1 }]).await.unwrap();
}

/// The record of another PIM's client is independent.
pub async fn conditions_are_about_one_client(store: &dyn Store) {
    let conditions = judged(store).await;
    let mut other = owner();
    other.client_id = ClientId("another".to_owned());
    edit_client(store, &other, |client| client.permission = Some(false)).await.unwrap();
    store.append_if(PIM, events("a"), at(0), conditions).await.unwrap();
}
