//! The port of log entries: what owners are told.

use async_trait::async_trait;
use domain::ServiceHour;
use domain::log_entry::{LogEntry, LogQuery};
use domain::subscriber::Owner;

use crate::error::{StoreError, TenureError};
use crate::shard::Tenure;

/// A page of log entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogPage {
    /// The entries, in the order asked for.
    pub entries: Vec<LogEntry>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// What owners are told.
#[async_trait]
pub trait Entries: Send + Sync + 'static {
    /// Adds an entry on its own. Equal errors (owner, subscriber, subscription, message) within 5 minutes of the latest become one.
    async fn add_entry(&self, entry: LogEntry) -> Result<(), StoreError>;

    /// The owner's entries.
    async fn entries(&self, owner: &Owner, query: &LogQuery) -> Result<LogPage, StoreError>;

    /// Deletes entries of the owner's shard whose latest occurrence was in an hour of service before `before`; gives
    /// their number.
    async fn prune_entries(&self, tenure: &Tenure, before: ServiceHour) -> Result<u64, TenureError>;
}
