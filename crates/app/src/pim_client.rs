//! Calls of a PIM's REST API: a path of the registered URL with a token, and the password grant. Callers interpret the
//! results for token checks, attribute types and reconciliation.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::pim::{ClientCredentials, Pim, TokenCheck};
use fair::Holder;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use sinks::client::{Call, Fetched, HttpClient};

/// Maximum size of a grant's response.
const MAX_GRANT: usize = 64 * 1024;
/// Maximum length of a quoted PIM message.
const MAX_MESSAGE: usize = 200;

/// A client for registered PIMs. It calls no other URLs, so it needs no address guard.
#[derive(Clone)]
pub(crate) struct PimClient {
    client: HttpClient,
    timeout: Duration,
}

/// Reason for a missing response.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The PIM was unreachable, or did not answer within the limits.
    #[error("{0}")]
    NoAnswer(String),
    /// A token that cannot be sent in a header is invalid.
    #[error("the token contains invalid characters")]
    NoToken,
}

/// Reason for a failed password grant.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum GrantError {
    /// No response.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The PIM rejects the credentials.
    #[error("the PIM rejects the credentials registered for this client: {0}")]
    Refused(String),
    /// Another status.
    #[error("it answered the password grant with {0}")]
    Status(u16),
    /// An unexpected body.
    #[error("its response to the password grant has no `access_token`")]
    NoToken,
}

impl PimClient {
    /// Limits each call to `timeout`.
    pub(crate) fn new(client: HttpClient, timeout: Duration) -> PimClient {
        PimClient { client, timeout }
    }

    /// Raises the time limit to `timeout`.
    pub(crate) fn with_timeout_of_at_least(&self, timeout: Duration) -> PimClient {
        PimClient { client: self.client.clone(), timeout: self.timeout.max(timeout) }
    }

    /// `GET` of `path` with a token; reads at most `limit` bytes of the response.
    pub(crate) async fn get(&self, pim: &Pim, path: &str, token: &str, limit: usize) -> Result<Fetched, CallError> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, secret(format!("Bearer {token}"))?);
        self.call(pim, Method::GET, path, headers, Bytes::new(), limit).await
    }

    /// Fetches a token by a password grant.
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
            | StatusCode::UNPROCESSABLE_ENTITY => Err(GrantError::Refused(said(&answer, "it gives no reason"))),
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

/// Registered credentials for a PIM's REST API, if any.
pub(crate) fn credentials(pim: &Pim) -> Option<&ClientCredentials> {
    match &pim.token_check {
        TokenCheck::Probe { clients, .. } => clients.first(),
        TokenCheck::Static | TokenCheck::TokenInfo { .. } => None,
    }
}

/// The PIM's own message: `message` of its error responses, `error_description` of OAuth errors.
pub(crate) fn said(answer: &Fetched, otherwise: &str) -> String {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let text = body.as_ref().and_then(|body| {
        let message = ["message", "error_description"].iter().find_map(|name| body.get(name)?.as_str());
        message.map(|text| text.chars().filter(|character| !character.is_control()).take(MAX_MESSAGE).collect())
    });
    text.unwrap_or_else(|| otherwise.to_owned())
}

/// A header value that is never shown.
fn secret(value: String) -> Result<HeaderValue, CallError> {
    let mut value = HeaderValue::try_from(value).map_err(|_| CallError::NoToken)?;
    value.set_sensitive(true);
    Ok(value)
}
