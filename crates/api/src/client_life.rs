//! Lifecycle of a connection or app beyond its subscribers: permission, removal, re-admission.

use std::time::Duration;

use domain::outcome::SuspensionReason;
use domain::pim::Pim;
use domain::subscriber::{Owner, Subscriber, SubscriberStatus};
use domain::{Clock, Timestamp};
use store::transition::{self, Frequent};
use store::{ChangeError, ClientQuery, Clients, Condition, PimQuery, Shard, Store, StoreError, edit_client};

use crate::auth::gateway::{Permission, PimGateway};
use crate::changing;

/// Number of PIMs, or clients of one, read at once.
const AT_ONCE: usize = 100;
/// Each round of [`revoke`] only meets subscribers created during the previous round.
const MAX_ROUNDS: usize = 100;

/// Removes a client: locks it out and revokes its subscribers and subscriptions, with log entries and notifications. In
/// effect when this returns.
pub async fn revoke(store: &dyn Store, pim: &Pim, owner: &Owner, now: Timestamp) -> Result<(), ChangeError> {
    // Lock out first, so that nothing is created meanwhile.
    edit_client(store, owner, |client| client.revoked_at = Some(now)).await?;
    for _ in 0..MAX_ROUNDS {
        let subscribers = store.subscribers(owner).await?;
        let Some(subscriber) = subscribers.into_iter().find(|known| known.status == SubscriberStatus::Active) else {
            return Ok(());
        };
        let subscriptions = store.subscriptions(subscriber.id).await?;
        let end = changing::end(subscriber, subscriptions, SubscriberStatus::Revoked, &pim.url, now);
        match changing::make(store, end).await {
            Ok(_) | Err(ChangeError::Conflict) => {}
            Err(other) => return Err(other),
        }
    }
    Err(ChangeError::Conflict)
}

/// Records whether the client may use the Event Platform. Each withdrawal suspends everything active: something may
/// have become active since the last one.
pub async fn permission(
    store: &dyn Store,
    pim: &Pim,
    owner: &Owner,
    permitted: bool,
    now: Timestamp,
    frequent: Frequent,
) -> Result<(), ChangeError> {
    if store.client(owner).await?.permission.unwrap_or(true) != permitted {
        // First, so that nothing becomes active meanwhile: commits based on the old permission fail.
        edit_client(store, owner, |client| client.permission = Some(permitted)).await?;
    }
    for subscriber in if permitted { vec![] } else { store.subscribers(owner).await? } {
        suspend_all(store, pim, &subscriber, now, frequent).await?;
    }
    Ok(())
}

/// Suspends active subscriptions as long as the permission is withdrawn.
async fn suspend_all(
    store: &dyn Store,
    pim: &Pim,
    subscriber: &Subscriber,
    now: Timestamp,
    frequent: Frequent,
) -> Result<(), ChangeError> {
    for _ in 0..MAX_ROUNDS {
        let client = store.client(&subscriber.owner).await?;
        if client.permission.unwrap_or(true) {
            return Ok(());
        }
        let mut change = changing::change();
        change.conditions.push(Condition::Client { owner: subscriber.owner.clone(), revision: client.revision });
        for subscription in store.subscriptions(subscriber.id).await? {
            if subscription.status.is_active() {
                transition::suspend(&mut change, subscription, SuspensionReason::PermissionWithdrawn, &pim.url, now);
            }
        }
        if change.subscriptions.is_empty() {
            return Ok(());
        }
        transition::say_if_frequent(store, &mut change, frequent).await?;
        match changing::make(store, change).await {
            Ok(_) | Err(ChangeError::Conflict | ChangeError::Outdated) => {}
            Err(other) => return Err(other),
        }
    }
    Err(ChangeError::Conflict)
}

/// Lifts the lockout of a removed client. Revoked objects stay revoked and are listed again.
pub async fn admit(clients: &dyn Clients, owner: &Owner) -> Result<(), ChangeError> {
    edit_client(clients, owner, |client| client.revoked_at = None).await?;
    Ok(())
}

/// Lifts the lockout of the removal at that time; a later one stays.
pub(crate) async fn admit_after(clients: &dyn Clients, owner: &Owner, removed: Timestamp) -> Result<(), ChangeError> {
    edit_client(clients, owner, |client| client.revoked_at = client.revoked_at.filter(|at| *at > removed)).await?;
    Ok(())
}

/// Asks the PIMs of a shard once about every client with a subscriber, if that is possible without a caller's token,
/// with a pause after each request. A withdrawn permission suspends, like the operator's call.
pub async fn recheck_permissions(
    store: &dyn Store,
    shard: Shard,
    gateway: &dyn PimGateway,
    clock: &Clock,
    pause: Duration,
    frequent: Frequent,
) -> Result<(), StoreError> {
    let mut behind = None;
    loop {
        let pims = store.pims(&PimQuery { text: None, after: behind, limit: AT_ONCE }).await?;
        behind = pims.last().map(|last| last.id);
        let is_ours = |pim: &Pim| store.shard_of(pim.id) == shard && !pim.is_withdrawn();
        for pim in pims.items.into_iter().filter(is_ours) {
            recheck_clients(store, gateway, clock, &pim, pause, frequent).await?;
        }
        if behind.is_none() {
            return Ok(());
        }
    }
}

async fn recheck_clients(
    store: &dyn Store,
    gateway: &dyn PimGateway,
    clock: &Clock,
    pim: &Pim,
    pause: Duration,
    frequent: Frequent,
) -> Result<(), StoreError> {
    let mut behind = None;
    loop {
        let query = ClientQuery { pim: pim.id, text: None, after: behind, limit: AT_ONCE };
        let clients = store.clients(&query).await?;
        behind = clients.last().map(|(client_id, _)| client_id.clone());
        for (client_id, client) in clients.items {
            let owner = Owner { pim: pim.id, client_id };
            if client.revoked_at.is_none() && recheck_client(store, gateway, clock, pim, &owner, frequent).await? {
                tokio::time::sleep(pause).await;
            }
        }
        if behind.is_none() {
            return Ok(());
        }
    }
}

/// Whether the PIM was asked.
async fn recheck_client(
    store: &dyn Store,
    gateway: &dyn PimGateway,
    clock: &Clock,
    pim: &Pim,
    owner: &Owner,
    frequent: Frequent,
) -> Result<bool, StoreError> {
    let permitted = match gateway.permission(pim, &owner.client_id).await {
        Permission::NotAsked => return Ok(false),
        Permission::Allowed => true,
        Permission::Withdrawn => false,
        Permission::Unknown { message } => {
            tracing::warn!(
                pim.name = %pim.name, client.id = %owner.client_id, %message,
                "could not check a client's permission with its PIM; leaving it unchanged"
            );
            return Ok(true);
        }
    };
    match permission(store, pim, owner, permitted, clock.wall(), frequent).await {
        Ok(()) => {}
        Err(ChangeError::Store(error)) => return Err(error),
        Err(error) => {
            tracing::warn!(
                client.id = %owner.client_id, %error,
                "could not record a permission; retrying in the next round"
            );
        }
    }
    Ok(true)
}
