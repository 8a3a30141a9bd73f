//! What an answer, or its absence, means (contract pages 4 and 7): the one place that decides it, from typed errors.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use domain::outcome::{ErrorReason, Failure, Outcome};
use http::{HeaderMap, StatusCode, header};

use crate::NO_HTTP_STATUS;
use crate::connect::{ConnectError, tls_fault};
use crate::tls::TlsFault;

/// The answer came.
pub(crate) fn of_answer(status: StatusCode, headers: &HeaderMap) -> Outcome {
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
            "; redirects are not followed, the destination's URL must be the final one",
        )),
        401 | 403 => Outcome::Refused(failure(ErrorReason::AuthenticationFailed, "")),
        404 => Outcome::Broken(failure(ErrorReason::DestinationNotFound, "")),
        408 | 425 => Outcome::Failed(failure(ErrorReason::DestinationFailure, "")),
        429 => Outcome::Throttled { retry_after: retry_after(headers, SystemTime::now()) },
        400..=499 => Outcome::Refused(failure(ErrorReason::DestinationFailure, "")),
        // 5xx, and what is no final answer at all (1xx, 600 and above).
        _ => Outcome::Failed(failure(ErrorReason::DestinationFailure, "")),
    }
}

/// Seconds or an HTTP date (RFC 9110, 10.2.3); a date that has passed asks for nothing.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

/// There was no connection.
pub(crate) fn of_connect(error: &ConnectError, endpoint: &str) -> Outcome {
    let reason = match error {
        ConnectError::Forbidden(forbidden) => {
            return Outcome::Broken(without_status(
                ErrorReason::DestinationForbidden,
                format!("{forbidden}, which destinations may not have"),
            ));
        }
        ConnectError::NotAHost => {
            return Outcome::Broken(without_status(
                ErrorReason::InvalidDestinationConfiguration,
                format!("could not connect to {endpoint}: {error}"),
            ));
        }
        ConnectError::Lookup(_) => ErrorReason::DnsLookupFailure,
        ConnectError::Refused => ErrorReason::ConnectionRefused,
        ConnectError::Reset => ErrorReason::ConnectionReset,
        ConnectError::Unreachable => ErrorReason::NetworkUnreachable,
        ConnectError::TimedOut => ErrorReason::DestinationTimeout,
        ConnectError::Certificate(_) => ErrorReason::InvalidCertificate,
        ConnectError::Handshake(_) => ErrorReason::InvalidTlsHandshake,
        // Ours, not the destination's: no sockets left.
        ConnectError::Local(_) => ErrorReason::ClientClosedConnection,
    };
    Outcome::Failed(without_status(reason, format!("could not connect to {endpoint}: {error}")))
}

/// How far an attempt had come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Looking up, connecting, agreeing on TLS.
    Connecting,
    /// The request is on its way, there is no answer.
    Waiting,
    /// The head of a 2xx answer is there, its body is not complete.
    Reading,
}

/// The connection was lost.
pub(crate) fn of_lost(error: &hyper::Error, stage: Stage, endpoint: &str) -> Outcome {
    let (reason, what) = lost(error);
    let when = match stage {
        Stage::Connecting | Stage::Waiting => "before an answer",
        Stage::Reading => "within the answer",
    };
    Outcome::Failed(without_status(reason, format!("{endpoint}: {what} {when}")))
}

/// How a connection was lost: the reason, and words for `… before an answer`.
pub(crate) fn lost(error: &hyper::Error) -> (ErrorReason, &'static str) {
    if let Some(error) = source::<h2::Error>(error) {
        if error.is_go_away() {
            return (ErrorReason::ServerGoaway, "the server ended the HTTP/2 connection (GOAWAY)");
        }
        if let Some(error) = error.get_io() {
            return broken(error);
        }
        return match error.is_reset() {
            true => (ErrorReason::ConnectionReset, "the server reset the HTTP/2 stream"),
            false => (ErrorReason::DestinationFailure, "the server broke the rules of HTTP/2"),
        };
    }
    if let Some(error) = source::<io::Error>(error) {
        return broken(error);
    }
    if error.is_parse() {
        return (ErrorReason::DestinationFailure, "the server sent what is no HTTP answer");
    }
    if error.is_timeout() {
        return (ErrorReason::DestinationTimeout, "the server did not answer");
    }
    // An incomplete message, and a connection that was found closed when the request was to be sent.
    (ErrorReason::UnexpectedEof, "the server closed the connection")
}

fn broken(error: &io::Error) -> (ErrorReason, &'static str) {
    if let Some(fault) = tls_fault(error) {
        return match fault {
            TlsFault::Certificate(what) => (ErrorReason::InvalidCertificate, what),
            TlsFault::Handshake(what) => (ErrorReason::InvalidTlsHandshake, what),
        };
    }
    match error.kind() {
        // Not the operating system's: `h2` says so when the connection ends without an answer.
        io::ErrorKind::BrokenPipe if error.raw_os_error().is_none() => {
            (ErrorReason::UnexpectedEof, "the server closed the connection")
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::NotConnected | io::ErrorKind::WriteZero => {
            (ErrorReason::UnexpectedEof, "the server closed the connection")
        }
        io::ErrorKind::TimedOut => (ErrorReason::DestinationTimeout, "the server did not answer"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            (ErrorReason::NetworkUnreachable, "the network or host could no longer be reached")
        }
        // ConnectionReset, ConnectionAborted, BrokenPipe, and whatever else ends a connection from outside.
        _ => (ErrorReason::ConnectionReset, "the server reset the connection"),
    }
}

/// Whether `error` ended an HTTP/2 stream only: the connection is as good as before.
pub(crate) fn ended_the_stream_only(error: &hyper::Error) -> bool {
    source::<h2::Error>(error).is_some_and(|error| error.is_reset() && error.is_remote())
}

/// The time was up.
pub(crate) fn of_timeout(stage: Stage, limit: Duration, endpoint: &str) -> Outcome {
    let what = match stage {
        Stage::Connecting => "could not connect to",
        Stage::Waiting => "no answer from",
        Stage::Reading => "no complete answer from",
    };
    let message = format!("{what} {endpoint} within {} s", limit.as_secs_f64());
    Outcome::Failed(without_status(ErrorReason::DestinationTimeout, message))
}

fn without_status(reason: ErrorReason, message: String) -> Failure {
    Failure { reason, code: NO_HTTP_STATUS, message, answer: None }
}

fn source<E: Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_status(status: u16, expect: &str) {
        let said = match of_answer(StatusCode::from_u16(status).unwrap(), &HeaderMap::new()) {
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
