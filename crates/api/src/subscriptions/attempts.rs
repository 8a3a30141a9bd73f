//! `GET /subscribers/{id}/subscriptions/{sid}/attempts`: the latest attempts, counts of outcomes, and the backlog over
//! time.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::backlog::Of;
use domain::fate::OutcomeCounts;
use domain::subscriber::Owner;
use domain::{SubscriptionId, Timestamp};
use http::StatusCode;
use wire::api::QUERY_FAULTS;
use wire::api::attempts::{self, ATTEMPTS_QUERY};

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::path::At;
use crate::refusal::{Refusal, because};
use crate::subscriptions::{Ids, find};

/// Time span of the counts (contract page 8, "Attempts and test events").
const COUNTED: Duration = Duration::from_hours(24);

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "listAttempts",
        "List the latest attempts",
        "The latest attempts, at most 100, as far as they are remembered, and counts of outcomes and the backlog over \
         24 hours. Test events are not included.",
    )
    .query(ATTEMPTS_QUERY)
    .answers(200, "Attempts, counts and backlog.", Shown::One("Attempts"))
    .invalid(QUERY_FAULTS)
    .refuses(&[because::NOT_FOUND, because::NODE_UNAVAILABLE])
}

/// The latest attempts of a subscription.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At(ids): Ids,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let subscription = find(&api, &caller, &ids).await?;
    let limit = attempts::attempts_request(query.as_deref().unwrap_or_default()).map_err(Refusal::invalid)?;
    let past = api.deliveries.attempts(&subscription).await?;
    let counts = counts(&api, &caller.owner, vec![subscription.id]).await?;
    let backlog = api.deliveries.backlog(Of::These(subscription.pim, vec![subscription.id])).await.complete()?;
    Ok(json(StatusCode::OK, attempts::render(&past, limit, &counts, &backlog)))
}

/// Counts of outcomes of an owner's subscriptions over 24 hours, together.
pub(crate) async fn counts(api: &Api, owner: &Owner, of: Vec<SubscriptionId>) -> Result<Vec<OutcomeCounts>, Refusal> {
    let now = api.clock.wall();
    let from = Timestamp::from_micros(now.as_micros() - COUNTED.as_micros() as i64);
    // The store first: what the lane saves in between is missing this once, rather than counted twice.
    let saved = api.store().outcome_counts(owner, &of, from).await?;
    let unsaved = api.deliveries.outcome_counts(owner.pim, of).await?;
    Ok(OutcomeCounts::sum(saved.into_iter().chain(unsaved).filter(|counts| counts.from >= from)))
}
