//! Callers of the management API: the three `X-PIM-*` headers, verified by the PIM.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::FromRequestParts;
use domain::pim::{PLATFORM_TOKEN, Pim, PlatformToken, TokenCheck};
use domain::subscriber::Owner;
use domain::{ClientId, Secret, SubscriberId, Timestamp};
use http::HeaderMap;
use http::request::Parts;
use store::{Change, ClientRecord, Condition};

use super::bearer::LinkBearer;
use super::claim::{CLIENT_ID, Claim, TOKEN, refused_header};
use super::gateway::Verdict;
use super::questions::TooMany;
use super::verdicts::Known;
use crate::Api;
use crate::auth::credential::sha256_hex;
use crate::changing;
use crate::client_life;
use crate::origin::Origin;
use crate::refusal::{Refusal, because};
use crate::seldom::now;

/// Lifetime of a PIM's tokens (contract page 1): a token that is genuine this long after its client's removal was
/// issued after the removal.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// `Retry-After` if the PIM cannot be asked.
const PIM_RETRY: Duration = Duration::from_secs(5);

/// An authenticated caller.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The (tenant, client) pair: the scope of all access.
    pub(crate) owner: Owner,
    /// The tenant.
    pub(crate) pim: Arc<Pim>,
    permitted: bool,
    proof: Proof,
    /// The basis of the authentication: a commit that names it is authorised.
    pub(crate) conditions: Vec<Condition>,
}

impl Caller {
    /// Authenticates the caller again by the current registration, removal, permission and token; the PIM is not asked
    /// twice (contract page 7, "Judged at the commit").
    pub(crate) async fn again(&self, api: &Api) -> Result<Caller, Refusal> {
        judge(api, &self.pim.url_key, &self.pim.url, self.owner.client_id.clone(), self.proof.clone()).await
    }

    /// An empty change on the caller's behalf: it commits only if everything that admitted the caller still holds. To
    /// be made within [`changing::until_won`], for a caller that was just judged by [`Caller::again`].
    pub(crate) fn change(&self) -> Change {
        Change { conditions: self.conditions.clone(), ..changing::change() }
    }

    /// Whether the client's record is the one that admitted the caller.
    pub(crate) fn is_judged_by(&self, client: &ClientRecord) -> bool {
        let judged = Condition::Client { owner: self.owner.clone(), revision: client.revision };
        self.conditions.contains(&judged)
    }

    /// The only subscriber accessible to the bearer of a link; `None` for others.
    pub(crate) fn only(&self) -> Option<SubscriberId> {
        match &self.proof {
            Proof::Link(bearer) => Some(bearer.subscriber),
            Proof::Static(_) | Proof::Issued(_) | Proof::Asked { .. } => None,
        }
    }

    /// Whether the PIM allows the client to use the Event Platform, as required to create and resume (contract page 7).
    pub(crate) fn must_be_permitted(&self) -> Result<(), Refusal> {
        if self.permitted {
            return Ok(());
        }
        Err(Refusal::new(
            because::EVENT_PLATFORM_FORBIDDEN,
            "the PIM does not allow this connection or app to use the Event Platform; an administrator of the PIM can \
             grant it",
        ))
    }
}

/// Inserted by [`crate::management::admit`], through which all routes of the management API pass.
impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Refusal> {
        parts
            .extensions
            .get::<Caller>()
            .cloned()
            .ok_or_else(|| Refusal::new(because::NOT_AUTHENTICATED, "this path requires the X-PIM-* headers"))
    }
}

/// Authenticates a request.
pub(crate) async fn authenticate(api: &Api, headers: &HeaderMap, origin: Origin) -> Result<Caller, Refusal> {
    let claim = Claim::read(headers)?;
    let pim = registered(api, &claim.url_key, claim.url).await?;
    let client_id = ClientId(claim.client_id.to_owned());
    let proof = prove(api, &pim, &client_id, claim.token, origin).await?;
    if let Proof::Asked { permission: Some(permitted), .. } = proof {
        let owner = Owner { pim: pim.id, client_id: client_id.clone() };
        let frequent = api.settings.frequent;
        client_life::permission(api.store(), &pim, &owner, permitted, api.clock.wall(), frequent).await?;
    }
    judge(api, &claim.url_key, claim.url, client_id, proof).await
}

/// Authenticates the bearer of a link: the client that made it must be registered, admitted and permitted now.
pub(crate) async fn of_bearer(api: &Api, bearer: LinkBearer) -> Result<Caller, Refusal> {
    let pim = api.store().pim(bearer.owner.pim).await?.filter(|_| api.clock.wall() < bearer.until);
    let pim = pim.ok_or_else(invalid_token)?;
    let client_id = bearer.owner.client_id.clone();
    let caller = judge(api, &pim.url_key, &pim.url, client_id, Proof::Link(bearer)).await?;
    caller.must_be_permitted()?;
    Ok(caller)
}

async fn registered(api: &Api, url_key: &str, url: &str) -> Result<Arc<Pim>, Refusal> {
    let pim = api.registry.find(api.store(), |registrations| registrations.by_url(url_key).cloned()).await?;
    pim.ok_or_else(|| {
        if let Some(requests) = api.causes.unknown_pim.note(now(), 1) {
            tracing::warn!(url, requests, "requests for an unregistered PIM; showing the latest");
        }
        invalid_token()
    })
}

