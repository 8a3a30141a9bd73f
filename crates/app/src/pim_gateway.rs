//! Verifies tokens with PIMs over HTTP: `token-info` of hosted editions, a probe of the others if the operator trusts
//! the callers of such a PIM (contract pages 1 and 7, "Token check"). Registered credentials are used for the
//! platform's own requests, never as a proof.

use api::{Permission, PimGateway, Verdict};
use async_trait::async_trait;
use domain::ClientId;
use domain::pim::{ClientCredentials, Pim, Probe, TokenCheck};
use http::StatusCode;
use serde_json::Value;
use sinks::client::Fetched;

use crate::pim_client::{CallError, GrantError, PimClient, said};

/// Maximum size of a response; the longest lists measurement families.
const MAX_ANSWER: usize = 1024 * 1024;

/// The gateway over HTTP.
pub(crate) struct HttpGateway(PimClient);

impl HttpGateway {
    /// Uses `client` for requests.
    pub(crate) fn new(client: PimClient) -> HttpGateway {
        HttpGateway(client)
    }
}

#[async_trait]
impl PimGateway for HttpGateway {
    async fn verify(&self, pim: &Pim, client: &ClientId, token: &str) -> Verdict {
        let verdict = match &pim.token_check {
            TokenCheck::Static => Err(Verdict::Rejected { message: "the token does not belong to this client".into() }),
            TokenCheck::TokenInfo { client_id_fields, permission_field, clients: _ } => {
                self.token_info(pim, client, token, client_id_fields, permission_field.as_deref()).await
            }
            TokenCheck::Probe { probe, trust_client_id, .. } => {
                match self.ask(pim, path_of(*probe), token).await {
                    Ok(_) if *trust_client_id => Ok(Verdict::Genuine { permission: None }),
                    // It may belong to another client. Callers without a token of the PIM don't learn that it is
                    // registered.
                    Ok(_) => Err(unproven()),
                    Err(refused) => Err(refused),
                }
            }
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
            TokenCheck::Probe { probe, clients, .. } => {
                let Some(known) = clients.iter().find(|known| known.client_id == *client) else {
                    return Permission::NotAsked;
                };
                let asked = async {
                    let token = self.grant(pim, known).await?;
                    self.ask(pim, path_of(*probe), &token).await?;
                    // These editions have no permission of their own: only the role's right to the web API can be
                    // withdrawn there.
                    Ok(Verdict::Genuine { permission: Some(true) })
                };
                permission_by(asked.await.unwrap_or_else(|refused| refused))
            }
        }
    }
}

/// Only an explicit refusal withdraws a permission: a changed password or a failing PIM suspends nothing.
fn permission_by(verdict: Verdict) -> Permission {
    match verdict {
        Verdict::Genuine { permission: Some(true) } => Permission::Allowed,
        Verdict::Genuine { permission: Some(false) } | Verdict::WebApiForbidden => Permission::Withdrawn,
        Verdict::Genuine { permission: None } => {
            Permission::Unknown { message: "the PIM's token-info response lacks the permission field".into() }
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

/// `Err` is the verdict of a check that ends early.
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
            return Err(unavailable("its token-info response is not JSON"));
        };
        let Some(named) = client_id_fields.iter().find_map(|path| at(&info, path)?.as_str()) else {
            return Err(Verdict::UnprovenClient {
                message: format!(
                    "the PIM's token-info response contains no client id in {}; the operator can configure the field",
                    client_id_fields.join(", ")
                ),
            });
        };
        if named != client.0 {
            return Err(Verdict::Rejected { message: "the token was issued to another client".into() });
        }
        Ok(Verdict::Genuine { permission: permission_field.and_then(|path| at(&info, path)?.as_bool()) })
    }

    /// A call with the caller's token: a 200, or the verdict.
    async fn ask(&self, pim: &Pim, path: &str, token: &str) -> Judged<Fetched> {
        let answer = self.0.get(pim, path, token, MAX_ANSWER).await.map_err(verdict_of)?;
        match answer.status {
            StatusCode::OK => Ok(answer),
            StatusCode::UNAUTHORIZED => Err(Verdict::Rejected { message: said(&answer, "the PIM rejects the token") }),
            StatusCode::FORBIDDEN => Err(Verdict::WebApiForbidden),
            other => Err(unavailable(&format!("it answered {path} with {}", other.as_u16()))),
        }
    }

    /// A password grant with registered credentials, which fails once the connection is removed. Returns the token.
    async fn grant(&self, pim: &Pim, credentials: &ClientCredentials) -> Judged<String> {
        self.0.grant(pim, credentials).await.map_err(|error| match error {
            GrantError::Call(error) => verdict_of(error),
            GrantError::Refused(_) => Verdict::UnprovenClient { message: error.to_string() },
            GrantError::Status(_) | GrantError::NoToken => unavailable(&error.to_string()),
        })
    }
}

fn verdict_of(error: CallError) -> Verdict {
    match error {
        CallError::NoAnswer(why) => Verdict::Unavailable { message: why },
        CallError::NoToken => Verdict::Rejected { message: error.to_string() },
    }
}

fn unavailable(why: &str) -> Verdict {
    Verdict::Unavailable { message: why.to_owned() }
}

fn unproven() -> Verdict {
    Verdict::UnprovenClient {
        message: "the tokens of this PIM do not identify their client: send a platform token (`pt_…`) in X-PIM-TOKEN; \
                  the \
                  operator issues one with `postrider client token add`, or sets `trust_client_id` for the PIM"
            .into(),
    }
}

/// Value at a path of member names, such as `connection.client_id`.
fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, name| value.get(name))
}

#[cfg(test)]
mod tests;
