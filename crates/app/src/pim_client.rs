//! Calls of a PIM's REST API: a path of the registered URL with a token, and the password grant that gives one. What they mean for a token
//! check, for attribute types and for reconciliation is decided there.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::pim::{ClientCredentials, Pim, TokenCheck};
use fair::Holder;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use sinks::client::{Call, Client, Fetched};

/// What is read of the answer to a grant.
const MAX_GRANT: usize = 64 * 1024;
/// What is repeated of a PIM's own message.
const MAX_MESSAGE: usize = 200;

/// A client for registered PIMs. It calls no other URLs, so it needs no address guard.
#[derive(Clone)]
pub(crate) struct PimClient {
    client: Client,
    timeout: Duration,
}

/// Why there is no answer that could be judged.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The PIM was not reached, or did not answer in time or within bounds.
    #[error("{0}")]
    NoAnswer(String),
    /// What cannot stand in a header is no token.
    #[error("the token has characters that no token has")]
    NoToken,
}

/// Why a password grant gave no token.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum GrantError {
    /// There was no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The PIM does not take these credentials.
    #[error("the PIM refuses the credentials that the operator registered for this client: {0}")]
    Refused(String),
    /// The PIM answered with another status.
    #[error("it answered the password grant with {0}")]
    Status(u16),
    /// It answered with something else.
    #[error("its answer to the password grant has no `access_token`")]
    NoToken,
}

impl PimClient {
    /// Calls take at most `timeout` each.
    pub(crate) fn new(client: Client, timeout: Duration) -> PimClient {
        PimClient { client, timeout }
    }

    /// The same with more time, where `timeout` is longer than what it has.
    pub(crate) fn with_timeout_of_at_least(&self, timeout: Duration) -> PimClient {
        PimClient { client: self.client.clone(), timeout: self.timeout.max(timeout) }
    }

    /// `GET` of `path` with a token; at most `limit` bytes of the answer are read.
    pub(crate) async fn get(&self, pim: &Pim, path: &str, token: &str, limit: usize) -> Result<Fetched, CallError> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, secret(format!("Bearer {token}"))?);
        self.call(pim, Method::GET, path, headers, Bytes::new(), limit).await
    }

    /// A token by a password grant.
    pub(crate) async fn grant(&self, pim: &Pim, credentials: &ClientCredentials) -> Result<String, GrantError> {
        let pair = format!("{}:{}", credentials.client_id, credentials.client_secret.expose());
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, secret(format!("Basic {}", STANDARD.encode(pair)))?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = json!({
            "grant_type": "password",
            "username": credentials.username,
            "password": credentials.password.expose(),
        });
        let path = "/api/oauth/v1/token";
        let answer = self.call(pim, Method::POST, path, headers, body.to_string().into(), MAX_GRANT).await?;
        match answer.status {
            StatusCode::OK => {
                let granted: Option<Value> = serde_json::from_slice(&answer.body).ok();
                let token = granted.as_ref().and_then(|granted| granted.get("access_token")?.as_str());
                token.filter(|token| !token.is_empty()).map(str::to_owned).ok_or(GrantError::NoToken)
            }
            StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::UNPROCESSABLE_ENTITY => Err(GrantError::Refused(said(&answer, "it does not say why"))),
            other => Err(GrantError::Status(other.as_u16())),
        }
    }

    async fn call(
        &self,
        pim: &Pim,
        method: Method,
        path: &str,
        mut headers: HeaderMap,
        body: Bytes,
        limit: usize,
    ) -> Result<Fetched, CallError> {
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let url = format!("{}{path}", pim.url.trim_end_matches('/'));
        let call = Call { method, url, headers, body, limit, timeout: self.timeout };
        let client = self.client.on_behalf_of(Holder { pim: u64::from(pim.id.0), part: 0 });
        client.fetch(call).await.map_err(|error| CallError::NoAnswer(error.to_string()))
    }
}

/// The credentials that a PIM's REST API is called with, where the operator registered some.
pub(crate) fn credentials(pim: &Pim) -> Option<&ClientCredentials> {
    match &pim.token_check {
        TokenCheck::Probe { clients, .. } => clients.first(),
        TokenCheck::Static | TokenCheck::TokenInfo { .. } => None,
    }
}

/// The PIM's own words: `message` of its error answers, `error_description` of its OAuth ones.
pub(crate) fn said(answer: &Fetched, otherwise: &str) -> String {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let text = body.as_ref().and_then(|body| {
        let message = ["message", "error_description"].iter().find_map(|name| body.get(name)?.as_str());
        message.map(|text| text.chars().filter(|character| !character.is_control()).take(MAX_MESSAGE).collect())
    });
    text.unwrap_or_else(|| otherwise.to_owned())
}

/// A header's value that is never shown.
fn secret(value: String) -> Result<HeaderValue, CallError> {
    let mut value = HeaderValue::try_from(value).map_err(|_| CallError::NoToken)?;
    value.set_sensitive(true);
    Ok(value)
}
