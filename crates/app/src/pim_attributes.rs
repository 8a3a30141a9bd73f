//! Asks PIMs for the types of their attributes, for the deltas of the Events API bridge: a password grant with the first
//! credentials that the operator registered, then page by page.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::pim::{ClientCredentials, ClientProof, Pim, TokenCheck};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use intake::AttributeSource;
use serde_json::{Value, json};
use sinks::client::{Call, Client};

/// Attributes a page: the most that a PIM gives.
const PAGE: usize = 100;
/// More pages than any PIM has; who goes on beyond is no PIM.
const MOST_PAGES: usize = 1000;
/// What is read of an answer: a page has a few hundred KB where attributes have labels in many languages.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// Attribute types over HTTP. It calls registered PIMs only, so its client needs no address guard.
pub(crate) struct HttpAttributes {
    client: Client,
    timeout: Duration,
}

impl HttpAttributes {
    /// Calls take at most `timeout` each.
    pub(crate) fn new(client: Client, timeout: Duration) -> HttpAttributes {
        HttpAttributes { client, timeout }
    }

    /// A token by a password grant.
    pub(crate) async fn grant(&self, pim: &Pim, credentials: &ClientCredentials) -> Result<String, String> {
        let pair = format!("{}:{}", credentials.client_id, credentials.client_secret.expose());
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, secret(format!("Basic {}", STANDARD.encode(pair)))?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = json!({
            "grant_type": "password",
            "username": credentials.username,
            "password": credentials.password.expose(),
        });
        let answer = self.call(pim, Method::POST, "/api/oauth/v1/token", headers, body.to_string().into()).await?;
        let token = answer.get("access_token").and_then(Value::as_str);
        token.map(str::to_owned).ok_or_else(|| "its answer to the password grant has no `access_token`".to_owned())
    }

    async fn call(
        &self,
        pim: &Pim,
        method: Method,
        path: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Value, String> {
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let url = format!("{}{path}", pim.url.trim_end_matches('/'));
        let call = Call { method, url, headers, body, limit: MAX_ANSWER, timeout: self.timeout };
        let answer = self.client.fetch(call).await.map_err(|error| error.to_string())?;
        if answer.status != StatusCode::OK {
            return Err(format!("it answered {path} with {}", answer.status.as_u16()));
        }
        serde_json::from_slice(&answer.body).map_err(|_| format!("its answer to {path} is not JSON"))
    }
}

#[async_trait]
impl AttributeSource for HttpAttributes {
    async fn attribute_types(&self, pim: &Pim) -> Result<Option<HashMap<String, String>>, String> {
        let Some(credentials) = credentials(pim) else { return Ok(None) };
        let token = self.grant(pim, credentials).await?;
        let bearer = secret(format!("Bearer {token}"))?;
        let mut types = HashMap::new();
        for page in 1..=MOST_PAGES {
            let path = format!("/api/rest/v1/attributes?page={page}&limit={PAGE}");
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, bearer.clone());
            let answer = self.call(pim, Method::GET, &path, headers, Bytes::new()).await?;
            let items = answer.pointer("/_embedded/items").and_then(Value::as_array);
            let items = items.ok_or_else(|| format!("its answer to {path} has no `_embedded.items`"))?;
            for item in items {
                let text = |name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
                types.extend(text("code").zip(text("type")));
            }
            if answer.pointer("/_links/next").is_none() {
                return Ok(Some(types));
            }
        }
        Err(format!("its attributes do not end after {MOST_PAGES} pages"))
    }
}

/// The credentials that a PIM's REST API is called with, where the operator registered some.
pub(crate) fn credentials(pim: &Pim) -> Option<&ClientCredentials> {
    match &pim.token_check {
        TokenCheck::Probe { client_proof: ClientProof::Credentials(known), .. } => known.first(),
        TokenCheck::Static | TokenCheck::TokenInfo { .. } | TokenCheck::Probe { .. } => None,
    }
}

/// A header's value that is never shown.
pub(crate) fn secret(value: String) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::try_from(value).map_err(|_| "its token cannot stand in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
