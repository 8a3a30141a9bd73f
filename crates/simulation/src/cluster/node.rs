//! A node: a machine with its clocks, and the process on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ::cluster::Tenancy;
use store::{MemoryStore, Shard};

use super::calls::Asked;
use super::clock::Clock;
use super::holding::Holding;
use super::lease::Leases;
use super::step::Local;

/// A machine.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) clock: Clock,
    /// Number of the current process, or of the next one.
    pub(super) run: u32,
    pub(super) process: Option<Process>,
    /// The process stands still until then.
    pub(super) paused_until: Option<u64>,
    /// How long it has stood still so far.
    pub(super) stood_still: u64,
    /// What happens to it meanwhile.
    pub(super) postponed: Vec<Local>,
    /// The store is not reached until then.
    pub(super) cut_until: u64,
    /// In trouble of its own until then.
    pub(super) unfit_until: u64,
}

/// A serving process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) store: Arc<MemoryStore>,
    pub(super) leases: Leases,
    pub(super) tenancy: Tenancy,
    pub(super) holdings: BTreeMap<Shard, Holding>,
    /// Shards that are being taken.
    pub(super) taking: BTreeSet<Shard>,
    /// Lost connections so far.
    pub(super) losses: u64,
    /// The server that its connections lead to.
    pub(super) server: u64,
    /// Calls of the store that are not answered yet.
    pub(super) asked: BTreeMap<u64, Asked>,
    /// Whether it said to be fit.
    pub(super) said: Option<bool>,
    pub(super) stopping: bool,
    /// When it comes back after a stop.
    pub(super) back_after: u64,
    /// Drivers that wait for their shard to come back (a planted fault).
    pub(super) kept: BTreeMap<Shard, Holding>,
}

impl Node {
    pub(super) fn is_paused(&self, now: u64) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }

    /// Whether it answers producers and people.
    pub(super) fn serves(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.stopping)
    }
}

impl Process {
    pub(super) fn holding(&mut self, run: u64) -> Option<&mut Holding> {
        self.holdings.values_mut().find(|holding| holding.run == run)
    }
}
