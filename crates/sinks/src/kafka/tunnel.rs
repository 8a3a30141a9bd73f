//! The way out of all Kafka clients: they dial nobody themselves, they ask this SOCKS5 server (RFC 1928) within the process, which judges and
//! dials by the platform's own [`Connector`]. So the address guard sees the bootstrap addresses and every address that a cluster advertises,
//! and what became of each dial is known here as a typed error.
//!
//! The server listens on loopback, answers only to who has a [`Pass`] (random credentials, RFC 1929), and closes what went through a pass when
//! the pass is given back.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use krafka::ProxyConfig;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::connect::{ConnectError, Connector};

/// Clients that ask at the same time, before they are let through. All are within this process.
const ASKING_AT_ONCE: usize = 256;
/// An ask is a few bytes that are sent at once; what takes longer is not one of ours.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// After one side has ended, the other may still finish for this long.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// When the process has no file descriptors left, the server looks again after this long.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// What is moved at once.
const BUFFER: usize = 64 * 1024;
/// Addresses of one cluster of which failed dials are remembered.
const FAILURES_KEPT: usize = 64;

/// The server, and the passes that it honours.
pub(crate) struct Tunnel {
    address: SocketAddr,
    passes: Arc<Mutex<HashMap<String, Arc<Dials>>>>,
    server: tokio::task::JoinHandle<()>,
}

/// Lets one client through; no longer when it is dropped.
pub(crate) struct Pass {
    address: SocketAddr,
    token: String,
    passes: Arc<Mutex<HashMap<String, Arc<Dials>>>>,
    dials: Arc<Dials>,
}

/// What became of a client's dials.
pub(crate) struct Dials {
    /// The last failure of each address, unless it was reached afterwards; also that a connection there was reset.
    failed: Mutex<BTreeMap<String, (Instant, ConnectError)>>,
    /// Moves on whenever an address was refused by the guard.
    forbidden: watch::Sender<Option<Instant>>,
    /// Connections that are open.
    open: watch::Sender<usize>,
    closed: watch::Sender<bool>,
}

