//! `/api/v1/admin/pims`: the registered PIMs.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::pim::{Origin, Pim, Provenance, SourceKey};
use domain::{PimId, Timestamp};
use http::StatusCode;
use intake::BridgeStatus;
use serde_json::{Value, json};
use store::{KeptQuery, PimQuery};
use wire::api::admin as new_pim;

use super::{PAGE, answer, keys, pim_named};
use crate::Api;
use crate::description::operation::{Operation, Shown};
use crate::management::Sent;
use crate::path::At;
use crate::refusal::Refusal;
use crate::refusal::because;
use wire::api::{ADMIN_FAULTS, QUERY_FAULTS};

/// A PIM as shown to the operator, with what arrived from it.
async fn with_arrivals(api: &Api, pim: &Pim) -> Result<Value, Refusal> {
    let mut shown = shown(pim);
    // Reads the newest frames only.
    let newest = api.store().find(pim.id, &KeptQuery { limit: 1, ..KeptQuery::default() }).await?;
    let bridge = match &pim.events_api_secret {
        None => Value::Null,
        Some(_) => {
            let stored = api.store().bridge_status(pim.id).await?;
            bridge(&stored.map_or_else(BridgeStatus::default, |stored| BridgeStatus::from_text(&stored.text)))
        }
    };
    if let Some(members) = shown.as_object_mut() {
        let at = newest.events.first().map(|newest| newest.accepted_at.to_string());
        members.insert("last_event_at".to_owned(), json!(at));
        members.insert("bridge".to_owned(), bridge);
    }
    Ok(shown)
}

fn bridge(status: &BridgeStatus) -> Value {
    let at = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "verified": status.verified, "verified_at": at(status.verified_at), "tested_at": at(status.tested_at),
        "events": status.events, "events_at": at(status.events_at),
        "refused": status.refused, "refused_at": at(status.refused_at), "refusal": status.refusal,
        "unrecognised": status.bad, "unrecognised_because": status.bad_why,
        "uncompared": status.uncompared, "uncompared_because": status.uncompared_why,
        "reconciled": status.filled, "reconciled_at": at(status.filled_at),
    })
}

/// A PIM as shown to the operator, without keys and secrets.
fn shown(pim: &Pim) -> Value {
    let key = |key: &SourceKey| {
        json!({
            "prefix": key.prefix, "created_at": key.created_at.to_string(), "origin": key.origin.as_str(),
        })
    };
    json!({
        "name": pim.name,
        "url": pim.url,
        "token_check": new_pim::way(&pim.token_check),
        "trust_client_id": pim.keeps_clients_together(),
        "origin": pim.provenance.pim.as_str(),
        "withdrawn_at": pim.provenance.withdrawn_at.map(|at| at.to_string()),
        "keys": pim.keys.iter().map(key).collect::<Vec<_>>(),
        "static_tokens": pim.static_tokens.iter().map(|token| &token.client_id.0).collect::<Vec<_>>(),
        "events_api": pim.events_api_secret.is_some(),
        "created_at": pim.created_at.to_string(),
    })
}

/// Public description.
pub(crate) fn about_list() -> Operation {
    Operation::new("listPims", "List PIMs", "In order of registration, 100 per page.")
        .query(new_pim::PIMS_QUERY)
        .answers(200, "A page of PIMs.", Shown::One("PimList"))
        .invalid(QUERY_FAULTS)
}

/// Public description.
pub(crate) fn about_show() -> Operation {
    Operation::new("showPim", "Show a PIM", "")
        .answers(200, "The PIM.", Shown::One("Pim"))
        .refuses(&[because::NOT_FOUND])
}

/// Public description.
pub(crate) fn about_add() -> Operation {
    Operation::new("addPim", "Register a PIM", "Also creates its first key, which is shown only in this response.")
        .sends(
            "NewPim",
            r#"{"name":"shop","url":"https://pim.example.com","token_check":"static","static_tokens":[{"client_id":"my-app","token":"my-token"}]}"#,
        )
        .answers(201, "The PIM with its key.", Shown::One("PimWithKey"))
        .invalid(ADMIN_FAULTS)
        .refuses(&[because::TAKEN])
        .then("showPim", &[("name", "$response.body#/name")])
        .then("addKey", &[("name", "$response.body#/name")])
        .then("removePim", &[("name", "$response.body#/name")])
}

/// Public description.
pub(crate) fn about_remove() -> Operation {
    Operation::new("removePim", "Remove a PIM", "Revokes its keys, subscribers and subscriptions.")
        .sends_nothing()
        .answers_with(204, "Removed.", None)
        .refuses(&[because::NOT_FOUND])
}

/// Members of a PIM in responses.
const PIM: &str = r##""name": {"type": "string"}, "url": {"type": "string"},
  "token_check": {"enum": ["token-info", "system-information", "measurement-families", "static"]},
  "trust_client_id": {"type": "boolean",
  "description": "Whether any token of this PIM can act as any of its clients, so that clients are not separated."},
  "origin": {"enum": ["configuration", "command", "api"],
  "description": "Origin of the registration. A PIM removed from the configuration file is withdrawn at the next start."},
  "withdrawn_at": {"type": ["string", "null"], "format": "date-time",
  "description": "When it was removed from the configuration file, locked out and paused."},
  "keys": {"type": "array", "items": {"$ref": "#/components/schemas/KeyPrefix"}},
  "static_tokens": {"type": "array", "items": {"type": "string"}, "description": "Client ids with a static token."},
  "events_api": {"type": "boolean", "description": "Whether its Events API is ingested."},
  "last_event_at": {"type": ["string", "null"], "format": "date-time",
  "description": "When its latest event that is still kept was accepted; `null`: none is kept."},
  "bridge": {"description": "What arrived from its Events API; `null` unless that is ingested. Stored every few seconds.",
    "oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Bridge"}]},
  "created_at": {"type": "string", "format": "date-time"}"##;

