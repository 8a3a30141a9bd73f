//! `/api/v1/subscribers`: a client's accounts on the platform.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod update;

use domain::notification::Outgoing;
use domain::subscriber::{Subscriber, SubscriberStatus};

use domain::{SubscriberId, Timestamp};
use store::confirmation;

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

/// The subscriber to be stored, and the email with its confirmation link if its address must be confirmed and is not.
pub(crate) fn asked(
    api: &Api,
    subscriber: Subscriber,
    subject: &str,
    now: Timestamp,
) -> Result<(Subscriber, Option<Outgoing>), Refusal> {
    let contact = &subscriber.contact;
    let known = subscriber.has_confirmed(&contact.technical_email) || subscriber.is_asked(now);
    if !api.settings.confirm_addresses || known || !contact.gets_emails() {
        return Ok((subscriber, None));
    }
    let (subscriber, question) = confirmation::ask(subscriber, subject, now)?;
    Ok((subscriber, Some(question)))
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
