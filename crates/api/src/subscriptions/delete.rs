//! `DELETE /subscribers/{id}/subscriptions/{sid}`

use std::sync::Arc;

use axum::extract::State;
use domain::log_entry::Action;
use domain::subscription::{Subscription, SubscriptionStatus};
use http::StatusCode;
use store::Change;

use crate::Api;
use crate::auth::caller::Caller;
use crate::changing::{self, called, changed_subscription, until_won};
use crate::description::operation::Operation;
use crate::management::Sent;
use crate::path::At;
use crate::refusal::Refusal;
use crate::refusal::because;
use crate::subscriptions::{self, Ids, find};

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new("deleteSubscription", "Delete a subscription", "Its backlog is discarded. This is final.")
        .sends_nothing()
        .answers_with(204, "Deleted.", None)
        .refuses(&[because::NOT_FOUND, because::CONCURRENT_CHANGE])
}

/// Deletes a subscription, including a revoked one, without notifications.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At(ids): Ids,
    sent: Sent,
) -> Result<StatusCode, Refusal> {
    find(&api, &caller, &ids).await?;
    sent.nothing()?;
    let call = sent.call(StatusCode::NO_CONTENT);
    until_won(|| async {
        let caller = caller.again(&api).await?;
        let current = find(&api, &caller, &ids).await?;
        let now = api.clock.wall();
        let action = Action::SubscriptionDeleted;
        let entry = changing::entry(&caller.owner, current.subscriber_id, Some(current.id), action, now);
        let deleted = Subscription { status: SubscriptionStatus::Deleted, ..current };
        let subscriptions = vec![changed_subscription(deleted, now)];
        let change = Change { subscriptions, entries: vec![entry], ..caller.change() };
        subscriptions::make(&api, called(change, &call)).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
