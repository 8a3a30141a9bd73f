//! Meaning of a response, or of its absence (contract pages 4 and 7): decided only here, from typed errors.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::connect::{ConnectError, handshake_error};
use crate::https::lost::{Lost, source};
use crate::https::outcome::{Stage, of_lost};
use domain::outcome::{ErrorReason, Failure, Lack, Outcome};
use google_cloud_gax::error::rpc::Code;
use google_cloud_pubsub::error::PublishError;

/// Result of a request.
pub(super) enum Answer {
    /// The topic has accepted all of it.
    Delivered,
    /// The service rejects its contents; with several messages, the cause may be any of them.
    Rejected(Failure),
    /// It failed, and so would any other request to the topic now.
    Ended(Outcome),
}

/// Names used in messages.
pub(super) struct Named<'a> {
    /// The topic's full name.
    pub(super) topic: &'a str,
    /// `pubsub.googleapis.com`.
    pub(super) endpoint: &'a str,
    /// The publishing account, if known.
    pub(super) principal: Option<&'a str>,
    pub(super) timeout: Duration,
}

/// Share of a request's time.
const NEARLY_ALL: f32 = 0.95;

/// Whether the service gave its own response, however late.
pub(super) fn is_decided(error: &PublishError) -> bool {
    code(error).is_some_and(|code| !matches!(code, Code::DeadlineExceeded | Code::Cancelled))
}

/// Whether the service rejects the platform's identity.
pub(super) fn refuses_credentials(error: &PublishError) -> bool {
    code(error) == Some(Code::Unauthenticated)
}

fn code(error: &PublishError) -> Option<Code> {
    match error {
        PublishError::Rpc(error) => Some(error.status()?.code),
        _ => None,
    }
}

/// The request failed after this time.
pub(super) fn of_error(error: &PublishError, after: Duration, named: &Named<'_>) -> Answer {
    let is_decided = is_decided(error);
    let PublishError::Rpc(error) = error else {
        // The client was closed meanwhile, because another request timed out: this says nothing about this topic.
        return Answer::Ended(Outcome::Abandoned);
    };
    // The server knows the deadline as well: whether it resets the request, or reports it, before we notice is chance.
    if error.is_timeout() || after >= named.timeout.mul_f32(NEARLY_ALL) && !is_decided {
        return Answer::Ended(of_timeout(named));
    }
    if let Some(status) = error.status() {
        return of_code(status.code, named);
    }
    if error.is_authentication() {
        return Answer::Ended(Outcome::Ours(Lack::Credentials));
    }
    if error.is_connect() {
        return Answer::Ended(of_connect(error.as_ref(), named.endpoint));
    }
    Answer::Ended(match source::<hyper::Error>(error.as_ref()) {
        // Includes unprocessed requests: the next attempt is soon enough for a topic.
        Some(error) => of_lost(&Lost::of(error, false), Stage::Waiting, named.endpoint),
        None => failed(
            ErrorReason::DestinationFailure,
            format!("{}: the server's response is not from Pub/Sub", named.endpoint),
        ),
    })
}

/// The service responded.
fn of_code(code: Code, named: &Named<'_>) -> Answer {
    let Named { topic, principal, .. } = named;
    let failure =
        |reason, hint: String| Failure::without_status(reason, format!("Pub/Sub answered {}{hint}", code.name()));
    let principal = principal.unwrap_or("the platform's account");
    Answer::Ended(match code {
        Code::Ok => return Answer::Delivered,
        Code::InvalidArgument => {
            return Answer::Rejected(failure(
                ErrorReason::PublishRejected,
                ": it rejects the event; the event may violate the topic's schema".into(),
            ));
        }
        Code::PermissionDenied => Outcome::Broken(failure(
            ErrorReason::AuthenticationFailed,
            format!(": {principal} needs the role roles/pubsub.publisher on {topic}"),
        )),
        // They are the platform's own: its operator is notified.
        Code::Unauthenticated => Outcome::Ours(Lack::Credentials),
        Code::NotFound => {
            Outcome::Broken(failure(ErrorReason::TopicNotFound, format!(": topic {topic} does not exist")))
        }
        Code::ResourceExhausted => Outcome::Throttled { retry_after: None },
        Code::DeadlineExceeded => Outcome::Failed(failure(ErrorReason::DestinationTimeout, String::new())),
        // Cancelled, unknown, aborted, internal, unavailable; a failed precondition, such as a disabled key of the
        // topic's encryption; and codes that no service should return here. All may be temporary.
        _ => Outcome::Failed(failure(ErrorReason::DestinationFailure, String::new())),
    })
}

/// The request timed out.
pub(super) fn of_timeout(named: &Named<'_>) -> Outcome {
    let Named { endpoint, timeout, .. } = named;
    let message = format!("no response from {endpoint} within {} s", timeout.as_secs_f64());
    Outcome::Silent(Failure::without_status(ErrorReason::DestinationTimeout, message))
}

/// Cause of a failed connection, from the library's chain of errors.
fn of_connect(error: &(dyn Error + 'static), endpoint: &str) -> Outcome {
    let error = match source::<io::Error>(error) {
        // The standard library's text for `getaddrinfo`; there is no kind for it. The endpoint is Google's, or
        // configured by the operator.
        Some(error) if error.to_string().starts_with("failed to lookup address information") => {
            return Outcome::Ours(Lack::NameServers);
        }
        Some(error) => handshake_error(error),
        None => ConnectError::Handshake("the server does not speak HTTP/2 over TLS"),
    };
    crate::https::outcome::of_connect(&error, endpoint)
}

fn failed(reason: ErrorReason, message: String) -> Outcome {
    Outcome::Failed(Failure::without_status(reason, message))
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
            Answer::Ended(Outcome::Ours(lack)) => format!("ours {lack}"),
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
            "broken authentication_failed: Pub/Sub answered PERMISSION_DENIED: \
             serviceAccount:a@p.iam.gserviceaccount.com needs the \
             role roles/pubsub.publisher on projects/p/topics/t",
        );
        check(Code::Unauthenticated, "ours credentials");
        check(
            Code::NotFound,
            "broken topic_not_found: Pub/Sub answered NOT_FOUND: topic projects/p/topics/t does not exist",
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
