//! Replays of the lanes' subscriptions: which are running, what they read, and what of it they send.
//!
//! Each event is judged when it is read, and again after each change of its subscription while it is in hand. Nothing
//! is kept in the log for a replay.

mod judge;

use std::sync::Arc;

use delivery::replay::{self, Begin};
use domain::replay::{Only, Replay, ReplayProgress, ReplayStatus};
use domain::{ReplayId, SubscriptionId};
use store::{ReplaySave, StoreError};

use super::ids::LaneId;
use super::lanes::Entry;
use super::replay_read::{ReplayChunk, ReplayRead, Wanted};
use super::replaying::Running;
use super::{Core, unreadable};

impl Entry {
    /// Translates an output of the lane's replay.
    pub(super) fn replay_read(&self, lane: LaneId, output: replay::Output, version: u64) -> Option<Box<ReplayRead>> {
        let running = self.replays.current.as_ref()?;
        let (wanted, room) = match output {
            replay::Output::Send { .. } => return None,
            replay::Output::Read { from, events, bytes } => (running.wanted(from, (events, bytes)), (events, bytes)),
            replay::Output::Load(positions) => (Wanted::Again(positions), (usize::MAX, usize::MAX)),
        };
        let is_known = running.histories.as_ref().is_some_and(|(known, _)| *known == version);
        let exceptional = running.only() != Only::default() && matches!(wanted, Wanted::Range { .. });
        Some(Box::new(ReplayRead {
            lane,
            replay: running.replay.id,
            pim: self.subscription.pim,
            subscription: self.subscription.id,
            wanted,
            histories_of: (!is_known).then(|| self.subscription.owner()),
            exceptional,
            version,
            room,
        }))
    }
}

impl Core {
    /// Replays were started or ended. The store's list is at least as new as the subscriptions known here; what is
    /// newer comes again.
    pub(super) fn replays_changed(&mut self, replays: Vec<Replay>) {
        for replay in replays {
            let Some(slot) = self.by_subscription.get(&replay.subscription).copied() else { continue };
            let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { continue };
            let id = replay.id;
            let is_current = entry.replays.current.as_ref().is_some_and(|running| running.replay.id == id);
            if replay.status != ReplayStatus::Running {
                entry.replays.next.take_if(|next| next.id == id);
                if is_current {
                    self.end_replay(slot);
                }
            } else if !is_current && entry.replays.last != Some(id) && entry.subscription.status.is_active() {
                entry.replays.next = Some(Arc::new(replay));
                self.begin_replay(slot);
            }
        }
    }

    /// Begins the next replay of a lane, unless attempts of its predecessor are in flight.
    fn begin_replay(&mut self, slot: usize) {
        let Some(id) = self.lane_id(slot).filter(|_| !self.stopping) else { return };
        let Some(entry) = self.entry(id) else { return };
        if entry.lane.replay().is_some() {
            return;
        }
        let Some(replay) = entry.replays.next.take() else { return };
        let running = Running { replay: replay.clone(), histories: None, is_incomplete: false };
        let progress = replay.progress.clone();
        let begin = Begin { id: replay.id, end: running.end(), rate: replay.rate, progress };
        entry.replays.current = Some(Box::new(running));
        self.tell(id, delivery::Input::Replay(replay::Input::Begin(begin)));
    }

    /// The store has ended a lane's replay.
    pub(super) fn end_replay(&mut self, slot: usize) {
        if let Some(id) = self.lane_id(slot) {
            self.tell(id, delivery::Input::Replay(replay::Input::Ended));
        }
    }

    /// The platform stops: no replay sends any more.
    pub(super) fn pause_replay(&mut self, slot: usize) {
        if let Some(id) = self.lane_id(slot)
            && self.entry(id).is_some_and(|entry| entry.lane.replay().is_some())
        {
            self.tell(id, delivery::Input::Replay(replay::Input::Paused));
        }
    }

    /// Progress of a subscription's replay, newer than what is saved; `None` if it isn't running here.
    pub fn replay_progress(&self, subscription: SubscriptionId, id: ReplayId) -> Option<ReplayProgress> {
        let slot = *self.by_subscription.get(&subscription)?;
        let state = self.entries.get(slot)?.as_ref()?.lane.replay_state()?;
        (state.id == id).then_some(state.progress)
    }

    /// Passes the matching part of a read to a replay.
    pub(super) fn replay_read(&mut self, read: &ReplayRead, result: Result<Box<ReplayChunk>, StoreError>) {
        let lane = read.lane;
        let Some(entry) = self.entry(lane) else { return };
        let is_current = |running: &&mut Box<Running>| running.replay.id == read.replay;
        let Some(running) = entry.replays.current.as_mut().filter(is_current) else { return };
        let input = match result {
            Err(error) => {
                unreadable(&error);
                match &read.wanted {
                    Wanted::Again(positions) => replay::Input::LoadFailed(positions.clone()),
                    Wanted::Range { .. } | Wanted::Listed(_) => replay::Input::ReadFailed,
                }
            }
            Ok(mut chunk) => {
                if let Some(histories) = chunk.histories.take() {
                    running.histories = Some((read.version, histories));
                }
                if let Wanted::Range { from, .. } = read.wanted {
                    running.is_incomplete |= from < chunk.kept_from;
                }
                match self.judge_for_replay(read, *chunk) {
                    Some(input) => input,
                    None => return,
                }
            }
        };
        self.tell(lane, delivery::Input::Replay(input));
    }

    /// Progress of replays to be saved; forgets those that have ended.
    pub(super) fn save_replays(&mut self) -> Vec<ReplaySave> {
        let mut saves = Vec::new();
        for slot in std::mem::take(&mut self.saver.replays) {
            let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { continue };
            let Some(replay::State { id, progress, end }) = entry.lane.save_replay() else { continue };
            let incomplete = entry.replays.current.as_ref().is_some_and(|running| running.is_incomplete);
            let end = end.map(|(status, reason)| {
                let missing = || "events were deleted before the replay came to them".to_owned();
                (status, reason.or_else(|| incomplete.then(missing)))
            });
            saves.push(ReplaySave { id, progress, end });
            if entry.lane.has_replay_ended() {
                entry.lane.end_replay();
                entry.replays.current = None;
                entry.replays.last = Some(id);
                self.begin_replay(slot);
            }
        }
        saves
    }
}
