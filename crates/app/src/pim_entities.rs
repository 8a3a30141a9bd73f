//! Queries PIMs for recent changes, for reconciliation: page by page, one request at a time, with a token from a
//! password grant that is reused until the PIM rejects it.

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use domain::pim::{ClientCredentials, Pim, url_key};
use domain::{PimId, Timestamp};
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use intake::{EntityKind, EntityPage, EntitySource};
use parking_lot::Mutex;
use serde_json::json;
use sinks::client::Fetched;
use wire::json::{Value, pieces};

use crate::pim_client::{PimClient, credentials};

/// Entities per page: the PIM's maximum.
const PAGE: usize = 100;
/// Maximum size of a response: a page of large products has some MB.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// Offset of the westernmost time zone from UTC.
const WESTERNMOST: Duration = Duration::from_secs(12 * 60 * 60);
/// A page takes longer than a token check.
const LEAST_TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum number of requests for a page that is answered with 429.
const MOST_TRIES: usize = 5;
/// Pause after a 429 without `Retry-After`.
const PAUSE: Duration = Duration::from_secs(60);
/// Maximum pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Changed entities over HTTP.
pub(crate) struct HttpEntities {
    grants: PimClient,
    pages: PimClient,
    tokens: Mutex<HashMap<PimId, String>>,
}

impl HttpEntities {
    /// Uses `client`, with a time limit of one minute per page if its own is shorter.
    pub(crate) fn new(client: PimClient) -> HttpEntities {
        let pages = client.with_timeout_of_at_least(LEAST_TIMEOUT);
        HttpEntities { grants: client, pages, tokens: Mutex::default() }
    }

    async fn token(&self, pim: &Pim, credentials: &ClientCredentials) -> Result<String, String> {
        if let Some(token) = self.tokens.lock().get(&pim.id) {
            return Ok(token.clone());
        }
        let token = self.grants.grant(pim, credentials).await.map_err(|error| error.to_string())?;
        self.tokens.lock().insert(pim.id, token.clone());
        Ok(token)
    }

    /// Repeats a request until the response is neither 429 nor a rejection of an old token.
    async fn get(&self, pim: &Pim, credentials: &ClientCredentials, target: &str) -> Result<Fetched, String> {
        let mut renewed = false;
        for _ in 0..MOST_TRIES {
            let token = self.token(pim, credentials).await?;
            let answer = self.pages.get(pim, target, &token, MAX_ANSWER).await.map_err(|error| error.to_string())?;
            match answer.status {
                StatusCode::UNAUTHORIZED if !renewed => {
                    renewed = true;
                    self.tokens.lock().remove(&pim.id);
                }
                StatusCode::TOO_MANY_REQUESTS => tokio::time::sleep(pause(&answer.headers)).await,
                _ => return Ok(answer),
            }
        }
        Err(format!("it answered {MOST_TRIES} times with 429"))
    }
}

#[async_trait]
impl EntitySource for HttpEntities {
    fn knows(&self, pim: &Pim) -> bool {
        credentials(pim).is_some()
    }

    async fn page(
        &self,
        pim: &Pim,
        kind: EntityKind,
        since: Timestamp,
        cursor: Option<&str>,
    ) -> Result<EntityPage, String> {
        let credentials = credentials(pim).ok_or("no credentials are registered for it")?;
        let path = path(kind);
        let target = cursor.map_or_else(|| first(&path, since), |query| format!("{path}?{query}"));
        let answer = self.get(pim, credentials, &target).await?;
        match answer.status {
            StatusCode::OK => {}
            // Missing in PIMs before 7.0.
            StatusCode::NOT_FOUND if kind == EntityKind::ProductsByUuid => return Ok(EntityPage::default()),
            other => return Err(format!("it answered {path} with {}", other.as_u16())),
        }
        let page = read(pim, &path, &answer.body)?;
        Ok(EntityPage { at: date(&answer.headers), ..page })
    }
}

fn path(kind: EntityKind) -> String {
    format!("/api/rest/v1/{}", kind.name())
}

/// Path and query of the first page.
fn first(path: &str, since: Timestamp) -> String {
    // The PIM interprets the time in its own unknown time zone, to the second. So it returns changes of up to 26 hours
    // more; those before the window are discarded by the offset in their times.
    let since = since - WESTERNMOST;
    let since: String = since.to_string().replace('T', " ").chars().take("YYYY-MM-DD hh:mm:ss".len()).collect();
    let search = json!({"updated": [{"operator": ">", "value": since}]}).to_string();
    format!("{path}?pagination_type=search_after&limit={PAGE}&search={}", escaped(&search))
}

/// Percent-encodes everything except letters and digits.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(3 * text.len());
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn read(pim: &Pim, path: &str, body: &[u8]) -> Result<EntityPage, String> {
    let answer = pieces(body, &["_embedded", "items"]).map_err(|_| format!("its response to {path} is not JSON"))?;
    let link = answer.rest.get("_links").and_then(|links| links.get("next")).and_then(|next| next.get("href"));
    let next = match link {
        None | Some(Value::Null) => None,
        Some(link) => Some(next(pim, path, link.as_str().unwrap_or_default())?),
    };
    let items = answer.elements.ok_or_else(|| format!("its response to {path} has no `_embedded.items`"))?;
    Ok(EntityPage { items: items.into_iter().map(str::to_owned).collect(), at: None, next })
}

/// The PIM's time when it answered.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let since_epoch = date.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::EPOCH + since_epoch)
}

/// Query of the link to the next page, if that is on this path of this PIM. The link's scheme is ignored because PIMs
/// behind a TLS proxy write `http`; the registered URL is called in any case.
fn next(pim: &Pim, path: &str, link: &str) -> Result<String, String> {
    let without_scheme = |key: String| key.split_once("://").map(|(_, rest)| rest.to_owned());
    let parts = link.split_once('?').and_then(|(base, query)| Some((without_scheme(url_key(base)?)?, query)));
    let own = url_key(&pim.url).and_then(without_scheme).map(|own| format!("{own}{path}"));
    match parts {
        Some((base, query)) if Some(&base) == own.as_ref() && query.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(query.to_owned())
        }
        _ => {
            let shown: String = link.chars().filter(|character| !character.is_control()).take(200).collect();
            Err(format!("its response to {path} links to a next page outside the registered URL: {shown:?}"))
        }
    }
}

/// Pause after a 429.
fn pause(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    seconds.map_or(PAUSE, Duration::from_secs).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests;
