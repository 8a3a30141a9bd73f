//! Causes of a lost connection or response, from typed errors: the reason, its text, and the responsible side.

use std::error::Error;
use std::io;

use domain::outcome::{ErrorReason, Lack};

use super::heads::HeadTooLong;
use crate::connect::tls_fault;
use crate::lack;
use crate::tls::TlsFault;

/// Description of a loss. Its text is the same for equal losses.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}")]
pub struct Lost {
    pub(crate) reason: ErrorReason,
    pub(crate) what: &'static str,
    pub(crate) fate: Fate,
    /// Only one HTTP/2 stream ended: the connection is still usable.
    pub(crate) stream_only: bool,
}

/// Implication of a loss for the destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// The destination caused it.
    Theirs,
    /// No further response.
    Silent,
    /// The platform lacks a resource.
    Ours(Lack),
    /// The server reported the request as unprocessed (RFC 9113, 8.7).
    NotProcessed,
}

const CLOSED: (ErrorReason, &str) = (ErrorReason::UnexpectedEof, "the server closed the connection");
const GOAWAY: (ErrorReason, &str) = (ErrorReason::ServerGoaway, "the server closed the HTTP/2 connection (GOAWAY)");
const BAD_HTTP2: (ErrorReason, &str) = (ErrorReason::DestinationFailure, "the server violated HTTP/2");

impl Lost {
    /// Meaning of `error` on a connection, with (`goaway`) or without a GOAWAY from the server.
    pub(crate) fn of(error: &hyper::Error, goaway: bool) -> Lost {
        if let Some(error) = source::<h2::Error>(error) {
            return Lost::of_http2(error, goaway);
        }
        if goaway {
            // Nothing was sent of a request returned like this by hyper.
            let fate = if error.is_canceled() { Fate::NotProcessed } else { Fate::Theirs };
            return Lost::new(GOAWAY, fate);
        }
        if let Some(error) = source::<io::Error>(error) {
            return Lost::of_io(error);
        }
        if error.is_parse_too_large() {
            return Lost::head_too_long();
        }
        if error.is_parse() {
            let what = "the server sent an invalid HTTP response";
            return Lost::new((ErrorReason::DestinationFailure, what), Fate::Theirs);
        }
        if error.is_timeout() {
            return Lost::new((ErrorReason::DestinationTimeout, "the server did not answer"), Fate::Silent);
        }
        // An incomplete message, or a connection found closed when sending the request.
        Lost::new(CLOSED, Fate::Theirs)
    }

    fn of_http2(error: &h2::Error, goaway: bool) -> Lost {
        if error.is_go_away() {
            // Streams up to the last one named in it continue: those with this error were beyond it.
            return match error.is_remote() {
                true => Lost::new(GOAWAY, Fate::NotProcessed),
                false => Lost::new(BAD_HTTP2, Fate::Theirs),
            };
        }
        if let Some(error) = error.get_io() {
            let lost = Lost::of_io(error);
            return if goaway && lost.fate == Fate::Theirs { Lost::new(GOAWAY, Fate::Theirs) } else { lost };
        }
        if error.is_reset() && error.is_remote() {
            let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
            let (what, fate) = match refused {
                true => ("the server refused the HTTP/2 stream (REFUSED_STREAM)", Fate::NotProcessed),
                false => ("the server reset the HTTP/2 stream", Fate::Theirs),
            };
            return Lost { stream_only: true, ..Lost::new((ErrorReason::ConnectionReset, what), fate) };
        }
        // The library resets a stream on a protocol violation, and keeps the connection.
        Lost { stream_only: error.is_reset(), ..Lost::new(BAD_HTTP2, Fate::Theirs) }
    }

    fn of_io(error: &io::Error) -> Lost {
        if let Some(lack) = lack::of_io(error) {
            let what = "the platform could not use the connection";
            return Lost::new((ErrorReason::ClientClosedConnection, what), Fate::Ours(lack));
        }
        match tls_fault(error) {
            Some(TlsFault::Certificate(what)) => {
                return Lost::new((ErrorReason::InvalidCertificate, what), Fate::Theirs);
            }
            Some(TlsFault::Handshake(what)) => {
                return Lost::new((ErrorReason::InvalidTlsHandshake, what), Fate::Theirs);
            }
            None => {}
        }
        if error.get_ref().is_some_and(|inner| inner.is::<HeadTooLong>()) {
            return Lost::head_too_long();
        }
        match error.kind() {
            // Not the operating system's: `h2` reports it when the connection ends without a response.
            io::ErrorKind::BrokenPipe if error.raw_os_error().is_none() => Lost::new(CLOSED, Fate::Theirs),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::NotConnected | io::ErrorKind::WriteZero => {
                Lost::new(CLOSED, Fate::Theirs)
            }
            io::ErrorKind::TimedOut => {
                Lost::new((ErrorReason::DestinationTimeout, "the server did not answer"), Fate::Silent)
            }
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
                let what = "the network or host became unreachable";
                Lost::new((ErrorReason::NetworkUnreachable, what), Fate::Silent)
            }
            // ConnectionReset, ConnectionAborted, BrokenPipe, and anything else that ends a connection from outside.
            _ => Lost::new((ErrorReason::ConnectionReset, "the server reset the connection"), Fate::Theirs),
        }
    }

    /// The platform's lack, if that is the cause.
    pub(crate) fn lack(&self) -> Option<Lack> {
        match self.fate {
            Fate::Ours(lack) => Some(lack),
            Fate::Theirs | Fate::Silent | Fate::NotProcessed => None,
        }
    }

    /// The body of an HTTP/2 response ended before its declared length.
    pub(crate) fn short_body() -> Lost {
        let what = "the server ended the body before its declared length";
        Lost { stream_only: true, ..Lost::new((ErrorReason::UnexpectedEof, what), Fate::Theirs) }
    }

    pub(crate) fn head_too_long() -> Lost {
        let what = "the response headers are longer than 64 KiB";
        Lost { stream_only: true, ..Lost::new((ErrorReason::DestinationFailure, what), Fate::Theirs) }
    }

    fn new((reason, what): (ErrorReason, &'static str), fate: Fate) -> Lost {
        Lost { reason, what, fate, stream_only: false }
    }
}

/// The first error of a type among the causes of another.
pub(crate) fn source<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| (*error).source()).find_map(|error| error.downcast_ref())
}
