//! `/api/v1/admin/clients`: connections and apps across tenants, their permissions, and re-admission of removed ones.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::pim::Pim;
use domain::{ClientId, PimId};
use http::StatusCode;
use serde_json::{Value, json};
use store::{ClientQuery, ClientRecord, Page, PimQuery};
use wire::api::admin::{self as bodies, ClientPlace, ClientsQuery};
use wire::fault::code;

use super::{PAGE, answer, at, owner_of, pim_named};
use crate::Api;
use crate::client_life;
use crate::description::operation::{Operation, Shown};
use crate::management::Sent;
use crate::path::At;
use crate::refusal::{Refusal, because};
use wire::api::{ADMIN_FAULTS, QUERY_FAULTS};

fn shown(pim: &Pim, client_id: &ClientId, client: &ClientRecord) -> Value {
    json!({
        "pim": pim.name,
        "client_id": client_id.0,
        "permitted": client.permission.unwrap_or(true),
        "revoked_at": client.revoked_at.map(|at| at.to_string()),
    })
}

/// Public description.
pub(crate) fn about_list() -> Operation {
    Operation::new(
        "listClients",
        "List clients",
        "Connections and apps with a subscriber, a permission or a removal; 100 per page.",
    )
    .query(bodies::CLIENTS_QUERY)
    .answers(200, "A page of clients.", Shown::One("ClientList"))
    .invalid(QUERY_FAULTS)
    .refuses(&[because::NOT_FOUND])
}

/// Public description.
pub(crate) fn about_permission() -> Operation {
    Operation::new(
        "setPermission",
        "Grant or withdraw a client's permission",
        "Without the permission, its active subscriptions are suspended, and it can neither create nor resume any. \
         `pim` is optional \
         if only one PIM is registered.",
    )
    .sends("Permission", r#"{"pim":"shop","permitted":false}"#)
    .answers(200, "The updated client.", Shown::One("Client"))
    .invalid(ADMIN_FAULTS)
    .refuses(&[because::NOT_FOUND, because::CONCURRENT_CHANGE])
    .then("admitClient", &[("client_id", "$request.path.client_id")])
}

/// Public description.
pub(crate) fn about_admission() -> Operation {
    Operation::new(
        "admitClient",
        "Re-admit a removed client",
        "Lifts the lockout of a connection or app removed from its PIM. Revoked subscribers and subscriptions stay \
         revoked.",
    )
    .sends_any(vec![("application/json", "ClientOfPim")], false, Some(r#"{"pim":"shop"}"#))
    .answers(200, "The updated client.", Shown::One("Client"))
    .invalid(ADMIN_FAULTS)
    .refuses(&[because::NOT_FOUND, because::NOT_REVOKED])
}

/// Schemas of the responses.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[
    (
        "Client",
        r##"{"type": "object", "required": ["pim", "client_id", "permitted", "revoked_at"],
            "properties": {"pim": {"type": "string"},
          "client_id": {"type": "string"}, "permitted": {"type": "boolean"},
          "revoked_at": {"type": ["string", "null"], "format": "date-time",
          "description": "When it was removed from its PIM and locked out."}}}"##,
    ),
    (
        "ClientList",
        r##"{"type": "object", "required": ["items", "next"], "properties": {"items": {"type": "array", "items": {"$ref": "#/components/schemas/Client"}},
          "next": {"type": ["string", "null"], "description": "`after` of the next page; `null` on the last page."}}}"##,
    ),
];

/// A page of clients with a subscriber, a permission or a removal; `?pim=` selects one PIM.
pub(crate) async fn list(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let query = bodies::parse_clients_query(query.as_deref().unwrap_or_default()).map_err(Refusal::invalid)?;
    let found = match query.pim.clone() {
        Some(name) => {
            let mut found = Vec::new();
            find(&api, &pim_named(&api, &name).await?, &query, &mut found).await?;
            found
        }
        None => find_in_all(&api, &query).await?,
    };
    let page = Page::of(found, PAGE);
    let next = page.last().map(|(place, _)| place.to_string());
    let items: Vec<Value> = page.items.into_iter().map(|(_, shown)| shown).collect();
    answer(StatusCode::OK, &json!({"items": items, "next": next}))
}

