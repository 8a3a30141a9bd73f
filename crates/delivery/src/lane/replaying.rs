//! A replay beside the live events of a lane: who sends next. Live events come first: while any wait, a replay gets at
//! most every second slot of the pace, and never more than half of the attempts in flight.

use domain::destination::BatchLimits;
use domain::outcome::Outcome;
use domain::{ReplayId, Timestamp};

use super::{Lane, Manner, Output, Phase, Silence, Supply, Ticket};
use crate::replay::{self, Attempt, Begin, Circumstances, Replay};

impl Lane {
    /// The lane's replay, until its last state has been taken ([`Lane::end_replay`]).
    pub fn replay(&self) -> Option<ReplayId> {
        self.replay.as_ref().map(|replay| replay.id())
    }

    /// Progress of the replay.
    pub fn replay_state(&self) -> Option<replay::State> {
        self.replay.as_ref().map(|replay| replay.state())
    }

    /// Whether the replay has progress to be saved.
    pub fn is_replay_unsaved(&self) -> bool {
        self.replay.as_ref().is_some_and(|replay| replay.is_unsaved())
    }

    /// Progress of the replay to be saved. The lane regards it as saved.
    pub fn save_replay(&mut self) -> Option<replay::State> {
        self.replay.as_mut().map(|replay| replay.save())
    }

    /// Whether the replay has ended and nothing of it is in flight any more.
    pub fn has_replay_ended(&self) -> bool {
        self.replay.as_ref().is_some_and(|replay| replay.has_ended())
    }

    /// Removes a replay that has ended.
    pub fn end_replay(&mut self) {
        if self.has_replay_ended() {
            self.replay = None;
        }
    }

    /// Number of the replay's attempts in flight.
    pub fn replay_attempts(&self) -> usize {
        self.replay.as_ref().map_or(0, |replay| replay.in_flight.len())
    }

    pub(super) fn replay_input(&mut self, input: replay::Input) {
        let (batches, now) = (self.sends_batches(), self.now);
        match (&mut self.replay, input) {
            (None, replay::Input::Begin(begin)) => self.begin_replay(begin, batches),
            (None, _) => {}
            (Some(replay), replay::Input::Ended) => replay.stop(true, now),
            (Some(replay), replay::Input::Paused) => replay.stop(false, now),
            (Some(replay), input) => replay.handle(input, now),
        }
    }

    fn begin_replay(&mut self, begin: Begin, batches: bool) {
        self.replay = Some(Box::new(Replay::begin(begin, &self.options, batches, self.now)));
    }

    /// The subscription changed: events in hand are judged again.
    pub(super) fn replay_reconfigured(&mut self, new_destination: bool) {
        if let Some(replay) = &mut self.replay {
            replay.let_go(self.now);
            if new_destination {
                replay.start_afresh(self.now);
            }
        }
    }

    fn sends_batches(&self) -> bool {
        self.options.manner != Manner::OneByOne
    }

    /// Number of attempts in flight, live and of the replay.
    pub(super) fn under_way(&self) -> usize {
        self.in_flight.len() + self.replay_attempts()
    }

    /// Whether live events wait: in hand, due, or about to be read.
    fn live_events_wait(&self) -> bool {
        let reading = matches!(self.supply, Supply::Behind { reading: Some(_), .. });
        let has_room = self.sends_batches() || self.waiting.len() < self.settings.max_waiting;
        !self.fresh.is_empty() && has_room || self.waiting.at_hand() > 0 || reading
    }

    /// Time of the replay's next attempt, as far as the live events leave it a turn; `None` = not before the next
    /// input.
    fn replay_turn_at(&self) -> Option<Timestamp> {
        let replay = self.replay.as_ref()?;
        let at = replay.send_at(self.sends_batches())?;
        let most = (self.settings.max_in_flight / 2).max(1);
        let has_slot = self.sends_batches() || replay.in_flight.len() < most;
        (has_slot && !(self.replayed_last && self.live_events_wait())).then_some(at)
    }

    fn is_replays_turn(&self) -> bool {
        self.replay_turn_at().is_some_and(|at| at <= self.now)
    }

    /// Time of the next attempt of the replay; `None` = not before the next input.
    pub(super) fn replay_send_at(&self) -> Option<Timestamp> {
        let at = self.replay_turn_at()?.max(self.try_at().unwrap_or(Timestamp::EPOCH));
        if self.sends_batches() {
            return (self.under_way() == 0).then(|| at.max(self.pause_ends().unwrap_or(Timestamp::EPOCH)));
        }
        let most = if self.trouble.is_some() { 1 } else { self.settings.max_in_flight };
        (self.under_way() < most).then(|| at.max(self.pace.next_at()))
    }

    /// Time at which the replay needs the lane for anything but an attempt.
    pub(super) fn replay_supply_at(&self) -> Option<Timestamp> {
        self.replay.as_ref()?.supply_at()
    }