impl Tunnel {
    /// Starts the server. `connections` and `dial_timeout` bound what it has open and how long it tries.
    pub(crate) fn open(connector: Connector, connections: usize, dial_timeout: Duration) -> io::Result<Tunnel> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let passes: Arc<Mutex<HashMap<String, Arc<Dials>>>> = Arc::default();
        let gate = Gate {
            passes: Arc::clone(&passes),
            connector,
            dial_timeout,
            connections: Arc::new(Semaphore::new(connections.max(1))),
        };
        let server = tokio::spawn(serve(listener, Arc::new(gate)));
        Ok(Tunnel { address, passes, server })
    }

    /// A pass for a new client.
    pub(crate) fn pass(&self) -> Pass {
        // 122 random bits each; one to find the pass by would do.
        let token = Uuid::new_v4().simple().to_string() + &Uuid::new_v4().simple().to_string();
        let dials = Arc::new(Dials {
            failed: Mutex::default(),
            forbidden: watch::Sender::new(None),
            open: watch::Sender::new(0),
            closed: watch::Sender::new(false),
        });
        self.passes.lock().insert(token.clone(), Arc::clone(&dials));
        Pass { address: self.address, token, passes: Arc::clone(&self.passes), dials }
    }

    /// Connections to brokers that are open, of all clients.
    pub(crate) fn open_connections(&self) -> usize {
        self.passes.lock().values().map(|dials| *dials.open.borrow()).sum()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Pass {
    /// How a client uses it.
    pub(crate) fn proxy(&self) -> ProxyConfig {
        ProxyConfig::with_credentials(self.address.to_string(), self.token.clone(), "-")
    }

    pub(crate) fn dials(&self) -> &Dials {
        &self.dials
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.passes.lock().remove(&self.token);
        self.dials.closed.send_replace(true);
    }
}

impl Dials {
    /// What failed since `since` and was not reached afterwards: the address and why. A refusal of the guard comes first, then what is
    /// most certain; of equals the first by name, so that the same trouble is told in the same words.
    pub(crate) fn failure_since(&self, since: Instant) -> Option<(String, ConnectError)> {
        let failed = self.failed.lock();
        let recent = failed.iter().filter(|(_, (at, _))| *at >= since);
        recent.min_by_key(|(_, (_, error))| doubt(error)).map(|(address, (_, error))| (address.clone(), error.clone()))
    }

    /// Ends when the guard refuses an address, or has done so since `since`.
    pub(crate) async fn forbidden_since(&self, since: Instant) {
        // The sender lives as long as this does.
        _ = self.forbidden.subscribe().wait_for(|at| at.is_some_and(|at| at >= since)).await;
    }

    fn note(&self, address: &str, ended: Result<(), ConnectError>) {
        let mut failed = self.failed.lock();
        match ended {
            Ok(()) => {
                failed.remove(address);
            }
            Err(error) => {
                let forbidden = matches!(error, ConnectError::Forbidden(_));
                if failed.len() >= FAILURES_KEPT && !failed.contains_key(address) {
                    failed.pop_last();
                }
                failed.insert(address.to_owned(), (Instant::now(), error));
                drop(failed);
                if forbidden {
                    self.forbidden.send_replace(Some(Instant::now()));
                }
            }
        }
    }
}

fn doubt(error: &ConnectError) -> u8 {
    match error {
        ConnectError::Forbidden(_) => 0,
        ConnectError::NotAHost => 1,
        ConnectError::Lookup(_) => 2,
        ConnectError::Refused => 3,
        ConnectError::Certificate(_) | ConnectError::Handshake(_) => 4,
        ConnectError::Reset => 5,
        ConnectError::Unreachable => 6,
        ConnectError::TimedOut => 7,
        ConnectError::Local(_) => 8,
    }
}

struct Gate {
    passes: Arc<Mutex<HashMap<String, Arc<Dials>>>>,
    connector: Connector,
    dial_timeout: Duration,
    /// As many places as connections may be open.
    connections: Arc<Semaphore>,
}

async fn serve(listener: TcpListener, gate: Arc<Gate>) {
    let asking = Arc::new(Semaphore::new(ASKING_AT_ONCE));
    // The semaphores are never closed.
    while let Ok(place) = Arc::clone(&asking).acquire_owned().await {
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let gate = Arc::clone(&gate);
        tokio::spawn(async move {
            let asked = tokio::time::timeout(ASK_TIMEOUT, gate.ask(client)).await;
            drop(place);
            if let Ok(Ok(Asked { client, dials, host, port })) = asked {
                let mut closed = dials.closed.subscribe();
                tokio::select! {
                    // What goes on is the client's business; it sees its connection end.
                    _ = gate.carry(client, &dials, &host, port) => {}
                    _ = closed.wait_for(|closed| *closed) => {}
                }
            }
        });
    }
}

/// A client that may go on, and where it wants to.
struct Asked {
    client: TcpStream,
    dials: Arc<Dials>,
    host: String,
    port: u16,
}

impl Gate {
    async fn ask(&self, mut client: TcpStream) -> io::Result<Asked> {
        client.set_nodelay(true)?;
        expect(client.read_u8().await?, 5)?;
        let methods = block(&mut client).await?;
        if !methods.contains(&2) {
            client.write_all(&[5, 0xff]).await?;
            return Err(refused());
        }
        client.write_all(&[5, 2]).await?;
        expect(client.read_u8().await?, 1)?;
        let (user, _) = (block(&mut client).await?, block(&mut client).await?);
        let dials = std::str::from_utf8(&user).ok().and_then(|user| self.passes.lock().get(user).cloned());
        let Some(dials) = dials else {
            client.write_all(&[1, 1]).await?;
            return Err(refused());
        };
        client.write_all(&[1, 0]).await?;
        expect(client.read_u8().await?, 5)?;
        // Connect, of all that SOCKS knows.
        expect(client.read_u8().await?, 1)?;
        expect(client.read_u8().await?, 0)?;
        let host = match client.read_u8().await? {
            1 => Ipv4Addr::from_bits(client.read_u32().await?).to_string(),
            3 => String::from_utf8(block(&mut client).await?).map_err(|_| refused())?,
            4 => Ipv6Addr::from_bits(client.read_u128().await?).to_string(),
            _ => return Err(refused()),
        };
        let port = client.read_u16().await?;
        Ok(Asked { client, dials, host, port })
    }

    async fn carry(&self, mut client: TcpStream, dials: &Dials, host: &str, port: u16) -> io::Result<()> {
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let dial = async {
            // The semaphore is never closed.
            let place = self.connections.acquire().await.map_err(|_| ConnectError::TimedOut)?;
            Ok((place, self.connector.connect_tcp(host, port).await?))
        };
        let dialled = tokio::time::timeout(self.dial_timeout, dial).await.unwrap_or(Err(ConnectError::TimedOut));
        dials.note(&address, dialled.as_ref().map(|_| ()).map_err(Clone::clone));
        let (_place, mut broker) = match dialled {
            Ok(dialled) => dialled,
            Err(error) => return client.write_all(&[5, reply(&error), 0, 1, 0, 0, 0, 0, 0, 0]).await,
        };
        let _open = Open::new(&dials.open);
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        let ((from_client, to_client), (from_broker, to_broker)) = (client.split(), broker.split());
        let up = forward(from_client, to_broker);
        let down = async {
            let ended = forward(from_broker, to_client).await;
            if ended.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset) {
                dials.note(&address, Err(ConnectError::Reset));
            }
        };
        tokio::pin!(up, down);
        tokio::select! {
            _ = &mut up => drop(tokio::time::timeout(LAST_WORDS, down).await),
            _ = &mut down => drop(tokio::time::timeout(LAST_WORDS, up).await),
        }
        Ok(())
    }
}

