//! `DELETE /subscribers/{id}`

use std::sync::Arc;

use axum::extract::State;
use domain::subscriber::SubscriberStatus;
use http::StatusCode;

use crate::Api;
use crate::auth::caller::Caller;
use crate::changing::{self, NotChanged, called, until_won};
use crate::description::operation::Operation;
use crate::management::Sent;
use crate::path::At;
use crate::refusal::Refusal;
use crate::refusal::because;
use crate::subscribers::find;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new("deleteSubscriber", "Delete a subscriber", "Its subscriptions are deleted with it. This is final.")
        .sends_nothing()
        .answers_with(204, "Deleted.", None)
        .refuses(&[because::NOT_FOUND, because::CONCURRENT_CHANGE])
}

/// Deletes a subscriber and its subscriptions in one change, without notifications.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At(id): At<String>,
    sent: Sent,
) -> Result<StatusCode, Refusal> {
    find(&api, &caller, &id).await?;
    sent.nothing()?;
    let call = sent.call(StatusCode::NO_CONTENT);
    until_won(|| async {
        let caller = caller.again(&api).await?;
        let subscriber = find(&api, &caller, &id).await?;
        let subscriptions = api.store().subscriptions(subscriber.id).await?;
        let deleted = SubscriberStatus::Deleted;
        let mut end = changing::end(subscriber, subscriptions, deleted, &caller.pim.url, api.clock.wall());
        end.conditions = caller.conditions;
        changing::make(api.store(), called(end, &call)).await?;
        Ok::<_, NotChanged>(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
