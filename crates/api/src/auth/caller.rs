//! Callers of the management API: the three `X-PIM-*` headers, verified by the PIM.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::FromRequestParts;
use domain::credential::{MAX_CLIENT_ID, MAX_TOKEN};
use domain::pim::{PLATFORM_TOKEN, Pim, PlatformToken, TokenCheck, url_key};
use domain::subscriber::Owner;
use domain::{ClientId, Secret, SubscriberId, Timestamp};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use store::{Change, ClientRecord, Condition};
use wire::Fault;

use super::bearer::LinkBearer;
use super::gateway::Verdict;
use super::questions::TooMany;
use super::verdicts::Known;
use crate::Api;
use crate::auth::credential::sha256_hex;
use crate::changing;
use crate::client_life;
use crate::origin::Origin;
use crate::refusal::because::Code;
use crate::refusal::{Refusal, because};
use crate::seldom::now;

const URL: &str = "X-PIM-URL";
const TOKEN: &str = "X-PIM-TOKEN";
const CLIENT_ID: &str = "X-PIM-CLIENT-ID";
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
    let registrations = api.registry.current(api.store()).await?;
    registrations.by_url(url_key).cloned().ok_or_else(|| {
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

fn refused_header(header: &'static str, code: Code, message: String) -> Refusal {
    Refusal::with_faults(code.status, vec![Fault::at(header, code.name, message)])
}

/// Unverified claims of a caller.
#[derive(PartialEq, Eq, Debug)]
struct Claim<'a> {
    url: &'a str,
    url_key: String,
    token: &'a str,
    client_id: &'a str,
}

impl<'a> Claim<'a> {
    fn read(headers: &'a HeaderMap) -> Result<Claim<'a>, Refusal> {
        let mut faults = Vec::new();
        let url = one(headers, URL, "the base URL of the PIM, such as https://pim.example.com", 2048, &mut faults);
        let token = one(headers, TOKEN, "an access token of the PIM", MAX_TOKEN, &mut faults)
            .map(|token| without_bearer(token, &mut faults));
        let client_id = one(headers, CLIENT_ID, "the client id of the connection or app", MAX_CLIENT_ID, &mut faults);
        let url_key = url.and_then(|url| {
            let key = url_key(url);
            if key.is_none() {
                let message = format!(
                    "{URL} is {url:?}; it must be the base URL of the PIM, such as https://pim.example.com, without \
                     user info, query and fragment"
                );
                faults.push(Fault::at(URL, because::MALFORMED_HEADER.name, message));
            }
            key
        });
        match (url, url_key, token, client_id) {
            (Some(url), Some(url_key), Some(token), Some(client_id)) if faults.is_empty() => {
                Ok(Claim { url, url_key, token, client_id })
            }
            _ => Err(Refusal::with_faults(StatusCode::UNAUTHORIZED, faults)),
        }
    }
}

/// Value of a header that must be present exactly once.
fn one<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
    what: &str,
    longest: usize,
    faults: &mut Vec<Fault>,
) -> Option<&'a str> {
    let mut refuse = |code: Code, message: String| {
        faults.push(Fault::at(name, code.name, message));
        None
    };
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return refuse(because::MISSING_HEADER, format!("{name} is missing: {what}"));
    };
    if values.next().is_some() {
        return refuse(because::MALFORMED_HEADER, format!("{name} is present more than once"));
    }
    match value.to_str().map(str::trim) {
        Ok("") => refuse(because::MISSING_HEADER, format!("{name} is empty: {what}")),
        Ok(text) if text.len() > longest => {
            refuse(because::MALFORMED_HEADER, format!("{name} has {} characters; the maximum is {longest}", text.len()))
        }
        Ok(text) => Some(text),
        Err(_) => {
            refuse(because::MALFORMED_HEADER, format!("{name} contains characters other than visible ASCII: {what}"))
        }
    }
}

/// The token as issued, without a `Bearer` prefix in any case that some clients add (contract page 7).
fn without_bearer<'a>(value: &'a str, faults: &mut Vec<Fault>) -> &'a str {
    let token = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_start(),
        _ => value,
    };
    if token.contains([' ', '\t']) || token.eq_ignore_ascii_case("bearer") {
        let message = format!("{TOKEN} must be the token alone, without spaces");
        faults.push(Fault::at(TOKEN, because::MALFORMED_HEADER.name, message));
    }
    token
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// URL key, token and client id, or code and header of each fault.
    type Expect<'a> = Result<(&'a str, &'a str, &'a str), &'a [(&'a str, &'a str)]>;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], expect: Expect<'_>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        match (Claim::read(&map), expect) {
            (Ok(claim), Ok(expect)) => assert_eq!((claim.url_key.as_str(), claim.token, claim.client_id), expect),
            (Err(refusal), Err(expect)) => {
                assert_eq!(refusal.said().status, StatusCode::UNAUTHORIZED);
                let faults: Vec<_> = refusal
                    .said()
                    .faults
                    .iter()
                    .map(|fault| (fault.code, fault.field.as_deref().unwrap_or("")))
                    .collect();
                assert_eq!(faults, expect, "{headers:?}");
            }
            (read, expect) => panic!("{read:?} instead of {expect:?}"),
        }
    }

    const GOOD: [(&str, &str); 3] =
        [("x-pim-url", "https://Pim.Example.com/"), ("x-pim-token", "t0k"), ("x-pim-client-id", "app")];

    #[test]
    fn three_headers_make_a_claim() {
        check(&GOOD, Ok(("https://pim.example.com", "t0k", "app")));
        check(&[GOOD[0], ("x-pim-token", "bEARER t0k"), GOOD[2]], Ok(("https://pim.example.com", "t0k", "app")));
    }

    #[test]
    fn all_faults_of_the_headers_are_named() {
        check(
            &[],
            Err(&[
                ("missing_header", "X-PIM-URL"),
                ("missing_header", "X-PIM-TOKEN"),
                ("missing_header", "X-PIM-CLIENT-ID"),
            ]),
        );
        check(&[GOOD[0], GOOD[0], GOOD[1], GOOD[2]], Err(&[("malformed_header", "X-PIM-URL")]));
        check(&[("x-pim-url", "https://pim.example.com?a=b"), GOOD[1], GOOD[2]], Err(&[("malformed_header", URL)]));
        check(&[("x-pim-url", "pim.example.com"), GOOD[1], GOOD[2]], Err(&[("malformed_header", URL)]));
        check(&[GOOD[0], ("x-pim-token", ""), GOOD[2]], Err(&[("missing_header", TOKEN)]));
        check(&[GOOD[0], ("x-pim-token", "a b"), GOOD[2]], Err(&[("malformed_header", TOKEN)]));
        check(&[GOOD[0], ("x-pim-token", "Bearer"), GOOD[2]], Err(&[("malformed_header", TOKEN)]));
        check(&[GOOD[0], GOOD[1], ("x-pim-client-id", "é")], Err(&[("malformed_header", CLIENT_ID)]));
    }
}
