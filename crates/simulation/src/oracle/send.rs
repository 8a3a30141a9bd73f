//! What is checked of every attempt that the engine makes.

use std::time::Duration;

use domain::subscription::Subscription;
use domain::{LoggedEvent, Timestamp};

use super::{Oracle, State};
use crate::property::{Check, Property, hold};

/// An attempt that begins.
#[derive(Debug)]
pub struct Sending<'a> {
    /// Its number.
    pub attempt: u64,
    /// The wall clock.
    pub now: Timestamp,
    /// The subscription that it is made for, as the engine has it.
    pub subscription: &'a Subscription,
    /// The event.
    pub event: &'a LoggedEvent,
    /// The rate that the lane claims.
    pub rate: f64,
    /// The catalogue cannot be read: the engine cannot know of changes.
    pub excused: bool,
}

/// A timer may be late by this much without the lane getting slower: what was missed is made up for.
const SLACK: Duration = Duration::from_millis(3);

impl Oracle {
    /// The engine sends an event.
    pub fn sent(&mut self, sending: &Sending<'_>) -> Check<usize> {
        let (now, position) = (sending.now, sending.event.position.0);
        let Some(index) = self.find(sending.subscription.id) else {
            return Err(crate::Violation {
                property: Property::OnlyWhatMatches,
                detail: format!("event {position} was sent for a subscription that does not exist"),
            });
        };
        let name = format!("event {position} for subscription {index}");
        let lane = &self.lanes[index];
        hold(Property::PimsAreApart, lane.stored.pim == sending.event.pim, || {
            format!("{name}: the event is of PIM {}, the subscription of {}", sending.event.pim, lane.stored.pim)
        })?;
        let sends = !lane.halted && (lane.stored.status.is_active() || sending.excused);
        hold(Property::SuspensionStops, sends, || {
            format!("{name} was sent; status {:?}, halted {}", lane.stored.status, lane.halted)
        })?;
        let current = lane.stored.destination == sending.subscription.destination || sending.excused;
        hold(Property::DestinationIsCurrent, current, || {
            format!("{name} went to {}, not {}", sending.subscription.destination, lane.stored.destination)
        })?;
        let Some(item) = lane.items.get(&position) else {
            return Err(crate::Violation {
                property: Property::OnlyWhatMatches,
                detail: format!("{name}: it was never owed to it ({:?})", sending.event),
            });
        };
        self.may_be_sent(index, position, &name, sending)?;
        let late = item.state == State::Dropped || item.late;
        self.is_paced(index, &name, sending)?;
        let lane = &mut self.lanes[index];
        lane.in_flight += 1;
        hold(Property::MemoryIsBounded, lane.in_flight <= self.settings.max_in_flight, || {
            format!("{name}: {} attempts under way, at most {}", lane.in_flight, self.settings.max_in_flight)
        })?;
        if let Some(item) = lane.items.get_mut(&position) {
            item.in_flight = Some(sending.attempt);
            item.first_tried_at.get_or_insert(now);
            item.late |= late;
        }
        Ok(index)
    }

    fn may_be_sent(&self, index: usize, position: u64, name: &str, sending: &Sending<'_>) -> Check {
        let lane = &self.lanes[index];
        let item = &lane.items[&position];
        hold(Property::DuplicatesAreExplained, item.in_flight.is_none(), || {
            format!("{name} was sent while an attempt was under way")
        })?;
        match item.state {
            State::Owed | State::Throttled => {}
            State::Retry => hold(Property::RetriesAreNeverEarly, item.due_at <= sending.now, || {
                format!("{name}: retry {} was due at {}, sent at {}", item.failures, item.due_at, sending.now)
            })?,
            _ if item.optional => {}
            State::Dropped if sending.excused => {}
            settled => hold(Property::DuplicatesAreExplained, false, || format!("{name} was sent after {settled:?}"))?,
        }
        if item.entity == 0 || lane.ordered_from > position {
            return Ok(());
        }
        let before = lane.items.range(lane.ordered_from..position).find(|(_, other)| {
            let open = !other.state.is_settled() && !other.repeated && !other.optional && !other.late;
            open && other.entity == item.entity
        });
        hold(Property::EntitiesStayInOrder, before.is_none() || item.repeated || item.optional, || {
            format!("{name} was sent before {before:?} of the same entity")
        })
    }

    fn is_paced(&mut self, index: usize, name: &str, sending: &Sending<'_>) -> Check {
        let settings = &self.settings;
        let within = sending.rate >= settings.lowest_rate && sending.rate <= settings.highest_rate;
        hold(Property::RateStaysWithin, within, || format!("{name}: rate {}", sending.rate))?;
        let lane = &mut self.lanes[index];
        hold(Property::RetryAfterIsRespected, lane.pause_until <= sending.now, || {
            format!("{name} was sent at {}; Retry-After asked to wait until {}", sending.now, lane.pause_until)
        })?;
        if let Some((last, rate)) = lane.last_sent {
            let gap = sending.now.since(last);
            let least = Duration::from_secs_f64(1.0 / rate).saturating_sub(SLACK);
            hold(Property::RateIsSpread, gap >= least, || {
                format!("{name}: {gap:?} after the one before, at a rate of {rate}")
            })?;
        }
        lane.last_sent = Some((sending.now, sending.rate));
        let second = sending.now - Duration::from_secs(1);
        while lane.recently_sent.front().is_some_and(|at| *at <= second) {
            lane.recently_sent.pop_front();
        }
        lane.recently_sent.push_back(sending.now);
        let most = settings.highest_rate as usize + 1;
        hold(Property::RateStaysWithin, lane.recently_sent.len() <= most, || {
            format!("{name}: {} events within a second", lane.recently_sent.len())
        })
    }
}
