//! Checks of batches to topics, and the consequences of their outcomes.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::Timestamp;
use domain::outcome::{ErrorReason, Failure, Lack, Outcome, SuspensionReason};

use super::send::{Attempt, Sending};
use super::{Ahead, Back, Item, Oracle, State, Unfed};
use crate::property::{Check, Property, hold};

/// The failure of an event without an outcome; equal ones are reported once.
pub(super) fn no_outcome() -> Failure {
    Failure { reason: ErrorReason::DestinationFailure, code: 500, message: "no outcome".to_owned(), answer: None }
}

impl Oracle {
    /// A batch is sent.
    pub(super) fn may_be_a_batch(&self, index: usize, name: &str, sending: &Sending<'_>) -> Check {
        let (lane, settings) = (&self.lanes[index], &self.settings);
        hold(Property::RateStaysWithin, sending.rate.is_none(), || format!("{name}: a topic has no rate"))?;
        let bytes: usize = sending.events.iter().map(|event| event.event.size()).sum();
        let bounded = sending.events.len() <= settings.batch_events
            && (bytes <= settings.batch_bytes || sending.events.len() == 1);
        hold(Property::OneBatchAtATime, bounded, || {
            format!("{name}: {} events of {bytes} bytes in one batch", sending.events.len())
        })?;
        hold(Property::OneBatchAtATime, lane.under_way == 0 && !self.replays_are_under_way(index), || {
            format!("{name} was sent with {} attempts under way", lane.under_way)
        })?;
        let positions = || sending.events.iter().map(|event| event.position.0);
        let in_order: Vec<u64> = positions().filter(|position| !lane.items[position].loose).collect();
        hold(Property::TopicsStayInOrder, in_order.is_sorted(), || format!("{name} is not in order"))?;
        let batch: BTreeSet<u64> = in_order.iter().copied().collect();
        let open = |item: &Item| !item.state.is_settled() && !item.loose && !item.optional && !item.late;
        let last = in_order.last().copied().unwrap_or(0);
        let overtaken = lane.items.range(..last).find(|(position, item)| open(item) && !batch.contains(position));
        hold(Property::TopicsStayInOrder, overtaken.is_none(), || format!("{name} overtakes {overtaken:?}"))?;
        let Some(back) = &lane.back else { return Ok(()) };
        hold(Property::PausesAreKept, back.until <= sending.time.0, || {
            format!("{name} was sent at {}, not before {}", sending.time.0, back.until)
        })?;
        let again = back.positions.iter().flatten().filter(|position| open(&lane.items[position]));
        let again: BTreeSet<u64> = again.copied().collect();
        // After a restart it may be sent again in parts, and events that waited for an endpoint may use its room.
        let whole = again.is_subset(&batch) || batch.len() < sending.events.len();
        let as_it_was = whole && batch.last().is_none_or(|last| *last < back.before);
        hold(Property::TopicsStayInOrder, again.is_empty() || as_it_was, || {
            format!("{name} was sent in the place of what failed: {again:?}")
        })
    }

    /// A receiver accepted some events: those of one entity in their order, at their first acceptance.
    pub fn taken(&mut self, index: usize, made: &Attempt, receiver: usize, taken: &[bool]) -> Check {
        // After a crash, requests of the previous process may arrive.
        let checked = made.batch && self.crashes == 0;
        let lane = &mut self.lanes[index];
        for (position, _) in made.positions.iter().zip(taken).filter(|(_, taken)| **taken) {
            let Some(item) = lane.items.get_mut(position) else { continue };
            item.taken += 1;
            if item.taken > 1 {
                self.duplicates += 1;
            } else if checked && !item.loose {
                let key = (receiver, made.lane_number, item.entity);
                let before = lane.last_taken.insert(key, *position);
                hold(Property::TopicsStayInOrder, before.is_none_or(|before| before < *position), || {
                    format!("subscription {index}: r{receiver} took event {position} behind {before:?}")
                })?;
            }
        }
        Ok(())
    }

    pub(super) fn batch_ended(
        &mut self,
        index: usize,
        ended: &[(u64, &Outcome)],
        now: Timestamp,
    ) -> Option<SuspensionReason> {
        let mut broken = None;
        let (mut delivered, mut failed) = (false, false);
        for (position, outcome) in ended {
            let lane = &mut self.lanes[index];
            let item = lane.items.get_mut(position)?;
            match outcome {
                Outcome::Delivered => {
                    delivered = true;
                    item.state = State::Delivered;
                    lane.window.push((now, true));
                    continue;
                }
                Outcome::Refused(_) => {
                    item.state = State::Failed;
                    lane.failures_reported += 1;
                    lane.window.push((now, false));
                    continue;
                }
                // A quota counts as a rejection.
                Outcome::Failed(_) | Outcome::Silent(_) | Outcome::Throttled { .. } => failed = true,
                Outcome::Broken(failure) => {
                    broken.get_or_insert(failure.reason);
                }
                Outcome::NotProcessed(_) | Outcome::Ours(_) | Outcome::Abandoned => {}
            }
            // Events that waited for a retry now wait for their turn; the others are in their place again.
            if item.state == State::Retry {
                item.state = State::Throttled;
            }
        }
        if delivered {
            self.lanes[index].unfed = None;
        }
        let lost_patience = failed && self.took_nothing(index, now);
        if let Some(reason) = broken {
            let lane = &mut self.lanes[index];
            lane.failures_reported += 1;
            if reason != ErrorReason::DestinationForbidden {
                lane.window.push((now, false));
            }
        }
        let positions: Vec<u64> = ended.iter().map(|(position, _)| *position).collect();
        self.give_up_expired(index, &positions);
        self.look_ahead(index, &positions);
        self.back_off(index, &positions, delivered, failed || broken.is_some(), now);
        if let Some(back) = &mut self.lanes[index].back {
            back.silent = ended.iter().any(|(_, outcome)| **outcome == Outcome::Ours(Lack::Silence));
        }
        let reason = lost_patience.then_some(SuspensionReason::TookNothing);
        self.follows(index, reason.or(broken.map(SuspensionReason::Destination)), false, now)
    }

