//! What became of a client's dials, as the tunnel saw it.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::outcome::Lack;
use fair::Holder;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::connect::ConnectError;
use crate::resolve::LookupError;

/// Addresses of one cluster of which failed dials are remembered.
const FAILURES_KEPT: usize = 64;

/// What became of a client's dials.
pub(crate) struct Dials {
    /// On whose behalf the client dials.
    pub(super) holder: Holder,
    /// The last failure of each address, unless it was reached afterwards; also that a connection there was reset.
    failed: Mutex<BTreeMap<String, (Instant, ConnectError)>>,
    /// Moves on whenever an address was refused by the guard.
    forbidden: watch::Sender<Option<Instant>>,
    /// Connections that are open.
    pub(super) open: watch::Sender<usize>,
    pub(super) closed: watch::Sender<bool>,
    /// When a dial last waited for a place.
    crowded: Mutex<Option<Instant>>,
    lacking: Arc<Lacking>,
}

/// What the way out itself lacked last, and when: that concerns all clients.
#[derive(Default)]
pub(crate) struct Lacking(Mutex<Option<(Instant, Lack)>>);

impl Lacking {
    pub(super) fn note(&self, lack: Lack) {
        *self.0.lock() = Some((Instant::now(), lack));
    }
}

impl Dials {
    pub(super) fn new(holder: Holder, lacking: Arc<Lacking>) -> Dials {
        Dials {
            holder,
            failed: Mutex::default(),
            forbidden: watch::Sender::new(None),
            open: watch::Sender::new(0),
            closed: watch::Sender::new(false),
            crowded: Mutex::default(),
            lacking,
        }
    }

    /// What the platform lacked for its own end of a connection since `since`.
    pub(crate) fn lack_since(&self, since: Instant) -> Option<Lack> {
        let (_, lack) = (*self.lacking.0.lock()).filter(|(at, _)| *at >= since)?;
        Some(lack)
    }

    /// Whether a dial had to wait for a place since `since`: what it missed then says nothing about a broker.
    pub(crate) fn waited_since(&self, since: Instant) -> bool {
        self.crowded.lock().is_some_and(|at| at >= since)
    }

    pub(super) fn note_waiting(&self) {
        *self.crowded.lock() = Some(Instant::now());
    }

    /// What failed since `since` and was not reached afterwards: the address and why. A refusal of the guard comes
    /// first, then what is most certain; of equals the first by name, so that the same trouble is told in the same
    /// words.
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

    pub(super) fn note(&self, address: &str, ended: Result<(), ConnectError>) {
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
        // While the platform lacks something, what brokers do cannot be judged.
        ConnectError::Ours(_) | ConnectError::Lookup(LookupError::Lacks(_)) => 1,
        ConnectError::NotAHost => 2,
        ConnectError::Lookup(_) => 3,
        ConnectError::Refused => 4,
        ConnectError::Certificate(_) | ConnectError::Handshake(_) => 5,
        ConnectError::Reset => 6,
        ConnectError::Unreachable => 7,
        ConnectError::TimedOut => 8,
        ConnectError::Local(_) => 9,
    }
}
