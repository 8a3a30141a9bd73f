//! Common part of all management requests: authentication, rate limit, body; rejected requests are written to the
//! owner's log.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::log_entry::{Call, LogBody, LogEntry, RefusedRequest};
use domain::{LogId, SubscriberId, SubscriptionId, Timestamp};
use http::header::CONTENT_ENCODING;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Uri};
use tokio::time::Instant;
use wire::Fault;
use wire::api::redact_for_log;
use wire::json::Value;

use crate::Api;
use crate::auth::bearer::LinkBearer;
use crate::auth::caller::{Caller, authenticate, of_bearer};
use crate::body::{self, Whole};
use crate::origin::Origin;
use crate::rate_limit::TooFast;
use crate::refusal::{Refusal, because};
use crate::seldom::now;

/// Rejections that appear in the owner's log (contract page 7, "Logs").
const LOGGED: [u16; 7] = [400, 403, 405, 409, 413, 415, 422];
/// Maximum length of a rejected request's path in the log.
const MAX_LOGGED_URL: usize = 2048;
/// A longer path in a body cannot be a known field; the message contains its beginning.
const MAX_FIELD: usize = 200;

/// Admits a request with its [`Caller`] and its [`Sent`] body, or rejects it.
pub(crate) async fn admit(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS {
        // Browsers ask without credentials; the response is always a 405 with `Allow`.
        return next.run(request).await;
    }
    let bounds = api.settings.server;
    let (mut parts, unread) = request.into_parts();
    let origin = parts.extensions.get::<Origin>().copied().unwrap_or(Origin::UNKNOWN);
    let caller = match let_in(&api, &parts, origin).await {
        Ok(caller) => caller,
        Err(refusal) => {
            body::discard(&parts.headers, unread, bounds.management_body).await;
            return refusal.into_response();
        }
    };
    let (method, uri) = (parts.method.clone(), parts.uri.clone());
    let room = api.bodies.of_client(&caller.pim, &caller.owner.client_id);
    let read = body::read(&parts.headers, unread, bounds.management_body, bounds.body_timeout, room).await;
    let checked = read.and_then(|sent| check_media_type(&method, &parts.headers, &sent.bytes).map(|()| sent));
    let (response, sent) = match checked {
        Ok(Whole { bytes: sent, held }) => {
            parts.extensions.insert(caller.clone());
            parts.extensions.insert(Sent::by(&method, &uri, sent.clone()));
            let response = next.run(Request::from_parts(parts, axum::body::Body::empty())).await;
            drop(held);
            (response, sent)
        }
        Err(refusal) => (refusal.into_response(), Bytes::new()),
    };
    if let Some(refusal) = response.extensions().get::<Refusal>()
        && LOGGED.contains(&refusal.said().status)
    {
        let entry = refused(&caller, &uri, Sent::by(&method, &uri, sent), refusal, api.clock.wall());
        if let Err(error) = api.store().add_entry(entry).await
            && let Some(times) = api.causes.entry_not_written.note(now(), 1)
        {
            tracing::error!(%error, times, "could not write log entries of rejected requests");
        }
    }
    response
}

/// Authenticates a request within the rate limits.
async fn let_in(api: &Api, parts: &Parts, origin: Origin) -> Result<Caller, Refusal> {
    api.rate_limit.come(origin, Instant::now()).map_err(too_fast)?;
    let caller = match parts.extensions.get::<LinkBearer>() {
        None => authenticate(api, &parts.headers, origin).await?,
        Some(bearer) => {
            bearer.may(&parts.method, parts.uri.path())?;
            of_bearer(api, bearer.clone()).await?
        }
    };
    api.rate_limit.take(&caller.owner, Instant::now()).map_err(too_fast)?;
    Ok(caller)
}

pub(crate) fn too_fast(TooFast { who, per_second, wait }: TooFast) -> Refusal {
    let message = format!("more than {per_second} requests per second from {who}; slow down");
    Refusal::new(because::RATE_LIMITED, message).retry_after(wait)
}

/// 415 without `application/json` if there is a body; PATCH also accepts the media type of merge patches.
pub(crate) fn check_media_type(method: &Method, headers: &HeaderMap, sent: &Bytes) -> Result<(), Refusal> {
    if sent.is_empty() {
        return Ok(());
    }
    let refuse = |message: String| Err(Refusal::new(because::UNSUPPORTED_MEDIA_TYPE, message));
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Refusal::new(because::UNSUPPORTED_ENCODING, "send the body without Content-Encoding"));
    }
    match body::media_type(headers).as_deref() {
        Some("application/json") => Ok(()),
        Some("application/merge-patch+json") if method == Method::PATCH => Ok(()),
        Some(other) => refuse(format!("the media type of the body is {other:?}; send application/json")),
        None => refuse("send the body with Content-Type: application/json".to_owned()),
    }
}

