//! What an answer, or its absence, means (contract pages 4 and 7): the one place that decides it, from typed errors.

use std::error::Error;
use std::io;
use std::time::Duration;

use domain::outcome::{ErrorReason, Failure, Outcome};
use google_cloud_gax::error::rpc::Code;
use google_cloud_pubsub::error::PublishError;

use crate::NO_HTTP_STATUS;
use crate::connect::{ConnectError, handshake_error};
use crate::https::outcome::lost;
use crate::resolve::LookupError;

/// What came of a request.
pub(super) enum Answer {
    /// The topic has all of it.
    Delivered,
    /// The service does not take it as it is; where it has several messages, it may be one of them.
    Rejected(Failure),
    /// It did not work, and no other request to the topic would now.
    Ended(Outcome),
}

/// What messages name.
pub(super) struct Named<'a> {
    /// The topic's full name.
    pub(super) topic: &'a str,
    /// `pubsub.googleapis.com`.
    pub(super) endpoint: &'a str,
    /// The account that publishes, if it is known.
    pub(super) principal: Option<&'a str>,
    pub(super) timeout: Duration,
}

/// Of a request's time.
const NEARLY_ALL: f32 = 0.95;

/// Whether the service gave an answer of its own, however late.
fn is_decided(error: &google_cloud_gax::error::Error) -> bool {
    error.status().is_some_and(|status| !matches!(status.code, Code::DeadlineExceeded | Code::Cancelled))
}

/// The request failed after so long.
pub(super) fn of_error(error: &PublishError, after: Duration, named: &Named<'_>) -> Answer {
    let PublishError::Rpc(error) = error else {
        // The client was closed beside the request, because another one hung beyond its time; or it lost the answer.
        return Answer::Ended(failed(
            ErrorReason::ClientClosedConnection,
            format!("the connection to {} was given up, because it hung", named.endpoint),
        ));
    };
    // The server knows the time as well: whether it resets the request, or says so, before we notice is chance.
    if error.is_timeout() || after >= named.timeout.mul_f32(NEARLY_ALL) && !is_decided(error) {
        return Answer::Ended(of_timeout(named));
    }
    if let Some(status) = error.status() {
        return of_code(status.code, named);
    }
    if error.is_authentication() {
        return Answer::Ended(Outcome::Failed(without_credentials()));
    }
    if error.is_connect() {
        let error = connect_error(error.as_ref());
        return Answer::Ended(of_connect(&error, named.endpoint));
    }
    let (reason, what) = source::<hyper::Error>(error.as_ref())
        .map_or((ErrorReason::DestinationFailure, "the server gave what is no answer of Pub/Sub"), lost);
    Answer::Ended(failed(reason, format!("{}: {what} before an answer", named.endpoint)))
}

/// The service answered.
fn of_code(code: Code, named: &Named<'_>) -> Answer {
    let Named { topic, principal, .. } = named;
    let failure = |reason, hint: String| Failure {
        reason,
        code: NO_HTTP_STATUS,
        message: format!("Pub/Sub answered {}{hint}", code.name()),
        answer: None,
    };
    let principal = principal.unwrap_or("the account of the platform");
    Answer::Ended(match code {
        Code::Ok => return Answer::Delivered,
        Code::InvalidArgument => {
            return Answer::Rejected(failure(
                ErrorReason::PublishRejected,
                ": it does not take the event as it is; the topic may have a schema that the event does not fit".into(),
            ));
        }
        Code::PermissionDenied => Outcome::Broken(failure(
            ErrorReason::AuthenticationFailed,
            format!(": {principal} needs the role roles/pubsub.publisher on {topic}"),
        )),
        Code::Unauthenticated => Outcome::Broken(failure(
            ErrorReason::AuthenticationFailed,
            format!(": it does not accept the credentials of {principal}"),
        )),
        Code::NotFound => Outcome::Broken(failure(ErrorReason::TopicNotFound, format!(": there is no topic {topic}"))),
        Code::ResourceExhausted => Outcome::Throttled { retry_after: None },
        Code::DeadlineExceeded => Outcome::Failed(failure(ErrorReason::DestinationTimeout, String::new())),
        // Cancelled, unknown, aborted, internal, unavailable; a failed precondition, such as a key of the topic's encryption that is
        // switched off; and what no service should answer to this. All may pass.
        _ => Outcome::Failed(failure(ErrorReason::DestinationFailure, String::new())),
    })
}

