//! Nodes and leases of a store that several processes share. Each test gets two processes on one empty store with
//! [`Spread::CLUSTER`](crate::Spread::CLUSTER).

use domain::Position;

use super::sample::*;
use crate::Store;
use crate::cluster::{Lease, Profile};
use crate::error::TenureError;
use crate::ledger::Save;
use crate::shard::{Epoch, Shard, Tenure};

fn profile(address: Option<&str>, is_fit: bool) -> Profile {
    Profile { address: address.map(str::to_owned), version: "1.2.3".to_owned(), reads: 2, is_fit }
}

async fn lease(store: &dyn Store, shard: Shard) -> Lease {
    let roll = store.roll().await.unwrap();
    *roll.leases.iter().find(|lease| lease.shard == shard).unwrap()
}

async fn is_current(store: &dyn Store, tenure: &Tenure) -> bool {
    match store.save(tenure, Save { mark: Position(1), ..Save::default() }).await {
        Ok(()) => true,
        Err(TenureError::Fenced) => false,
        Err(TenureError::Store(error)) => panic!("{error}"),
    }
}

/// Both processes see the same.
pub async fn nodes_and_leases_are_on_the_roll(a: &dyn Store, b: &dyn Store) {
    let roll = a.roll().await.unwrap();
    assert_eq!(roll.nodes, []);
    let shards: Vec<_> = a.spread().shards().collect();
    assert_eq!(roll.leases.iter().map(|lease| lease.shard).collect::<Vec<_>>(), shards);
    assert!(roll.leases.iter().all(|lease| (lease.owner, lease.epoch) == (None, Epoch(0))));

    a.enter(&profile(Some("10.0.0.1:7000"), true)).await.unwrap();
    b.enter(&profile(None, true)).await.unwrap();
    b.enter(&profile(Some("10.0.0.2:7000"), false)).await.unwrap();
    let tenure = own(a).await;
    let roll = a.roll().await.unwrap();
    let of = |store: &dyn Store| {
        let id = store.node();
        roll.nodes.iter().filter(|node| node.id == id).map(|node| node.profile.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of(a), [profile(Some("10.0.0.1:7000"), true)]);
    assert_eq!(of(b), [profile(Some("10.0.0.2:7000"), false)]);
    assert_eq!(roll.nodes.len(), 2);
    for lease in &roll.leases {
        let expect = if lease.shard == tenure.shard { (Some(a.node()), tenure.epoch) } else { (None, Epoch(0)) };
        assert_eq!((lease.owner, lease.epoch), expect);
    }
    assert_eq!(b.roll().await.unwrap().leases, roll.leases);
}

/// Whether a lease has run out is up to the observer.
pub async fn a_lease_is_taken_if_it_is_as_it_was_seen(a: &dyn Store, b: &dyn Store) {
    let free = lease(a, shard(a)).await;
    let old = a.take_if(&free).await.unwrap().unwrap();
    assert_eq!((old.shard, old.node, old.epoch), (free.shard, a.node(), Epoch(1)));
    assert!(is_current(a, &old).await);
    assert_eq!(b.take_if(&free).await.unwrap(), None, "it has an owner");
    let seen = lease(b, shard(b)).await;
    assert_eq!((seen.owner, seen.epoch), (Some(a.node()), old.epoch));
    for other in [
        Lease { beat: seen.beat + 1, ..seen },
        Lease { epoch: Epoch(0), ..seen },
        Lease { owner: Some(b.node()), ..seen },
        Lease { owner: None, ..seen },
    ] {
        assert_eq!(b.take_if(&other).await.unwrap(), None, "{other:?}");
    }
    assert!(is_current(a, &old).await);
    let new = b.take_if(&seen).await.unwrap().unwrap();
    assert_eq!((new.node, new.epoch), (b.node(), Epoch(2)));
    assert!(!is_current(a, &old).await && is_current(b, &new).await);
}

/// At the same time.
pub async fn one_of_two_takes_a_lease(a: &dyn Store, b: &dyn Store) {
    for shard in a.spread().shards().take(8) {
        let free = lease(a, shard).await;
        let (one, other) = tokio::join!(a.take_if(&free), b.take_if(&free));
        let taken: Vec<_> = [one.unwrap(), other.unwrap()].into_iter().flatten().collect();
        let now = lease(a, shard).await;
        assert_eq!(
            taken.iter().map(|tenure| (Some(tenure.node), tenure.epoch)).collect::<Vec<_>>(),
            [(now.owner, now.epoch)]
        );
    }
}

/// After a lost connection, by what was seen last.
pub async fn an_own_lease_is_taken_anew(a: &dyn Store, b: &dyn Store) {
    let old = own(a).await;
    let seen = lease(a, old.shard).await;
    // It was renewed since.
    let before = Lease { beat: seen.beat.wrapping_sub(1), ..seen };
    let new = a.take_if(&before).await.unwrap().unwrap();
    assert_eq!(new.epoch, Epoch(old.epoch.0 + 1));
    assert!(!is_current(a, &old).await && is_current(a, &new).await);
    let now = lease(b, old.shard).await;
    b.take_if(&now).await.unwrap().unwrap();
    assert_eq!(a.take_if(&now).await.unwrap(), None, "it is not its own any more");
}

/// Whoever wants it takes it.
pub async fn a_shard_that_is_given_back_is_free_and_its_owner_fenced(a: &dyn Store, b: &dyn Store) {
    let old = own(a).await;
    assert!(is_current(a, &old).await);
    a.give(&old).await.unwrap();
    assert!(!is_current(a, &old).await);
    let free = lease(b, old.shard).await;
    assert_eq!((free.owner, free.epoch), (None, old.epoch));
    let new = b.take_if(&free).await.unwrap().unwrap();
    assert_eq!(new.epoch, Epoch(old.epoch.0 + 1));
    assert!(is_current(b, &new).await);
}

/// Neither one of a former owner, nor an own one of an earlier epoch.
pub async fn an_outdated_tenure_gives_nothing_back(a: &dyn Store, b: &dyn Store) {
    let oldest = own(a).await;
    let old = own(a).await;
    a.give(&oldest).await.unwrap();
    assert!(is_current(a, &old).await);
    let new = b.take(old.shard).await.unwrap();
    a.give(&old).await.unwrap();
    assert!(is_current(b, &new).await);
    assert_eq!(lease(a, old.shard).await.owner, Some(b.node()));
}
