//! Asks PIMs about tokens over HTTP: `token-info` of hosted editions, a probe and a password grant of the others
//! (contract pages 1 and 7, "Token check").

use std::time::Duration;

use api::{Permission, PimGateway, Verdict};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::ClientId;
use domain::pim::{ClientCredentials, ClientProof, Pim, Probe, TokenCheck};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use sinks::client::{Call, Client, Fetched};

/// What is read of an answer; the longest of these calls lists measurement families.
const MAX_ANSWER: usize = 1024 * 1024;
/// What is repeated of a PIM's own message.
const MAX_MESSAGE: usize = 200;

/// The gateway over HTTP. It calls registered PIMs only, so its client needs no address guard.
pub(crate) struct HttpGateway {
    client: Client,
    timeout: Duration,
}

impl HttpGateway {
    /// A gateway whose calls take at most `timeout` each.
    pub(crate) fn new(client: Client, timeout: Duration) -> HttpGateway {
        HttpGateway { client, timeout }
    }
}

#[async_trait]
impl PimGateway for HttpGateway {
    async fn verify(&self, pim: &Pim, client: &ClientId, token: &str) -> Verdict {
        let verdict = match &pim.token_check {
            TokenCheck::Static => Err(Verdict::Rejected { message: "the token is not one of this client".into() }),
            TokenCheck::TokenInfo { client_id_fields, permission_field, clients: _ } => {
                self.token_info(pim, client, token, client_id_fields, permission_field.as_deref()).await
            }
            TokenCheck::Probe { probe, client_proof } => self.probe(pim, client, token, *probe, client_proof).await,
        };
        verdict.unwrap_or_else(|refused| refused)
    }

    async fn permission(&self, pim: &Pim, client: &ClientId) -> Permission {
        match &pim.token_check {
            TokenCheck::Static => Permission::NotAsked,
            TokenCheck::TokenInfo { client_id_fields, permission_field, clients } => {
                let known = clients.iter().find(|known| known.client_id == *client);
                let (Some(known), Some(field)) = (known, permission_field) else { return Permission::NotAsked };
                let asked = async {
                    let token = self.grant(pim, known).await?;
                    self.token_info(pim, client, &token, client_id_fields, Some(field)).await
                };
                permission_by(asked.await.unwrap_or_else(|refused| refused))
            }
            TokenCheck::Probe { probe, client_proof: ClientProof::Credentials(clients) } => {
                let Some(known) = clients.iter().find(|known| known.client_id == *client) else {
                    return Permission::NotAsked;
                };
                let asked = async {
                    let token = self.grant(pim, known).await?;
                    self.ask(pim, path_of(*probe), &token).await?;
                    // These editions know no permission of their own: the role's right to the web API is what can be
                    // withdrawn there.
                    Ok(Verdict::Genuine { permission: Some(true) })
                };
                permission_by(asked.await.unwrap_or_else(|refused| refused))
            }
            TokenCheck::Probe { client_proof: ClientProof::None | ClientProof::Trust, .. } => Permission::NotAsked,
        }
    }
}

/// Only a clear word withdraws a permission: a password that was changed, or a PIM that fails, suspends nobody.
fn permission_by(verdict: Verdict) -> Permission {
    match verdict {
        Verdict::Genuine { permission: Some(true) } => Permission::Allowed,
        Verdict::Genuine { permission: Some(false) } | Verdict::WebApiForbidden => Permission::Withdrawn,
        Verdict::Genuine { permission: None } => {
            Permission::Unknown { message: "the PIM's token-info does not have the field of the permission".into() }
        }
        Verdict::Rejected { message } | Verdict::Unavailable { message } | Verdict::UnprovenClient { message } => {
            Permission::Unknown { message }
        }
    }
}

fn path_of(probe: Probe) -> &'static str {
    match probe {
        Probe::SystemInformation => "/api/rest/v1/system-information",
        Probe::MeasurementFamilies => "/api/rest/v1/measurement-families",
    }
}

/// `Err` is the verdict of a question that ends early.
type Judged<T> = Result<T, Verdict>;

