//! Results of a client's dials, as seen by the tunnel.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::outcome::Lack;
use fair::Holder;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::connect::ConnectError;
use crate::resolve::LookupError;

/// Maximum number of a cluster's addresses whose failed dials are remembered.
const FAILURES_KEPT: usize = 64;

/// Results of a client's dials.
pub(crate) struct Dials {
    /// Holder of the client's slots.
    pub(super) holder: Holder,
    /// The last failure of each address, unless it was reached afterwards; includes resets of established connections.
    failed: Mutex<BTreeMap<String, (Instant, ConnectError)>>,
    /// Changes on every address refused by the guard.
    forbidden: watch::Sender<Option<Instant>>,
    /// Number of open connections.
    pub(super) open: watch::Sender<usize>,
    pub(super) closed: watch::Sender<bool>,
    /// Time at which a dial last waited for a slot.
    crowded: Mutex<Option<Instant>>,
    lacking: Arc<Lacking>,
}

/// The last lack of the outbound path itself, and its time: it concerns all clients.
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

    /// The platform's lack for its own end of a connection since `since`.
    pub(crate) fn lack_since(&self, since: Instant) -> Option<Lack> {
        let (_, lack) = (*self.lacking.0.lock()).filter(|(at, _)| *at >= since)?;
        Some(lack)
    }

    /// Whether a dial had to wait for a slot since `since`: a failure then says nothing about a broker.
    pub(crate) fn waited_since(&self, since: Instant) -> bool {
        self.crowded.lock().is_some_and(|at| at >= since)
    }

    pub(super) fn note_waiting(&self) {
        *self.crowded.lock() = Some(Instant::now());
    }

    /// A failure since `since` of an address not reached afterwards: the address and the cause. A refusal of the guard
    /// comes first, then the most certain failure; among equals the first by name, so that the same failure is reported
    /// in the same words.
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
        // Brokers cannot be judged during a lack of the platform.
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
