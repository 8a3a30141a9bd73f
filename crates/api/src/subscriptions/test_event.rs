//! `POST /subscribers/{id}/subscriptions/{sid}/test`: sends a test event, now.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::{LoggedEvent, Position};
use http::StatusCode;
use tokio::time::Instant;
use uuid::Uuid;
use wire::api::test_event::{TestEvent, render};
use wire::api::{Rules, TEST_EVENT_FAULTS};
use wire::fault::code;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::management::Sent;
use crate::path::At;
use crate::rate_limit::Rate;
use crate::refusal::{Refusal, because};
use crate::subscriptions::{Ids, find, must_not_be_revoked};

/// One per second and subscription (contract page 8, "Attempts and test events").
const RATE: Rate = (1.0, 1.0);

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "sendTestEvent",
        "Send a test event",
        "Makes one attempt to deliver an event to the subscription's destination, in the same way as a regular \
         delivery: signed, and with the same check of addresses. Its id begins with `test-`. It counts nowhere, is not \
         retried, ignores the filter, and also works while the subscription is suspended. One per second.",
    )
    .sends_any(vec![("application/json", "TestEvent")], false, Some(r#"{"type":"com.akeneo.pim.v1.product.updated"}"#))
    .answers(200, "The outcome, whether the destination accepted the event or not.", Shown::One("TestOutcome"))
    .invalid(TEST_EVENT_FAULTS)
    .invalid(&[code::INVALID_VALUE, code::EVENT_TOO_LARGE])
    .refuses(&[
        because::NOT_FOUND,
        because::EVENT_PLATFORM_FORBIDDEN,
        because::SUBSCRIPTION_REVOKED,
        because::RATE_LIMITED,
        because::STOPPING,
    ])
}

/// Sends a test event.
pub(crate) async fn send(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At(ids): Ids,
    sent: Sent,
) -> Result<Response, Refusal> {
    let subscription = find(&api, &caller, &ids).await?;
    caller.must_be_permitted()?;
    let first = subscription.selection.events.first().ok_or_else(|| Refusal::not_found("event type"))?;
    let body = if sent.is_empty() { None } else { Some(sent.json()?) };
    let rules: Rules<'_> = api.rules(&caller.pim.url);
    let wanted = TestEvent::parse(body.as_ref(), first, &rules).map_err(Refusal::invalid)?;
    let id = format!("test-{}", Uuid::now_v7());
    let started_at = api.clock.wall();
    let event = wanted.event(&id, started_at)?;

    // The body may have come slowly.
    let caller = caller.again(&api).await?;
    caller.must_be_permitted()?;
    let subscription = find(&api, &caller, &ids).await?;
    must_not_be_revoked(&subscription)?;
    let now = Instant::now();
    if let Some(wait) = api.tests.wait(&subscription.id, RATE, now) {
        let message = "at most one test event per second and subscription";
        return Err(Refusal::new(because::RATE_LIMITED, message).retry_after(wait));
    }
    api.tests.charge(subscription.id, RATE, now);
    let logged = LoggedEvent { position: Position::default(), pim: subscription.pim, accepted_at: started_at, event };
    let tested = api.tester.attempt(subscription, logged).await;
    let tested = tested.ok_or_else(|| Refusal::new(because::STOPPING, "the platform is stopping"))?;
    Ok(json(StatusCode::OK, render(&tested.attempt, tested.message.as_deref())))
}
