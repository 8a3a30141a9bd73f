//! The lanes with their subscriptions: passing inputs, carrying out requests, and recording state.

use std::sync::Arc;

use delivery::lane::Silence;
use delivery::{Lane, replay};
use domain::fate::DroppedBacklog;
use domain::outcome::{Lack, Outcome};
use domain::subscription::Subscription;
use domain::{Position, Timestamp};
use store::{Facts, ReadLimit};

use super::Core;
use super::host_rate::HostOf;
use super::ids::{AttemptId, LaneId, ReadFor, ReadId};
use super::output::{Output, Read, Suspend, Warn};
use super::replaying::OfLane;
use super::silence::Host;

/// A lane with its subscription.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: u64,
    /// Generation of the subscription in which it began.
    pub(super) began: u32,
    pub(super) subscription: Arc<Subscription>,
    /// Host of its destination.
    pub(super) host: Host,
    /// Host and port with a shared rate; none for topics.
    pub(super) paced_with: Option<HostOf>,
    pub(super) lane: Lane,
    /// Its lack when last counted, and the host of a silence.
    pub(super) lack: Option<(Lack, Host)>,
    /// First relevant event of a lane that began in this run of the platform.
    pub(super) from: Position,
    pub(super) timer: Option<Timestamp>,
    /// Whether it is queued for the next save.
    pub(super) unsaved: bool,
    /// First event needed after a restart from the saved state; `None` = the mark.
    pub(super) saved_floor: Option<Position>,
    /// The same once the save in flight has succeeded.
    pub(super) saving_floor: Option<Position>,
    /// Whether the next save drops its waiting events.
    pub(super) drop_exceptions: bool,
    /// Whether another lane replaced it at a resume; it is kept until its last attempt has ended.
    pub(super) replaced: bool,
    /// Whether it was restored: events that it has yet to read may have been delivered before.
    pub(super) restored: bool,
    /// Records that are not in a save yet.
    pub(super) facts: Facts,
    /// What its stop drops, until that is recorded and its last attempt has ended.
    pub(super) stopped: Option<DroppedBacklog>,
    pub(super) matched: u64,
    pub(super) filtered_out: u64,
    pub(super) delivered: u64,
    pub(super) failed: u64,
    pub(super) replays: OfLane,
}

impl Core {
    pub(super) fn entry(&mut self, lane: LaneId) -> Option<&mut Entry> {
        self.entries.get_mut(lane.slot)?.as_mut().filter(|entry| entry.number == lane.number)
    }

    pub(super) fn ended(&mut self, attempt: AttemptId, outcomes: Vec<Outcome>) {
        let silence = self.judge_silence(attempt, &outcomes);
        self.undecided = matches!(silence, Silence::Undecided { .. });
        let now = self.clock.wall;
        if !attempt.of_replay
            && let Some(entry) = self.entry(attempt.lane)
        {
            entry.count(&outcomes, silence);
            entry.count_in_steps(&outcomes, silence, now);
            let pim = entry.subscription.pim;
            self.flow.ended(pim, &outcomes, silence, now);
        }
        self.tell(attempt.lane, delivery::Input::Outcomes(attempt.ticket, outcomes, silence));
    }

    /// Passes an input to a lane, and carries out its requests. Inputs of a removed lane are ignored.
    pub(super) fn tell(&mut self, lane: LaneId, input: delivery::Input) {
        let now = self.now;
        if let Some(entry) = self.entry(lane) {
            entry.lane.handle(now, input);
            self.pump(lane.slot);
        }
    }

    /// Carries out a lane's requests, gives it free turns to send, and records its timer.
    pub(super) fn pump(&mut self, slot: usize) {
        loop {
            self.obey(slot);
            let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
            if entry.replaced {
                return self.pump_replaced(slot);
            }
            match entry.paced_with.filter(|_| entry.lane.wants_turn()) {
                None => self.host_rate.leave(slot),
                Some(host) if self.host_rate.turn(slot, host, self.now) => {
                    entry.lane.handle(self.now, delivery::Input::Turn);
                    continue;
                }
                // It waits for a turn from `fire_timers`.
                Some(_) => {}
            }
            return self.note(slot);
        }
    }

