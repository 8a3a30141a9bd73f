//! A rejected request and its response: `{"errors":[{"message","code","field"}]}`.

pub(crate) mod because;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use meter::Seldom;
use store::{ChangeError, StoreError};
use wire::fault::{self, Fault};

use because::Code;

use crate::deliveries::Unanswered;
use crate::seldom::now;

/// A rejection: status, all faults, and optional `Retry-After`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    said: Arc<fault::Refusal>,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// A rejection with one reason, without a field.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Refusal {
        fault::Refusal::one(code.status.as_u16(), code.name, message).into()
    }

    /// A rejection with several reasons.
    pub(crate) fn with_faults(status: StatusCode, faults: Vec<Fault>) -> Refusal {
        fault::Refusal { status: status.as_u16(), faults }.into()
    }

    /// A well-formed request with invalid content.
    pub(crate) fn invalid(faults: Vec<Fault>) -> Refusal {
        fault::Refusal::invalid(faults).into()
    }

    /// The object doesn't exist for this caller.
    pub(crate) fn not_found(what: &str) -> Refusal {
        Refusal::new(because::NOT_FOUND, format!("no such {what}"))
    }

    /// Adds `Retry-After`.
    pub(crate) fn retry_after(self, wait: Duration) -> Refusal {
        Refusal { retry_after: Some(wait), ..self }
    }

    /// Status and faults.
    pub(crate) fn said(&self) -> &fault::Refusal {
        &self.said
    }
}

impl From<fault::Refusal> for Refusal {
    fn from(said: fault::Refusal) -> Refusal {
        Refusal { said: Arc::new(said), retry_after: None }
    }
}

/// The rejection is attached to the response's extensions, for the log of rejected requests.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.said.body()));
        *response.status_mut() = StatusCode::from_u16(self.said.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.said.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 requires a challenge with every 401.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            // Whole seconds, rounded up, so that a retry is not too early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// `Retry-After` if the store fails.
const STORE_RETRY: Duration = Duration::from_secs(5);

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        // Also reached by unauthenticated requests: one line per minute for all of them.
        static FAILED: Seldom = Seldom::new();
        if let Some(requests) = FAILED.note(now(), 1) {
            tracing::error!(%error, requests, "requests failed because of the store");
        }
        Refusal::new(
            because::STORE_UNAVAILABLE,
            "the platform cannot read or write its data at the moment; nothing was changed, retry later",
        )
        .retry_after(STORE_RETRY)
    }
}

/// `Retry-After` if a node does not answer: another one takes its place within seconds.
const NODE_RETRY: Duration = Duration::from_secs(2);

impl From<Unanswered> for Refusal {
    fn from(_: Unanswered) -> Refusal {
        Refusal::new(
            because::NODE_UNAVAILABLE,
            "the node that delivers for this PIM does not answer at the moment; retry later",
        )
        .retry_after(NODE_RETRY)
    }
}

impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Refusal {
        match error {
            // No request is made by the owner of a shard.
            ChangeError::Fenced => StoreError::Unavailable(error.to_string()).into(),
            ChangeError::Store(error) => error.into(),
            ChangeError::Conflict | ChangeError::Outdated => {
                Refusal::new(because::CONCURRENT_CHANGE, "too many concurrent changes; read it again and retry")
            }
            ChangeError::LimitReached { limit } => Refusal::new(
                because::LIMIT_REACHED,
                format!("the limit of {limit} is reached; delete one that is no longer needed"),
            ),
            ChangeError::Missing(what) => Refusal::not_found(what),
            taken @ ChangeError::Taken { .. } => Refusal::new(because::TAKEN, taken.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_retry_after(wait: Duration, expect: &str) {
        let response = Refusal::not_found("thing").retry_after(wait).into_response();
        assert_eq!(response.headers()[RETRY_AFTER], expect);
    }

    #[test]
    fn retry_after_is_rounded_up_to_whole_seconds() {
        check_retry_after(Duration::from_millis(10), "1");
        check_retry_after(Duration::from_millis(1001), "2");
        check_retry_after(Duration::from_secs(5), "5");
    }
}