/// RFC 1928, 6: how a dial ended.
fn reply(error: &ConnectError) -> u8 {
    match error {
        ConnectError::Forbidden(_) => 2,
        ConnectError::Unreachable => 3,
        ConnectError::Lookup(_) | ConnectError::NotAHost => 4,
        ConnectError::Refused => 5,
        ConnectError::TimedOut => 6,
        ConnectError::Reset | ConnectError::Certificate(_) | ConnectError::Handshake(_) | ConnectError::Local(_) => 1,
    }
}

/// A length in one byte, and as many bytes.
async fn block(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(client.read_u8().await?)];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

fn expect(seen: u8, expected: u8) -> io::Result<()> {
    if seen == expected { Ok(()) } else { Err(refused()) }
}

fn refused() -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

/// Counts an open connection.
struct Open<'a>(&'a watch::Sender<usize>);

impl<'a> Open<'a> {
    fn new(open: &'a watch::Sender<usize>) -> Open<'a> {
        open.send_modify(|open| *open += 1);
        Open(open)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// Moves bytes until there are no more. A connection at rest has no buffer: there may be thousands of them.
async fn forward(from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
    loop {
        from.readable().await?;
        let mut rest = match pass_on(&from, &to) {
            Ok(Some(rest)) => rest,
            Ok(None) => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        while !rest.is_empty() {
            to.writable().await?;
            match to.try_write(&rest) {
                Ok(written) => drop(rest.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
    to.shutdown().await
}

/// Moves what is there; gives what did not fit, or none at the end.
fn pass_on(from: &ReadHalf<'_>, to: &WriteHalf<'_>) -> io::Result<Option<Vec<u8>>> {
    thread_local!(static MOVED: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER]));
    MOVED.with_borrow_mut(|buffer| {
        let read = from.try_read(buffer)?;
        if read == 0 {
            return Ok(None);
        }
        let moved = buffer.get(..read).unwrap_or_default();
        let written = match to.try_write(moved) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        Ok(Some(moved.get(written..).unwrap_or_default().to_vec()))
    })
}

#[cfg(test)]
mod tests {
    use domain::address::AddressPolicy;

    use super::*;
    use crate::resolve::Resolver;
    use crate::tls::TlsClient;

    fn tunnel(connections: usize) -> Tunnel {
        let policy = AddressPolicy { allow_networks: vec!["127.0.0.1/32".parse().unwrap()] };
        let resolver = Arc::new(Resolver::system().unwrap());
        let connector = Connector::new(resolver, policy, TlsClient::new(&[]).unwrap());
        Tunnel::open(connector, connections, Duration::from_secs(1)).unwrap()
    }

    /// What the tunnel answers to these bytes, up to `length`, or less at the end.
    async fn answers(client: &mut TcpStream, sent: &[u8], length: usize) -> Vec<u8> {
        client.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end, too.
        _ = (&mut *client).take(length as u64).read_to_end(&mut answer).await;
        answer
    }

    async fn let_through(tunnel: &Tunnel, pass: &Pass) -> TcpStream {
        let mut client = TcpStream::connect(tunnel.address).await.unwrap();
        assert_eq!(answers(&mut client, &[5, 2, 0, 2], 2).await, [5, 2]);
        let mut login = vec![1, pass.token.len() as u8];
        login.extend_from_slice(pass.token.as_bytes());
        login.extend_from_slice(&[1, b'-']);
        assert_eq!(answers(&mut client, &login, 2).await, [1, 0]);
        client
    }

    fn to(address: SocketAddr) -> Vec<u8> {
        let SocketAddr::V4(address) = address else { unreachable!() };
        let mut request = vec![5, 1, 0, 1];
        request.extend_from_slice(&address.ip().octets());
        request.extend_from_slice(&address.port().to_be_bytes());
        request
    }

    #[tokio::test]
    async fn nobody_gets_through_without_a_pass() {
        let tunnel = tunnel(8);
        let pass = tunnel.pass();
        // No credentials; wrong ones; those of a pass that was given back; another protocol.
        let mut client = TcpStream::connect(tunnel.address).await.unwrap();
        assert_eq!(answers(&mut client, &[5, 1, 0], 10).await, [5, 0xff]);
        let mut client = TcpStream::connect(tunnel.address).await.unwrap();
        assert_eq!(answers(&mut client, &[5, 1, 2, 1, 1, b'x', 1, b'-'], 10).await, [5, 2, 1, 1]);
        let token = pass.token.clone();
        drop(pass);
        let mut login = vec![5, 1, 2, 1, token.len() as u8];
        login.extend_from_slice(token.as_bytes());
        login.extend_from_slice(&[1, b'-']);
        let mut client = TcpStream::connect(tunnel.address).await.unwrap();
        assert_eq!(answers(&mut client, &login, 10).await, [5, 2, 1, 1]);
        let mut client = TcpStream::connect(tunnel.address).await.unwrap();
        assert!(answers(&mut client, b"GET / HTTP/1.1\r\n\r\n", 10).await.is_empty());
    }

    #[tokio::test]
    async fn who_asks_for_nothing_is_not_waited_for() {
        let tunnel = tunnel(8);
        let mut client = TcpStream::connect(tunnel.address).await.unwrap();
        let end = tokio::time::timeout(ASK_TIMEOUT * 3, client.read_u8()).await;
        assert!(end.is_ok_and(|read| read.is_err()), "the connection is closed");
    }

    #[tokio::test]
    async fn what_is_forbidden_is_not_dialled_and_what_failed_is_known() {
        let trap = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let tunnel = tunnel(8);
        let pass = tunnel.pass();
        let since = Instant::now();
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let mut client = let_through(&tunnel, &pass).await;
        assert_eq!(answers(&mut client, &to(closed), 10).await[1], 5);
        let failure = pass.dials().failure_since(since);
        assert_eq!(failure, Some((closed.to_string(), ConnectError::Refused)));
        let mut client = let_through(&tunnel, &pass).await;
        assert_eq!(answers(&mut client, &to(trap.local_addr().unwrap()), 10).await[1], 2);
        assert!(matches!(pass.dials().failure_since(since), Some((_, ConnectError::Forbidden(_)))));
        assert!(pass.dials().failure_since(Instant::now()).is_none(), "it was before");
        tokio::time::timeout(Duration::from_secs(1), pass.dials().forbidden_since(since)).await.unwrap();
        let nobody = tokio::time::timeout(Duration::from_millis(100), trap.accept()).await;
        assert!(nobody.is_err(), "somebody connected");
    }

    #[tokio::test]
    async fn bytes_pass_both_ways_until_the_pass_is_given_back() {
        let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tunnel = tunnel(1);
        let pass = tunnel.pass();
        let mut client = let_through(&tunnel, &pass).await;
        let request = to(broker.local_addr().unwrap());
        let asked = answers(&mut client, &request, 10);
        let (answer, accepted) = tokio::join!(asked, broker.accept());
        assert_eq!(answer[..2], [5, 0]);
        let (mut far, _) = accepted.unwrap();
        assert_eq!(tunnel.open_connections(), 1);
        // More than fits into the buffers of two sockets, to a side that reads late.
        let much: Vec<u8> = (0..20_000_000_u32).map(|byte| byte as u8).collect();
        let expected = much.clone();
        let reading = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let mut read = vec![0; expected.len()];
            far.read_exact(&mut read).await.unwrap();
            assert!(read == expected);
            far.write_all(b"thanks").await.unwrap();
            far
        });
        client.write_all(&much).await.unwrap();
        let mut thanks = [0; 6];
        client.read_exact(&mut thanks).await.unwrap();
        assert_eq!(&thanks, b"thanks");
        let mut far = reading.await.unwrap();
        // There is one place, and it is taken.
        let mut second = let_through(&tunnel, &pass).await;
        assert_eq!(answers(&mut second, &to(broker.local_addr().unwrap()), 10).await[1], 6);
        drop(pass);
        assert!(client.read_u8().await.is_err(), "closed");
        assert!(far.read_u8().await.is_err(), "closed");
        assert_eq!(tunnel.open_connections(), 0);
    }
}
