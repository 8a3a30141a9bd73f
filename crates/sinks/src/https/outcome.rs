//! Meaning of a response, or of its absence (contract pages 4 and 7): decided only here, from typed errors.

use std::time::{Duration, SystemTime};

use domain::Timestamp;
use domain::outcome::{ErrorReason, Failure, Outcome};
use http::{HeaderMap, StatusCode, header};

use super::lost::{Fate, Lost};
use crate::connect::ConnectError;
use crate::resolve::LookupError;

/// Outcome of a response.
pub(crate) fn of_answer(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Outcome {
    let failure = |reason, hint: &str| Failure {
        reason,
        code: status.as_u16(),
        message: match status.canonical_reason() {
            Some(phrase) => format!("the endpoint answered {} {phrase}{hint}", status.as_u16()),
            None => format!("the endpoint answered {}{hint}", status.as_u16()),
        },
        answer: None,
    };
    match status.as_u16() {
        200..=299 => Outcome::Delivered,
        300..=399 => Outcome::Broken(failure(
            ErrorReason::DestinationRedirected,
            "; redirects are not followed, so the destination's URL must be the final one",
        )),
        401 | 403 => Outcome::Refused(failure(ErrorReason::AuthenticationFailed, "")),
        404 => Outcome::Broken(failure(ErrorReason::DestinationNotFound, "")),
        408 | 425 => Outcome::Failed(failure(ErrorReason::DestinationFailure, "")),
        429 => Outcome::Throttled { retry_after: retry_after(headers, now.into()) },
        400..=499 => Outcome::Refused(failure(ErrorReason::DestinationFailure, "")),
        // 5xx, and statuses that aren't final responses (1xx, 600 and above).
        _ => Outcome::Failed(failure(ErrorReason::DestinationFailure, "")),
    }
}

/// Seconds or an HTTP date (RFC 9110, 10.2.3); a date in the past has no effect.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

/// Outcome of a failed connection.
pub(crate) fn of_connect(error: &ConnectError, endpoint: &str) -> Outcome {
    let reason = match error {
        ConnectError::Forbidden(forbidden) => {
            return Outcome::Broken(Failure::without_status(
                ErrorReason::DestinationForbidden,
                format!("{forbidden}, which is forbidden for destinations"),
            ));
        }
        ConnectError::NotAHost => {
            return Outcome::Broken(Failure::without_status(
                ErrorReason::InvalidDestinationConfiguration,
                format!("could not connect to {endpoint}: {error}"),
            ));
        }
        ConnectError::Ours(lack) => return Outcome::Ours(*lack),
        ConnectError::Lookup(LookupError::Lacks(lack)) => return Outcome::Ours(*lack),
        ConnectError::Lookup(_) => ErrorReason::DnsLookupFailure,
        ConnectError::Refused => ErrorReason::ConnectionRefused,
        ConnectError::Reset => ErrorReason::ConnectionReset,
        ConnectError::Unreachable => ErrorReason::NetworkUnreachable,
        ConnectError::TimedOut => ErrorReason::DestinationTimeout,
        ConnectError::Certificate(_) => ErrorReason::InvalidCertificate,
        ConnectError::Handshake(_) => ErrorReason::InvalidTlsHandshake,
        ConnectError::Local(_) => ErrorReason::ClientClosedConnection,
    };
    let failure = Failure::without_status(reason, format!("could not connect to {endpoint}: {error}"));
    match error {
        ConnectError::Unreachable
        | ConnectError::TimedOut
        | ConnectError::Local(_)
        | ConnectError::Lookup(LookupError::ServerFailure | LookupError::TimedOut) => Outcome::Silent(failure),
        ConnectError::Lookup(LookupError::NoAddress | LookupError::NotAName | LookupError::Lacks(_))
        | ConnectError::Refused
        | ConnectError::Reset
        | ConnectError::Certificate(_)
        | ConnectError::Handshake(_)
        | ConnectError::Forbidden(_)
        | ConnectError::NotAHost
        | ConnectError::Ours(_) => Outcome::Failed(failure),
    }
}

/// Progress of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Stage {
    /// Look-up, connecting, TLS negotiation.
    #[default]
    Connecting,
    /// The request was sent, without a response yet.
    Waiting,
    /// The head of a 2xx response was received, its body is incomplete.
    Reading,
}

