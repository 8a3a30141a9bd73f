//! Port of the log entries that owners read.

use async_trait::async_trait;
use domain::ServiceHour;
use domain::log_entry::{LogEntry, LogQuery};
use domain::subscriber::Owner;

use crate::error::{StoreError, TenureError};
use crate::shard::Tenure;

/// A page of log entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogPage {
    /// The entries, in the requested order.
    pub entries: Vec<LogEntry>,
    /// Whether more entries follow.
    pub more: bool,
}

/// Log entries, read by owners.
#[async_trait]
pub trait Entries: Send + Sync + 'static {
    /// Adds a single entry. Equal errors (owner, subscriber, subscription, message) within 5 minutes of the latest are
    /// merged.
    async fn add_entry(&self, entry: LogEntry) -> Result<(), StoreError>;

    /// The owner's entries.
    async fn entries(&self, owner: &Owner, query: &LogQuery) -> Result<LogPage, StoreError>;

    /// Deletes entries of the owner's shard whose latest occurrence was in an hour of service before `before`. Returns
    /// their number.
    async fn prune_entries(&self, tenure: &Tenure, before: ServiceHour) -> Result<u64, TenureError>;
}
