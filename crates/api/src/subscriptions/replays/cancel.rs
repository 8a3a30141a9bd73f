//! `DELETE /subscribers/{id}/subscriptions/{sid}/replays/{rid}`

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::log_entry::{Action, LogEntry};
use domain::replay::ReplayStatus;
use http::StatusCode;

use crate::Api;
use crate::auth::caller::Caller;
use crate::changing::{entry, in_effect, until_won};
use crate::description::operation::Operation;
use crate::management::Sent;
use crate::path::At;
use crate::refusal::{Refusal, because};
use crate::subscriptions;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "cancelReplay",
        "Cancel a replay",
        "Attempts in flight may still succeed. What was delivered stays delivered.",
    )
    .sends_nothing()
    .answers_with(204, "Cancelled.", None)
    .refuses(&[because::NOT_FOUND, because::REPLAY_ENDED, because::CONCURRENT_CHANGE])
}

/// Cancels a running replay.
pub(crate) async fn cancel(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At((id, sid, rid)): At<(String, String, String)>,
    sent: Sent,
) -> Result<Response, Refusal> {
    let ids = (id, sid);
    subscriptions::find(&api, &caller, &ids).await?;
    sent.nothing()?;
    let call = sent.call(StatusCode::NO_CONTENT);
    let version = until_won(|| async {
        let caller = caller.again(&api).await?;
        let subscription = subscriptions::find(&api, &caller, &ids).await?;
        let replay = super::find(&api, subscription.id, &rid).await?;
        if replay.status != ReplayStatus::Running {
            let message = format!("the replay has already ended: {}", replay.status.as_str());
            return Err(Refusal::new(because::REPLAY_ENDED, message).into());
        }
        let (of, about) = (subscription.subscriber_id, Some(subscription.id));
        let entry = entry(&caller.owner, of, about, Action::ReplayCancelled, api.clock.wall());
        let entry = LogEntry { call: call.clone(), reason: Some(format!("replay {}", replay.id)), ..entry };
        Ok(api.store().cancel_replay(subscription.id, replay.id, caller.conditions, entry).await?)
    })
    .await?;
    in_effect(api.store(), api.store().shard_of(caller.pim.id), version).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}
