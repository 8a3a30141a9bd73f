//! `/api/v1/admin/pims/{name}/keys`: the keys of a PIM's producers.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::pim::{Origin, SourceKey};
use domain::{Secret, Timestamp};
use http::StatusCode;
use serde_json::json;
use store::edit_pim;

use super::{answer, pim_named};
use crate::Api;
use crate::auth::credential::new_source_key;
use crate::description::operation::{Operation, Shown};
use crate::management::Sent;
use crate::path::At;
use crate::refusal::{Refusal, because};

/// The same, or the answer that there is none.
pub(super) fn make(now: Timestamp) -> Result<(Secret, SourceKey), Refusal> {
    new_source_key(now, Origin::Api).ok_or_else(super::no_random_numbers)
}

/// What it is for those who call it.
pub(crate) fn about_add() -> Operation {
    Operation::new(
        "addKey",
        "Make a further key",
        "The other keys stay: rotate without a gap. It is shown in this answer and never again.",
    )
    .sends_nothing()
    .answers(201, "The key.", Shown::One("Key"))
    .refuses(&[because::NOT_FOUND])
    .then("removeKey", &[("name", "$request.path.name"), ("prefix", "$response.body#/prefix")])
}

/// What it is for those who call it.
pub(crate) fn about_remove() -> Operation {
    Operation::new("removeKey", "End a key", "All keys that begin with this prefix end at once.")
        .sends_nothing()
        .answers_with(204, "It has ended.", None)
        .refuses(&[because::NOT_FOUND])
}

/// The answers, for those who read them.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[
    (
        "Key",
        r##"{"type": "object", "required": ["key", "prefix", "created_at"], "properties": {"key": {"type": "string"},
          "prefix": {"type": "string", "description": "Its first characters, to tell keys apart."}, "created_at": {"type": "string", "format": "date-time"}}}"##,
    ),
    (
        "KeyPrefix",
        r##"{"type": "object", "required": ["prefix", "created_at", "origin"], "properties": {"prefix": {"type": "string"}, "created_at": {"type": "string", "format": "date-time"},
          "origin": {"enum": ["configuration", "command", "api"], "description": "Who set it."}}}"##,
    ),
];

/// One more key; the others stay. It is shown in this answer and never again.
pub(crate) async fn add(State(api): State<Arc<Api>>, At(name): At<String>, sent: Sent) -> Result<Response, Refusal> {
    sent.nothing()?;
    let pim = pim_named(&api, &name).await?;
    let (key, kept) = make(api.clock.wall())?;
    let shown = json!({"key": key.expose(), "prefix": kept.prefix, "created_at": kept.created_at.to_string()});
    edit_pim(api.store(), pim.id, |pim| -> Result<(), Refusal> {
        pim.keys.push(kept.clone());
        Ok(())
    })
    .await?;
    answer(StatusCode::CREATED, &shown)
}

/// Ends the keys that begin so.
pub(crate) async fn remove(
    State(api): State<Arc<Api>>,
    At((name, prefix)): At<(String, String)>,
    sent: Sent,
) -> Result<StatusCode, Refusal> {
    sent.nothing()?;
    let pim = pim_named(&api, &name).await?;
    edit_pim(api.store(), pim.id, |pim| {
        let before = pim.keys.len();
        pim.keys.retain(|key| key.prefix != prefix);
        if pim.keys.len() == before { Err(Refusal::not_found("key")) } else { Ok(()) }
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
