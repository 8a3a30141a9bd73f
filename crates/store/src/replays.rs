//! Port of replays. A replay is created and cancelled by requests and advanced by the owner of its shard, which learns
//! of both by the version of the catalogue.

use async_trait::async_trait;
use domain::log_entry::LogEntry;
use domain::replay::{Replay, ReplayProgress, ReplayStatus};
use domain::{ReplayId, SubscriptionId};

use crate::condition::Condition;
use crate::error::{ChangeError, StoreError};
use crate::shard::{Shard, Shards};

/// Number of replays of a subscription that are remembered.
pub const REMEMBERED: usize = 20;

/// Why a replay was cancelled by a request.
pub const CANCELLED: &str = "cancelled by its owner";

/// Progress of a replay, saved with its lane ([`crate::Save`]). Ignored if the replay is unknown; if it has ended, only
/// the progress is stored.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplaySave {
    /// The replay.
    pub id: ReplayId,
    /// Progress.
    pub progress: ReplayProgress,
    /// Its end, with the reason unless it is done.
    pub end: Option<(ReplayStatus, Option<String>)>,
}

/// Replays.
///
/// The commit of a change that suspends, revokes or deletes a subscription ends its running replay
/// ([`crate::stamp::replay_end`]).
#[async_trait]
pub trait Replays: Shards {
    /// Commits a new replay with its log entry, if all conditions hold. The subscription must be active and without a
    /// running replay, otherwise [`ChangeError::Conflict`]. Returns the version of the shard's catalogue.
    async fn start_replay(
        &self,
        replay: Replay,
        conditions: Vec<Condition>,
        entry: LogEntry,
    ) -> Result<u64, ChangeError>;

    /// Cancels a running replay. [`ChangeError::Conflict`] if it has ended, [`ChangeError::Missing`] if it is unknown.
    async fn cancel_replay(
        &self,
        subscription: SubscriptionId,
        id: ReplayId,
        conditions: Vec<Condition>,
        entry: LogEntry,
    ) -> Result<u64, ChangeError>;

    /// A replay of a subscription.
    async fn replay(&self, subscription: SubscriptionId, id: ReplayId) -> Result<Option<Replay>, StoreError>;

    /// The latest [`REMEMBERED`] replays of a subscription, newest first.
    async fn replays(&self, subscription: SubscriptionId) -> Result<Vec<Replay>, StoreError>;

    /// Replays of a shard started or ended by a commit after this version; all running ones for `None`.
    async fn replays_since(&self, shard: Shard, version: Option<u64>) -> Result<Vec<Replay>, StoreError>;
}
