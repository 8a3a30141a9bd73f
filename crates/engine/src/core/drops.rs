//! Dropped backlogs: events dropped by a suspension, a revocation or the retention are counted from the log and
//! reported to the owner in one entry. Until that is saved, the ledger keeps the lane's old cursor, so that a crash
//! only repeats the count.

use std::sync::Arc;

use domain::fate::DropReason;
use domain::log_entry::LogEntry;
use domain::outcome::{ErrorReason, Failure};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{Position, Timestamp};
use store::{Chunk, ReadLimit, StoreError};

use super::ids::ReadId;
use super::output::Read;
use super::route::is_for;
use super::{AGAIN, Core, Output, unreadable};

/// Counts in progress.
#[derive(Debug, Default)]
pub(super) struct Drops {
    counts: Vec<Count>,
    next_number: u64,
}

#[derive(Debug)]
struct Count {
    number: u64,
    subscription: Arc<Subscription>,
    dropped: u64,
    /// Number of events in the range that were not dropped, because they are settled or were counted before.
    not_dropped: u64,
    next: Position,
    until: Position,
    reading: bool,
    again_at: Option<Timestamp>,
    why: Why,
}

/// Start values of a count, before the log is read.
struct Counted {
    dropped: u64,
    not_dropped: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Why {
    Stopped,
    Expired,
    /// The log was nearly full.
    GaveWay,
}

impl Drops {
    pub(super) fn again_at(&self) -> Option<Timestamp> {
        self.counts.iter().filter(|count| !count.reading).filter_map(|count| count.again_at).min()
    }

    /// The first events still to be counted, by PIM.
    pub(super) fn floors(&self) -> impl Iterator<Item = (domain::PimId, Position)> + '_ {
        self.counts.iter().map(|count| (count.subscription.pim, count.next))
    }
}

/// Maximum number of events per read.
const AT_ONCE: usize = 1024;

/// Maximum bytes per read.
const BYTES_AT_ONCE: usize = 1024 * 1024;

impl Core {
    /// Starts to count the events dropped by a stop: those in hand, and the matching ones from the lane's next read up
    /// to the position of the stop.
    pub(super) fn drop_backlog(&mut self, slot: usize, stopped_before: bool) {
        let routed = self.routed;
        let Some(entry) = self.entries.get(slot).and_then(Option::as_ref) else { return };
        let (lane, until) = (&entry.lane, entry.subscription.status_since);
        let (counted, from) = if stopped_before {
            // Its dropped events are counted or being counted, but it has a cursor in the ledger again. The start of an
            // intermediate resume is unknown.
            (Counted { dropped: 0, not_dropped: 0 }, until)
        } else {
            let counted = Counted { dropped: lane.undelivered(), not_dropped: lane.passed_over(until) };
            (counted, lane.reach().unwrap_or(routed).max(entry.from))
        };
        self.begin(entry.subscription.clone(), counted, (from, until), Why::Stopped);
    }

    fn begin(
        &mut self,
        subscription: Arc<Subscription>,
        Counted { dropped, not_dropped }: Counted,
        (next, until): (Position, Position),
        why: Why,
    ) {
        self.drops.next_number += 1;
        let number = self.drops.next_number;
        self.drops.counts.push(Count {
            number,
            subscription,
            dropped,
            not_dropped,
            next,
            until,
            reading: false,
            again_at: None,
            why,
        });
    }

    /// Reads further for counts, and reports complete ones.
    pub(super) fn read_for_drops(&mut self) {
        let mut complete = Vec::new();
        for count in &mut self.drops.counts {
            if count.next >= count.until {
                complete.push(count.number);
            } else if !count.reading && count.again_at.is_none_or(|at| at <= self.now) {
                count.reading = true;
                count.again_at = None;
                let limit = ReadLimit { events: AT_ONCE, bytes: BYTES_AT_ONCE, until: count.until };
                let id = ReadId::of_a_drop(count.number);
                let read = Read { id, pim: count.subscription.pim, from: count.next, limit };
                self.outputs.push_back(Output::Read(read));
            }
        }
        for number in complete {
            let Some(index) = self.drops.counts.iter().position(|count| count.number == number) else { continue };
            let count = self.drops.counts.swap_remove(index);
            self.dropped(count);
        }
    }

