//! `/api/v1/admin/pims/{name}/keys`: producer keys of a PIM.

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

/// Like [`new_source_key`], with an error response.
pub(super) fn make(now: Timestamp) -> Result<(Secret, SourceKey), Refusal> {
    new_source_key(now, Origin::Api).ok_or_else(super::no_random_numbers)
}

/// Public description.
pub(crate) fn about_add() -> Operation {
    Operation::new(
        "addKey",
        "Create another key",
        "The other keys stay valid, so keys can be rotated without downtime. The key is shown only in this response.",
    )
    .sends_nothing()
    .answers(201, "The key.", Shown::One("Key"))
    .refuses(&[because::NOT_FOUND])
    .then("removeKey", &[("name", "$request.path.name"), ("prefix", "$response.body#/prefix")])
}

/// Public description.
pub(crate) fn about_remove() -> Operation {
    Operation::new("removeKey", "Revoke a key", "Revokes all keys with this prefix immediately.")
        .sends_nothing()
        .answers_with(204, "Revoked.", None)
        .refuses(&[because::NOT_FOUND])
}

/// Schemas of the responses.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[
    (
        "Key",
        r##"{"type": "object", "required": ["key", "prefix", "created_at"], "properties": {"key": {"type": "string"},
          "prefix": {"type": "string", "description": "First characters of the key, to distinguish keys."},
          "created_at": {"type": "string", "format": "date-time"}}}"##,
    ),
    (
        "KeyPrefix",
        r##"{"type": "object", "required": ["prefix", "created_at", "origin"],
            "properties": {"prefix": {"type": "string"}, "created_at": {"type": "string", "format": "date-time"},
          "origin": {"enum": ["configuration", "command", "api"], "description": "Origin of the key."}}}"##,
    ),
];

/// Creates another key; the others stay valid. It is shown only in this response.
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

/// Revokes the keys with this prefix.
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
