//! Detection of GOAWAY on an HTTP/2 connection, which the library does not report.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connect::Stream;

/// The header of a frame (RFC 9113, 4.1): three bytes of length, the type, the flags, four bytes of stream.
const HEADER: usize = 9;
/// The type of GOAWAY frames (RFC 9113, 6.8).
const GOAWAY: u8 = 7;

/// A stream that inspects incoming frames.
pub(super) struct Frames {
    stream: Stream,
    scan: Scan,
    goaway: Arc<AtomicBool>,
}

impl Frames {
    /// `goaway` is set on the server's first GOAWAY.
    pub(super) fn new(stream: Stream, goaway: Arc<AtomicBool>) -> Frames {
        Frames { stream, scan: Scan::default(), goaway }
    }
}

/// Position of the bytes in the sequence of frames.
#[derive(Default)]
struct Scan {
    header: [u8; HEADER],
    /// Bytes of the header received.
    have: usize,
    /// Bytes of the payload still to come.
    payload: usize,
}

impl Scan {
    /// Whether a GOAWAY began in these bytes.
    fn sees_goaway(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        let mut seen = false;
        while !rest.is_empty() {
            let skipped = self.payload.min(rest.len());
            self.payload -= skipped;
            rest = &rest[skipped..];
            let taken = (HEADER - self.have).min(rest.len());
            self.header[self.have..self.have + taken].copy_from_slice(&rest[..taken]);
            self.have += taken;
            rest = &rest[taken..];
            if self.have == HEADER {
                let [a, b, c, kind, ..] = self.header;
                self.payload = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.have = 0;
                seen |= kind == GOAWAY;
            }
        }
        seen
    }
}

impl AsyncRead for Frames {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if self.scan.sees_goaway(buffer.filled().get(before..).unwrap_or_default()) {
            self.goaway.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Frames {
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

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len() as u32;
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, 0, 0, 0, 0, 0]);
        frame.extend_from_slice(payload);
        frame
    }

    fn check(frames: &[Vec<u8>], expect: bool) {
        let bytes = frames.concat();
        for size in [1, 5, 9, bytes.len()] {
            let mut scan = Scan::default();
            let seen = bytes.chunks(size).fold(false, |seen, piece| scan.sees_goaway(piece) | seen);
            assert_eq!(seen, expect, "in pieces of {size}");
        }
    }

    #[test]
    fn a_goaway_is_seen_wherever_it_is_and_nothing_else() {
        let goaway = frame(GOAWAY, &[0, 0, 0, 1, 0, 0, 0, 0]);
        check(std::slice::from_ref(&goaway), true);
        check(&[frame(4, &[]), frame(0, &[7; 300]), goaway.clone()], true);
        check(&[frame(4, &[]), frame(0, &[7; 300]), frame(1, &goaway)], false);
    }
}
