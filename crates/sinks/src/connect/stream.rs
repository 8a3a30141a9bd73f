//! The byte stream of a connection, as HTTP needs it: data sent by the other side is read, whatever follows it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::tls_fault;
use crate::heard::Heard;

/// TCP whose response is read even after sending has failed: the other side may have responded before it closed.
/// Unsendable data is dropped, and reading then ends with the send error.
pub(crate) struct Patient {
    tcp: TcpStream,
    heard: Heard,
    /// Cause of the end of sending.
    unsent: Option<Unsent>,
}

enum Unsent {
    /// The other side had closed in order: reading ends the same way.
    Closed,
    /// The other side broke the connection off; the error, until it was reported.
    Broken(Option<io::Error>),
}

impl Patient {
    pub(crate) fn new(tcp: TcpStream, heard: Heard) -> Patient {
        Patient { tcp, heard, unsent: None }
    }

    /// Result of writing `offered` bytes.
    fn written(&mut self, offered: usize, result: io::Result<usize>) -> io::Result<usize> {
        let Err(error) = result else { return result };
        self.unsent = Some(match error.kind() {
            io::ErrorKind::BrokenPipe => Unsent::Closed,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Unsent::Broken(Some(error)),
            _ => return Err(error),
        });
        Ok(offered)
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.heard.note();
        } else if let Some(Unsent::Broken(error)) = &mut self.unsent
            && let Some(error) = error.take()
        {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.unsent.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = ready!(Pin::new(&mut self.tcp).poll_write(cx, bytes));
        Poll::Ready(self.written(bytes.len(), result))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = slices.iter().map(|slice| slice.len()).sum();
        if self.unsent.is_some() {
            return Poll::Ready(Ok(offered));
        }
        let result = ready!(Pin::new(&mut self.tcp).poll_write_vectored(cx, slices));
        Poll::Ready(self.written(offered, result))
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.unsent {
            Some(_) => Poll::Ready(Ok(())),
            None => Pin::new(&mut self.tcp).poll_shutdown(cx),
        }
    }
}

/// A connection, plain or TLS.
pub struct Stream(Io);

pub(super) enum Io {
    Plain(Patient),
    Tls(Box<TlsStream<Patient>>),
}

impl Stream {
    pub(super) fn new(io: Io) -> Stream {
        Stream(io)
    }

    /// Whether the server chose HTTP/2.
    pub fn is_http2(&self) -> bool {
        match &self.0 {
            Io::Plain(_) => false,
            Io::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Io::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Io::Tls(tls) => match ready!(Pin::new(tls.as_mut()).poll_read(cx, buffer)) {
                // Closed without `close_notify`, as many servers do. With a declared length, or chunks, HTTP notices
                // missing data.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && tls_fault(&error).is_none() => {
                    Poll::Ready(Ok(()))
                }
                read => Poll::Ready(read),
            },
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Io::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Io::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Io::Plain(tcp) => tcp.is_write_vectored(),
            Io::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Io::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Io::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}
