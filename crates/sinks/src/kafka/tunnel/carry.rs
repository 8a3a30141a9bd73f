//! A connection through the tunnel: its slot, the dial, and the bytes in both directions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fair::{Holder, Permit};
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::dials::Dials;
use super::{Asked, Gate};
use crate::connect::ConnectError;

/// Time limit for the other side to finish after one side has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// A dial that began this late had to wait, so that its client may have abandoned it.
const WAITED: Duration = Duration::from_millis(100);
/// Size of one read.
const BUFFER: usize = 64 * 1024;
/// Time without traffic after which a connection counts as idle: longer than a broker may take for a response.
const RESTS: Duration = Duration::from_secs(15);

/// Open connections by number.
#[derive(Default)]
pub(super) struct Moving {
    next: u64,
    open: HashMap<u64, Arc<Moved>>,
}

/// Time of a connection's last traffic, and a way to end it.
struct Moved {
    holder: Holder,
    at: Mutex<Instant>,
    end: Notify,
}

impl Gate {
    /// Carries data between a client and its target, until one side ends.
    pub(super) async fn carry(&self, asked: &mut Asked) -> io::Result<()> {
        let Asked { client, dials, host, port } = asked;
        let (dials, host) = (&**dials, host.as_str());
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        // This wait is on the platform's side; but the client's own time passes, so it is recorded.
        let begun = Instant::now();
        let Some(_place) = self.place(client, dials).await else { return Ok(()) };
        let admitted = self.connector.admit(host, dials.holder).await;
        if begun.elapsed() >= WAITED {
            dials.note_waiting();
        }
        let dial = self.connector.connect_tcp(admitted, *port);
        let dialled = tokio::time::timeout(self.dial_timeout, dial).await.unwrap_or(Err(ConnectError::TimedOut));
        dials.note(&address, dialled.as_ref().map(|_| ()).map_err(Clone::clone));
        let mut broker = match dialled {
            Ok(broker) => broker,
            Err(error) => return client.write_all(&[5, reply(&error), 0, 1, 0, 0, 0, 0, 0, 0]).await,
        };
        let _open = Open::new(&dials.open);
        let moved = self.moving(dials.holder);
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        let ((from_client, to_client), (from_broker, to_broker)) = (client.split(), broker.split());
        let up = forward(from_client, to_broker, || moved.touch());
        let down = async {
            let heard = || {
                moved.touch();
                self.connector.heard().note();
            };
            let ended = forward(from_broker, to_client, heard).await;
            if ended.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset) {
                dials.note(&address, Err(ConnectError::Reset));
            }
        };
        tokio::pin!(up, down);
        tokio::select! {
            _ = &mut up => drop(tokio::time::timeout(LAST_WORDS, down).await),
            _ = &mut down => drop(tokio::time::timeout(LAST_WORDS, up).await),
            () = moved.0.end.notified() => {}
        }
        Ok(())
    }

    /// A slot for a connection; `None`: the client has gone meanwhile. If all are taken, idle connections are closed:
    /// first those of PIMs above their share, then those idle longest.
    async fn place(&self, client: &TcpStream, dials: &Dials) -> Option<Permit> {
        if let Some(place) = self.places.try_some(dials.holder, 1) {
            return Some(place);
        }
        dials.note_waiting();
        self.end_one_that_rests();
        tokio::select! {
            place = self.places.one(dials.holder) => Some(place),
            () = end_of(client) => {
                dials.note_waiting();
                None
            }
        }
    }

    fn end_one_that_rests(&self) {
        let moving = self.moving.lock();
        let resting = moving.open.values().map(|moved| (moved, *moved.at.lock()));
        let resting = resting.filter(|(_, at)| at.elapsed() >= RESTS);
        let modest = |moved: &Moved| self.places.used_by(moved.holder.pim) <= self.places.share();
        if let Some((moved, _)) = resting.min_by_key(|(moved, at)| (modest(moved), *at)) {
            moved.end.notify_one();
        }
    }

    fn moving(&self, holder: Holder) -> InMotion<'_> {
        let moved = Arc::new(Moved { holder, at: Mutex::new(Instant::now()), end: Notify::new() });
        let mut moving = self.moving.lock();
        let number = moving.next;
        moving.next += 1;
        moving.open.insert(number, Arc::clone(&moved));
        InMotion(moved, number, &self.moving)
    }
}

/// An entry among the open connections; removed on drop.
struct InMotion<'a>(Arc<Moved>, u64, &'a Mutex<Moving>);

impl InMotion<'_> {
    fn touch(&self) {
        *self.0.at.lock() = Instant::now();
    }
}

impl Drop for InMotion<'_> {
    fn drop(&mut self) {
        self.2.lock().open.remove(&self.1);
    }
}

/// Ends when the client closes its connection: it sends nothing before the response.
async fn end_of(client: &TcpStream) {
    loop {
        if client.readable().await.is_err() {
            return;
        }
        match client.try_read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// RFC 1928, 6: the reply for a failed dial.
fn reply(error: &ConnectError) -> u8 {
    match error {
        ConnectError::Forbidden(_) => 2,
        ConnectError::Unreachable => 3,
        ConnectError::Lookup(_) | ConnectError::NotAHost => 4,
        ConnectError::Refused => 5,
        ConnectError::TimedOut => 6,
        ConnectError::Reset
        | ConnectError::Certificate(_)
        | ConnectError::Handshake(_)
        | ConnectError::Ours(_)
        | ConnectError::Local(_) => 1,
    }
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

/// Moves bytes until the end. An idle connection has no buffer: there may be thousands of them.
async fn forward(from: ReadHalf<'_>, mut to: WriteHalf<'_>, moved: impl Fn()) -> io::Result<()> {
    loop {
        from.readable().await?;
        let mut rest = match pass_on(&from, &to) {
            Ok(Some(rest)) => rest,
            Ok(None) => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        moved();
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

/// Moves the available bytes; returns those that did not fit, or none at the end.
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
