//! `GET /subscribers/{id}/subscriptions/{sid}/attempts`: the latest attempts, and counts of outcomes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use domain::Timestamp;
use domain::fate::OutcomeCounts;
use http::StatusCode;
use wire::api::attempts;

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
        "The latest attempts, at most 100, as far as they are remembered, and counts of outcomes over 24 hours. Test \
         events are not included.",
    )
    .answers(200, "Attempts and counts.", Shown::One("Attempts"))
    .refuses(&[because::NOT_FOUND])
}

/// The latest attempts of a subscription.
pub(crate) async fn list(State(api): State<Arc<Api>>, caller: Caller, At(ids): Ids) -> Result<Response, Refusal> {
    let subscription = find(&api, &caller, &ids).await?;
    let past = api.deliveries.attempts(&subscription).await;
    let now = api.clock.wall();
    let from = Timestamp::from_micros(now.as_micros() - COUNTED.as_micros() as i64);
    // The store first: what the lane saves in between is missing this once, rather than counted twice.
    let saved = api.store().outcome_counts(subscription.id, from).await?;
    let unsaved = api.deliveries.outcome_counts(&subscription).await;
    let counts = sum(saved.into_iter().chain(unsaved).filter(|counts| counts.from >= from));
    Ok(json(StatusCode::OK, attempts::render(&past, &counts)))
}

/// The counts by step, ascending.
fn sum(counts: impl Iterator<Item = OutcomeCounts>) -> Vec<OutcomeCounts> {
    let mut steps: BTreeMap<Timestamp, OutcomeCounts> = BTreeMap::new();
    for one in counts {
        let step = steps.entry(one.from).or_insert(OutcomeCounts { from: one.from, ..OutcomeCounts::default() });
        step.delivered += one.delivered;
        step.failed += one.failed;
        step.throttled += one.throttled;
    }
    steps.into_values().collect()
}