    /// Sends the next single event, live or of the replay; whether there was any.
    pub(super) fn send_next(&mut self) -> bool {
        if self.is_replays_turn() && !self.replayed_last && self.send_replayed() {
            return true;
        }
        let live = if self.trouble.is_some() { self.next_try() } else { self.next_one() };
        let Some(flight) = live else { return self.send_replayed() };
        self.replayed_last = false;
        self.pace.sent(self.now);
        self.send(vec![flight]);
        true
    }

    fn send_replayed(&mut self) -> bool {
        if !self.is_replays_turn() {
            return false;
        }
        let (entity_of, now) = (self.options.entity_of, self.now);
        let Some(flight) = self.replay.as_mut().and_then(|replay| replay.next_one(entity_of, now)) else {
            return false;
        };
        self.pace.sent(now);
        self.send_for_replay(vec![flight]);
        true
    }

    /// Sends the next batch, live or of the replay: they alternate while both have events.
    pub(super) fn send_any_batch(&mut self, limits: BatchLimits) {
        if self.under_way() > 0 || self.pause_ends().is_some_and(|until| until > self.now) {
            return;
        }
        if !self.replayed_last {
            self.send_replayed_batch(limits);
        }
        if self.under_way() == 0 {
            self.send_batch(limits);
            self.replayed_last &= self.in_flight.is_empty();
        }
        if self.under_way() == 0 {
            self.send_replayed_batch(limits);
        }
    }

    fn send_replayed_batch(&mut self, limits: BatchLimits) {
        if !self.is_replays_turn() {
            return;
        }
        let (largest, now) = (self.settings.largest_batch(limits), self.now);
        let Some(replay) = &mut self.replay else { return };
        let batch = replay.next_batch(replay.largest_batch(largest.events), largest.bytes, now);
        if !batch.is_empty() {
            self.send_for_replay(batch);
        }
    }

    fn send_for_replay(&mut self, flights: Vec<replay::Flight>) {
        let Some(replay) = &mut self.replay else { return };
        self.next_ticket += 1;
        let (ticket, id) = (Ticket(self.next_ticket), replay.id());
        let events = flights.iter().map(|flight| flight.event.clone()).collect();
        replay.sent(ticket, Attempt { destination: self.options.destination, flights }, self.now);
        self.replayed_last = true;
        self.outputs.push_back(Output::Replay(replay::Output::Send { ticket, id, events }));
    }

    /// Requests what the replay needs next, and ends it at the end of its scope.
    pub(super) fn supply_replay(&mut self) {
        let in_hand = self.settings.in_hand(self.options.manner);
        if let Some(replay) = &mut self.replay {
            let outputs = replay.read_on(in_hand, self.now);
            self.outputs.extend(outputs.into_iter().map(Output::Replay));
            replay.end_if_done();
        }
    }

    /// Settles an attempt of the replay; whether it was one.
    pub(super) fn settle_replayed(&mut self, ticket: Ticket, outcomes: &mut Vec<Outcome>, silence: Silence) -> bool {
        let Some(mut attempt) = self.replay.as_mut().and_then(|replay| replay.in_flight.remove(&ticket)) else {
            return false;
        };
        let stopped = matches!(self.phase, Phase::Stopped | Phase::Dropped);
        let current = attempt.destination == self.options.destination;
        if !stopped && current {
            let lasted = self.weigh(ticket, outcomes, silence);
            attempt.flights.iter_mut().for_each(|flight| flight.first_tried_at = flight.first_tried_at + lasted);
        }
        let none = std::iter::repeat_with(|| Outcome::NotProcessed(super::settle::no_outcome()));
        let ended = attempt.flights.into_iter().zip(std::mem::take(outcomes).into_iter().chain(none));
        let (batches, now) = (self.sends_batches(), self.now);
        let at = Circumstances {
            now,
            undecided: matches!(silence, Silence::Undecided { .. }),
            throttled_at_most: self.settings.undelivered_at_most,
            asked: None,
        };
        if !current {
            if let Some(replay) = &mut self.replay {
                replay.settle_elsewhere(ended, now);
            }
            return true;
        }
        if batches {
            if let Some(replay) = &mut self.replay {
                replay.settle_batch(ended, at);
            }
            return true;
        }
        for (flight, outcome) in ended {
            // The pace is the endpoint's, whoever sends.
            let asked = match &outcome {
                Outcome::Delivered => {
                    self.pace.delivered(&self.settings);
                    self.unsaved.counted = true;
                    None
                }
                Outcome::Throttled { retry_after } => {
                    self.pace.throttled(now, &self.settings);
                    self.unsaved.counted = true;
                    let asked = retry_after.filter(|_| self.options.respect_retry_after);
                    asked.map(|asked| asked.min(self.settings.undelivered_at_most))
                }
                _ => None,
            };
            if let Some(asked) = asked {
                self.pace.pause(now + asked);
            }
            if let Some(replay) = &mut self.replay {
                replay.settle_one(flight, outcome, Circumstances { asked, ..at });
            }
        }
        true
    }
}
