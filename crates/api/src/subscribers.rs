//! `/api/v1/subscribers`: a client's accounts on the platform.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod update;

use domain::SubscriberId;
use domain::subscriber::{Subscriber, SubscriberStatus};

use crate::Api;
use crate::auth::caller::Caller;
use crate::refusal::{Refusal, because};

/// The caller's subscriber with this id. Deleted ones, those of others and invalid ids are 404.
pub(crate) async fn find(api: &Api, caller: &Caller, id: &str) -> Result<Subscriber, Refusal> {
    let missing = || Refusal::not_found("subscriber");
    let id = SubscriberId::parse(id).ok_or_else(missing)?;
    let found = api.store().subscriber(id).await?;
    found
        .filter(|subscriber| subscriber.owner == caller.owner && subscriber.status != SubscriberStatus::Deleted)
        .ok_or_else(missing)
}

/// 409 for a change of a revoked subscriber.
pub(crate) fn must_be_active(subscriber: &Subscriber) -> Result<(), Refusal> {
    match subscriber.status {
        SubscriberStatus::Active => Ok(()),
        SubscriberStatus::Revoked | SubscriberStatus::Deleted => Err(Refusal::new(
            because::SUBSCRIBER_REVOKED,
            "the subscriber is revoked because its connection or app was removed from the PIM; create a new one",
        )),
    }
}
