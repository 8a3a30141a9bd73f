//! `POST /ingest/akeneo/{source}`: the Events API of self-hosted PIMs (contract pages 6 and 7). The PIM waits 0.5 s for
//! the response, never retries, and may disconnect earlier: a fully received request is always processed.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use domain::pim::Pim;
use domain::{Secret, Timestamp};
use http::{HeaderMap, StatusCode};
use intake::bridge::TakeError;
use intake::{BodyError, SIGNATURE, TIMESTAMP, TOLERANCE};
use tokio::sync::oneshot;
use wire::Fault;
use wire::fault;
use wire::signature::{SignatureError, SigningKey};

use crate::body::Whole;
use crate::description::operation::{Operation, Shown};
use crate::events::not_appended;
use crate::origin::Origin;
use crate::path::At;
use crate::refusal::because::Code;
use crate::refusal::{Refusal, because};
use crate::{Api, body, seldom};

/// Time limit for a body: the PIM itself gives up after half a second, and until the body is complete its owner is
/// unknown.
const PATIENCE: Duration = Duration::from_secs(5);
/// Maximum length of a source name in the operator's log.
const MAX_SHOWN: usize = 64;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "sendEventsApi",
        "Send Events API webhooks",
        "The Events API of Community and PaaS editions (5.0 to 7.0): paste this URL into the connection's settings. \
         Invalid \
         events don't affect the other events of a request. The PIM's test button sends an empty body.",
    )
    .headers(&[("X-Akeneo-Request-Timestamp", "1793698800", "Time of signing in Unix seconds; at most 5 minutes off.")])
    .sends_any(
        vec![("application/json", "EventsApiRequest")],
        false,
        Some(r#"{"events":[{"action":"product.removed","event_id":"5c0a3a5e-6d0d-4c5c-9d8b-7a4f0b1e2d3c","event_datetime":"2026-11-03T09:00:13+01:00","author":"julia","author_type":"ui","pim_source":"https://pim.example.com","data":{"resource":{"identifier":"1001"}}}]}"#),
    )
    .answers(200, "The PIM's test.", Shown::One("Health"))
    .answers(202, "The events are on stable storage.", Shown::One("Accepted"))
    .refuses(&[because::BUSY, because::NO_EVENTS, because::BACKLOG_FULL, because::STOPPING])
}

/// Schema of the body.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[(
    "EventsApiRequest",
    r##"{"type": "object", "required": ["events"], "properties": {"events": {"type": "array", "items": {
      "description": "An event: `action` (`product.created`, `product.updated`, `product.removed`, `product_model.created`, `product_model.updated`, `product_model.removed`), `event_id`, `event_datetime`, `author`, `author_type` (`api`, `ui`, `system`), `pim_source`, `data.resource`. Malformed parts are reported in the operator's log; the rest of the request is processed."}}}}"##,
)];

/// Accepts the events of a request and answers when they are on stable storage; the PIM's test is answered with 200.
pub(crate) async fn accept(
    State(api): State<Arc<Api>>,
    At(source): At<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let answer = take(&api, &source, request).await;
    if let Err(refusal) = &answer {
        api.counters.refused_ingest(refusal.said().status);
    }
    answer
}

