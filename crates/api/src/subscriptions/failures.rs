//! `GET /subscribers/{id}/subscriptions/{sid}/failures`: events given up, and waiting for a retry.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::attempt::PastAttempt;
use domain::{LoggedEvent, PimId, Position};
use http::StatusCode;
use store::{ReadLimit, Scope, StoreError, Undelivered};
use wire::api::QUERY_FAULTS;
use wire::api::kept::{self, FAILURES_QUERY, Failure, FailureState};

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::path::At;
use crate::refusal::{Refusal, because};
use crate::subscriptions::{Ids, find};

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "listFailures",
        "List undelivered events",
        "Events that were given up and events waiting for a retry, newest first. Events dropped with a backlog are not \
         listed.",
    )
    .query(FAILURES_QUERY)
    .answers(200, "A page of events.", Shown::One("FailurePage"))
    .invalid(QUERY_FAULTS)
    .refuses(&[because::NOT_FOUND, because::NODE_UNAVAILABLE])
}

/// A page of undelivered events of a subscription.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At(ids): Ids,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let subscription = find(&api, &caller, &ids).await?;
    let page =
        kept::failures_request(query.as_deref().unwrap_or_default(), subscription.id).map_err(Refusal::invalid)?;
    let listed = api.store().undelivered(subscription.id, page.before, page.limit).await?;
    let past = api.deliveries.attempts(&subscription).await?.attempts;
    let mut failures = Vec::with_capacity(listed.len());
    for undelivered in &listed {
        // An event may be deleted in the meantime.
        if let Some(logged) = read(&api, subscription.pim, position(undelivered)).await? {
            failures.push(Failure {
                event_id: logged.event.id().to_owned(),
                event_type: logged.event.event_type().to_owned(),
                state: state(undelivered, past.iter().find(|attempt| attempt.event_id == logged.event.id())),
            });
        }
    }
    let next = if listed.len() < page.limit { None } else { listed.last().map(position) };
    Ok(json(StatusCode::OK, kept::failures(&failures, next, subscription.id)))
}

fn position(undelivered: &Undelivered) -> Position {
    match undelivered {
        Undelivered::Waiting(exception) => exception.position,
        Undelivered::GivenUp(given_up) => given_up.position,
    }
}

/// The event at a position.
async fn read(api: &Api, pim: PimId, position: Position) -> Result<Option<Arc<LoggedEvent>>, StoreError> {
    let limit = ReadLimit { events: 1, bytes: 1, until: position.next() };
    let chunk = api.store().read(Scope::Pim(pim), position, limit).await?;
    Ok(chunk.events.into_iter().find(|logged| logged.position == position))
}

/// `latest`: the latest attempt for the event, if it is remembered.
fn state(undelivered: &Undelivered, latest: Option<&PastAttempt>) -> FailureState {
    match undelivered {
        Undelivered::GivenUp(given_up) => FailureState::GivenUp(given_up.clone()),
        Undelivered::Waiting(exception) => FailureState::Waiting {
            reason: latest.and_then(|attempt| attempt.error_reason),
            status: latest.and_then(|attempt| attempt.status),
            attempts: exception.failures,
            at: latest.map_or(exception.first_tried_at, |attempt| attempt.started_at),
            due_at: exception.due_at,
        },
    }
}
