//! `/api/v1/admin/pims/{name}/clients/{client_id}/tokens`: platform tokens, which authenticate a client without asking
//! its PIM.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::pim::{Pim, PlatformToken};
use domain::subscriber::Owner;
use http::StatusCode;
use serde_json::{Value, json};
use store::{ChangeError, Clients, edit_client};
use wire::fault::code;

use super::{answer, owner_of, pim_named};
use crate::Api;
use crate::auth::credential::new_platform_token;
use crate::description::operation::{Operation, Shown};
use crate::management::Sent;
use crate::path::At;
use crate::refusal::{Refusal, because};

/// Adds a token to a client.
pub async fn add_platform_token(
    clients: &dyn Clients,
    owner: &Owner,
    token: &PlatformToken,
) -> Result<(), ChangeError> {
    edit_client(clients, owner, |client| client.tokens.push(token.clone())).await.map(drop)
}

/// Revokes a client's tokens with this prefix; `false` if there is none.
pub async fn end_platform_token(clients: &dyn Clients, owner: &Owner, prefix: &str) -> Result<bool, ChangeError> {
    let mut found = false;
    edit_client(clients, owner, |client| {
        let before = client.tokens.len();
        client.tokens.retain(|token| token.prefix != prefix);
        found = client.tokens.len() < before;
    })
    .await?;
    Ok(found)
}

/// Public description.
pub(crate) fn about_list() -> Operation {
    Operation::new("listTokens", "List platform tokens", "Prefixes of a client's tokens.")
        .answers(200, "The tokens.", Shown::One("TokenList"))
        .invalid(&[code::INVALID_VALUE])
        .refuses(&[because::NOT_FOUND])
}

/// Public description.
pub(crate) fn about_add() -> Operation {
    Operation::new(
        "addToken",
        "Issue a platform token",
        "The client sends it as `X-PIM-TOKEN`; its PIM is not asked, and never sees it. For Community and PaaS \
         editions, whose own \
         tokens do not identify the client, and for calls while a PIM is down. The client's other tokens stay valid. \
         The token is \
         shown only in this response.",
    )
    .sends_nothing()
    .answers(201, "The token.", Shown::One("Token"))
    .invalid(&[code::INVALID_VALUE])
    .refuses(&[because::NOT_FOUND, because::CONCURRENT_CHANGE])
    .then(
        "removeToken",
        &[
            ("name", "$request.path.name"),
            ("client_id", "$request.path.client_id"),
            ("prefix", "$response.body#/prefix"),
        ],
    )
}

/// Public description.
pub(crate) fn about_remove() -> Operation {
    Operation::new(
        "removeToken",
        "Revoke a platform token",
        "Takes effect immediately; the client's other tokens stay valid.",
    )
    .sends_nothing()
    .answers_with(204, "Revoked.", None)
    .invalid(&[code::INVALID_VALUE])
    .refuses(&[because::NOT_FOUND, because::CONCURRENT_CHANGE])
}

/// Schemas of the responses.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[
    (
        "Token",
        r##"{"type": "object", "required": ["token", "prefix", "created_at"], "properties": {"token": {"type": "string",
            "pattern": "^pt_"},
          "prefix": {"type": "string", "description": "First characters of the token, to distinguish tokens."},
          "created_at": {"type": "string", "format": "date-time"}}}"##,
    ),
    (
        "TokenList",
        r##"{"type": "object", "required": ["items"], "properties": {"items": {"type": "array",
            "items": {"type": "object", "required": ["prefix", "created_at"],
          "properties": {"prefix": {"type": "string"}, "created_at": {"type": "string", "format": "date-time"}}}}}}"##,
    ),
];

fn shown(token: &PlatformToken) -> Value {
    json!({"prefix": token.prefix, "created_at": token.created_at.to_string()})
}

/// The client named in a path, known to its PIM or not.
async fn client_of(api: &Api, name: &str, client_id: String) -> Result<(Pim, Owner), Refusal> {
    let pim = pim_named(api, name).await?;
    let owner = owner_of(&pim, client_id)?;
    Ok((pim, owner))
}

/// Prefixes of a client's tokens.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    At((name, client_id)): At<(String, String)>,
) -> Result<Response, Refusal> {
    let (_, owner) = client_of(&api, &name, client_id).await?;
    let client = api.store().client(&owner).await?;
    answer(StatusCode::OK, &json!({"items": client.tokens.iter().map(shown).collect::<Vec<_>>()}))
}

/// Creates another token; the others stay valid. It is shown only in this response.
pub(crate) async fn add(
    State(api): State<Arc<Api>>,
    At((name, client_id)): At<(String, String)>,
    sent: Sent,
) -> Result<Response, Refusal> {
    sent.nothing()?;
    let (pim, owner) = client_of(&api, &name, client_id).await?;
    let (token, kept) = new_platform_token(api.clock.wall()).ok_or_else(super::no_random_numbers)?;
    add_platform_token(api.store(), &owner, &kept).await?;
    tracing::info!(
        pim.name = %pim.name, client.id = %owner.client_id, token.prefix = %kept.prefix,
        "operator issued a platform token"
    );
    let mut made = shown(&kept);
    if let Some(members) = made.as_object_mut() {
        members.insert("token".to_owned(), token.expose().into());
    }
    answer(StatusCode::CREATED, &made)
}

/// Revokes a token.
pub(crate) async fn remove(
    State(api): State<Arc<Api>>,
    At((name, client_id, prefix)): At<(String, String, String)>,
    sent: Sent,
) -> Result<StatusCode, Refusal> {
    sent.nothing()?;
    let (pim, owner) = client_of(&api, &name, client_id).await?;
    if !end_platform_token(api.store(), &owner, &prefix).await? {
        return Err(Refusal::not_found("token"));
    }
    tracing::info!(
        pim.name = %pim.name, client.id = %owner.client_id, token.prefix = %prefix, "operator revoked a platform token"
    );
    Ok(StatusCode::NO_CONTENT)
}
