//! A shard that a node has taken: its driver, and the tail that it follows.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::Position;
use engine::driver::Driver;
use store::{Tail, Tenure};
use uuid::Uuid;

use super::books::Asked;

/// A shard that a node has taken.
#[derive(Debug)]
pub(super) struct Holding {
    /// Its number in the world.
    pub(super) run: u64,
    pub(super) tenure: Tenure,
    pub(super) stage: Stage,
    /// It is to be given away as soon as it runs.
    pub(super) leaves: bool,
    pub(super) driver: Option<Driver>,
    pub(super) tail: Arc<Tail>,
    /// The announced version, and the one that was reported too early (a planted fault).
    pub(super) announced: u64,
    pub(super) applied_early: u64,
    /// What the driver was woken for.
    pub(super) noticed: (Position, u64),
    pub(super) follower: Follower,
    /// Books of the save that is under way.
    pub(super) pending_save: Option<Asked>,
    /// Books of a failed save, which is requested again unchanged.
    pub(super) failed_save: Option<Asked>,
    pub(super) notifier: Notifier,
}

/// Progress of a shard that a node has taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// It is read from the store.
    Loading,
    Running,
    /// It is given away once its driver has stopped.
    Stopping,
    /// It is being given back.
    Giving,
}

/// Follows the log of a shard.
#[derive(Debug)]
pub(super) struct Follower {
    /// All events before it were pushed, or are older than the tail.
    pub(super) next: Position,
    /// Others' events up to here are to be read.
    pub(super) wanted: Position,
    pub(super) reads: bool,
}

/// Sends the notifications of a shard.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    pub(super) is_busy: bool,
    /// There was something new while it was busy.
    pub(super) again: bool,
    /// Sent by this owner.
    pub(super) sent: BTreeSet<Uuid>,
}

impl Holding {
    pub(super) fn new(run: u64, tenure: Tenure) -> Holding {
        Holding {
            run,
            tenure,
            stage: Stage::Loading,
            leaves: false,
            driver: None,
            tail: Arc::new(Tail::new(Position::FIRST, 1)),
            announced: 0,
            applied_early: 0,
            noticed: (Position::FIRST, 0),
            follower: Follower { next: Position::FIRST, wanted: Position::FIRST, reads: false },
            pending_save: None,
            failed_save: None,
            notifier: Notifier::default(),
        }
    }

    /// Begins to follow at the head of the log, with an empty tail.
    pub(super) fn begin(&mut self, head: Position, version: u64, tail_bytes: usize) {
        self.tail = Arc::new(Tail::new(head, tail_bytes));
        self.follower = Follower { next: head, wanted: head, reads: false };
        self.announced = version;
    }
}
