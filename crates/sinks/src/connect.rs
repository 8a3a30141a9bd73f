//! Connections that passed the guard: TCP to a judged address, and TLS on top.

mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::address::{AddressPolicy, ForbiddenAddress, address_literal};
use domain::outcome::Lack;
use fair::Holder;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustls::pki_types::{DnsName, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub use self::stream::Stream;
use self::stream::{Io, Patient};
pub use crate::guard::Admitted;
use crate::guard::{Guard, GuardError};
use crate::heard::Heard;
use crate::lack;
use crate::resolve::{LookupError, Resolver};
use crate::tls::{Alpn, TlsClient, TlsFault};

/// Delay before the next address of a host is tried in parallel (RFC 8305, connection attempt delay).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Cause of a failed connection. Texts complete "could not connect to shop.example:443: …".
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address guard refused the host.
    #[error("{0}, which is forbidden for destinations")]
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
    #[error("the network or host is unreachable")]
    Unreachable,
    /// The operating system timed out.
    #[error("no response in time")]
    TimedOut,
    /// The certificate is not valid for the host.
    #[error("its certificate is not valid: {0}")]
    Certificate(&'static str),
    /// TLS negotiation failed.
    #[error("{0}")]
    Handshake(&'static str),
    /// Certificates cannot be verified for this kind of host.
    #[error("the host is neither a name nor an address")]
    NotAHost,
    /// The platform lacks a resource needed for the connection.
    #[error("the platform has no {0} for a connection")]
    Ours(Lack),
    /// The system refused to open a connection for a reason unrelated to the other side.
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

/// Whether a connection uses TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Security {
    /// No.
    Plain,
    /// Yes, with these ALPN protocols.
    Tls(Alpn),
}

/// Opens guarded connections. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    guard: Guard,
    tls: TlsClient,
    heard: Heard,
}

impl Connector {
    /// A connector with the operator's policy.
    pub fn new(resolver: Arc<Resolver>, policy: AddressPolicy, tls: TlsClient) -> Connector {
        Connector { guard: Guard::new(resolver, policy), tls, heard: Heard::default() }
    }

    /// The same connector without the guard: only for hosts configured by the operator.
    #[must_use]
    pub fn exempt(&self) -> Connector {
        Connector { guard: self.guard.exempt(), ..self.clone() }
    }

    /// The same connector for hosts that say nothing about the network outside: their responses are no sign of life.
    #[must_use]
    pub fn unheard(&self) -> Connector {
        Connector { heard: Heard::default(), ..self.clone() }
    }

    /// The last sign of life from any host, seen by this connector and all of its clones.
    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    /// Waits until the look-up of `host` runs, if it needs one: this is the platform's time, the rest is the
    /// destination's.
    pub async fn admit(&self, host: &str, holder: Holder) -> Admitted {
        self.guard.admit(host, holder).await
    }

    /// A connection to `host`, on behalf of `holder`. Without a time limit: the caller sets one.
    pub async fn connect(
        &self,
        host: &str,
        port: u16,
        security: Security,
        holder: Holder,
    ) -> Result<Stream, ConnectError> {
        self.connect_admitted(self.admit(host, holder).await, port, security).await
    }

    /// The same, for a host with a running look-up.
    pub async fn connect_admitted(
        &self,
        admitted: Admitted,
        port: u16,
        security: Security,
    ) -> Result<Stream, ConnectError> {
        let name = match security {
            Security::Plain => None,
            Security::Tls(alpn) => Some((server_name(admitted.host())?, self.tls.config(alpn))),
        };
        let tcp = Patient::new(self.connect_tcp(admitted, port).await?, self.heard.clone());
        let Some((name, config)) = name else { return Ok(Stream::new(Io::Plain(tcp))) };
        let tls = TlsConnector::from(config).connect(name, tcp).await;
        tls.map(|tls| Stream::new(Io::Tls(Box::new(tls)))).map_err(|error| handshake_error(&error))
    }

    /// A plain connection, for protocols with their own TLS.
    pub async fn connect_tcp(&self, admitted: Admitted, port: u16) -> Result<TcpStream, ConnectError> {
        let addresses = self.guard.judge(admitted, port).await?;
        let connected = first_to_answer(&addresses).await;
        if matches!(connected, Ok(_) | Err(ConnectError::Refused | ConnectError::Reset)) {
            self.heard.note();
        }
        let tcp = connected?;
        tcp.set_nodelay(true).map_err(|error| lost_error(&error))?;
        Ok(tcp)
    }
}

/// Starts with the first address; the next one joins after a failure or a short delay.
async fn first_to_answer(addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let mut rest = addresses.iter();
    let mut trying: FuturesUnordered<_> = rest.next().into_iter().map(|address| connect_to(*address)).collect();
    let mut failed: Option<ConnectError> = None;
    loop {
        let ended = tokio::select! {
            ended = trying.next() => ended,
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if rest.len() > 0 => {
                trying.extend(rest.next().map(|address| connect_to(*address)));
                continue;
            }
        };
        match ended {
            Some(Ok(tcp)) => return Ok(tcp),
            Some(Err(error)) => {
                // The order of responses varies, the reported error must not.
                if failed.as_ref().is_none_or(|known| tells(&error) < tells(known)) {
                    failed = Some(error);
                }
                trying.extend(rest.next().map(|address| connect_to(*address)));
            }
            None => return Err(failed.unwrap_or(ConnectError::Lookup(LookupError::NoAddress))),
        }
    }
}

async fn connect_to(address: SocketAddr) -> Result<TcpStream, ConnectError> {
    TcpStream::connect(address).await.map_err(|error| match lack::of_connecting(&error, address) {
        Some(lack) => ConnectError::Ours(lack),
        None => connect_error(&error),
    })
}

/// Rank of an error, the most informative first: only the destination can refuse or reset, and a lack of the platform
/// says nothing about it.
fn tells(error: &ConnectError) -> u8 {
    match error {
        ConnectError::Refused => 0,
        ConnectError::Reset => 1,
        ConnectError::Ours(_) => 2,
        ConnectError::TimedOut => 3,
        ConnectError::Unreachable => 4,
        ConnectError::Forbidden(_)
        | ConnectError::Lookup(_)
        | ConnectError::Certificate(_)
        | ConnectError::Handshake(_)
        | ConnectError::NotAHost
        | ConnectError::Local(_) => 5,
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, ConnectError> {
    if let Some(address) = address_literal(host) {
        return Ok(ServerName::IpAddress(address.into()));
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_owned();
    DnsName::try_from(name).map(ServerName::DnsName).map_err(|_| ConnectError::NotAHost)
}

/// Meaning of an error on an established TCP connection.
fn lost_error(error: &io::Error) -> ConnectError {
    lack::of_io(error).map_or_else(|| connect_error(error), ConnectError::Ours)
}

/// Meaning of a TCP connection's error other than a lack.
fn connect_error(error: &io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            ConnectError::Reset
        }
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        // No source address that could reach it; an address that is never a destination (240.0.0.0/4); a firewall.
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::PermissionDenied => ConnectError::Unreachable,
        io::ErrorKind::TimedOut => ConnectError::TimedOut,
        kind => ConnectError::Local(kind),
    }
}

/// Meaning of an error within a handshake, or of the TCP connection below it.
pub(crate) fn handshake_error(error: &io::Error) -> ConnectError {
    match tls_fault(error) {
        Some(TlsFault::Certificate(what)) => ConnectError::Certificate(what),
        Some(TlsFault::Handshake(what)) => ConnectError::Handshake(what),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            ConnectError::Handshake("the server closed the connection during the TLS handshake")
        }
        None => lost_error(error),
    }
}

/// The TLS error inside an IO error.
pub(crate) fn tls_fault(error: &io::Error) -> Option<TlsFault> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).map(TlsFault::of)
}
