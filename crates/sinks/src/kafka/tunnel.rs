//! Outbound path of all Kafka clients: instead of dialling, they ask this SOCKS5 server (RFC 1928) within the process,
//! which judges and dials by the platform's own [`Connector`]. So the address guard sees the bootstrap addresses and
//! every address advertised by a cluster, and each dial's result is known here as a typed error.
//!
//! The server listens on loopback, serves only holders of a [`Pass`] (random credentials, RFC 1929), and closes the
//! connections of a pass when the pass is returned.

mod carry;
mod dials;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fair::{Holder, Places};
use krafka::ProxyConfig;
use parking_lot::Mutex;
use supervise::restart_on_panic;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::carry::Moving;
pub(crate) use self::dials::Dials;
use self::dials::Lacking;
use crate::connect::Connector;
use crate::lack;

/// Maximum number of clients asking at the same time, before they are admitted. All are within this process.
const ASKING_AT_ONCE: usize = 256;
/// A request is a few bytes sent at once; a slower one is not from our clients.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause before the server accepts again when the process has no file descriptors left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// The server, and its valid passes.
pub(crate) struct Tunnel {
    address: SocketAddr,
    passes: Arc<Mutex<HashMap<String, Arc<Dials>>>>,
    lacking: Arc<Lacking>,
    server: tokio::task::JoinHandle<()>,
}

/// Admits one client until it is dropped.
pub(crate) struct Pass {
    address: SocketAddr,
    token: String,
    passes: Arc<Mutex<HashMap<String, Arc<Dials>>>>,
    dials: Arc<Dials>,
}

impl Tunnel {
    /// Starts the server. `connections` limits its open connections, `dial_timeout` each dial.
    pub(crate) fn open(connector: Connector, connections: usize, dial_timeout: Duration) -> io::Result<Tunnel> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let passes: Arc<Mutex<HashMap<String, Arc<Dials>>>> = Arc::default();
        let lacking: Arc<Lacking> = Arc::default();
        let gate = Gate {
            passes: Arc::clone(&passes),
            connector,
            dial_timeout,
            places: Places::new(connections as u64),
            moving: Mutex::default(),
            lacking: Arc::clone(&lacking),
        };
        let (listener, gate) = (Arc::new(listener), Arc::new(gate));
        let server = tokio::spawn(restart_on_panic("the tunnel of Kafka clients", move || {
            serve(Arc::clone(&listener), Arc::clone(&gate))
        }));
        Ok(Tunnel { address, passes, lacking, server })
    }

    /// A pass for a new client, on behalf of `holder`.
    pub(crate) fn pass(&self, holder: Holder) -> Pass {
        // 122 random bits each; one would be enough to find the pass by.
        let token = Uuid::new_v4().simple().to_string() + &Uuid::new_v4().simple().to_string();
        let dials = Arc::new(Dials::new(holder, Arc::clone(&self.lacking)));
        self.passes.lock().insert(token.clone(), Arc::clone(&dials));
        Pass { address: self.address, token, passes: Arc::clone(&self.passes), dials }
    }

    /// Open connections to brokers, of all clients.
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
    /// The proxy configuration of a client.
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

struct Gate {
    passes: Arc<Mutex<HashMap<String, Arc<Dials>>>>,
    connector: Connector,
    dial_timeout: Duration,
    /// One slot per connection that may be open.
    places: Places,
    moving: Mutex<Moving>,
    lacking: Arc<Lacking>,
}

async fn serve(listener: Arc<TcpListener>, gate: Arc<Gate>) {
    let asking = Arc::new(Semaphore::new(ASKING_AT_ONCE));
    // The semaphores are never closed.
    while let Ok(place) = Arc::clone(&asking).acquire_owned().await {
        let client = match listener.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                // A client waiting to be accepted notices only the delay.
                if let Some(lack) = lack::of_io(&error) {
                    gate.lacking.note(lack);
                }
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let gate = Arc::clone(&gate);
        tokio::spawn(async move {
            let asked = tokio::time::timeout(ASK_TIMEOUT, gate.ask(client)).await;
            drop(place);
            if let Ok(Ok(mut asked)) = asked {
                let mut closed = asked.dials.closed.subscribe();
                tokio::select! {
                    // The result is up to the client; it sees its connection end.
                    _ = gate.carry(&mut asked) => {}
                    _ = closed.wait_for(|closed| *closed) => {}
                }
            }
        });
    }
}

/// An admitted client, and its target.
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
        // Connect, the only supported SOCKS command.
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
}

/// A length in one byte, and that many bytes.
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

#[cfg(test)]
mod tests;
