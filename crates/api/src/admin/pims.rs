//! `/api/v1/admin/pims`: the registered PIMs.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::pim::{
    CLIENT_ID_FIELDS, ClientCredentials, ClientProof, Pim, Probe, StaticToken, TokenCheck, is_name, url_key,
};
use domain::{PimId, Timestamp};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::fault::code;

use super::{answer, at, keys, parse, pim_named};
use crate::Api;
use crate::management::Sent;
use crate::path::At;
use crate::refusal::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    url: String,
    #[serde(default)]
    token_check: Way,
    client_id_fields: Option<Vec<String>>,
    permission_field: Option<String>,
    #[serde(default)]
    trust_client_id: bool,
    #[serde(default)]
    clients: Vec<ClientCredentials>,
    #[serde(default)]
    static_tokens: Vec<StaticToken>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    #[default]
    TokenInfo,
    SystemInformation,
    MeasurementFamilies,
    Static,
}

impl New {
    fn token_check(&self) -> Result<TokenCheck, Refusal> {
        let wrong = |field, message: &str| Err(at(field, code::INVALID_VALUE, message));
        let probing = matches!(self.token_check, Way::SystemInformation | Way::MeasurementFamilies);
        if self.trust_client_id && !(probing && self.clients.is_empty()) {
            return wrong(
                "trust_client_id",
                "it goes with a probe, system-information or measurement-families, without clients",
            );
        }
        if self.token_check == Way::Static && !self.clients.is_empty() {
            return wrong("clients", "with token_check static only static_tokens count");
        }
        if self.token_check != Way::TokenInfo && (self.client_id_fields.is_some() || self.permission_field.is_some()) {
            return wrong("token_check", "client_id_fields and permission_field go with token-info");
        }
        let proof = || match (self.trust_client_id, self.clients.as_slice()) {
            (true, _) => ClientProof::Trust,
            (false, []) => ClientProof::None,
            (false, clients) => ClientProof::Credentials(clients.to_vec()),
        };
        Ok(match self.token_check {
            Way::Static => TokenCheck::Static,
            Way::TokenInfo => TokenCheck::TokenInfo {
                client_id_fields: self
                    .client_id_fields
                    .clone()
                    .unwrap_or_else(|| CLIENT_ID_FIELDS.map(str::to_owned).to_vec()),
                permission_field: self.permission_field.clone(),
                clients: self.clients.clone(),
            },
            Way::SystemInformation => TokenCheck::Probe { probe: Probe::SystemInformation, client_proof: proof() },
            Way::MeasurementFamilies => TokenCheck::Probe { probe: Probe::MeasurementFamilies, client_proof: proof() },
        })
    }
}

/// A PIM as the operator sees it: no key, no secret.
fn shown(pim: &Pim) -> Value {
    let way = match &pim.token_check {
        TokenCheck::Static => "static",
        TokenCheck::TokenInfo { .. } => "token-info",
        TokenCheck::Probe { probe: Probe::SystemInformation, .. } => "system-information",
        TokenCheck::Probe { probe: Probe::MeasurementFamilies, .. } => "measurement-families",
    };
    let key = |key: &domain::pim::SourceKey| json!({"prefix": key.prefix, "created_at": key.created_at.to_string()});
    json!({
        "name": pim.name,
        "url": pim.url,
        "token_check": way,
        "keys": pim.keys.iter().map(key).collect::<Vec<_>>(),
        "static_tokens": pim.static_tokens.iter().map(|token| &token.client_id.0).collect::<Vec<_>>(),
        "events_api": pim.events_api_secret.is_some(),
        "created_at": pim.created_at.to_string(),
    })
}

/// All of them.
pub(crate) async fn list(State(api): State<Arc<Api>>) -> Result<Response, Refusal> {
    let pims = api.catalog().pims().await?;
    answer(StatusCode::OK, &json!({"items": pims.iter().map(shown).collect::<Vec<_>>()}))
}

/// One of them.
pub(crate) async fn show(State(api): State<Arc<Api>>, At(name): At<String>) -> Result<Response, Refusal> {
    answer(StatusCode::OK, &shown(&pim_named(&api, &name).await?))
}

/// Registers one and makes its first key, which is shown in this answer and never again.
pub(crate) async fn add(State(api): State<Arc<Api>>, sent: Sent) -> Result<Response, Refusal> {
    let new: New = parse(&sent)?;
    if !is_name(&new.name) {
        let message = "expected 1 to 63 lower-case letters, digits and `-`, beginning with a letter or a digit";
        return Err(at("name", code::INVALID_VALUE, message));
    }
    let Some(url_key) = url_key(&new.url) else {
        let message = "expected the base URL of a PIM, such as https://pim.example.com, without query and fragment";
        return Err(at("url", code::INVALID_VALUE, message));
    };
    let token_check = new.token_check()?;
    let (key, kept) = keys::make()?;
    let pim = Pim {
        id: PimId(0),
        name: new.name,
        url: new.url,
        url_key,
        keys: vec![kept],
        token_check,
        static_tokens: new.static_tokens,
        events_api_secret: None,
        created_at: Timestamp::now(),
    };
    let mut made = shown(&api.catalog().add_pim(pim).await?);
    if let Some(members) = made.as_object_mut() {
        members.insert("key".to_owned(), key.expose().into());
    }
    answer(StatusCode::CREATED, &made)
}

/// Removes one: its keys end, its subscribers and subscriptions are revoked.
pub(crate) async fn remove(
    State(api): State<Arc<Api>>,
    At(name): At<String>,
    sent: Sent,
) -> Result<StatusCode, Refusal> {
    sent.nothing()?;
    let pim = pim_named(&api, &name).await?;
    api.catalog().remove_pim(pim.id, Timestamp::now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