/// Clients with their places.
type Found = Vec<(ClientPlace, Value)>;

/// Adds the requested clients of a PIM, until there is one more than a page has.
async fn find(api: &Api, pim: &Pim, asked: &ClientsQuery, found: &mut Found) -> Result<(), Refusal> {
    let within = asked.after.as_ref().filter(|place| place.pim == pim.id).map(|place| place.client_id.clone());
    let query = ClientQuery { pim: pim.id, text: asked.text.clone(), after: within, limit: PAGE + 1 - found.len() };
    for (client_id, client) in api.store().clients(&query).await?.items {
        let shown = shown(pim, &client_id, &client);
        found.push((ClientPlace { pim: pim.id, client_id }, shown));
    }
    Ok(())
}

/// The same for all PIMs, one after another.
async fn find_in_all(api: &Api, asked: &ClientsQuery) -> Result<Found, Refusal> {
    let mut found = Vec::new();
    let mut behind = asked.after.as_ref().and_then(|place| place.pim.0.checked_sub(1)).map(PimId);
    loop {
        let pims = api.store().pims(&PimQuery { text: None, after: behind, limit: PAGE }).await?;
        for pim in &pims.items {
            find(api, pim, asked, &mut found).await?;
            if found.len() > PAGE {
                return Ok(found);
            }
        }
        match pims.last() {
            Some(last) => behind = Some(last.id),
            None => return Ok(found),
        }
    }
}

/// The named PIM, or the only one.
async fn meant(api: &Api, named: Option<&str>) -> Result<Pim, Refusal> {
    if let Some(name) = named {
        return pim_named(api, name).await;
    }
    let mut pims = api.store().pims(&PimQuery { text: None, after: None, limit: 2 }).await?.items;
    match (pims.pop(), pims.is_empty()) {
        (Some(pim), true) => Ok(pim),
        _ => Err(at("pim", code::REQUIRED, "several PIMs are registered; specify the one that issued this client id")),
    }
}

/// Sets whether a client may use the platform. Withdrawing the permission suspends its active subscriptions.
pub(crate) async fn permission(
    State(api): State<Arc<Api>>,
    At(client_id): At<String>,
    sent: Sent,
) -> Result<Response, Refusal> {
    let (pim, permitted) = bodies::parse_permission(&sent.json()?).map_err(Refusal::invalid)?;
    let pim = meant(&api, pim.as_deref()).await?;
    let owner = owner_of(&pim, client_id)?;
    let frequent = api.settings.frequent;
    client_life::permission(api.store(), &pim, &owner, permitted, api.clock.wall(), frequent).await?;
    tracing::info!(pim.name = %pim.name, client.id = %owner.client_id, permitted, "operator changed a permission");
    let client = api.store().client(&owner).await?;
    answer(StatusCode::OK, &shown(&pim, &owner.client_id, &client))
}

/// Lifts the lockout of a removed client. Revoked objects stay revoked.
pub(crate) async fn admission(
    State(api): State<Arc<Api>>,
    At(client_id): At<String>,
    sent: Sent,
) -> Result<Response, Refusal> {
    let named =
        if sent.is_empty() { None } else { bodies::parse_which_pim(&sent.json()?).map_err(Refusal::invalid)? };
    let pim = meant(&api, named.as_deref()).await?;
    let owner = owner_of(&pim, client_id)?;
    if api.store().client(&owner).await?.revoked_at.is_none() {
        return Err(Refusal::new(
            because::NOT_REVOKED,
            "the client is not locked out; only a removed client can be re-admitted",
        ));
    }
    client_life::admit(api.store(), &owner).await?;
    tracing::info!(pim.name = %pim.name, client.id = %owner.client_id, "operator re-admitted a client");
    let client = api.store().client(&owner).await?;
    answer(StatusCode::OK, &shown(&pim, &owner.client_id, &client))
}
