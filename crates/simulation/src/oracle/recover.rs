//! State found by a restart in the store, compared with the books.

use std::collections::BTreeMap;

use domain::exception::ExceptionKind;
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{Position, SubscriptionId};
use store::{Exception, LedgerRecord};

use super::change::keeps_entities_in_order;
use super::{Ahead, Back, Item, Oracle, State};
use crate::plan::SECOND;
use crate::property::{Check, Property, hold};

/// The cursor doesn't move during an attempt: for at most this long, with some allowance for the response.
const CURSOR_LAGS: u64 = 6 * SECOND;

/// Maximum duration of a store failure while a retry is due.
const LOADED_LATE: std::time::Duration = std::time::Duration::from_secs(15 * 60);

impl Oracle {
    /// The store went back to an earlier moment, of which these are the books. What receivers have got stays.
    pub fn go_back(&mut self, to: Oracle) {
        let now = std::mem::replace(self, to);
        for (lane, now) in self.lanes.iter_mut().zip(&now.lanes) {
            for (position, item) in &mut lane.items {
                let Some(now) = now.items.get(position) else { continue };
                (item.taken, item.received) = (now.taken, now.received);
                item.forgotten |= now.forgotten;
            }
        }
        (self.crashes, self.duplicates) = (now.crashes, now.duplicates);
        (self.stepped, self.stepped_back) = (now.stepped, now.stepped_back);
    }

    /// The process is gone, with everything in flight; `ledger` is the store's state.
    pub fn crashed(&mut self, ledger: &LedgerRecord) -> Check {
        self.crashes += 1;
        self.stepped_back |= self.stepped;
        let records: BTreeMap<SubscriptionId, _> =
            ledger.lanes.iter().map(|record| (record.subscription, record)).collect();
        for index in 0..self.lanes.len() {
            let id = self.lanes[index].stored.id;
            let record = records.get(&id);
            let cursor = record.map_or(Some(self.lanes[index].stored.status_since), |record| record.cursor);
            let exceptions = record.map_or(&[][..], |record| &record.exceptions[..]);
            self.lane_crashed(index, cursor.unwrap_or(ledger.mark), exceptions)?;
        }
        self.replays_crashed();
        Ok(())
    }

