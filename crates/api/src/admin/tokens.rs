//! `/api/v1/admin/pims/{name}/clients/{client_id}/tokens`: tokens of the platform, by which a client is known without asking
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

/// Keeps a token for a client.
pub async fn add_platform_token(
    clients: &dyn Clients,
    owner: &Owner,
    token: &PlatformToken,
) -> Result<(), ChangeError> {
    edit_client(clients, owner, |client| client.tokens.push(token.clone())).await.map(drop)
}

/// Ends the tokens of a client that begin so; `false` if there is none.
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

/// What it is for those who call it.
pub(crate) fn about_list() -> Operation {
    Operation::new("listTokens", "List tokens of the platform", "Beginnings of the tokens that a client has; no token.")
        .answers(200, "The tokens.", Shown::One("TokenList"))
        .invalid(&[code::INVALID_VALUE])
        .refuses(&[because::NOT_FOUND])
}

/// What it is for those who call it.
pub(crate) fn about_add() -> Operation {
    Operation::new(
        "addToken",
        "Issue a token of the platform",
        "The client sends it as `X-PIM-TOKEN`; its PIM is not asked, and never sees it. For Community and PaaS editions, whose own \
         tokens do not say which client they were issued to, and for calls while a PIM is down. The client's other tokens stay. It is \
         shown in this answer and never again.",
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

/// What it is for those who call it.
pub(crate) fn about_remove() -> Operation {
    Operation::new("removeToken", "End a token of the platform", "It ends at once; the client's other tokens stay.")
        .sends_nothing()
        .answers_with(204, "It has ended.", None)
        .invalid(&[code::INVALID_VALUE])
        .refuses(&[because::NOT_FOUND, because::CONCURRENT_CHANGE])
}

/// The answers, for those who read them.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[
    (
        "Token",
        r##"{"type": "object", "required": ["token", "prefix", "created_at"], "properties": {"token": {"type": "string", "pattern": "^pt_"},
          "prefix": {"type": "string", "description": "Its first characters, to tell tokens apart."}, "created_at": {"type": "string", "format": "date-time"}}}"##,
    ),
    (
        "TokenList",
        r##"{"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": {"type": "object", "required": ["prefix", "created_at"],
          "properties": {"prefix": {"type": "string"}, "created_at": {"type": "string", "format": "date-time"}}}}}}"##,
    ),
];

fn shown(token: &PlatformToken) -> Value {
    json!({"prefix": token.prefix, "created_at": token.created_at.to_string()})
}

/// The client that a path names, known to its PIM or not.
async fn client_of(api: &Api, name: &str, client_id: String) -> Result<(Pim, Owner), Refusal> {
    let pim = pim_named(api, name).await?;
    let owner = owner_of(&pim, client_id)?;
    Ok((pim, owner))
}

/// Beginnings of the tokens that a client has.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    At((name, client_id)): At<(String, String)>,
) -> Result<Response, Refusal> {
    let (_, owner) = client_of(&api, &name, client_id).await?;
    let client = api.store().client(&owner).await?;
    answer(StatusCode::OK, &json!({"items": client.tokens.iter().map(shown).collect::<Vec<_>>()}))
}

/// One more token; the others stay. It is shown in this answer and never again.
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
        pim.name = %pim.name, client.id = %owner.client_id, token.prefix = %kept.prefix, "the operator issued a token of the platform"
    );
    let mut made = shown(&kept);
    if let Some(members) = made.as_object_mut() {
        members.insert("token".to_owned(), token.expose().into());
    }
    answer(StatusCode::CREATED, &made)
}

/// Ends one.
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
        pim.name = %pim.name, client.id = %owner.client_id, token.prefix = %prefix, "the operator ended a token of the platform"
    );
    Ok(StatusCode::NO_CONTENT)
}
