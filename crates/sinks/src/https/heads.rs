//! Heads of HTTP/1.1 responses, filtered before hyper reads them: it has a fixed-size table of headers per response.
//! Excess headers irrelevant to the response are left out here, so any number of headers is accepted within
//! [`MAX_HEAD`], and none costs a larger table.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::MAX_HEAD;
use crate::connect::Stream;

/// Capacity of hyper's header table, unless another one is set: then it is allocated for each response.
const MAX_HEADERS: usize = 100;
/// Number of a response's first headers passed on unconditionally.
const ANY: usize = 64;
/// Headers passed on even behind those: the ones that define how to read the response, and those used later.
const TELLING: [&str; 8] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "content-encoding",
    "content-type",
    "retry-after",
    "server",
    "location",
];
/// Size of one read while a head is awaited.
const CHUNK: usize = 4 * 1024;

/// The head of a response is longer than [`MAX_HEAD`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the response headers are longer than 64 KiB")]
pub(crate) struct HeadTooLong;

/// State shared between a connection's user and its stream.
#[derive(Default)]
pub(super) struct Turn {
    /// A request was sent: a head comes next.
    awaited: AtomicBool,
    /// Any byte was received since.
    received: AtomicBool,
}

impl Turn {
    pub(super) fn begin(&self) {
        self.received.store(false, Ordering::Relaxed);
        self.awaited.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_received(&self) -> bool {
        self.received.load(Ordering::Relaxed)
    }
}

/// A stream whose heads are short enough for hyper.
pub(super) struct Heads {
    stream: Stream,
    turn: Arc<Turn>,
    head: Head,
    /// Bytes to be passed on.
    ready: BytesMut,
}

impl Heads {
    pub(super) fn new(stream: Stream, turn: Arc<Turn>) -> Heads {
        Heads { stream, turn, head: Head::default(), ready: BytesMut::new() }
    }
}

/// A head as far as received.
#[derive(Default)]
struct Head {
    length: usize,
    /// The incomplete line.
    line: Vec<u8>,
    has_status: bool,
    is_interim: bool,
    headers: usize,
    keeps: bool,
}

impl Head {
    /// Filters bytes and passes on the kept ones. Returns whether the head is complete; bytes behind it are passed on
    /// unchanged.
    fn take(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<bool, HeadTooLong> {
        if self.length == 0 && bytes.len() <= MAX_HEAD && has_common_head(bytes) {
            out.extend_from_slice(bytes);
            return Ok(true);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let (part, ended) = match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end + 1, true),
                None => (rest.len(), false),
            };
            let (part, behind) = rest.split_at(part);
            rest = behind;
            self.length += part.len();
            if self.length > MAX_HEAD {
                return Err(HeadTooLong);
            }
            self.line.extend_from_slice(part);
            if ended && self.end_line(out) {
                out.extend_from_slice(rest);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Ends a line; returns whether it was the head's last.
    fn end_line(&mut self, out: &mut BytesMut) -> bool {
        let line = std::mem::take(&mut self.line);
        let is_blank = is_blank(&line);
        if !self.has_status {
            // A blank line before the status line is left to hyper.
            self.has_status = !is_blank;
            self.is_interim = is_interim(&line);
            self.keeps = true;
        } else if is_blank {
            out.extend_from_slice(&line);
            let is_last = !self.is_interim;
            // All heads of one response share the limit.
            *self = Head { length: if is_last { 0 } else { self.length }, ..Head::default() };
            return is_last;
        } else if !matches!(line.first(), Some(b' ' | b'\t')) {
            self.keeps = self.headers < ANY || self.headers < MAX_HEADERS && is_telling(&line);
            self.headers += usize::from(self.keeps);
        }
        if self.keeps {
            out.extend_from_slice(&line);
        }
        false
    }
}

/// Whether the bytes begin with a complete head of which nothing is left out: almost all responses do.
fn has_common_head(bytes: &[u8]) -> bool {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').take(ANY);
    let ends = lines.enumerate().find(|(_, line)| is_blank(line));
    // Without a status line it is left to the usual way, as is an interim response.
    ends.is_some_and(|(number, _)| number > 0) && !is_interim(bytes)
}

fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

/// 1xx except 101, after which the protocol is no longer HTTP.
fn is_interim(status_line: &[u8]) -> bool {
    let code = status_line.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
    code.is_some_and(|code| code.starts_with(b"1") && code != b"101")
}

fn is_telling(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    TELLING.iter().any(|telling| name.eq_ignore_ascii_case(telling.as_bytes()))
}

impl AsyncRead for Heads {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.ready.is_empty() {
                let length = this.ready.len().min(buffer.remaining());
                buffer.put_slice(&this.ready[..length]);
                this.ready.advance(length);
                return Poll::Ready(Ok(()));
            }
            if !this.turn.awaited.load(Ordering::Relaxed) {
                return Pin::new(&mut this.stream).poll_read(cx, buffer);
            }
            let mut chunk = [const { MaybeUninit::uninit() }; CHUNK];
            let mut chunk = ReadBuf::uninit(&mut chunk);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut chunk))?;
            let bytes = chunk.filled();
            if bytes.is_empty() {
                // The end: hyper gets the incomplete line.
                this.turn.awaited.store(false, Ordering::Relaxed);
                this.ready.extend_from_slice(&std::mem::take(&mut this.head).line);
                continue;
            }
            this.turn.received.store(true, Ordering::Relaxed);
            match this.head.take(bytes, &mut this.ready) {
                Ok(complete) => this.turn.awaited.store(!complete, Ordering::Relaxed),
                Err(too_long) => return Poll::Ready(Err(io::Error::other(too_long))),
            }
        }
    }
}

