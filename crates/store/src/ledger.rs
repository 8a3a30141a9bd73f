//! Port of the ledger: the progress of each lane, and the few events that were not settled in order.

use async_trait::async_trait;
pub use domain::exception::{Exception, ExceptionKind};
use domain::fate::{DroppedBacklog, GivenUp, OutcomeCounts};
use domain::log_entry::LogEntry;
use domain::{Position, SubscriptionId};

use crate::catalog::Page;
use crate::error::{StoreError, TenureError};
use crate::replays::ReplaySave;
use crate::shard::{Shards, Tenure};

/// Saved state of one lane. A save of a generation before the lane began ([`LaneRecord::generation`]) doesn't change
/// the lane; its entries are stored, because they describe past events. A save overtaken by a suspension is still valid
/// for the lane: without its memory, and with the mark as its own cursor if it had none.
#[derive(Clone, PartialEq, Debug)]
pub struct LaneSave {
    /// The lane's subscription.
    pub subscription: SubscriptionId,
    /// Generation of the subscription known to the lane.
    pub generation: u32,
    /// All matching events before it are settled or exceptions. `None`: the lane follows [`Save::mark`].
    pub cursor: Option<Position>,
    /// Further state of the lane for a restart (pace, success window), opaque to the store. `None` leaves it unchanged.
    pub memory: Option<Vec<u8>>,
    /// New and changed exceptions, by position.
    pub exceptions: Vec<Exception>,
    /// Positions of settled exceptions.
    pub settled: Vec<Position>,
    /// Whether to delete all other exceptions (a suspension dropped them).
    pub drop_exceptions: bool,
    /// Log entries for the owner, merged as in [`crate::Entries::add_entry`].
    pub entries: Vec<LogEntry>,
    /// Records about events that the lane settled without a delivery. Stored as entries are: they describe past events.
    pub facts: Facts,
}

/// Records about settled events, needed to tell what became of them ([`crate::Kept`]).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Facts {
    /// Events given up.
    pub given_up: Vec<GivenUp>,
    /// Dropped backlogs. One that ended its lane replaces an uncertain one with the same end and reason.
    pub dropped: Vec<DroppedBacklog>,
    /// Events delivered after they had been dropped: they were in flight.
    pub delivered_late: Vec<Position>,
    /// Outcomes to be added to the stored counts.
    pub counts: Vec<OutcomeCounts>,
}

impl Facts {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        let Facts { given_up, dropped, delivered_late, counts } = self;
        given_up.is_empty() && dropped.is_empty() && delivered_late.is_empty() && counts.is_empty()
    }
}

/// State saved in one transaction.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Save {
    /// All events before it have been routed: the cursor of all lanes without their own.
    pub mark: Position,
    /// Lanes with changed state.
    pub lanes: Vec<LaneSave>,
    /// Replays with progress.
    pub replays: Vec<ReplaySave>,
}

/// Stored state of one lane.
#[derive(Clone, PartialEq, Debug)]
pub struct LaneRecord {
    /// The lane's subscription.
    pub subscription: SubscriptionId,
    /// Generation in which the lane began. Later suspensions and resumes with `hold` only paused and continued it.
    pub generation: u32,
    /// Its own cursor, or `None` if it follows the mark.
    pub cursor: Option<Position>,
    /// Opaque state saved by the lane.
    pub memory: Option<Vec<u8>>,
    /// Its exceptions, by position.
    pub exceptions: Vec<Exception>,
}

impl LaneSave {
    /// The parts still valid in a ledger whose lane began in generation `began`, of a subscription whose generation is
    /// `current`.
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

/// Stored state of a shard, for the start.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LedgerRecord {
    /// The mark.
    pub mark: Position,
    /// Lanes.
    pub lanes: Vec<LaneRecord>,
}

/// Page size of [`Ledger::load`].
const AT_ONCE: usize = 500;

/// Progress of the lanes, read and written by the owner of their shard.
#[async_trait]
pub trait Ledger: Shards {
    /// The mark of a shard.
    async fn mark(&self, tenure: &Tenure) -> Result<Position, StoreError>;

    /// A page of a shard's lanes, ordered by subscription: at most this many after `after`.
    async fn lanes(
        &self,
        tenure: &Tenure,
        after: Option<SubscriptionId>,
        at_most: usize,
    ) -> Result<Page<LaneRecord>, StoreError>;

    /// Stored state of a shard, read page by page by its owner after the takeover.
    async fn load(&self, tenure: &Tenure) -> Result<LedgerRecord, StoreError> {
        let mut record = LedgerRecord { mark: self.mark(tenure).await?, lanes: Vec::new() };
        loop {
            let after = record.lanes.last().map(|last| last.subscription);
            let page = self.lanes(tenure, after, AT_ONCE).await?;
            record.lanes.extend(page.items);
            if !page.more {
                return Ok(record);
            }
        }
    }

    /// Saves on stable storage, all or nothing, in the order of the calls. Lanes of another shard are left unchanged.
    async fn save(&self, tenure: &Tenure, save: Save) -> Result<(), TenureError>;
}
