//! `POST /subscribers/{id}/subscriptions/{sid}/replay`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::log_entry::{Action, LogEntry};
use domain::replay::{Replay, ReplayProgress, ReplayScope, ReplayStatus};
use domain::{Position, ReplayId};
use http::StatusCode;
use wire::Fault;
use wire::api::REPLAY_FAULTS;
use wire::api::replay::{self, NewReplay, Which};
use wire::fault::code;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::changing::{entry, in_effect, until_won};
use crate::description::operation::{Operation, Shown};
use crate::kept::Sight;
use crate::management::Sent;
use crate::path::At;
use crate::refusal::{Refusal, because};
use crate::subscriptions::{Ids, find, must_not_be_revoked};

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "startReplay",
        "Start a replay",
        "Delivers kept events once more: those of a time span, or single ones. Only events that `GET /api/v1/events` \
         lists, and only if the subscription's current types and filter match them. They go to the current \
         destination with the same id, marked with `X-Postrider-Replay`; receivers that drop known ids drop them. \
         Regular deliveries come first. One replay at a time, only for an active subscription.",
    )
    .sends("NewReplay", r#"{"event_ids":["b4ec4a4e-2b1f-4a0a-8b0e-0d8a1d0f0001"]}"#)
    .answers(202, "The replay, which is running.", Shown::One("Replay"))
    .invalid(REPLAY_FAULTS)
    .refuses(&[
        because::NOT_FOUND,
        because::EVENT_PLATFORM_FORBIDDEN,
        because::NOT_ACTIVE,
        because::SUBSCRIPTION_REVOKED,
        because::REPLAY_RUNNING,
        because::CONCURRENT_CHANGE,
    ])
    .then("showReplay", &[("id", "$request.path.id"), ("sid", "$request.path.sid"), ("rid", "$response.body#/id")])
}

/// Starts a replay.
pub(crate) async fn start(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At(ids): Ids,
    sent: Sent,
) -> Result<Response, Refusal> {
    find(&api, &caller, &ids).await?;
    caller.must_be_permitted()?;
    let now = api.clock.wall();
    let wanted = replay::parse_new(&sent.json()?, api.settings.highest_rate, now).map_err(Refusal::invalid)?;
    let (scope, gone) = scope(&api, &caller, &wanted).await?;
    let call = sent.call(StatusCode::ACCEPTED);
    let id = ReplayId::generate();
    let (started, version) = until_won(|| async {
        let caller = caller.again(&api).await?;
        caller.must_be_permitted()?;
        let subscription = find(&api, &caller, &ids).await?;
        must_not_be_revoked(&subscription)?;
        if !subscription.status.is_active() {
            let message = "the subscription is suspended; a replay needs an active one: resume it first";
            return Err(Refusal::new(because::NOT_ACTIVE, message).into());
        }
        if let Some(other) = super::running(&api, subscription.id).await? {
            let message = format!("replay {} is running; wait for its end or cancel it", other.id);
            return Err(Refusal::new(because::REPLAY_RUNNING, message).into());
        }
        let now = api.clock.wall();
        let replay = Replay {
            id,
            subscription: subscription.id,
            owner: caller.owner.clone(),
            scope: scope.clone(),
            filter: wanted.filter.clone(),
            rate: wanted.rate,
            created_at: now,
            status: ReplayStatus::Running,
            reason: None,
            progress: ReplayProgress { gone, ..ReplayProgress::default() },
        };
        let (of, about) = (subscription.subscriber_id, Some(subscription.id));
        let entry = entry(&caller.owner, of, about, Action::ReplayStarted, now);
        let entry = LogEntry { call: call.clone(), reason: Some(format!("replay {id}")), ..entry };
        let version = api.store().start_replay(replay.clone(), caller.conditions, entry).await?;
        Ok((replay, version))
    })
    .await?;
    in_effect(api.store(), api.store().shard_of(caller.pim.id), version).await;
    Ok(json(StatusCode::ACCEPTED, replay::render(&started)))
}

/// The events asked for, and the number of those that are not there.
async fn scope(api: &Api, caller: &Caller, wanted: &NewReplay) -> Result<(ReplayScope, u64), Refusal> {
    match &wanted.which {
        Which::Events(ids) => {
            let positions = Sight::of(api, caller).await?.positions(api, ids).await?;
            let gone = (ids.len() - positions.len()) as u64;
            Ok((ReplayScope::Events(positions), gone))
        }
        Which::Span { from, to, only } => {
            let refuse = |message: String| Err(Refusal::invalid(vec![Fault::at("from", code::INVALID_VALUE, message)]));
            let pim = caller.pim.id;
            // Nothing is missing while no event was ever deleted.
            let complete = api.store().kept_from(pim).await? <= Position::FIRST && *from >= api.kept_since();
            match api.store().oldest_kept(pim).await? {
                None if !complete => return refuse("no event is kept at the moment".to_owned()),
                Some(oldest) if !complete && *from < oldest => {
                    return refuse(format!("from is older than the oldest kept event, which was accepted at {oldest}"));
                }
                Some(_) | None => {}
            }
            let positions = api.store().positions(pim, *from..*to).await?;
            Ok((ReplayScope::Span { from: *from, to: *to, positions, only: *only }, 0))
        }
    }
}
