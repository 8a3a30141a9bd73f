//! Heads of HTTP/1 requests, checked before hyper sees them (RFC 9112): hyper rejects unreadable heads with an empty
//! body, accepts any `Host`, and resolves `Content-Length` beside `chunked` silently. No IO: [`Heads::take`] gets the
//! bytes of a connection in order.
//!
//! It follows the bodies to find the next head. It accepts every framing that hyper accepts; what hyper then rejects
//! ends the connection, so the two never disagree about where a request begins.

mod framing;
mod host;

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::{Method, Uri};
use httparse::{Error as ParseError, Status};

use super::MAX_HEADERS;
use crate::refusal::because::{self, Code};
use framing::Chunks;

/// Maximum size of a head: hyper must be able to buffer it completely.
pub(super) const MAX_HEAD: usize = 60 * 1024;
/// Preface of an HTTP/2 connection.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reason for rejecting an unparsed request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) message: String,
}

impl Fault {
    fn new(code: Code, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into() }
    }

    /// The request is unreadable.
    fn malformed(message: impl Into<String>) -> Fault {
        Fault::new(because::MALFORMED_REQUEST, message)
    }
}

/// Disposition of bytes passed to [`Heads::take`].
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// The first n bytes are for hyper unchanged; the rest is buffered until a head is complete.
    Pass(usize),
    /// These bytes are for hyper instead: the buffered ones and their continuation.
    Instead(Bytes),
}

/// Follows the requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Heads {
    at: At,
    /// An incomplete head.
    kept: BytesMut,
    /// After a fault, nothing more is for hyper.
    fault: Option<Fault>,
}

/// Meaning of the next byte.
#[derive(Debug, Default)]
enum At {
    /// First byte of the connection, or the preface of HTTP/2.
    #[default]
    Start,
    /// A head.
    Head,
    /// A body with this many bytes left.
    Body(u64),
    /// A chunked body.
    Chunked(Chunks),
    /// Unchecked: HTTP/2, or framing that hyper rejects.
    Through,
}

impl Heads {
    /// The fault that ends the connection, if any.
    pub(super) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Takes the next bytes of the connection.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Taken {
        if self.fault.is_some() {
            return Taken::Pass(0);
        }
        if self.kept.is_empty() {
            let passed = self.follow(bytes, 0);
            self.keep(&bytes[passed..]);
            return Taken::Pass(passed);
        }
        let before = self.kept.len();
        let mut all = std::mem::take(&mut self.kept);
        all.extend_from_slice(bytes);
        let passed = self.follow(&all, before);
        let rest = all.split_off(passed);
        if self.fault.is_none() && !rest.is_empty() {
            self.kept = rest;
        }
        Taken::Instead(all.freeze())
    }

    fn keep(&mut self, rest: &[u8]) {
        if self.fault.is_none() {
            self.kept.extend_from_slice(rest);
        }
    }

    /// Number of bytes for hyper. The first `seen` bytes were checked before and did not complete a head.
    fn follow(&mut self, bytes: &[u8], mut seen: usize) -> usize {
        let mut passed = 0;
        while passed < bytes.len() {
            let rest = &bytes[passed..];
            match &mut self.at {
                At::Start if rest.len() < PREFACE.len() && PREFACE.starts_with(rest) => return passed,
                At::Start if rest.starts_with(PREFACE) => self.at = At::Through,
                At::Start => self.at = At::Head,
                At::Head => match head(rest, seen) {
                    Ok(None) => return passed,
                    Ok(Some((length, at))) => {
                        passed += length;
                        seen = 0;
                        self.at = at;
                    }
                    Err(fault) => {
                        self.fault = Some(fault);
                        return passed;
                    }
                },
                At::Body(left) => {
                    let taken = (rest.len() as u64).min(*left);
                    *left -= taken;
                    passed += taken as usize;
                    if *left == 0 {
                        self.at = At::Head;
                    }
                }
                At::Chunked(chunks) => match chunks.follow(rest) {
                    Ok((taken, ended)) => {
                        passed += taken;
                        if ended {
                            self.at = At::Head;
                        }
                    }
                    Err(()) => self.at = At::Through,
                },
                At::Through => passed = bytes.len(),
            }
        }
        passed
    }
}

/// Parses a head: its length, and what follows it. `None` while it is incomplete.
fn head(bytes: &[u8], seen: usize) -> Result<Option<(usize, At)>, Fault> {
    if seen > 0 && !may_be_complete(bytes, seen) {
        return if bytes.len() > MAX_HEAD { Err(too_large()) } else { Ok(None) };
    }
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(Status::Complete(length)) if length > MAX_HEAD => Err(too_large()),
        Ok(Status::Complete(length)) => Ok(Some((length, judge(&request)?))),
        Ok(Status::Partial) if bytes.len() > MAX_HEAD => Err(too_large()),
        Ok(Status::Partial) => Ok(None),
        Err(ParseError::TooManyHeaders) => Err(Fault::new(
            because::TOO_MANY_HEADERS,
            format!("a request may have at most {MAX_HEADERS} header fields"),
        )),
        Err(error) => Err(Fault::malformed(format!("unreadable request: {error}"))),
    }
}

/// Whether the unseen bytes contain an empty line, the end of a head. Without this check, a head that arrives byte by
/// byte would be parsed once per byte.
fn may_be_complete(bytes: &[u8], seen: usize) -> bool {
    let fresh = &bytes[seen.saturating_sub(3)..];
    fresh.windows(2).any(|pair| pair == b"\n\n") || fresh.windows(3).any(|three| three == b"\n\r\n")
}

fn too_large() -> Fault {
    let most = MAX_HEAD / 1024;
    Fault::new(because::HEAD_TOO_LARGE, format!("the request line and header fields may have at most {most} KiB"))
}

/// Checks a complete head and determines what follows it.
fn judge(request: &httparse::Request<'_, '_>) -> Result<At, Fault> {
    let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    let is_1_1 = request.version == Some(1);
    Method::from_bytes(method.as_bytes()).map_err(|_| Fault::malformed("the request's method is invalid"))?;
    let invalid = |error| Fault::malformed(format!("the request's target is invalid: {error}"));
    let uri: Uri = target.parse().map_err(invalid)?;
    let named = |name: &str| {
        let same = move |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case(name);
        request.headers.iter().filter(same).map(|header| header.value).collect::<Vec<_>>()
    };
    host::judge(&uri, &named("host"), is_1_1)?;
    framing::judge(&named("transfer-encoding"), &named("content-length"), is_1_1)
}

#[cfg(test)]
mod tests;