/// Admits a verified client by current registration and state. A token issued after a removal re-admits the client.
async fn judge(api: &Api, url_key: &str, url: &str, client_id: ClientId, proof: Proof) -> Result<Caller, Refusal> {
    let pim = registered(api, url_key, url).await?;
    let owner = Owner { pim: pim.id, client_id };
    let mut client = api.store().client(&owner).await?;
    if !proof.holds(&pim, &owner.client_id, &client) {
        return Err(invalid_token());
    }
    if let Some(removed) = client.revoked_at {
        if !proof.is_younger_than(removed) {
            return Err(locked_out());
        }
        client_life::admit_after(api.store(), &owner, removed).await?;
        client = api.store().client(&owner).await?;
        if client.revoked_at.is_some() {
            return Err(locked_out());
        }
    }
    let conditions = vec![
        Condition::Pim { id: pim.id, revision: pim.revision },
        Condition::Client { owner: owner.clone(), revision: client.revision },
    ];
    Ok(Caller { owner, pim, permitted: client.permission.unwrap_or(true), proof, conditions })
}

/// Evidence that the token belongs to the client.
#[derive(Clone, Debug)]
enum Proof {
    /// The operator vouches for it.
    Static(Secret),
    /// Issued by the platform itself.
    Issued(PlatformToken),
    /// A link made by the client.
    Link(LinkBearer),
    /// Confirmed by the PIM.
    Asked { asked_at: Timestamp, permission: Option<bool> },
}

impl Proof {
    /// Whether the evidence is still valid. A PIM's confirmation lasts for the request.
    fn holds(&self, pim: &Pim, client_id: &ClientId, client: &ClientRecord) -> bool {
        match self {
            Proof::Static(token) => is_static_token(pim, client_id, token.expose()),
            Proof::Issued(token) => client.tokens.iter().any(|known| known.sha256 == token.sha256),
            Proof::Asked { .. } | Proof::Link(_) => true,
        }
    }

    /// Whether the token was issued after the client's removal; unknown for static tokens.
    fn is_younger_than(&self, removed: Timestamp) -> bool {
        match self {
            Proof::Static(_) | Proof::Link(_) => false,
            Proof::Issued(token) => token.created_at > removed,
            Proof::Asked { asked_at, .. } => *asked_at >= removed + TOKEN_LIFE,
        }
    }
}

async fn prove(api: &Api, pim: &Pim, client: &ClientId, token: &str, origin: Origin) -> Result<Proof, Refusal> {
    if token.starts_with(PLATFORM_TOKEN) {
        // Never sent to a PIM, whatever the result.
        let owner = Owner { pim: pim.id, client_id: client.clone() };
        return issued(&api.store().client(&owner).await?, token).map(Proof::Issued).ok_or_else(invalid_token);
    }
    if is_static_token(pim, client, token) {
        return Ok(Proof::Static(Secret::new(token)));
    }
    if pim.token_check == TokenCheck::Static {
        return Err(invalid_token());
    }
    let asked = api.verdicts.of(api.gateway.as_ref(), pim, client, token, origin).await;
    let Known { verdict, asked_at, .. } = asked.map_err(|TooMany(wait)| {
        let message = "too many token checks are pending for this caller; try again later";
        Refusal::new(because::RATE_LIMITED, message).retry_after(wait)
    })?;
    match verdict {
        Verdict::Genuine { permission } => Ok(Proof::Asked { asked_at, permission }),
        // The PIM's message would reveal that it is registered.
        Verdict::Rejected { message } => {
            tracing::debug!(pim.name = %pim.name, %message, "a PIM rejected a token");
            Err(invalid_token())
        }
        Verdict::UnprovenClient { message } => Err(refused_header(CLIENT_ID, because::UNPROVEN_CLIENT, message)),
        Verdict::WebApiForbidden => Err(Refusal::new(
            because::WEB_API_FORBIDDEN,
            "the token is genuine, but its user's role may not use the PIM's web API",
        )),
        Verdict::Unavailable { message } => {
            if let Some(requests) = api.causes.pim_unavailable.note(now(), 1) {
                tracing::warn!(
                    pim.name = %pim.name,
                    %message,
                    requests,
                    "could not check tokens with PIMs; showing the latest"
                );
            }
            Err(Refusal::new(because::PIM_UNAVAILABLE, format!("could not check the token with the PIM: {message}"))
                .retry_after(PIM_RETRY))
        }
    }
}

/// The single response to invalid tokens: callers without a token of a PIM must not learn whether it is registered.
fn invalid_token() -> Refusal {
    let message = "the token is not valid for this client and PIM, or no PIM is registered with this URL; check all \
                   three \
                   headers, and ask the platform's operator whether the PIM is registered";
    refused_header(TOKEN, because::INVALID_TOKEN, message.into())
}

/// The platform token that matches. All of the client's tokens are compared, each in constant time.
fn issued(client: &ClientRecord, token: &str) -> Option<PlatformToken> {
    let sha256 = sha256_hex(token);
    client.tokens.iter().fold(None, |found, known| {
        let same = verify_slices_are_equal(known.sha256.as_bytes(), sha256.as_bytes()).is_ok();
        if same { Some(known.clone()) } else { found }
    })
}

/// Compares all tokens of the PIM, each in constant time.
fn is_static_token(pim: &Pim, client: &ClientId, token: &str) -> bool {
    pim.static_tokens.iter().fold(false, |found, known| {
        let same = verify_slices_are_equal(known.token.expose().as_bytes(), token.as_bytes()).is_ok();
        found | (same & (known.client_id == *client))
    })
}

fn locked_out() -> Refusal {
    refused_header(
        CLIENT_ID,
        because::CLIENT_REVOKED,
        "the connection or app was removed from the PIM; a token issued after that, or the operator, re-admits \
         it"
        .into(),
    )
}
