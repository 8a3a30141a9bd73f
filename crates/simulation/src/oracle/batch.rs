//! What is checked of batches to topics, and what follows from how they end.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::Timestamp;
use domain::outcome::{ErrorReason, Failure, Outcome, SuspensionReason};

use super::send::{Attempt, Sending};
use super::{Ahead, Back, Item, Oracle, State, minute};
use crate::property::{Check, Property, hold};

/// What an event failed with that was given no outcome; equal ones are told once.
pub(super) fn no_outcome() -> Failure {
    Failure { reason: ErrorReason::DestinationFailure, code: 500, message: "no outcome".to_owned(), answer: None }
}

/// Whether an event that was not taken is given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Overdue {
    No,
    Yes,
    /// Only a clock that was set knows.
    Unknown,
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
        hold(Property::OneBatchAtATime, lane.under_way == 0, || {
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
        // After a restart it may go again in parts; and others may take its room that waited for an endpoint.
        let whole = again.is_subset(&batch) || batch.len() < sending.events.len();
        let as_it_was = whole && batch.last().is_none_or(|last| *last < back.before);
        hold(Property::TopicsStayInOrder, again.is_empty() || as_it_was, || {
            format!("{name} was sent in the place of what failed: {again:?}")
        })
    }

    /// A receiver took some events: those of one thing in their order, the first time that it takes them.
    pub fn taken(&mut self, index: usize, made: &Attempt, receiver: usize, taken: &[bool]) -> Check {
        // After a crash requests arrive that nobody remembers.
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

    fn is_overdue(&self, item: &Item, (now, true_now): (Timestamp, u64)) -> Overdue {
        let limit = self.settings.undelivered_at_most;
        let tried_for = now.since(item.first_tried_at.unwrap_or(now));
        let at_most = Duration::from_micros(true_now.saturating_sub(item.first_tried) + self.jumped);
        match self.stepped_back {
            false if tried_for > limit => Overdue::Yes,
            true if at_most > limit => Overdue::Unknown,
            _ => Overdue::No,
        }
    }

    pub(super) fn batch_ended(
        &mut self,
        index: usize,
        ended: &[(u64, &Outcome)],
        time: (Timestamp, u64),
    ) -> Option<SuspensionReason> {
        let (now, _) = time;
        let mut failures: Vec<&Failure> = Vec::new();
        let mut broken = None;
        let (mut delivered, mut counted, mut unknown) = (false, false, false);
        for (position, outcome) in ended {
            let overdue = match (outcome, self.lanes[index].items.get(position)) {
                (Outcome::Failed(_) | Outcome::Throttled { .. }, Some(item)) => self.is_overdue(item, time),
                _ => Overdue::No,
            };
            let lane = &mut self.lanes[index];
            let item = lane.items.get_mut(position)?;
            match outcome {
                Outcome::Delivered => {
                    delivered = true;
                    item.state = State::Delivered;
                    lane.window.push((minute(now), true));
                    continue;
                }
                Outcome::Refused(_) | Outcome::Failed(_) | Outcome::Throttled { .. }
                    if overdue == Overdue::Yes || matches!(outcome, Outcome::Refused(_)) =>
                {
                    counted = true;
                    item.state = State::Failed;
                    lane.failures_told += 1;
                    lane.window.push((minute(now), false));
                    continue;
                }
                Outcome::Failed(failure) | Outcome::Silent(failure) => {
                    if !failures.contains(&failure) {
                        failures.push(failure);
                    }
                }
                Outcome::Broken(failure) => {
                    broken.get_or_insert(failure.reason);
                }
                Outcome::Refused(_)
                | Outcome::Throttled { .. }
                | Outcome::NotProcessed(_)
                | Outcome::Ours(_)
                | Outcome::Abandoned => {}
            }
            if overdue == Overdue::Unknown {
                unknown = true;
                (item.optional, item.loose) = (true, true);
                lane.failures_lost += 1;
            }
            // What waited for a retry waits for its turn from now on; the others are in their place again.
            if item.state == State::Retry {
                item.state = State::Throttled;
            }
        }
        let lane = &mut self.lanes[index];
        let told = failures.len() as u64 + u64::from(broken.is_some());
        *if unknown { &mut lane.failures_lost } else { &mut lane.failures_told } += told;
        let forbidden = broken == Some(ErrorReason::DestinationForbidden);
        for _ in 0..failures.len() + usize::from(broken.is_some() && !forbidden) {
            lane.window.push((minute(now), false));
        }
        counted |= !failures.is_empty();
        let positions: Vec<u64> = ended.iter().map(|(position, _)| *position).collect();
        self.give_up_what_is_too_old(index, &positions);
        self.look_ahead(index, &positions);
        self.back_off(index, &positions, delivered, now);
        if let Some(back) = self.lanes[index].back.as_mut().filter(|_| unknown) {
            (back.positions, back.until, back.failures) = (None, Timestamp::EPOCH, 0);
        }
        self.follows(index, broken.map(SuspensionReason::Destination), counted, now)
    }

    fn back_off(&mut self, index: usize, ended: &[u64], delivered: bool, now: Timestamp) {
        let lane = &mut self.lanes[index];
        let before = lane.back.take();
        let items = ended.iter().map(|position| (*position, &lane.items[position]));
        let back: Vec<(u64, &Item)> = items.filter(|(_, item)| !item.state.is_settled()).collect();
        let failures = before.as_ref().filter(|_| !delivered).map_or(0, |before| before.failures);
        if back.is_empty() {
            // After a restart what failed may go again in parts.
            let open = |(_, item): (&u64, &Item)| !item.state.is_settled() && !item.loose;
            let goes_on = |before: &Back| failures > 0 || lane.items.range(..before.before).any(open);
            lane.back = before.filter(goes_on).map(|back| Back { failures, until: Timestamp::EPOCH, ..back });
            return;
        }
        let failures = failures + 1;
        let doubled = self.settings.first_backoff.saturating_mul(1 << (failures - 1).min(16));
        // A fifth of jitter.
        let pause = doubled.min(self.settings.longest_backoff).mul_f64(0.8).saturating_sub(Duration::from_micros(1));
        let in_order = || back.iter().filter(|(_, item)| !item.loose);
        // Those for which the batch had no room this time.
        let left = before.as_ref().and_then(|before| before.positions.clone()).unwrap_or_default();
        let left = left.into_iter().filter(|position| !lane.items[position].state.is_settled());
        let before = before.map(|before| (before.before, before.since));
        let behind = in_order().map(|(position, _)| position + 1).max();
        let since = in_order().filter_map(|(_, item)| item.first_tried_at).min();
        lane.back = Some(Back {
            positions: Some(in_order().map(|(position, _)| *position).chain(left).collect()),
            before: behind.max(before.map(|(before, _)| before)).unwrap_or(0),
            since: since.or(before.map(|(_, since)| since)).unwrap_or(now),
            failures,
            until: now + pause,
        });
    }

    /// What became too old while it was under way is over now, unless it waits.
    pub(super) fn give_up_what_is_too_old(&mut self, index: usize, ended: &[u64]) {
        let lane = &mut self.lanes[index];
        for position in ended.iter().filter(|position| **position < lane.expired_before) {
            match lane.items.get_mut(position) {
                Some(item) if item.state.is_settled() => {}
                Some(item) if item.loose => lane.failures_lost += 1,
                Some(item) => {
                    item.state = State::Failed;
                    lane.failures_told += 1;
                }
                None => {}
            }
        }
    }

    /// Which of the settled events of an attempt have one before them that is not.
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
