//! `POST /ingest/akeneo/{source}`: the Events API of self-hosted PIMs (contract pages 6 and 7). The PIM waits 0.5 s for
//! the answer, never tries again, and may hang up before: whatever came in whole is taken to its end.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use domain::pim::Pim;
use http::{HeaderMap, StatusCode};
use intake::bridge::TakeError;
use intake::{BodyError, SIGNATURE, TIMESTAMP};
use wire::Fault;
use wire::fault;
use wire::signature::SignatureError;

use crate::description::operation::{Operation, Shown};
use crate::events::not_appended;
use crate::path::At;
use crate::refusal::{Refusal, because};
use crate::{Api, body};

/// What it is for those who call it.
pub(crate) fn about() -> Operation {
    Operation::new(
        "sendEventsApi",
        "Send Events API webhooks",
        "The Events API of Community and PaaS editions (5.0 to 7.0): paste this address into the connection's settings. Bad events \
         of a request do not take the good ones with them. The PIM's test button sends an empty body.",
    )
    .headers(&[("X-Akeneo-Request-Timestamp", "1793698800", "When it was signed, in Unix seconds; at most 5 minutes off.")])
    .sends_any(
        vec![("application/json", "EventsApiRequest")],
        false,
        Some(r#"{"events":[{"action":"product.removed","event_id":"5c0a3a5e-6d0d-4c5c-9d8b-7a4f0b1e2d3c","event_datetime":"2026-11-03T09:00:13+01:00","author":"julia","author_type":"ui","pim_source":"https://pim.example.com","data":{"resource":{"identifier":"1001"}}}]}"#),
    )
    .answers(200, "The test is understood.", Shown::One("Health"))
    .answers(202, "The events are on stable storage.", Shown::One("Accepted"))
    .refuses(&[because::NO_SUCH_SOURCE, because::NO_EVENTS, because::BACKLOG_FULL, because::STOPPING])
}

/// The body, for those who send it.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[(
    "EventsApiRequest",
    r##"{"type": "object", "required": ["events"], "properties": {"events": {"type": "array", "items": {
      "description": "An event: `action` (`product.created`, `product.updated`, `product.removed`, `product_model.created`, `product_model.updated`, `product_model.removed`), `event_id`, `event_datetime`, `author`, `author_type` (`api`, `ui`, `system`), `pim_source`, `data.resource`. What is not as it should be is told in the operator's log, and the rest of the request is taken."}}}}"##,
)];

/// Takes the events of a request and answers when they are on stable storage; the PIM's test is answered with 200.
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

async fn take(api: &Api, source: &str, request: Request) -> Result<Response, Refusal> {
    let (parts, unread) = request.into_parts();
    let headers = parts.headers;
    let bounds = &api.settings.server;
    let (pim, timestamp, signature) = match signed(api, source, &headers).await {
        Ok(signed) => signed,
        Err(refusal) => {
            body::discard(&headers, unread, bounds.ingest_body).await;
            return Err(refusal);
        }
    };
    let body = body::read(&headers, unread, bounds.ingest_body, bounds.body_timeout).await?;
    let now = (api.settings.clock)();
    match api.bridge.verify(&pim, timestamp, signature, &body, now) {
        Some(Ok(())) => {}
        Some(Err(error)) => return Err(not_genuine(&pim, &error)),
        None => return Err(no_bridge(source)),
    }
    if body.is_empty() {
        return Ok(body::json(StatusCode::OK, r#"{"status":"ready"}"#));
    }
    let bridge = Arc::clone(&api.bridge);
    // A task of its own: this one ends when the PIM hangs up.
    let taking = tokio::spawn(async move { bridge.take(&pim, body, now).await });
    let taken = match taking.await {
        Ok(taken) => taken.map_err(not_taken)?,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => {
                return Err(Refusal::new(because::STOPPING, "the platform is stopping"));
            }
        },
    };
    api.counters.accepted(taken.accepted, taken.duplicates, 0);
    let answer = format!(r#"{{"accepted":{},"duplicates":{}}}"#, taken.accepted, taken.duplicates);
    Ok(body::json(StatusCode::ACCEPTED, answer))
}

/// The PIM, and the headers of its signature.
async fn signed<'h>(
    api: &Api,
    source: &str,
    headers: &'h HeaderMap,
) -> Result<(Arc<Pim>, &'h [u8], &'h [u8]), Refusal> {
    let registrations = api.registry.current(api.catalog()).await?;
    let pim = registrations.by_name(source).filter(|pim| pim.events_api_secret.is_some());
    let pim = pim.ok_or_else(|| no_bridge(source))?;
    match (once(headers, TIMESTAMP), once(headers, SIGNATURE)) {
        (Some(timestamp), Some(signature)) => Ok((Arc::clone(pim), timestamp, signature)),
        _ => {
            let message = format!("the request is not signed: expected {SIGNATURE} and {TIMESTAMP}, once each");
            api.bridge.refused(pim, message.clone(), (api.settings.clock)());
            tracing::warn!(pim.name = %pim.name, "a request of the Events API is not signed; nothing of it is taken");
            Err(Refusal::new(because::MISSING_SIGNATURE, message))
        }
    }
}

fn once<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none()).map(|value| value.as_bytes())
}

fn no_bridge(source: &str) -> Refusal {
    Refusal::new(
        because::NO_SUCH_SOURCE,
        format!("no PIM named {source:?} sends its Events API here; the operator registers one with its secret"),
    )
}

fn not_genuine(pim: &Pim, error: &SignatureError) -> Refusal {
    tracing::warn!(pim.name = %pim.name, %error, "a request of the Events API is refused; nothing of it is taken");
    let code = match error {
        SignatureError::Stale { .. } => because::STALE_TIMESTAMP,
        SignatureError::Malformed { .. } | SignatureError::MalformedTimestamp | SignatureError::Mismatch => {
            because::INVALID_SIGNATURE
        }
    };
    Refusal::new(code, error.to_string())
}

fn not_taken(error: TakeError) -> Refusal {
    match error {
        TakeError::Body(BodyError::NoJson(message)) => {
            Refusal::with_faults(StatusCode::BAD_REQUEST, vec![Fault::new(fault::code::MALFORMED_JSON, message)])
        }
        TakeError::Body(BodyError::NoEvents(message)) => Refusal::new(because::NO_EVENTS, message),
        TakeError::Append(error) => {
            tracing::error!(%error, "events of the Events API are lost: they could not be stored, and the PIM does not send again");
            not_appended(error)
        }
    }
}