/// The time was up.
pub(super) fn of_timeout(named: &Named<'_>) -> Outcome {
    let Named { endpoint, timeout, .. } = named;
    failed(ErrorReason::DestinationTimeout, format!("no answer from {endpoint} within {} s", timeout.as_secs_f64()))
}

/// The platform has no credentials, or they were not to be had just now: its operator's business, not the integrator's. So it passes, and
/// the subscription is not suspended for it at once.
pub(super) fn without_credentials() -> Failure {
    Failure {
        reason: ErrorReason::AuthenticationFailed,
        code: NO_HTTP_STATUS,
        message: "the platform has no usable Google credentials, so it cannot publish; its operator has to set them up"
            .to_owned(),
        answer: None,
    }
}

/// The client could not be made for another reason.
pub(super) fn without_client() -> Failure {
    Failure {
        reason: ErrorReason::DestinationFailure,
        code: NO_HTTP_STATUS,
        message: "the platform could not set up its Pub/Sub client; its operator's log says why".to_owned(),
        answer: None,
    }
}

fn of_connect(error: &ConnectError, endpoint: &str) -> Outcome {
    crate::https::outcome::of_connect(error, endpoint)
}

/// Why there was no connection, out of the library's chain of errors.
fn connect_error(error: &(dyn Error + 'static)) -> ConnectError {
    match source::<io::Error>(error) {
        // What the standard library says of `getaddrinfo`; there is no kind for it.
        Some(error) if error.to_string().starts_with("failed to lookup address information") => {
            ConnectError::Lookup(LookupError::NoAddress)
        }
        Some(error) => handshake_error(error),
        None => ConnectError::Handshake("the server does not speak HTTP/2 over TLS"),
    }
}

fn failed(reason: ErrorReason, message: String) -> Outcome {
    Outcome::Failed(Failure { reason, code: NO_HTTP_STATUS, message, answer: None })
}

fn source<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| (*error).source()).find_map(|error| error.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: Named<'static> = Named {
        topic: "projects/p/topics/t",
        endpoint: "pubsub.googleapis.com",
        principal: Some("serviceAccount:a@p.iam.gserviceaccount.com"),
        timeout: Duration::from_secs(10),
    };

    fn check(code: Code, expect: &str) {
        let said = match of_code(code, &NAMED) {
            Answer::Delivered => "delivered".to_owned(),
            Answer::Rejected(failure) => format!("rejected {}", failure.reason),
            Answer::Ended(Outcome::Throttled { .. }) => "throttled".to_owned(),
            Answer::Ended(Outcome::Failed(failure)) => format!("failed {}", failure.reason),
            Answer::Ended(Outcome::Broken(failure)) => format!("broken {}: {}", failure.reason, failure.message),
            Answer::Ended(other) => format!("{other:?}"),
        };
        assert_eq!(said, expect);
    }

    #[test]
    fn every_code_has_its_meaning() {
        check(Code::Ok, "delivered");
        check(Code::InvalidArgument, "rejected publish_rejected");
        check(Code::ResourceExhausted, "throttled");
        check(Code::DeadlineExceeded, "failed destination_timeout");
        check(
            Code::PermissionDenied,
            "broken authentication_failed: Pub/Sub answered PERMISSION_DENIED: serviceAccount:a@p.iam.gserviceaccount.com needs the \
             role roles/pubsub.publisher on projects/p/topics/t",
        );
        check(
            Code::Unauthenticated,
            "broken authentication_failed: Pub/Sub answered UNAUTHENTICATED: it does not accept the credentials of \
             serviceAccount:a@p.iam.gserviceaccount.com",
        );
        check(
            Code::NotFound,
            "broken topic_not_found: Pub/Sub answered NOT_FOUND: there is no topic projects/p/topics/t",
        );
        for code in [
            Code::Cancelled,
            Code::Unknown,
            Code::AlreadyExists,
            Code::FailedPrecondition,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unimplemented,
            Code::Internal,
            Code::Unavailable,
            Code::DataLoss,
        ] {
            check(code, "failed destination_failure");
        }
    }
}