/// Checks that don't need the body come first. Callers without a secret must not learn which sources are registered: an
/// unknown source is answered like a known one with a wrong signature, after the same work.
async fn take(api: &Arc<Api>, source: &str, request: Request) -> Result<Response, Refusal> {
    let (parts, unread) = request.into_parts();
    let headers = parts.headers;
    let bounds = &api.settings.server;
    let now = api.clock.wall();
    let judged = async {
        let pim = known(api, source).await?;
        match signed(&headers, now) {
            Ok(signed) => Ok(signed),
            Err(flaw) => Err(refuse(api, source, pim.as_deref(), flaw, now)),
        }
    };
    let (timestamp, signature) = match judged.await {
        Ok(judged) => judged,
        Err(refusal) => {
            body::discard(&headers, unread, bounds.ingest_body).await;
            return Err(refusal);
        }
    };
    let origin = parts.extensions.get::<Origin>().copied().unwrap_or(Origin::UNKNOWN);
    let (room, at_most) = (api.bodies.of_stranger(origin), bounds.body_timeout.min(PATIENCE));
    let Whole { bytes, held } = body::read(&headers, unread, bounds.ingest_body, at_most, room).await?;
    // The body may have taken a while: use the current registration.
    let pim = known(api, source).await?;
    let verified = match &pim {
        Some(pim) => api.bridge.verify(pim, timestamp, signature, &bytes, now),
        None => Some(random_key().verify_events_api(timestamp, signature, &bytes, now, TOLERANCE)),
    };
    let (Some(pim), Some(Ok(()))) = (&pim, &verified) else {
        let error = verified.and_then(Result::err).unwrap_or(SignatureError::Mismatch);
        tell(api, source, &error.to_string());
        return Err(flaw(&error).into());
    };
    if bytes.is_empty() {
        return Ok(body::json(StatusCode::OK, r#"{"status":"ready"}"#));
    }
    // The PIM disconnects after 0.5 s and never retries: a fully received request is stored and counted.
    let (api, pim) = (Arc::clone(api), Arc::clone(pim));
    let commits = api.commits.clone();
    let (tell, waits) = oneshot::channel();
    let done = commits.run(async move {
        let begins_to_wait = move |error| {
            drop(held);
            // The client may be gone.
            _ = tell.send(error);
        };
        let taken = api.bridge.take(&pim, bytes, now, begins_to_wait).await;
        let taken = taken.map_err(|error| not_taken(&api, error))?;
        api.counters.accepted(taken.accepted, taken.duplicates, 0);
        let answer = format!(r#"{{"accepted":{},"duplicates":{}}}"#, taken.accepted, taken.duplicates);
        Ok(body::json(StatusCode::ACCEPTED, answer))
    });
    tokio::select! {
        done = done => done,
        Ok(error) = waits => Err(not_appended(error)),
    }
}

/// The PIM with this name, if its Events API is ingested.
async fn known(api: &Api, source: &str) -> Result<Option<Arc<Pim>>, Refusal> {
    let ingested = |pim: &&Arc<Pim>| pim.events_api_secret.is_some();
    Ok(api.registry.find(api.store(), |known| known.by_name(source).filter(ingested).cloned()).await?)
}

/// Reason why a request is not genuine.
struct Flaw {
    code: Code,
    message: String,
}

impl From<Flaw> for Refusal {
    fn from(flaw: Flaw) -> Refusal {
        Refusal::new(flaw.code, flaw.message)
    }
}

/// Timestamp and signature, checked as far as possible without the body.
fn signed(headers: &HeaderMap, now: Timestamp) -> Result<(&[u8], &[u8]), Flaw> {
    let (Some(timestamp), Some(signature)) = (once(headers, TIMESTAMP), once(headers, SIGNATURE)) else {
        let message = format!("the request is not signed: expected {SIGNATURE} and {TIMESTAMP}, once each");
        return Err(Flaw { code: because::MISSING_SIGNATURE, message });
    };
    wire::signature::judge_events_api_headers(timestamp, signature, now, TOLERANCE).map_err(|error| flaw(&error))?;
    Ok((timestamp, signature))
}

fn once<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none()).map(|value| value.as_bytes())
}

fn flaw(error: &SignatureError) -> Flaw {
    match error {
        SignatureError::Stale { .. } => Flaw { code: because::STALE_TIMESTAMP, message: error.to_string() },
        SignatureError::Malformed { .. } | SignatureError::MalformedTimestamp => {
            Flaw { code: because::INVALID_SIGNATURE, message: error.to_string() }
        }
        SignatureError::Mismatch => Flaw {
            code: because::INVALID_SIGNATURE,
            message: "the signature does not match: no Events API is configured for that name, the secret differs, \
                      or the body was modified in transit"
                .to_owned(),
        },
    }
}

/// Rejects a request by its headers, and records it for the PIM's operator.
fn refuse(api: &Api, source: &str, pim: Option<&Pim>, flaw: Flaw, now: Timestamp) -> Refusal {
    if let Some(pim) = pim {
        api.bridge.refused(pim, flaw.message.clone(), now);
    }
    tell(api, source, &flaw.message);
    flaw.into()
}

/// One line per minute for all forged requests, which anyone can send.
fn tell(api: &Api, source: &str, why: &str) {
    if let Some(requests) = api.causes.not_genuine.note(seldom::now(), 1) {
        let source: String = source.chars().take(MAX_SHOWN).collect();
        tracing::warn!(source, why, requests, "rejected Events API requests; showing source and reason of the latest");
    }
}

/// A key that matches no signature.
fn random_key() -> &'static SigningKey {
    static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
        let secret = Secret::new(uuid::Uuid::new_v4().to_string());
        SigningKey::new(&secret)
    });
    &KEY
}

fn not_taken(api: &Api, error: TakeError) -> Refusal {
    match error {
        TakeError::Body(BodyError::NoJson(message)) => {
            Refusal::with_faults(StatusCode::BAD_REQUEST, vec![Fault::new(fault::code::MALFORMED_JSON, message)])
        }
        TakeError::Body(BodyError::NoEvents(message)) => Refusal::new(because::NO_EVENTS, message),
        TakeError::Append(error) => {
            if let Some(requests) = api.causes.lost.note(seldom::now(), 1) {
                tracing::error!(
                    %error,
                    requests,
                    "lost Events API events: they could not be stored, and the PIM does not retry"
                );
            }
            not_appended(error)
        }
    }
}