/// An admitted request: its body, and the data for its owner's log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    body: Bytes,
    /// Method, and path with query; `None` for the operator's calls, which are not shown to the owner.
    line: Option<(Method, String)>,
}

impl Sent {
    /// A body sent by the operator.
    pub(crate) fn of(body: Bytes) -> Sent {
        Sent { body, line: None }
    }

    /// A request of a client.
    fn by(method: &Method, uri: &Uri, body: Bytes) -> Sent {
        let mut url = uri.path_and_query().map_or_else(String::new, ToString::to_string);
        if url.len() > MAX_LOGGED_URL {
            // A URI is ASCII.
            url.truncate(MAX_LOGGED_URL);
        }
        Sent { body, line: Some((method.clone(), url)) }
    }

    /// Whether the body is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// Request and response in the log entries of a change, if answered with `status`.
    pub(crate) fn call(&self, status: StatusCode) -> Option<Box<Call>> {
        let (method, url) = self.line.clone()?;
        Some(Box::new(Call { method: method.to_string(), url, body: self.redacted(), status: status.as_u16() }))
    }

    /// The body as shown in a log entry, if it is JSON.
    fn redacted(&self) -> Option<String> {
        if self.is_empty() { None } else { wire::json::parse(&self.body).ok().map(|body| redact_for_log(&body)) }
    }

    /// The JSON body; 400 if invalid.
    pub(crate) fn json(&self) -> Result<Value, Refusal> {
        wire::json::parse(&self.body).map_err(|error| {
            let mut fault = Fault::new(wire::fault::code::MALFORMED_JSON, error.to_string());
            fault.field = Some(error.path).filter(|path| (1..=MAX_FIELD).contains(&path.len()));
            Refusal::with_faults(StatusCode::BAD_REQUEST, vec![fault])
        })
    }

    /// For actions without a body: empty, or an object without fields.
    pub(crate) fn nothing(&self) -> Result<(), Refusal> {
        if self.is_empty() {
            return Ok(());
        }
        let faults: Vec<Fault> = match self.json()?.as_object() {
            Some(fields) => fields
                .iter()
                .map(|(name, _)| {
                    Fault::at(
                        name,
                        wire::fault::code::UNKNOWN_FIELD,
                        format!("this action accepts no fields, but got {name:?}"),
                    )
                })
                .collect(),
            None => vec![Fault::new(wire::fault::code::WRONG_TYPE, "this action accepts no body")],
        };
        if faults.is_empty() { Ok(()) } else { Err(Refusal::invalid(faults)) }
    }
}

impl<S: Sync> FromRequestParts<S> for Sent {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Sent, Refusal> {
        Ok(parts.extensions.get::<Sent>().cloned().unwrap_or_default())
    }
}

fn refused(caller: &Caller, uri: &Uri, sent: Sent, refusal: &Refusal, now: Timestamp) -> LogEntry {
    let (subscriber_id, subscription_id) = named_in(uri.path());
    let body = sent.redacted();
    let (method, url) = sent.line.unwrap_or_default();
    let said = refusal.said();
    LogEntry {
        id: LogId::generate(),
        owner: caller.owner.clone(),
        timestamp: now,
        subscriber_id,
        subscription_id,
        body: LogBody::Refused(RefusedRequest {
            reason: said.reason().to_owned(),
            status: said.status,
            message: said.message(),
            method: method.to_string(),
            url,
            body,
        }),
        reason: None,
        call: None,
        attempt: None,
        count: 1,
    }
}

/// The ids in a path. Access to other callers' objects is rejected with 404 and not logged, so the ids are the caller's
/// own unless the request failed earlier.
fn named_in(path: &str) -> (Option<SubscriberId>, Option<SubscriptionId>) {
    let mut segments = path.strip_prefix("/api/v1/subscribers/").unwrap_or_default().split('/');
    let subscriber = segments.next().and_then(SubscriberId::parse);
    let subscription = segments.nth(1).and_then(SubscriptionId::parse);
    (subscriber, subscription)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, subscriber: bool, subscription: bool) {
        let (of_subscriber, of_subscription) = named_in(path);
        assert_eq!((of_subscriber.is_some(), of_subscription.is_some()), (subscriber, subscription), "{path}");
    }

    #[test]
    fn ids_are_found_in_paths() {
        let id = "0192aabb-ccdd-7eff-8011-223344556677";
        check("/api/v1/subscribers", false, false);
        check("/api/v1/logs", false, false);
        check(&format!("/api/v1/subscribers/{id}"), true, false);
        check(&format!("/api/v1/subscribers/{id}/subscriptions"), true, false);
        check(&format!("/api/v1/subscribers/{id}/subscriptions/{id}/resume"), true, true);
    }
}
