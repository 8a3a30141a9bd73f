//! Connections that passed the guard: TCP to a judged address, and TLS on top.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use domain::address::{AddressPolicy, ForbiddenAddress, address_literal};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustls::pki_types::{DnsName, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::guard::{Guard, GuardError};
use crate::resolve::{LookupError, Resolver};
use crate::tls::{Alpn, TlsClient, TlsFault};

/// The next address of a host is tried beside the one before after this long (RFC 8305, connection attempt delay).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Why there is no connection. Texts complete "could not connect to shop.example:443: …".
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address guard refused the host.
    #[error("{0}, which destinations may not have")]
    Forbidden(ForbiddenAddress),
    /// The host's name has no address.
    #[error("{0}")]
    Lookup(LookupError),
    /// Nothing listens there.
    #[error("the connection was refused")]
    Refused,
    /// It was accepted and reset.
    #[error("the connection was reset")]
    Reset,
    /// No route.
    #[error("the network or host cannot be reached")]
    Unreachable,
    /// The operating system gave up.
    #[error("there was no answer in time")]
    TimedOut,
    /// The certificate is not valid for the host.
    #[error("its certificate is not valid: {0}")]
    Certificate(&'static str),
    /// TLS could not be agreed upon.
    #[error("{0}")]
    Handshake(&'static str),
    /// A certificate cannot be checked for such a host.
    #[error("the host is neither a name nor an address")]
    NotAHost,
    /// This side has no sockets left, or the like.
    #[error("the platform could not open a connection ({0})")]
    Local(io::ErrorKind),
}

impl From<GuardError> for ConnectError {
    fn from(error: GuardError) -> ConnectError {
        match error {
            GuardError::Forbidden(forbidden) => ConnectError::Forbidden(forbidden),
            GuardError::Lookup { host: _, error } => ConnectError::Lookup(error),
        }
    }
}

/// Whether TLS is spoken on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Security {
    /// No.
    Plain,
    /// Yes, with what is offered by ALPN.
    Tls(Alpn),
}

/// Makes connections. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    guard: Guard,
    tls: TlsClient,
}

impl Connector {
    /// A connector whose guard has the operator's policy.
    pub fn new(resolver: Arc<Resolver>, policy: AddressPolicy, tls: TlsClient) -> Connector {
        Connector { guard: Guard::new(resolver, policy), tls }
    }

    /// The same without the guard: only for hosts that the operator himself named.
    #[must_use]
    pub fn exempt(&self) -> Connector {
        Connector { guard: self.guard.exempt(), tls: self.tls.clone() }
    }

    /// A connection to `host`. It takes as long as it takes: the caller bounds the time.
    pub async fn connect(&self, host: &str, port: u16, security: Security) -> Result<Stream, ConnectError> {
        let tcp = self.connect_tcp(host, port).await?;
        let Security::Tls(alpn) = security else { return Ok(Stream::new(Io::Plain(tcp))) };
        let name = server_name(host)?;
        let tls = TlsConnector::from(self.tls.config(alpn)).connect(name, tcp).await;
        tls.map(|tls| Stream::new(Io::Tls(Box::new(tls)))).map_err(|error| handshake_error(&error))
    }

    /// A plain connection to `host`, for protocols that bring TLS of their own.
    pub async fn connect_tcp(&self, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
        let addresses = self.guard.judge(host, port).await?;
        let tcp = first_to_answer(&addresses).await?;
        tcp.set_nodelay(true).map_err(|error| connect_error(&error))?;
        Ok(tcp)
    }
}

/// Starts with the first address; the next joins when one failed or does not answer soon.
async fn first_to_answer(addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    if let [only] = addresses {
        return TcpStream::connect(only).await.map_err(|error| connect_error(&error));
    }
    let mut rest = addresses.iter();
    let mut trying: FuturesUnordered<_> = rest.next().into_iter().map(TcpStream::connect).collect();
    let mut failed: Option<ConnectError> = None;
    loop {
        let ended = tokio::select! {
            ended = trying.next() => ended,
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if rest.len() > 0 => {
                trying.extend(rest.next().map(TcpStream::connect));
                continue;
            }
        };
        match ended {
            Some(Ok(tcp)) => return Ok(tcp),
            Some(Err(error)) => {
                let error = connect_error(&error);
                // The order of answers varies, what is reported must not: a refusal tells most.
                if failed.as_ref().is_none_or(|_| error == ConnectError::Refused) {
                    failed = Some(error);
                }
                trying.extend(rest.next().map(TcpStream::connect));
            }
            None => return Err(failed.unwrap_or(ConnectError::Lookup(LookupError::NoAddress))),
        }
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, ConnectError> {
    if let Some(address) = address_literal(host) {
        return Ok(ServerName::IpAddress(address.into()));
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_owned();
    DnsName::try_from(name).map(ServerName::DnsName).map_err(|_| ConnectError::NotAHost)
}

/// What an error of a TCP connection means.
fn connect_error(error: &io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            ConnectError::Reset
        }
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        // No source address that could reach it; an address that is no destination at all (240.0.0.0/4); a firewall.
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::PermissionDenied => ConnectError::Unreachable,
        io::ErrorKind::TimedOut => ConnectError::TimedOut,
        kind => ConnectError::Local(kind),
    }
}

/// What an error within a handshake, or of the TCP connection below it, means.
pub(crate) fn handshake_error(error: &io::Error) -> ConnectError {
    match tls_fault(error) {
        Some(TlsFault::Certificate(what)) => ConnectError::Certificate(what),
        Some(TlsFault::Handshake(what)) => ConnectError::Handshake(what),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            ConnectError::Handshake("the server closed the connection within the TLS handshake")
        }
        None => connect_error(error),
    }
}

/// The TLS error inside of an IO error.
pub(crate) fn tls_fault(error: &io::Error) -> Option<TlsFault> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).map(TlsFault::of)
}

/// A connection, plain or TLS.
pub struct Stream {
    io: Io,
    /// Whether anything was received; shared, because the HTTP connection that takes the stream keeps it.
    received: Arc<AtomicBool>,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn new(io: Io) -> Stream {
        Stream { io, received: Arc::default() }
    }

    /// Whether the server chose HTTP/2.
    pub fn is_http2(&self) -> bool {
        match &self.io {
            Io::Plain(_) => false,
            Io::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Is set whenever bytes for the application arrive.
    pub(crate) fn received(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.received)
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buffer),
        };
        if buffer.filled().len() > before {
            self.received.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(tcp) => tcp.is_write_vectored(),
            Io::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}