    /// A destination responded: silent batches are retried at once.
    pub(super) fn host_answered(&mut self) {
        for back in self.lanes.iter_mut().filter_map(|lane| lane.back.as_mut()).filter(|back| back.silent) {
            back.until = Timestamp::EPOCH;
        }
    }

    /// A topic failed: its owner is notified at first, after ten minutes, and hourly. Whether patience has run out.
    fn took_nothing(&mut self, index: usize, now: Timestamp) -> bool {
        let (lane, settings) = (&mut self.lanes[index], &self.settings);
        let Some(unfed) = &mut lane.unfed else {
            lane.failures_reported += 1;
            lane.window.push((now, false));
            lane.unfed =
                Some(Unfed { tried_for: Duration::ZERO, reported_at: Duration::ZERO, unreported: 0, last: Some(now) });
            return false;
        };
        // Time without anything to try does not count towards the patience.
        let since = unfed.last.map_or(Duration::ZERO, |last| now.since(last)).min(3 * settings.longest_backoff);
        unfed.tried_for += since;
        unfed.last = Some(now);
        unfed.unreported += 1;
        let minutes = |duration: Duration| duration.as_secs() / 60;
        let next = if minutes(unfed.reported_at) < 10 { 10 } else { (minutes(unfed.reported_at) / 60 + 1) * 60 };
        let lost = unfed.tried_for >= settings.topic_patience;
        if minutes(unfed.tried_for) >= next {
            unfed.reported_at = unfed.tried_for;
            lane.failures_reported += std::mem::take(&mut unfed.unreported);
        } else if lost {
            lane.failures_reported += std::mem::take(&mut unfed.unreported);
        }
        lost
    }

    fn back_off(&mut self, index: usize, ended: &[u64], delivered: bool, failed: bool, now: Timestamp) {
        let lane = &mut self.lanes[index];
        let before = lane.back.take();
        let items = ended.iter().map(|position| (*position, &lane.items[position]));
        let back: Vec<(u64, &Item)> = items.filter(|(_, item)| !item.state.is_settled()).collect();
        let failures = before.as_ref().filter(|_| !delivered).map_or(0, |before| before.failures);
        if back.is_empty() {
            // After a restart, failed events may be sent again in parts.
            let open = |(_, item): (&u64, &Item)| !item.state.is_settled() && !item.loose;
            let goes_on = |before: &Back| failures > 0 || lane.items.range(..before.before).any(open);
            lane.back = before.filter(goes_on).map(|back| Back { failures, until: Timestamp::EPOCH, ..back });
            return;
        }
        let failures = failures + u32::from(failed);
        let doubled = self.settings.first_backoff.saturating_mul(1 << failures.saturating_sub(1).min(16));
        // One fifth of jitter.
        let pause = doubled.min(self.settings.longest_backoff).mul_f64(0.8).saturating_sub(Duration::from_micros(1));
        // Outcomes that say nothing about the topic have their own pauses, starting at one second.
        let pause = if failed { pause } else { Duration::from_secs(1) };
        let in_order = || back.iter().filter(|(_, item)| !item.loose);
        // Events for which the batch had no room this time.
        let left = before.as_ref().and_then(|before| before.positions.clone()).unwrap_or_default();
        let left = left.into_iter().filter(|position| !lane.items[position].state.is_settled());
        let before = before.map(|before| before.before);
        let behind = in_order().map(|(position, _)| position + 1).max();
        lane.back = Some(Back {
            positions: Some(in_order().map(|(position, _)| *position).chain(left).collect()),
            before: behind.max(before).unwrap_or(0),
            failures,
            until: now + pause,
            silent: false,
        });
    }

    /// Events that became too old in flight are over now, unless they wait.
    pub(super) fn give_up_expired(&mut self, index: usize, ended: &[u64]) {
        let lane = &mut self.lanes[index];
        for position in ended.iter().filter(|position| **position < lane.expired_before) {
            match lane.items.get_mut(position) {
                // A crash lost its expiry: it was sent again, and is given up again.
                Some(item) if item.state == State::Expired => lane.failures_lost += 1,
                Some(item) if item.state.is_settled() => {}
                Some(item) if item.loose => lane.failures_lost += 1,
                Some(item) => {
                    item.state = State::Failed;
                    lane.failures_reported += 1;
                }
                None => {}
            }
        }
    }

    /// Records the settled events of an attempt that have an unsettled one before them.
    pub(super) fn look_ahead(&mut self, index: usize, ended: &[u64]) {
        let lane = &mut self.lanes[index];
        let mut behind = None;
        for position in ended {
            let Some(item) = lane.items.get(position) else { continue };
            match behind {
                _ if !item.state.is_settled() && item.loose => behind = behind.or(Some(Ahead::Perhaps)),
                _ if !item.state.is_settled() => behind = Some(Ahead::Yes),
                Some(ahead) => {
                    lane.ahead.insert(*position, if item.loose { Ahead::Perhaps } else { ahead });
                }
                None => {
                    lane.ahead.remove(position);
                }
            }
        }
    }
}
