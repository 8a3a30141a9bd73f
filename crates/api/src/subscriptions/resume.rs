//! `POST /subscribers/{id}/subscriptions/{sid}/resume`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::Timestamp;
use domain::subscription::Subscription;
use http::StatusCode;
use store::transition;
use wire::api::subscription;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::changing::{self, until_won};
use crate::management::Sent;
use crate::path::At;
use crate::refusal::{Refusal, because};
use crate::subscriptions::{self, Ids, find, must_not_be_revoked};

/// Events that are accepted from now on are delivered again.
pub(crate) async fn resume(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At(ids): Ids,
    sent: Sent,
) -> Result<Response, Refusal> {
    find(&api, &caller, &ids).await?;
    caller.must_be_permitted()?;
    sent.nothing()?;
    let resumed: Subscription = until_won(|| async {
        let current = find(&api, &caller, &ids).await?;
        must_not_be_revoked(&current)?;
        if current.status.is_active() {
            return Err(Refusal::new(
                because::NOT_SUSPENDED,
                "the subscription is active; only a suspended one can be resumed",
            )
            .into());
        }
        let mut change = changing::change();
        transition::resume(&mut change, current, &caller.pim.url, Timestamp::now());
        subscriptions::make(&api, change).await
    })
    .await?;
    Ok(json(StatusCode::OK, subscription::render(&resumed, &caller.pim.url)))
}