const BRIDGE: &str = r##"{"type": "object", "required": ["verified", "verified_at", "tested_at", "events", "events_at",
  "refused", "refused_at", "refusal", "unrecognised", "unrecognised_because", "uncompared", "uncompared_because",
  "reconciled", "reconciled_at"], "properties": {
  "verified": {"type": "integer", "description": "Requests with a valid signature."},
  "verified_at": {"type": ["string", "null"], "format": "date-time"},
  "tested_at": {"type": ["string", "null"], "format": "date-time", "description": "Latest test by the button of the PIM."},
  "events": {"type": "integer", "description": "Accepted events."},
  "events_at": {"type": ["string", "null"], "format": "date-time"},
  "refused": {"type": "integer", "description": "Requests refused because of their signature."},
  "refused_at": {"type": ["string", "null"], "format": "date-time"},
  "refusal": {"type": ["string", "null"], "description": "Why the latest one was refused."},
  "unrecognised": {"type": "integer", "description": "Events that could not be read."},
  "unrecognised_because": {"type": ["string", "null"]},
  "uncompared": {"type": "integer", "description": "Events without a delta, because their entity cannot be compared."},
  "uncompared_because": {"type": ["string", "null"]},
  "reconciled": {"type": "integer", "description": "Events that the PIM failed to send, created by reconciliation."},
  "reconciled_at": {"type": ["string", "null"], "format": "date-time"}}}"##;

/// Schemas of the responses.
pub(crate) fn schemas() -> Vec<(&'static str, String)> {
    let required = r#""name", "url", "token_check", "trust_client_id", "origin", "withdrawn_at", "keys", "static_tokens", "events_api", "last_event_at", "bridge", "created_at""#;
    vec![
        ("Bridge", BRIDGE.to_owned()),
        ("Pim", format!(r#"{{"type": "object", "required": [{required}], "properties": {{{PIM}}}}}"#)),
        (
            "PimWithKey",
            format!(
                r#"{{"type": "object", "required": [{required}, "key"], "properties": {{{PIM},
                    "key": {{"type": "string",
                    "description": "What its producers send events with. It is not shown again."}}}}}}"#
            ),
        ),
        (
            "PimList",
            r##"{"type": "object", "required": ["items", "next"], "properties": {"items": {"type": "array", "items": {"$ref": "#/components/schemas/Pim"}},
              "next": {"type": ["string", "null"], "description": "`after` of the next page; `null` on the last page."}}}"##.to_owned(),
        ),
    ]
}

/// A page of PIMs, in order of registration.
pub(crate) async fn list(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let asked = new_pim::parse_pims_query(query.as_deref().unwrap_or_default()).map_err(Refusal::invalid)?;
    let page = api.store().pims(&PimQuery { text: asked.text, after: asked.after, limit: PAGE }).await?;
    let next = page.last().map(|last| last.id.to_string());
    let mut items = Vec::with_capacity(page.items.len());
    for pim in &page.items {
        items.push(with_arrivals(&api, pim).await?);
    }
    answer(StatusCode::OK, &json!({"items": items, "next": next}))
}

/// Shows one PIM.
pub(crate) async fn show(State(api): State<Arc<Api>>, At(name): At<String>) -> Result<Response, Refusal> {
    answer(StatusCode::OK, &with_arrivals(&api, &pim_named(&api, &name).await?).await?)
}

/// Registers a PIM and creates its first key, which is shown only in this response.
pub(crate) async fn add(State(api): State<Arc<Api>>, sent: Sent) -> Result<Response, Refusal> {
    let new = new_pim::parse_new_pim(&sent.json()?).map_err(Refusal::invalid)?;
    let (key, kept) = keys::make(api.clock.wall())?;
    let pim = Pim {
        id: PimId(0),
        name: new.name,
        url: new.url,
        url_key: new.url_key,
        keys: vec![kept],
        token_check: new.token_check,
        static_tokens: new.static_tokens,
        events_api_secret: None,
        provenance: Provenance { pim: Origin::Api, ..Provenance::default() },
        created_at: api.clock.wall(),
        revision: 0,
    };
    let mut made = with_arrivals(&api, &api.store().add_pim(pim).await?).await?;
    if let Some(members) = made.as_object_mut() {
        members.insert("key".to_owned(), key.expose().into());
    }
    answer(StatusCode::CREATED, &made)
}

/// Removes a PIM and revokes its keys, subscribers and subscriptions.
pub(crate) async fn remove(
    State(api): State<Arc<Api>>,
    At(name): At<String>,
    sent: Sent,
) -> Result<StatusCode, Refusal> {
    sent.nothing()?;
    let pim = pim_named(&api, &name).await?;
    api.store().remove_pim(pim.id, api.clock.wall()).await?;
    Ok(StatusCode::NO_CONTENT)
}
