//! `/api/v1/subscribers/{id}/subscriptions`: events and their destinations.

pub(crate) mod all;
pub(crate) mod attempts;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod failures;
pub(crate) mod fate;
pub(crate) mod list;
pub(crate) mod replays;
pub(crate) mod resume;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod suspend;
pub(crate) mod test_event;
pub(crate) mod update;

use domain::SubscriptionId;
use domain::log_entry::{Action, LogOrder, LogQuery, LogType};
use domain::outcome::SuspensionReason;
use domain::subscription::{Subscription, SubscriptionStatus};
use store::{Change, StoreError};

use crate::Api;
use crate::auth::caller::Caller;
use crate::changing::{self, NotChanged};
use crate::path::At;
use crate::refusal::{Refusal, because};
use crate::subscribers;

/// Path parameters of a subscription, as sent.
pub(crate) type Ids = At<(String, String)>;

/// The caller's subscription with this id. Deleted ones, those of others and invalid ids are 404.
pub(crate) async fn find(api: &Api, caller: &Caller, (id, sid): &(String, String)) -> Result<Subscription, Refusal> {
    let subscriber = subscribers::find(api, caller, id).await?;
    let missing = || Refusal::not_found("subscription");
    let id = SubscriptionId::parse(sid).ok_or_else(missing)?;
    let found = api.store().subscription(id).await?;
    found
        .filter(|found| found.subscriber_id == subscriber.id && found.status != SubscriptionStatus::Deleted)
        .ok_or_else(missing)
}

/// 409 for a change of a revoked subscription.
pub(crate) fn must_not_be_revoked(subscription: &Subscription) -> Result<(), Refusal> {
    match subscription.status {
        SubscriptionStatus::Active | SubscriptionStatus::Suspended(_) => Ok(()),
        SubscriptionStatus::Revoked | SubscriptionStatus::Deleted => Err(Refusal::new(
            because::SUBSCRIPTION_REVOKED,
            "the subscription is revoked because its connection or app was removed from the PIM; create a new one",
        )),
    }
}

/// The reason of a suspension; the operator's with its words, for as long as the owner's log has them.
pub(crate) async fn in_full(api: &Api, one: &Subscription, reason: SuspensionReason) -> Result<String, StoreError> {
    if reason != SuspensionReason::Operator {
        return Ok(reason.to_string());
    }
    let query = LogQuery {
        log_type: Some(LogType::Action),
        order: LogOrder::Descending,
        limit: 1,
        skip: 0,
        after: None,
        subscriber_id: None,
        subscription_id: Some(one.id),
        operation: Some(Action::SubscriptionSuspendedByThePlatform.as_str().to_owned()),
        error_reason: None,
        start_time: None,
        end_time: None,
    };
    let latest = api.store().entries(&one.owner(), &query).await?.entries.into_iter().next();
    Ok(latest.and_then(|entry| entry.reason).unwrap_or_else(|| reason.to_string()))
}

/// Commits the change of one subscription and returns it as stored.
pub(crate) async fn make(api: &Api, change: Change) -> Result<Subscription, NotChanged> {
    let made = changing::make(api.store(), change).await?;
    let stored = made.subscriptions.into_iter().next();
    stored.ok_or_else(|| StoreError::Corrupt("a change of a subscription came back without it".into()).into())
}
