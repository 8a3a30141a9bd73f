//! `DELETE /subscribers/{id}/subscriptions/{sid}`

use std::sync::Arc;

use axum::extract::State;
use domain::Timestamp;
use domain::log_entry::Action;
use domain::subscription::{Subscription, SubscriptionStatus};
use http::StatusCode;
use store::Change;

use crate::Api;
use crate::auth::caller::Caller;
use crate::changing::{self, changed_subscription, until_won};
use crate::management::Sent;
use crate::path::At;
use crate::refusal::Refusal;
use crate::subscriptions::{self, Ids, find};

/// The end of a subscription, of a revoked one as well. Nobody is notified.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At(ids): Ids,
    sent: Sent,
) -> Result<StatusCode, Refusal> {
    find(&api, &caller, &ids).await?;
    sent.nothing()?;
    until_won(|| async {
        let current = find(&api, &caller, &ids).await?;
        let now = Timestamp::now();
        let action = Action::SubscriptionDeleted;
        let entry = changing::entry(&caller.owner, current.subscriber_id, Some(current.id), action, now);
        let deleted = Subscription { status: SubscriptionStatus::Deleted, ..current };
        let subscriptions = vec![changed_subscription(deleted, now)];
        subscriptions::make(&api, Change { subscriptions, entries: vec![entry], ..changing::change() }).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
