//! A connection as seen by hyper: heads are checked first, and readers of responses must keep a minimum pace.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::heads::{Heads, Taken};
use super::pace::Pace;
use super::refused;

/// How long, and how much, is read after a rejection: closing a connection with unread bytes resets it, and the
/// response is lost.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// A connection with its limits.
pub(super) struct Stream<S> {
    inner: S,
    heads: Heads,
    /// Bytes for hyper that were buffered while their head was incomplete.
    ready: Bytes,
    pace: Pace,
    end: End,
}

/// Progress of closing a connection.
enum End {
    /// Nothing sent yet.
    Open,
    /// The unsent rest of the response to an unreadable request.
    Refusing(Bytes),
    /// The response is sent; further input is discarded, up to this time and size.
    Lingering(Pin<Box<Sleep>>, usize),
    /// Done.
    Closed,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    pub(super) fn new(inner: S, pace: Pace) -> Stream<S> {
        Stream { inner, heads: Heads::default(), ready: Bytes::new(), pace, end: End::Open }
    }

    /// Reads into `buf` and leaves the bytes for hyper there. `false`: none so far.
    fn read_on(&mut self, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buf))?;
        if buf.filled().len() == before {
            return Poll::Ready(Ok(true));
        }
        let passed = match self.heads.take(&buf.filled()[before..]) {
            Taken::Pass(passed) => passed,
            Taken::Instead(bytes) => {
                self.ready = bytes;
                0
            }
        };
        buf.set_filled(before + passed);
        Poll::Ready(Ok(passed > 0))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.ready.is_empty() {
                let piece = this.ready.split_to(this.ready.len().min(buf.remaining()));
                buf.put_slice(&piece);
                return Poll::Ready(Ok(()));
            }
            if this.heads.fault().is_some() || buf.remaining() == 0 {
                // As if the client had closed its sending side: hyper answers earlier requests and shuts down.
                return Poll::Ready(Ok(()));
            }
            if ready!(this.read_on(context, buf))? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(context, bytes);
        this.pace.watch(written, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(context, pieces);
        this.pace.watch(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    /// Hyper has answered everything it got. If a fault ended that, the fault is answered now.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.end {
                End::Open => this.end = this.heads.fault().map_or(End::Closed, |fault| End::Refusing(refused(fault))),
                End::Refusing(left) if left.is_empty() => {
                    ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
                    this.end = End::Lingering(Box::pin(tokio::time::sleep(LINGER)), LINGER_BYTES);
                }
                End::Refusing(left) => {
                    let written = Pin::new(&mut this.inner).poll_write(context, left);
                    left.advance(ready!(this.pace.watch(written, context))?);
                }
                End::Lingering(until, left) => {
                    let mut scratch = [0; 4096];
                    let mut buf = ReadBuf::new(&mut scratch);
                    match Pin::new(&mut this.inner).poll_read(context, &mut buf) {
                        Poll::Pending => {
                            ready!(until.as_mut().poll(context));
                            this.end = End::Closed;
                        }
                        Poll::Ready(Ok(())) if (1..*left).contains(&buf.filled().len()) => *left -= buf.filled().len(),
                        Poll::Ready(_) => this.end = End::Closed,
                    }
                }
                End::Closed => return Pin::new(&mut this.inner).poll_shutdown(context),
            }
        }
    }
}
