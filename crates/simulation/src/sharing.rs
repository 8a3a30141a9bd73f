//! Resources shared by the tenants of a world, and their uses.

use std::collections::BTreeSet;

/// A resource shared by tenants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Resource {
    /// Concurrent name lookups.
    LookUps,
    /// Connections to destinations.
    Connections,
    /// Readers of the store.
    Readers,
    /// Senders of notifications.
    Senders,
    /// Token checks at a PIM. Callers share them by origin, here by tenant.
    TokenChecks,
}

/// Amounts of the shared resources, and their uses besides deliveries.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// Concurrent lookups.
    pub look_ups: u64,
    /// Connections.
    pub connections: u64,
    /// Readers of the store.
    pub readers: u64,
    /// Senders of notifications.
    pub senders: u64,
    /// Concurrent token checks.
    pub token_checks: u64,
    /// Bytes of events in the log.
    pub log_bytes: u64,
    /// Receivers whose name servers never answer.
    pub silent_names: BTreeSet<usize>,
    /// Queries, notifications and token checks: uses besides deliveries.
    pub uses: Vec<Use>,
}

/// One use of a shared resource.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// Start, in microseconds.
    pub at: u64,
    /// The PIM.
    pub pim: u32,
    /// Its client or subscription.
    pub part: u64,
    /// The resource.
    pub what: Resource,
    /// Duration, in microseconds.
    pub takes: u64,
}