impl AsyncWrite for Heads {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks hyper's view of `sent`, in pieces of any size, and whether the head was complete.
    fn check(sent: &str, expect: &str, complete: bool) {
        for size in [1, 7, sent.len()] {
            let (mut head, mut out) = (Head::default(), BytesMut::new());
            let mut ended = false;
            for piece in sent.as_bytes().chunks(size) {
                match ended {
                    true => out.extend_from_slice(piece),
                    false => ended = head.take(piece, &mut out).unwrap(),
                }
            }
            assert_eq!((String::from_utf8_lossy(&out).as_ref(), ended), (expect, complete), "in pieces of {size}");
        }
    }

    #[test]
    fn a_common_head_is_passed_on_as_it_is() {
        for head in [
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "HTTP/1.0 200 OK\n\nall of it\r\n\r\n",
            "HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            check(head, head, true);
        }
        check("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", false);
        check("HTTP/1.1 200 OK\r\nx: a\r\n", "HTTP/1.1 200 OK\r\nx: a\r\n", false);
    }

    #[test]
    fn of_many_headers_those_that_tell_are_passed_on() {
        let many = |count| "set-cookie: a\r\n".repeat(count);
        let sent =
            format!("HTTP/1.1 200 OK\r\n{}x: b\r\n more\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", many(500));
        let kept = format!("HTTP/1.1 200 OK\r\n{}Retry-After: 1\r\nContent-Length: 0\r\n\r\n", many(ANY));
        check(&sent, &kept, true);
        let sent = format!("HTTP/1.1 200 OK\r\n{}\r\n", "Server: a\r\n".repeat(500));
        let kept = format!("HTTP/1.1 200 OK\r\n{}\r\n", "Server: a\r\n".repeat(MAX_HEADERS));
        check(&sent, &kept, true);
    }

    #[test]
    fn a_head_has_a_bound() {
        let line = format!("x: {}\r\n", "a".repeat(1_000));
        let take = |sent: &str| Head::default().take(sent.as_bytes(), &mut BytesMut::new());
        assert_eq!(take(&format!("HTTP/1.1 200 OK\r\n{}\r\n", line.repeat(65))), Ok(true));
        assert_eq!(take(&format!("HTTP/1.1 200 OK\r\n{}\r\n", line.repeat(66))), Err(HeadTooLong));
        assert_eq!(take(&format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(MAX_HEAD))), Err(HeadTooLong));
        let interim = "HTTP/1.1 100 Continue\r\n\r\n";
        assert_eq!(take(&interim.repeat(MAX_HEAD / interim.len() + 1)), Err(HeadTooLong));
    }
}
