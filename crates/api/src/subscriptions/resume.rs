//! `POST /subscribers/{id}/subscriptions/{sid}/resume`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
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
        "resumeSubscription",
        "Resume a subscription",
        "Only for suspended subscriptions. Delivery starts with the events accepted from now on and a clean success \
         rate.",
    )
    .sends_nothing()
    .answers(200, "The updated subscription.", Shown::One("Subscription"))
    .refuses(&[
        because::NOT_FOUND,
        because::NOT_SUSPENDED,
        because::SUBSCRIPTION_REVOKED,
        because::EVENT_PLATFORM_FORBIDDEN,
        because::CONCURRENT_CHANGE,
    ])
}

/// Resumes delivery of events accepted from now on.
pub(crate) async fn resume(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At(ids): Ids,
    sent: Sent,
) -> Result<Response, Refusal> {
    find(&api, &caller, &ids).await?;
    caller.must_be_permitted()?;
    sent.nothing()?;
    let call = sent.call(StatusCode::OK);
    let resumed: Subscription = until_won(|| async {
        let caller = caller.again(&api).await?;
        caller.must_be_permitted()?;
        let current = find(&api, &caller, &ids).await?;
        must_not_be_revoked(&current)?;
        if current.status.is_active() {
            return Err(Refusal::new(
                because::NOT_SUSPENDED,
                "the subscription is active; only a suspended subscription can be resumed",
            )
            .into());
        }
        let mut change = caller.change();
        transition::resume(&mut change, current, &caller.pim.url, api.clock.wall());
        subscriptions::make(&api, called(change, &call)).await
    })
    .await?;
    Ok(json(StatusCode::OK, subscription::render(&resumed, &caller.pim.url)))
}