    pub(super) fn count_dropped(&mut self, number: u64, chunk: Result<Chunk, StoreError>) {
        let now = self.now;
        let Some(count) = self.drops.counts.iter_mut().find(|count| count.number == number) else { return };
        count.reading = false;
        match chunk {
            Err(error) => {
                unreadable(&error);
                count.again_at = Some(now + AGAIN);
            }
            Ok(chunk) => {
                let matching = |event: &&Arc<domain::LoggedEvent>| is_for(&count.subscription, event);
                count.dropped += chunk.events.iter().filter(matching).count() as u64;
                count.next = chunk.next;
            }
        }
    }

    fn dropped(&mut self, mut count: Count) {
        count.dropped = count.dropped.saturating_sub(count.not_dropped);
        let Some(slot) = self.by_subscription.get(&count.subscription.id).copied() else { return };
        match count.why {
            Why::Stopped => self.totals.dropped_by_stop += count.dropped,
            Why::Expired => self.totals.expired += count.dropped,
            Why::GaveWay => self.totals.gave_way += count.dropped,
        }
        if count.dropped > 0 {
            self.saver.entries.push((count.subscription.id, count.entry(self.clock.wall)));
        }
        if let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut)
            && count.why == Why::Stopped
            // Otherwise it was resumed meanwhile, and the store dropped the old backlog.
            && entry.subscription.generation == count.subscription.generation
        {
            entry.drop_exceptions = true;
            entry.record_dropped();
            entry.lane.handle(self.now, delivery::Input::Dropped);
        }
        self.mark_unsaved(slot);
        self.saver.urgent = true;
    }

    /// Events before `before` leave the log: lanes drop those they have not delivered.
    pub(super) fn expire(&mut self, before: Position) {
        for slot in 0..self.entries.len() {
            if self.entries.get(slot).and_then(Option::as_ref).is_some_and(|entry| entry.needs(before)) {
                self.drop_before(slot, before, Why::Expired);
            }
        }
    }

    /// Drops a lane's undelivered events before `before`, and starts to count them.
    pub(super) fn drop_before(&mut self, slot: usize, before: Position, why: Why) {
        let reason = match why {
            Why::Expired => DropReason::Expired,
            Why::GaveWay | Why::Stopped => DropReason::GaveWay,
        };
        self.record_drop(slot, before, reason);
        let routed = self.routed;
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        let subscription = entry.subscription.clone();
        let cursor = entry.lane.reach();
        let not_dropped = entry.lane.passed_over(before);
        // The lane may send others in their place at once, which are not lost.
        let held = entry.lane.undelivered() + entry.lane.in_flight() as u64;
        entry.lane.handle(self.now, delivery::Input::Expired(before));
        let gone = held.saturating_sub(entry.lane.undelivered() + entry.lane.in_flight() as u64);
        // A live lane skips the events before it that are yet to be routed.
        let from = cursor.unwrap_or(routed).min(before).max(entry.from);
        self.pump(slot);
        self.begin(subscription, Counted { dropped: gone, not_dropped }, (from, before), why);
    }
}

impl Count {
    fn entry(&self, now: Timestamp) -> LogEntry {
        let (reason, why) = match (self.why, self.subscription.status) {
            (Why::Expired, _) => (ErrorReason::DestinationFailure, "they exceeded the platform's retention".to_owned()),
            (Why::GaveWay, _) => {
                let why = "the platform's log was nearly full, and events held for suspended subscriptions are dropped \
                           first";
                (ErrorReason::SubscriptionSuspended, why.to_owned())
            }
            (Why::Stopped, SubscriptionStatus::Suspended(why)) => {
                (ErrorReason::SubscriptionSuspended, format!("the subscription was suspended ({why})"))
            }
            (Why::Stopped, SubscriptionStatus::Revoked) => {
                (ErrorReason::SubscriptionRevoked, "the subscription was revoked".to_owned())
            }
            // It was resumed before its backlog was counted.
            (Why::Stopped, SubscriptionStatus::Active | SubscriptionStatus::Deleted) => {
                (ErrorReason::SubscriptionSuspended, "the subscription was suspended".to_owned())
            }
        };
        let events = if self.dropped == 1 { "1 event was".to_owned() } else { format!("{} events were", self.dropped) };
        let message = format!("{events} dropped from the backlog without being delivered: {why}.");
        let failure = Failure::without_status(reason, message);
        LogEntry::failed_delivery(&self.subscription, failure, now)
    }
}
