//! `POST /subscribers/{id}/subscriptions/{sid}/suspend`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::outcome::SuspensionReason;
use domain::subscription::Subscription;
use http::StatusCode;
use store::transition;
use wire::api::subscription;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::changing::{called, until_won};
use crate::description::operation::{Operation, Shown};
use crate::management::Sent;
use crate::path::At;
use crate::refusal::{Refusal, because};
use crate::subscriptions::{self, Ids, find, must_not_be_revoked};

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "suspendSubscription",
        "Suspend a subscription",
        "Nothing is delivered until it is resumed. Events of that time, and the backlog, are lost unless \
         `options.hold` is on.",
    )
    .sends_nothing()
    .answers(200, "The updated subscription.", Shown::One("Subscription"))
    .refuses(&[
        because::NOT_FOUND,
        because::ALREADY_SUSPENDED,
        because::SUBSCRIPTION_REVOKED,
        because::CONCURRENT_CHANGE,
    ])
}

/// Suspends delivery until it is resumed.
pub(crate) async fn suspend(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At(ids): Ids,
    sent: Sent,
) -> Result<Response, Refusal> {
    find(&api, &caller, &ids).await?;
    sent.nothing()?;
    let call = sent.call(StatusCode::OK);
    let suspended: Subscription = until_won(|| async {
        let caller = caller.again(&api).await?;
        let current = find(&api, &caller, &ids).await?;
        must_not_be_revoked(&current)?;
        if !current.status.is_active() {
            return Err(Refusal::new(because::ALREADY_SUSPENDED, "the subscription is already suspended").into());
        }
        let mut change = caller.change();
        transition::suspend(&mut change, current, SuspensionReason::User, &caller.pim.url, api.clock.wall());
        subscriptions::make(&api, called(change, &call)).await
    })
    .await?;
    Ok(json(StatusCode::OK, subscription::render(&suspended, &caller.pim.url)))
}
