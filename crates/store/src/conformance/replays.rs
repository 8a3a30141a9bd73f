//! Replays.

use domain::log_entry::{Action, LogBody};
use domain::outcome::{ErrorReason, SuspensionReason};
use domain::replay::{Only, Replay, ReplayProgress, ReplayScope, ReplayStatus};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{Position, ReplayId};

use super::sample::*;
use crate::Store;
use crate::catalog::ClientRecord;
use crate::condition::Condition;
use crate::error::ChangeError;
use crate::ledger::Save;
use crate::replays::{REMEMBERED, ReplaySave};

fn replay(of: &Subscription) -> Replay {
    Replay {
        id: ReplayId::generate(),
        subscription: of.id,
        owner: of.owner(),
        scope: ReplayScope::Span {
            from: at(0),
            to: at(9),
            positions: Position(1)..Position(4),
            only: Only { given_up: true, dropped: false },
        },
        filter: domain::filter::Filter::parse("user = \"julia\"").unwrap(),
        rate: Some(2.5),
        created_at: at(10),
        status: ReplayStatus::Running,
        reason: None,
        progress: ReplayProgress::default(),
    }
}

async fn start(store: &dyn Store, replay: &Replay) -> Result<u64, ChangeError> {
    let told = entry(LogBody::Action(Action::SubscriptionResumedByTheUser), at(10));
    store.start_replay(replay.clone(), Vec::new(), told).await
}

async fn cancel(store: &dyn Store, replay: &Replay) -> Result<u64, ChangeError> {
    let told = entry(LogBody::Action(Action::SubscriptionSuspendedByTheUser), at(11));
    store.cancel_replay(replay.subscription, replay.id, Vec::new(), told).await
}

async fn since(store: &dyn Store, version: Option<u64>) -> Vec<Replay> {
    store.replays_since(shard(store), version).await.unwrap()
}