    /// Carries out a lane's requests.
    fn obey(&mut self, slot: usize) {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        if entry.replaced {
            return;
        }
        let id = LaneId { slot, number: entry.number };
        while let Some(output) = entry.lane.poll() {
            let (output, replay) = match output {
                delivery::Output::Replay(replay::Output::Send { ticket, id, events }) => {
                    (delivery::Output::Send { ticket, events }, Some(id))
                }
                other => (other, None),
            };
            self.outputs.push_back(match output {
                delivery::Output::Send { ticket, events } => {
                    let number = if self.followed.is_some() { entry.lane.attempt_number(ticket) } else { 1 };
                    let (host, of_replay) = (entry.host, replay.is_some());
                    let attempt = AttemptId { lane: id, ticket, number, started: self.now, host, of_replay };
                    self.silences.tried(entry.host, self.now);
                    Output::Deliver { attempt, subscription: entry.subscription.clone(), events, replay }
                }
                delivery::Output::Replay(output) => {
                    let Some(read) = entry.replay_read(id, output, self.version) else { continue };
                    Output::ReplayRead(read)
                }
                delivery::Output::Read { from, events, bytes } => {
                    // Not every event matches: reading more at once saves reads, and the excess is read again.
                    let limit = ReadLimit { events: events.max(1) * 4, bytes: bytes.max(1), until: self.routed };
                    Output::Read(Read { id: ReadId(ReadFor::Lane(id)), pim: entry.subscription.pim, from, limit })
                }
                delivery::Output::Load(positions) => {
                    Output::Load { id: ReadId(ReadFor::Lane(id)), pim: entry.subscription.pim, positions }
                }
                delivery::Output::Warn(counts) => {
                    let (subscription, last) = (entry.subscription.clone(), entry.lane.last_failure().cloned());
                    Output::Warn(Warn { subscription, counts, last })
                }
                delivery::Output::Suspend(reason) => {
                    let (subscription, last) = (entry.subscription.clone(), entry.lane.last_failure().cloned());
                    Output::Suspend(Suspend { subscription, reason, last })
                }
            });
        }
    }

    /// Records a lane's state: its timer, data to be saved, and lacks.
    fn note(&mut self, slot: usize) {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        self.totals.given_up += entry.lane.take_given_up();
        // A lane that doesn't send gets no events either: it reads them later, if at all.
        if !entry.lane.is_live() && entry.lane.reach().is_none() {
            entry.lane.fall_behind(self.routed);
        }
        let timer = entry.lane.poll_timeout();
        if timer != entry.timer {
            if let Some(at) = std::mem::replace(&mut entry.timer, timer) {
                self.timers.remove(&(at, slot));
            }
            if let Some(at) = timer {
                self.timers.insert((at, slot));
            }
        }
        if entry.drop_is_certain_now() {
            entry.record_dropped();
            self.saver.urgent = true;
        }
        let recorded = !entry.facts.dropped.is_empty()
            || entry.has_full_step(self.clock.wall)
            || self.stopping && !entry.facts.is_empty();
        if !entry.unsaved && (entry.lane.is_unsaved() || recorded) {
            entry.unsaved = true;
            self.saver.lanes.push(slot);
        }
        self.saver.urgent |= entry.unsaved && entry.lane.is_urgent();
        if entry.lane.is_replay_unsaved() || entry.lane.has_replay_ended() {
            self.saver.replays.insert(slot);
        }
        self.count_lack(slot);
    }

    pub(super) fn fire_timers(&mut self) {
        // A lane whose timer doesn't advance must not block the loop: each fires at most once per turn.
        let due: Vec<usize> = self.timers.iter().take_while(|(at, _)| *at <= self.now).map(|(_, slot)| *slot).collect();
        for slot in due {
            let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { continue };
            entry.lane.handle(self.now, delivery::Input::Timeout);
            self.pump(slot);
        }
        while let Some(slot) = self.host_rate.next_turn(self.now) {
            let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { continue };
            entry.lane.handle(self.now, delivery::Input::Turn);
            self.pump(slot);
        }
    }
}