    fn lane_crashed(&mut self, index: usize, cursor: Position, exceptions: &[Exception]) -> Check {
        let lane = &mut self.lanes[index];
        let saved_at = lane.saved_at;
        lane.replace();
        lane.halted = false;
        lane.last_sent = None;
        lane.recently_sent.clear();
        lane.pause_until = domain::Timestamp::EPOCH;
        let durable = lane.durable.clone();
        lane.window = durable.window;
        let were_ahead = std::mem::replace(&mut lane.ahead, durable.ahead.clone());
        // The hour may be judged again as soon as the lane is back.
        lane.judge_at = (!lane.window.is_empty()).then_some(domain::Timestamp::EPOCH);
        lane.unfed = durable.unfed.map(|unfed| super::Unfed { last: None, ..unfed });
        lane.back = durable.back.map(|back| Back { positions: None, until: domain::Timestamp::EPOCH, ..back });
        // Unsaved reports are lost with the process, and happen again.
        lane.failures_lost += lane.failures_reported - durable.failures;
        lane.failures_reported = durable.failures;
        let stored = lane.stored.clone();
        let elsewhere = durable.destination.as_ref().is_some_and(|to| *to != stored.destination.to_string());
        let keeps = matches!(stored.status, SubscriptionStatus::Suspended(_)) && stored.options.hold;
        let lives = stored.status.is_active() || keeps;
        let is_new = |known: &Subscription| known.lane_since < stored.lane_since || !super::change::lives(known);
        let resumed_afresh = lives && lane.known.as_ref().is_some_and(is_new);
        let exceptions: BTreeMap<u64, &Exception> = exceptions.iter().map(|one| (one.position.0, one)).collect();
        for (position, item) in &mut lane.items {
            item.in_flight = None;
            item.forgotten |= item.received;
            let late = std::mem::take(&mut item.late);
            let found = exceptions.get(position).copied();
            let beyond = *position >= cursor.0;
            if late {
                // Its response is lost; its drop may be counted again.
                item.state = State::Dropped;
                item.optional = true;
                continue;
            }
            if matches!(item.state, State::Dropped | State::Expired) {
                if item.state == State::Expired && (beyond || found.is_some()) {
                    // Its drop by age is not saved yet: it is dropped again, or sent if it still exists.
                    lane.may_count += u64::from(!item.optional);
                    item.optional = true;
                }
                continue;
            }
            if !lives || resumed_afresh && *position < stored.lane_since.0 {
                if item.state.is_settled() {
                    lane.may_count += u64::from(beyond || found.is_some());
                } else {
                    let sure = !resumed_afresh && *position < stored.status_since.0 && !item.optional;
                    item.state = State::Dropped;
                    item.optional |= !sure;
                    lane.may_count += u64::from(item.optional);
                }
                continue;
            }
            if item.optional {
                // If its failure was not saved, it is sent as if for the first time.
                item.due_at = found.map_or(domain::Timestamp::EPOCH, |found| item.due_at.min(found.due_at));
                continue;
            }
            hold(Property::NothingIsForgotten, item.state.is_settled() || beyond || found.is_some(), || {
                format!("subscription {index}: event {position} is {item:?}, but the cursor is {cursor}")
            })?;
            let ahead = durable.ahead.get(position).filter(|_| beyond);
            item.loose |= found.is_some();
            if let Some(ahead) = ahead {
                item.optional |= *ahead == Ahead::Perhaps;
                continue;
            }
            let again = beyond || found.is_some();
            let reported = matches!(item.state, State::Delivered | State::Failed | State::Retry);
            if again && item.state.is_settled() {
                // On a resume, the store forgets which events of a batch were accepted.
                let bounded = item.reported_at + CURSOR_LAGS >= saved_at
                    || were_ahead.contains_key(position) && durable.destination.is_none();
                hold(Property::DuplicatesAreBounded, bounded, || {
                    format!(
                        "subscription {index}: event {position} was settled at {}, saved at {saved_at}, and will be \
                         sent again (cursor {cursor}, {found:?})",
                        item.reported_at
                    )
                })?;
                item.repeated = true;
            }
            if item.state == State::Retry && item.reported_at < saved_at {
                // If its body could not be loaded when due, it is due again one second later.
                let due = |found: &Exception| found.due_at >= item.due_at && found.due_at <= item.due_at + LOADED_LATE;
                let kept = found.is_some_and(|found| found.failures == item.failures && due(found));
                let kept = kept || self.stepped_back && found.is_some();
                hold(Property::NothingIsForgotten, kept, || {
                    format!("subscription {index}: event {position} is {item:?}, but the ledger has {found:?}")
                })?;
            }
            if !again {
                continue;
            }
            match found {
                Some(found) => {
                    item.state = match found.kind {
                        ExceptionKind::Retry => State::Retry,
                        ExceptionKind::Throttled => State::Throttled,
                        ExceptionKind::Predecessor => State::Owed,
                    };
                    item.failures = found.failures;
                    item.due_at = if self.stepped_back { domain::Timestamp::EPOCH } else { found.due_at };
                    let afresh = elsewhere && found.kind == ExceptionKind::Throttled;
                    item.first_tried_at =
                        Some(found.first_tried_at).filter(|at| *at > domain::Timestamp::EPOCH && !afresh);
                }
                None => {
                    item.repeated |= reported;
                    item.state = State::Owed;
                    item.failures = 0;
                    item.first_tried_at = None;
                }
            }
        }
        // Uncounted drops are not reported after a crash if the ledger no longer shows them: a resume makes the store
        // forget the drops of the suspension before it, and a cursor passes expired events before those are counted.
        let sure = |item: &Item| matches!(item.state, State::Dropped | State::Expired) && !item.optional;
        if lane.drops_reported < lane.items.values().filter(|item| sure(item)).count() as u64 {
            for (position, item) in lane.items.iter_mut().filter(|(_, item)| sure(item)) {
                if item.state == State::Expired || *position < lane.forgotten_before {
                    item.optional = true;
                    lane.may_count += 1;
                }
            }
        }
        lane.stopped = !lives;
        lane.known = Some(stored.clone());
        if keeps_entities_in_order(&stored) {
            if lane.ordered_from == u64::MAX {
                lane.ordered_from = lane.items.last_key_value().map_or(0, |(last, _)| last + 1);
            }
        } else {
            lane.ordered_from = u64::MAX;
        }
        Ok(())
    }
}
