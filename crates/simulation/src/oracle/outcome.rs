//! Consequences of an outcome by the contract's table (page 4).

use std::time::Duration;

use domain::Timestamp;
use domain::outcome::{ErrorReason, Outcome, SuspensionReason};

use super::batch::no_outcome;
use super::{Attempt, Lane, Oracle, State, is_topic, minute};

impl Oracle {
    /// The engine learns the outcome of an attempt; returns the suspension that has to follow, if any. A second
    /// response has no effect.
    pub fn ended(
        &mut self,
        index: usize,
        number: u64,
        made: &Attempt,
        outcomes: &[Outcome],
        (now, true_now): (Timestamp, u64),
    ) -> Option<SuspensionReason> {
        let lane = &mut self.lanes[index];
        let same_lane = lane.number == made.lane_number;
        let elsewhere = lane.known.as_ref().is_some_and(|known| known.destination.to_string() != made.destination);
        let to_topic = lane.known.as_ref().is_some_and(is_topic);
        let none = Outcome::NotProcessed(no_outcome());
        let mut ended = Vec::new();
        let mut any = false;
        for (place, position) in made.positions.iter().enumerate() {
            let Some(item) = lane.items.get_mut(position).filter(|item| item.in_flight == Some(number)) else {
                continue;
            };
            let outcome = outcomes.get(place).unwrap_or(&none);
            any = true;
            item.in_flight = None;
            item.reported_at = true_now;
            if same_lane {
                lane.in_flight -= 1;
            }
            if item.late || !same_lane || lane.stopped {
                let delivered = *outcome == Outcome::Delivered;
                item.state = if delivered { State::Delivered } else { State::Failed };
                lane.failures_reported += u64::from(!delivered);
            } else if elsewhere {
                match outcome {
                    Outcome::Delivered => item.state = State::Delivered,
                    // It is sent to the new destination as if untried.
                    Outcome::Failed(_) | Outcome::Silent(_) | Outcome::Refused(_) | Outcome::Broken(_) => {
                        lane.failures_reported += 1
                    }
                    Outcome::Throttled { .. } | Outcome::NotProcessed(_) | Outcome::Ours(_) | Outcome::Abandoned => {}
                }
                if !item.state.is_settled() {
                    item.state = if made.batch { State::Owed } else { State::Throttled };
                    item.first_tried_at = None;
                }
                ended.push((*position, outcome));
            } else {
                ended.push((*position, outcome));
            }
        }
        if any && same_lane {
            lane.under_way -= 1;
        }
        if outcomes.contains(&Outcome::Delivered) {
            self.host_answered();
        }
        match ended[..] {
            [] => None,
            _ if elsewhere => {
                if made.batch {
                    self.give_up_expired(index, &made.positions);
                }
                self.look_ahead(index, &made.positions);
                None
            }
            _ if to_topic => self.batch_ended(index, &ended, now),
            [(position, outcome), ..] => self.answered(index, position, outcome, now),
        }
    }

    /// An endpoint responded.
    fn answered(&mut self, index: usize, position: u64, outcome: &Outcome, now: Timestamp) -> Option<SuspensionReason> {
        let settings = self.settings.clone();
        let lane = &mut self.lanes[index];
        let item = lane.items.get_mut(&position)?;
        let first_tried_at = item.first_tried_at.unwrap_or(now);
        let mut reason = None;
        match outcome {
            Outcome::Delivered => {
                item.state = State::Delivered;
                lane.window.push((now, true));
                return None;
            }
            Outcome::Throttled { retry_after } => {
                if now.since(first_tried_at) <= settings.undelivered_at_most {
                    item.state = State::Throttled;
                    if let Some(asked) = retry_after.filter(|_| lane.respects_retry_after()) {
                        let asked = asked.min(settings.undelivered_at_most).saturating_sub(Duration::from_micros(1));
                        lane.pause_until = lane.pause_until.max(now + asked);
                    }
                    return None;
                }
                item.state = State::Failed;
            }
            Outcome::Failed(_) | Outcome::Silent(_) => match settings.retry_delays.get(usize::from(item.failures)) {
                Some(delay) => {
                    item.state = State::Retry;
                    item.failures += 1;
                    item.due_at = now + *delay;
                }
                None => item.state = State::Failed,
            },
            Outcome::Refused(_) => item.state = State::Failed,
            Outcome::Broken(failure) => {
                item.state = State::Failed;
                reason = Some(SuspensionReason::Destination(failure.reason));
            }
            Outcome::NotProcessed(_) | Outcome::Ours(_) | Outcome::Abandoned => {
                item.state = State::Throttled;
                return None;
            }
        }
        lane.failures_reported += 1;
        if reason != Some(SuspensionReason::Destination(ErrorReason::DestinationForbidden)) {
            lane.window.push((now, false));
        }
        if matches!(outcome, Outcome::Silent(_)) {
            lane.silences.push(now);
        }
        self.follows(index, reason, true, now)
    }

    /// The suspension that has to follow. `judged`: something failed, so the hour of an endpoint is judged.
    pub(super) fn follows(
        &mut self,
        index: usize,
        mut reason: Option<SuspensionReason>,
        judged: bool,
        now: Timestamp,
    ) -> Option<SuspensionReason> {
        let lane = &self.lanes[index];
        let runs = !lane.halted && lane.known.as_ref().is_some_and(|known| known.status.is_active());
        if reason.is_none() && judged {
            let from = self.is_bad_from(index, now);
            self.lanes[index].judge_at = from;
            if from.is_some_and(|from| from <= now) {
                reason = Some(SuspensionReason::SuccessRate);
            }
        }
        reason.filter(|_| runs)
    }

    /// The time from which the hour is a reason to suspend an endpoint, if it is bad enough.
    fn is_bad_from(&self, index: usize, now: Timestamp) -> Option<Timestamp> {
        let (lane, settings) = (&self.lanes[index], &self.settings);
        let (good, bad) = self.window(index, now);
        let below = good + bad >= settings.judged_from && good * 100 < (good + bad) * settings.success_percent;
        let newest = minute(now);
        let failures = lane.window.iter().filter(|(at, fine)| !fine && minute(*at) > newest - 60);
        let oldest = failures.map(|(at, _)| *at).min()?;
        (below && !lane.known.as_ref().is_some_and(is_topic))
            .then_some((oldest + settings.suspend_after).max(lane.suspends_from))
    }

    /// Judges hours that are due at `now`. An hour that is not bad yet is judged again later; a bad one suspends.
    pub fn judge_if_due(&mut self, now: Timestamp) {
        for index in 0..self.lanes.len() {
            if self.lanes[index].judge_at.is_some_and(|at| at <= now) {
                match self.is_bad_from(index, now) {
                    Some(from) if from <= now => {}
                    other => self.lanes[index].judge_at = other,
                }
            }
        }
    }

    /// Whether the hour's judgement was due `by` ago or earlier, and it is still bad enough.
    pub fn is_overdue(&self, index: usize, now: Timestamp, by: Duration) -> bool {
        let was_due = self.lanes[index].judge_at.is_some_and(|at| at + by <= now);
        was_due && self.is_bad_from(index, now).is_some_and(|from| from <= now)
    }
}

impl Lane {
    fn respects_retry_after(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.options.respect_retry_after)
    }
}
