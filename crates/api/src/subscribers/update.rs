//! `PATCH /subscribers/{id}`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::log_entry::Action;
use domain::subscriber::Subscriber;
use http::StatusCode;
use store::Change;
use wire::api::subscriber;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::changing::{self, NotChanged, called, changed_subscriber, until_won};
use crate::description::operation::{Operation, Shown};
use crate::management::Sent;
use crate::path::At;
use crate::refusal::Refusal;
use crate::refusal::because;
use crate::subscribers::{asked, find, must_be_active};
use wire::api::SUBSCRIBER_FAULTS;

/// Public description.
pub(crate) fn about() -> Operation {
    let body = "SubscriberPatch";
    Operation::new(
        "updateSubscriber",
        "Change a subscriber",
        "A JSON merge patch (RFC 7396) on `name` and `contact`: omitted fields keep their values, `null` removes \
         optional fields. \
         A subscriber as read can be sent back.",
    )
    .sends_any(
        vec![("application/json", body), ("application/merge-patch+json", body)],
        true,
        Some(r#"{"contact":{"technical_email":"team@example.com"}}"#),
    )
    .answers(200, "The updated subscriber.", Shown::One("Subscriber"))
    .invalid(SUBSCRIBER_FAULTS)
    .refuses(&[because::NOT_FOUND, because::SUBSCRIBER_REVOKED, because::CONCURRENT_CHANGE])
}

/// A merge patch on name and contact. A patch without changes is answered and not logged.
pub(crate) async fn update(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At(id): At<String>,
    sent: Sent,
) -> Result<Response, Refusal> {
    find(&api, &caller, &id).await?;
    let patch = sent.json()?;
    let call = sent.call(StatusCode::OK);
    let rules = api.rules(&caller.pim.url);
    let updated: Subscriber = until_won(|| async {
        let caller = caller.again(&api).await?;
        let current = find(&api, &caller, &id).await?;
        must_be_active(&current)?;
        let patched = subscriber::apply_patch(&current, &patch, &rules).map_err(Refusal::invalid)?;
        if patched == current {
            return Ok::<_, NotChanged>(current);
        }
        let now = api.clock.wall();
        let (patched, question) = asked(&api, patched, &caller.pim.url, now)?;
        let put = changed_subscriber(patched, now);
        let updated = put.value().clone();
        let entry = changing::entry(&caller.owner, updated.id, None, Action::SubscriberUpdated, now);
        let change = Change { subscriber: Some(put), question, entries: vec![entry], ..caller.change() };
        changing::make(api.store(), called(change, &call)).await?;
        Ok(updated)
    })
    .await?;
    Ok(json(StatusCode::OK, subscriber::render(&updated, &caller.pim.url)))
}
