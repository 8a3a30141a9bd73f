//! `PATCH /subscribers/{id}/subscriptions/{sid}`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::Timestamp;
use domain::log_entry::Action;
use domain::subscription::Subscription;
use http::StatusCode;
use store::Change;
use wire::api::subscription;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::changing::{self, Attempt, changed_subscription, until_won};
use crate::management::Sent;
use crate::path::At;
use crate::refusal::Refusal;
use crate::subscriptions::{self, Ids, find, must_not_be_revoked};

/// A merge patch at every depth. What changes nothing is answered and not logged.
pub(crate) async fn update(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At(ids): Ids,
    sent: Sent,
) -> Result<Response, Refusal> {
    find(&api, &caller, &ids).await?;
    let patch = sent.json()?;
    let rules = api.rules(&caller.pim.url);
    let updated: Subscription = until_won(|| async {
        let current = find(&api, &caller, &ids).await?;
        must_not_be_revoked(&current)?;
        let patched = subscription::apply_patch(&current, &patch, &rules).map_err(Refusal::invalid)?;
        if patched == current {
            return Ok::<_, Attempt>(current);
        }
        let now = Timestamp::now();
        let action = Action::SubscriptionUpdated;
        let entry = changing::entry(&caller.owner, patched.subscriber_id, Some(patched.id), action, now);
        let subscriptions = vec![changed_subscription(patched, now)];
        let change = Change { subscriptions, entries: vec![entry], ..changing::change() };
        subscriptions::make(&api, change).await
    })
    .await?;
    Ok(json(StatusCode::OK, subscription::render(&updated, &caller.pim.url)))
}
