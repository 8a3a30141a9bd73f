//! `PATCH /subscribers/{id}`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::Timestamp;
use domain::log_entry::Action;
use domain::subscriber::Subscriber;
use http::StatusCode;
use store::Change;
use wire::api::subscriber;

use crate::Api;
use crate::auth::caller::Caller;
use crate::body::json;
use crate::changing::{self, Attempt, changed_subscriber, until_won};
use crate::management::Sent;
use crate::path::At;
use crate::refusal::Refusal;
use crate::subscribers::{find, must_be_active};

/// A merge patch on name and contact. What changes nothing is answered and not logged.
pub(crate) async fn update(
    State(api): State<Arc<Api>>,
    caller: Caller,
    At(id): At<String>,
    sent: Sent,
) -> Result<Response, Refusal> {
    find(&api, &caller, &id).await?;
    let patch = sent.json()?;
    let rules = api.rules(&caller.pim.url);
    let updated: Subscriber = until_won(|| async {
        let current = find(&api, &caller, &id).await?;
        must_be_active(&current)?;
        let patched = subscriber::apply_patch(&current, &patch, &rules).map_err(Refusal::invalid)?;
        if patched == current {
            return Ok::<_, Attempt>(current);
        }
        let now = Timestamp::now();
        let put = changed_subscriber(patched, now);
        let updated = put.value().clone();
        let entry = changing::entry(&caller.owner, updated.id, None, Action::SubscriberUpdated, now);
        let change = Change { subscriber: Some(put), entries: vec![entry], ..changing::change() };
        changing::make(api.catalog(), change).await?;
        Ok(updated)
    })
    .await?;
    Ok(json(StatusCode::OK, subscriber::render(&updated, &caller.pim.url)))
}