/// With its entry, announced like a change.
pub async fn a_replay_is_started_and_cancelled(store: &dyn Store) {
    let (_, stored) = make(store).await;
    let mut first = replay(&stored);
    let before = *store.committed(shard(store)).borrow();
    let started = start(store, &first).await.unwrap();
    assert!(started > before);
    assert_eq!(*store.committed(shard(store)).borrow(), started);
    assert_eq!(store.replay(stored.id, first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.replay(domain::SubscriptionId::generate(), first.id).await.unwrap(), None);
    assert_eq!(since(store, Some(before)).await, std::slice::from_ref(&first));
    assert_eq!(since(store, None).await, std::slice::from_ref(&first));
    assert_eq!(since(store, Some(started)).await, []);
    // One at a time.
    assert!(matches!(start(store, &replay(&stored)).await, Err(ChangeError::Conflict)));
    let cancelled = cancel(store, &first).await.unwrap();
    assert!(cancelled > started);
    (first.status, first.reason) = (ReplayStatus::Cancelled, Some("cancelled by its owner".to_owned()));
    assert_eq!(since(store, Some(started)).await, std::slice::from_ref(&first));
    assert_eq!(since(store, None).await, []);
    assert!(matches!(cancel(store, &first).await, Err(ChangeError::Conflict)));
    assert!(matches!(cancel(store, &replay(&stored)).await, Err(ChangeError::Missing(_))));
    assert_eq!(store.entries(&owner(), &query()).await.unwrap().entries.len(), 2);
    start(store, &replay(&stored)).await.unwrap();
}

/// Nothing is started for a subscription that is not active, or under a condition that doesn't hold.
pub async fn a_replay_needs_an_active_subscription(store: &dyn Store) {
    let (_, stored) = make(store).await;
    let unknown = Replay { subscription: domain::SubscriptionId::generate(), ..replay(&stored) };
    assert!(matches!(start(store, &unknown).await, Err(ChangeError::Missing(_))));
    store.put_client(&owner(), ClientRecord::default()).await.unwrap();
    let outdated = vec![Condition::Client { owner: owner(), revision: 0 }];
    let told = || entry(LogBody::Action(Action::SubscriptionResumedByTheUser), at(10));
    let refused = store.start_replay(replay(&stored), outdated, told()).await;
    assert!(matches!(refused, Err(ChangeError::Outdated)));
    let status = SubscriptionStatus::Suspended(SuspensionReason::User);
    let stored = put(store, changed(&stored, |next| next.status = status)).await;
    assert!(matches!(start(store, &replay(&stored)).await, Err(ChangeError::Conflict)));
    assert_eq!(store.replays(stored.id).await.unwrap(), []);
    assert_eq!(store.entries(&owner(), &query()).await.unwrap().entries, []);
}

/// The newest first.
pub async fn the_latest_replays_are_remembered(store: &dyn Store) {
    let (_, stored) = make(store).await;
    let mut ids = Vec::new();
    for _ in 0..REMEMBERED + 5 {
        let next = replay(&stored);
        start(store, &next).await.unwrap();
        cancel(store, &next).await.unwrap();
        ids.insert(0, next.id);
    }
    let remembered: Vec<_> = store.replays(stored.id).await.unwrap().iter().map(|replay| replay.id).collect();
    assert_eq!(remembered, ids[..REMEMBERED]);
    assert_eq!(store.replay(stored.id, ids[REMEMBERED]).await.unwrap(), None);
}

fn progress(next: u64) -> ReplayProgress {
    ReplayProgress {
        next: Position(next),
        delivered: 3,
        failed: 1,
        skipped: 2,
        gone: 4,
        at: Some(at(5)),
        open: vec![(Position(2), 1)],
    }
}

/// Progress is saved with the lanes; an ended replay stays as it ended.
pub async fn progress_is_saved(store: &dyn Store) {
    let (_, stored) = make(store).await;
    let mut first = replay(&stored);
    let version = start(store, &first).await.unwrap();
    let save = async |id, next, end| {
        let replays = vec![ReplaySave { id, progress: progress(next), end }];
        store.save(&own(store).await, Save { replays, ..Save::default() }).await.unwrap();
    };
    save(first.id, 3, None).await;
    save(ReplayId::generate(), 4, None).await;
    first.progress = progress(3);
    assert_eq!(since(store, None).await, std::slice::from_ref(&first));
    assert_eq!(since(store, Some(version)).await, []);
    save(first.id, 4, Some((ReplayStatus::Failed, Some("404".to_owned())))).await;
    save(first.id, 5, Some((ReplayStatus::Done, None))).await;
    (first.progress, first.status, first.reason) = (progress(5), ReplayStatus::Failed, Some("404".to_owned()));
    assert_eq!(store.replays(stored.id).await.unwrap(), [first]);
    start(store, &replay(&stored)).await.unwrap();
}

/// In the commit of the subscription's change.
pub async fn a_suspension_ends_a_replay(store: &dyn Store) {
    let by_user = SubscriptionStatus::Suspended(SuspensionReason::User);
    let by_platform = SubscriptionStatus::Suspended(SuspensionReason::Destination(ErrorReason::DestinationNotFound));
    let cases = [
        (SubscriptionStatus::Active, ReplayStatus::Running),
        (by_user, ReplayStatus::Cancelled),
        (by_platform, ReplayStatus::Failed),
        (SubscriptionStatus::Revoked, ReplayStatus::Failed),
        (SubscriptionStatus::Deleted, ReplayStatus::Failed),
    ];
    for (status, expect) in cases {
        let (_, stored) = make(store).await;
        let version = start(store, &replay(&stored)).await.unwrap();
        put(store, changed(&stored, |next| next.status = status)).await;
        let ended = store.replays(stored.id).await.unwrap();
        assert_eq!(ended.iter().map(|replay| replay.status).collect::<Vec<_>>(), [expect], "{status}");
        assert_eq!(ended[0].reason.is_some(), expect != ReplayStatus::Running);
        assert_eq!(since(store, Some(version)).await.len(), usize::from(expect != ReplayStatus::Running), "{status}");
    }
}
