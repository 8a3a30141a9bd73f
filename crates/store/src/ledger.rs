//! The port of the ledger: how far each lane has come, and the few events that did not go straight through.

use async_trait::async_trait;
pub use domain::exception::{Exception, ExceptionKind};
use domain::log_entry::LogEntry;
use domain::{Position, SubscriptionId};

use crate::error::{StoreError, TenureError};
use crate::shard::{Shards, Tenure};

/// What is saved of one lane. A save of a generation before the lane began ([`LaneRecord::generation`]) changes nothing
/// of the lane; its entries are kept all the same, for what they tell has happened. One that a suspension overtook is
/// still true of the lane: without its memory, and with the mark as a cursor of its own where it had none.
#[derive(Clone, PartialEq, Debug)]
pub struct LaneSave {
    /// Whose lane.
    pub subscription: SubscriptionId,
    /// The subscription's generation that the lane knows.
    pub generation: u32,
    /// All matching events before it are settled or exceptions. `None`: the lane follows [`Save::mark`].
    pub cursor: Option<Position>,
    /// What else the lane wants to know after a restart (pace, success window); the store does not look inside. `None` = as it was.
    pub memory: Option<Vec<u8>>,
    /// Exceptions that are new or changed, by position.
    pub exceptions: Vec<Exception>,
    /// Positions of exceptions that are settled.
    pub settled: Vec<Position>,
    /// Exceptions not mentioned are forgotten as well (a suspension dropped them).
    pub drop_exceptions: bool,
    /// What is told to the owner about it; merged as in [`crate::Entries::add_entry`].
    pub entries: Vec<LogEntry>,
}

/// What is saved together, in one transaction.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Save {
    /// All events before it have been routed: the cursor of all lanes that have none of their own.
    pub mark: Position,
    /// Lanes with something to save.
    pub lanes: Vec<LaneSave>,
}

/// What the ledger knows of one lane.
#[derive(Clone, PartialEq, Debug)]
pub struct LaneRecord {
    /// Whose lane.
    pub subscription: SubscriptionId,
    /// The generation in which the lane began: suspensions, and resumes with `hold`, since then have only stopped it or
    /// let it go on.
    pub generation: u32,
    /// Its own cursor, or `None` if it follows the mark.
    pub cursor: Option<Position>,
    /// What the lane saved for itself.
    pub memory: Option<Vec<u8>>,
    /// Its exceptions, by position.
    pub exceptions: Vec<Exception>,
}

impl LaneSave {
    /// What is still true of it, in a ledger whose lane began in generation `began`, of a subscription whose generation
    /// is `current`.
    pub fn as_of(mut self, began: u32, current: u32, mark: Position) -> Option<LaneSave> {
        if !(began..=current).contains(&self.generation) {
            return None;
        }
        if self.generation != current {
            self.cursor = self.cursor.or(Some(mark));
            self.memory = None;
        }
        Some(self)
    }
}

/// All that the ledger knows of a shard, for the start.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LedgerRecord {
    /// The mark.
    pub mark: Position,
    /// Lanes.
    pub lanes: Vec<LaneRecord>,
}

/// How far the lanes have come: read and written by the owner of their shard.
#[async_trait]
pub trait Ledger: Shards {
    /// All that is known of a shard; its owner reads it once, after it took the shard over.
    async fn load(&self, tenure: &Tenure) -> Result<LedgerRecord, StoreError>;

    /// Saves on stable storage, all or nothing. Saves are applied in the order of the calls. Lanes of another shard are
    /// left as they are.
    async fn save(&self, tenure: &Tenure, save: Save) -> Result<(), TenureError>;
}
