//! `PATCH /subscribers/{id}/subscriptions/{sid}`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::log_entry::Action;
use domain::subscription::Subscription;
use http::StatusCode;
use store::Change;
use wire::api::subscription;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::changing::{self, NotChanged, called, changed_subscription, until_won};
use crate::description::operation::{Operation, Shown};
use crate::management::Sent;
use crate::path::At;
use crate::refusal::Refusal;
use crate::refusal::because;
use crate::subscriptions::{self, Ids, find, must_not_be_revoked};
use wire::api::SUBSCRIPTION_FAULTS;

/// Public description.
pub(crate) fn about() -> Operation {
    let body = "SubscriptionPatch";
    Operation::new(
        "updateSubscription",
        "Change a subscription",
        "A JSON merge patch (RFC 7396): omitted fields keep their values, at every depth; `null` removes optional \
         fields, and \
         headers by name; `\"***redacted***\"` keeps a secret. With another `type`, `config` must be complete. A \
         subscription as \
         read can be edited and sent back. The change is in effect when the call returns.",
    )
    .sends_any(
        vec![("application/json", body), ("application/merge-patch+json", body)],
        true,
        Some(r#"{"filter":"attribute in [\"name\"]","config":{"headers":{"X-Api-Key":"a key"}}}"#),
    )
    .answers(200, "The updated subscription.", Shown::One("Subscription"))
    .invalid(SUBSCRIPTION_FAULTS)
    .refuses(&[because::NOT_FOUND, because::SUBSCRIPTION_REVOKED, because::CONCURRENT_CHANGE])
}

/// A merge patch at every depth. A patch without changes is answered and not logged.
pub(crate) async fn update(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At(ids): Ids,
    sent: Sent,
) -> Result<Response, Refusal> {
    find(&api, &caller, &ids).await?;
    let patch = sent.json()?;
    let call = sent.call(StatusCode::OK);
    let rules = api.rules(&caller.pim.url);
    let updated: Subscription = until_won(|| async {
        let caller = caller.again(&api).await?;
        let current = find(&api, &caller, &ids).await?;
        must_not_be_revoked(&current)?;
        let patched = subscription::apply_patch(&current, &patch, &rules).map_err(Refusal::invalid)?;
        if patched == current {
            return Ok::<_, NotChanged>(current);
        }
        let now = api.clock.wall();
        let action = Action::SubscriptionUpdated;
        let entry = changing::entry(&caller.owner, patched.subscriber_id, Some(patched.id), action, now);
        let subscriptions = vec![changed_subscription(patched, now)];
        let change = Change { subscriptions, entries: vec![entry], ..caller.change() };
        subscriptions::make(&api, called(change, &call)).await
    })
    .await?;
    Ok(json(StatusCode::OK, subscription::render(&updated, &caller.pim.url)))
}