impl HttpGateway {
    async fn token_info(
        &self,
        pim: &Pim,
        client: &ClientId,
        token: &str,
        client_id_fields: &[String],
        permission_field: Option<&str>,
    ) -> Judged<Verdict> {
        let answer = self.ask(pim, "/api/rest/v1/token-info", token).await?;
        let Ok(info) = serde_json::from_slice::<Value>(&answer.body) else {
            return Err(unavailable("its token-info is not JSON"));
        };
        let Some(named) = client_id_fields.iter().find_map(|path| at(&info, path)?.as_str()) else {
            return Err(Verdict::UnprovenClient {
                message: format!(
                    "the PIM's token-info names the client in none of {}; the operator sets where to look",
                    client_id_fields.join(", ")
                ),
            });
        };
        if named != client.0 {
            return Err(Verdict::Rejected { message: "the token was issued to another client".into() });
        }
        Ok(Verdict::Genuine { permission: permission_field.and_then(|path| at(&info, path)?.as_bool()) })
    }

    async fn probe(
        &self,
        pim: &Pim,
        client: &ClientId,
        token: &str,
        probe: Probe,
        proof: &ClientProof,
    ) -> Judged<Verdict> {
        let credentials = match proof {
            ClientProof::None => return Err(unproven()),
            ClientProof::Trust => None,
            ClientProof::Credentials(known) => {
                Some(known.iter().find(|known| known.client_id == *client).ok_or_else(unproven)?)
            }
        };
        self.ask(pim, path_of(probe), token).await?;
        if let Some(credentials) = credentials {
            self.grant(pim, credentials).await?;
        }
        Ok(Verdict::Genuine { permission: None })
    }

    /// A call with the caller's token: a 200, or the verdict.
    async fn ask(&self, pim: &Pim, path: &str, token: &str) -> Judged<Fetched> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, secret(format!("Bearer {token}"))?);
        let answer = self.call(pim, Method::GET, path, headers, Bytes::new()).await?;
        match answer.status {
            StatusCode::OK => Ok(answer),
            StatusCode::UNAUTHORIZED => Err(Verdict::Rejected { message: said(&answer, "the PIM rejects the token") }),
            StatusCode::FORBIDDEN => Err(Verdict::WebApiForbidden),
            other => Err(unavailable(&format!("it answered {path} with {}", other.as_u16()))),
        }
    }

    /// A password grant with the credentials that the operator registered: it fails once the connection is gone. Gives
    /// the token.
    async fn grant(&self, pim: &Pim, credentials: &ClientCredentials) -> Judged<String> {
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
        match answer.status {
            StatusCode::OK => {
                let granted: Option<Value> = serde_json::from_slice(&answer.body).ok();
                let token = granted.as_ref().and_then(|granted| granted.get("access_token")?.as_str());
                Ok(token.unwrap_or_default().to_owned())
            }
            StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::UNPROCESSABLE_ENTITY => Err(Verdict::UnprovenClient {
                message: format!(
                    "the PIM refuses the credentials that the operator registered for this client: {}",
                    said(&answer, "it does not say why")
                ),
            }),
            other => Err(unavailable(&format!("it answered the password grant with {}", other.as_u16()))),
        }
    }

    async fn call(
        &self,
        pim: &Pim,
        method: Method,
        path: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Judged<Fetched> {
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let url = format!("{}{path}", pim.url.trim_end_matches('/'));
        let call = Call { method, url, headers, body, limit: MAX_ANSWER, timeout: self.timeout };
        self.client.fetch(call).await.map_err(|error| unavailable(&error.to_string()))
    }
}

fn unavailable(why: &str) -> Verdict {
    Verdict::Unavailable { message: why.to_owned() }
}

fn unproven() -> Verdict {
    Verdict::UnprovenClient {
        message: "the tokens of this PIM do not say which client they were issued to; the operator of the platform \
                  registers the secret of this client, or sets `trust_client_id` for the PIM"
            .into(),
    }
}

/// A header's value that is never shown. What cannot stand in a header cannot be a token.
fn secret(value: String) -> Judged<HeaderValue> {
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| Verdict::Rejected { message: "the token has characters that no token has".into() })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The value at a path of member names, such as `connection.client_id`.
fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, name| value.get(name))
}

/// The PIM's own words: `message` of its error answers, `error_description` of its OAuth ones.
fn said(answer: &Fetched, otherwise: &str) -> String {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let text = body.as_ref().and_then(|body| {
        let message = ["message", "error_description"].iter().find_map(|name| body.get(name)?.as_str());
        message.map(|text| text.chars().filter(|character| !character.is_control()).take(MAX_MESSAGE).collect())
    });
    text.unwrap_or_else(|| otherwise.to_owned())
}

#[cfg(test)]
mod tests;
