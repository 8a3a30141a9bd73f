//! The life of a connection or app beyond its subscribers: allowed or not, removed, admitted again.

use domain::Timestamp;
use domain::outcome::SuspensionReason;
use domain::pim::Pim;
use domain::subscriber::{Owner, SubscriberStatus};
use store::{Catalog, ChangeError, Client, Store, StoreError, transition};

use crate::changing;

/// Each round of [`revoke`] meets only subscribers that were made during the round before.
const MAX_ROUNDS: usize = 100;

/// Removes a client: it is locked out, and its subscribers and their subscriptions become revoked, with what is told
/// about that. In effect when this returns.
pub async fn revoke(store: &dyn Store, pim: &Pim, owner: &Owner, now: Timestamp) -> Result<(), ChangeError> {
    // First the lock, so that nothing new is made behind our back.
    let client = store.client(owner).await?;
    store.put_client(owner, Client { revoked_at: Some(now), ..client }).await?;
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

/// Keeps whether the client may use the Event Platform. Withdrawn, its active subscriptions become suspended.
pub async fn permission(
    store: &dyn Store,
    pim: &Pim,
    owner: &Owner,
    permitted: bool,
    now: Timestamp,
) -> Result<(), ChangeError> {
    let client = store.client(owner).await?;
    if client.permission.unwrap_or(true) == permitted {
        return Ok(());
    }
    for subscriber in if permitted { vec![] } else { store.subscribers(owner).await? } {
        suspend_all(store, pim, &subscriber, now).await?;
    }
    // Kept last: had a suspension failed, the next call would try again.
    store.put_client(owner, Client { permission: Some(permitted), ..client }).await?;
    Ok(())
}

async fn suspend_all(
    store: &dyn Store,
    pim: &Pim,
    subscriber: &domain::subscriber::Subscriber,
    now: Timestamp,
) -> Result<(), ChangeError> {
    for _ in 0..MAX_ROUNDS {
        let mut change = changing::change();
        for subscription in store.subscriptions(subscriber.id).await? {
            if subscription.status.is_active() {
                transition::suspend(&mut change, subscription, SuspensionReason::PermissionWithdrawn, &pim.url, now);
            }
        }
        if change.subscriptions.is_empty() {
            return Ok(());
        }
        match changing::make(store, change).await {
            Ok(_) | Err(ChangeError::Conflict) => {}
            Err(other) => return Err(other),
        }
    }
    Err(ChangeError::Conflict)
}

/// Ends the lock-out of a removed client. What was revoked stays revoked and is listed to it again.
pub async fn admit(catalog: &dyn Catalog, owner: &Owner) -> Result<(), StoreError> {
    let client = catalog.client(owner).await?;
    catalog.put_client(owner, Client { revoked_at: None, ..client }).await
}