/// Outcome of a lost connection.
pub(crate) fn of_lost(lost: &Lost, stage: Stage, endpoint: &str) -> Outcome {
    let Lost { reason, what, fate, stream_only: _ } = lost;
    let when = match (reason, stage) {
        // The text already says that there was a response, of whatever kind.
        (ErrorReason::DestinationFailure, _) => "",
        (_, Stage::Connecting | Stage::Waiting) => " before a response",
        (_, Stage::Reading) => " during the response",
    };
    let failure = Failure::without_status(*reason, format!("{endpoint}: {what}{when}"));
    match (fate, stage) {
        (Fate::Ours(lack), _) => Outcome::Ours(*lack),
        (Fate::Silent, _) => Outcome::Silent(failure),
        // A server that has partly responded has processed it.
        (Fate::NotProcessed, Stage::Connecting | Stage::Waiting) => Outcome::NotProcessed(failure),
        (Fate::NotProcessed, Stage::Reading) | (Fate::Theirs, _) => Outcome::Failed(failure),
    }
}

/// The attempt timed out. A destination that has begun to respond is alive; otherwise its state is unknown.
pub(crate) fn of_timeout(stage: Stage, limit: Duration, endpoint: &str) -> Outcome {
    let (what, is_silent) = match stage {
        Stage::Connecting => ("could not connect to", true),
        Stage::Waiting => ("no response from", true),
        Stage::Reading => ("no complete response from", false),
    };
    let message = format!("{what} {endpoint} within {} s", limit.as_secs_f64());
    let failure = Failure::without_status(ErrorReason::DestinationTimeout, message);
    if is_silent { Outcome::Silent(failure) } else { Outcome::Failed(failure) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_status(status: u16, expect: &str) {
        let said = match of_answer(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), Timestamp::EPOCH) {
            Outcome::Delivered => "delivered".to_owned(),
            Outcome::Throttled { .. } => "throttled".to_owned(),
            Outcome::Failed(failure) => format!("failed {} {}", failure.reason, failure.code),
            Outcome::Refused(failure) => format!("refused {} {}", failure.reason, failure.code),
            Outcome::Broken(failure) => format!("broken {} {}", failure.reason, failure.code),
            Outcome::Silent(failure) => format!("silent {}", failure.reason),
            Outcome::NotProcessed(failure) => format!("not processed {}", failure.reason),
            Outcome::Ours(lack) => format!("ours {lack}"),
            Outcome::Abandoned => "abandoned".to_owned(),
        };
        assert_eq!(said, expect, "status {status}");
    }

    #[test]
    fn every_status_has_the_meaning_that_the_contract_gives_it() {
        for status in [200, 201, 202, 204, 226, 299] {
            check_status(status, "delivered");
        }
        for status in [300, 301, 302, 303, 304, 307, 308, 399] {
            check_status(status, &format!("broken destination_redirected {status}"));
        }
        check_status(404, "broken destination_not_found 404");
        check_status(429, "throttled");
        for status in [401, 403] {
            check_status(status, &format!("refused authentication_failed {status}"));
        }
        for status in [400, 402, 405, 410, 413, 422, 451, 499] {
            check_status(status, &format!("refused destination_failure {status}"));
        }
        for status in [101, 408, 425, 500, 502, 503, 504, 599, 600, 999] {
            check_status(status, &format!("failed destination_failure {status}"));
        }
    }

    fn check_retry_after(value: &str, expect: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(retry_after(&headers, now), expect.map(Duration::from_secs), "{value}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        check_retry_after("0", Some(0));
        check_retry_after("120", Some(120));
        check_retry_after("99999999999999999999999", Some(u64::from(u32::MAX)));
        check_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", Some(60));
        check_retry_after("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check_retry_after("soon", None);
        check_retry_after("-1", None);
        check_retry_after("", None);
    }
}
