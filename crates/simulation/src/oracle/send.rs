//! Checks of every attempt made by the engine.

use std::sync::Arc;
use std::time::Duration;

use domain::subscription::Subscription;
use domain::{LoggedEvent, Timestamp};

use super::{Oracle, State, is_topic};
use crate::property::{Check, Property, hold};

/// An attempt that begins.
#[derive(Debug)]
pub struct Sending<'a> {
    /// Its number.
    pub attempt: u64,
    /// The wall clock, and true time.
    pub time: (Timestamp, u64),
    /// Its subscription, in the engine's version.
    pub subscription: &'a Subscription,
    /// The events.
    pub events: &'a [Arc<LoggedEvent>],
    /// The rate reported by the lane.
    pub rate: Option<f64>,
    /// The catalogue is unreadable: the engine cannot know of changes.
    pub excused: bool,
}

/// Record of a started attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its lane.
    pub lane_number: u32,
    /// Its events.
    pub positions: Vec<u64>,
    /// Its destination.
    pub destination: String,
    /// Whether the destination is a topic.
    pub batch: bool,
}

/// Allowed lateness of a timer: the lane catches up without getting slower.
const SLACK: Duration = Duration::from_millis(3);

impl Oracle {
    /// The engine sends events.
    pub fn sent(&mut self, sending: &Sending<'_>) -> Check<(usize, Attempt)> {
        let positions: Vec<u64> = sending.events.iter().map(|event| event.position.0).collect();
        let Some(index) = self.find(sending.subscription.id) else {
            return Err(crate::Violation {
                property: Property::OnlyWhatMatches,
                detail: format!("events {positions:?} were sent for a subscription that does not exist"),
            });
        };
        let name = match positions[..] {
            [position] => format!("event {position} for subscription {index}"),
            _ => format!("the batch {positions:?} for subscription {index}"),
        };
        let lane = &self.lanes[index];
        let sends = !lane.halted && (lane.stored.status.is_active() || sending.excused);
        hold(Property::SuspensionStops, sends || lane.stored.pim != sending.events[0].pim, || {
            format!("{name} was sent; status {:?}, halted {}", lane.stored.status, lane.halted)
        })?;
        for event in sending.events {
            hold(Property::PimsAreApart, lane.stored.pim == event.pim, || {
                format!("{name}: the event is of PIM {}, the subscription of {}", event.pim, lane.stored.pim)
            })?;
            hold(Property::OnlyWhatMatches, lane.items.contains_key(&event.position.0), || {
                format!("{name}: it was never owed to it ({event:?})")
            })?;
        }
        let current = lane.stored.destination == sending.subscription.destination || sending.excused;
        hold(Property::DestinationIsCurrent, current, || {
            format!("{name} went to {}, not {}", sending.subscription.destination, lane.stored.destination)
        })?;
        for position in &positions {
            self.may_be_sent(index, *position, &name, sending)?;
        }
        let batch = is_topic(sending.subscription);
        if batch {
            self.may_be_a_batch(index, &name, sending)?;
        } else {
            self.is_paced(index, &name, sending)?;
        }
        let lane = &mut self.lanes[index];
        lane.under_way += 1;
        lane.replayed_last = None;
        lane.in_flight += positions.len();
        hold(Property::MemoryIsBounded, batch || lane.under_way <= self.settings.max_in_flight, || {
            format!("{name}: {} attempts under way, at most {}", lane.under_way, self.settings.max_in_flight)
        })?;
        for position in &positions {
            if let Some(item) = lane.items.get_mut(position) {
                item.in_flight = Some(sending.attempt);
                if item.first_tried_at.is_none() {
                    item.first_tried_at = Some(sending.time.0);
                    item.first_tried = sending.time.1;
                }
                item.late |= item.state == State::Dropped;
            }
        }
        let destination = sending.subscription.destination.to_string();
        Ok((index, Attempt { lane_number: lane.number, positions, destination, batch }))
    }

    fn may_be_sent(&self, index: usize, position: u64, name: &str, sending: &Sending<'_>) -> Check {
        let lane = &self.lanes[index];
        let item = &lane.items[&position];
        hold(Property::DuplicatesAreExplained, item.in_flight.is_none(), || {
            format!("{name} was sent while an attempt was under way")
        })?;
        match item.state {
            State::Owed | State::Throttled => {}
            State::Retry => hold(Property::RetriesAreNeverEarly, item.due_at <= sending.time.0, || {
                format!("{name}: retry {} was due at {}, sent at {}", item.failures, item.due_at, sending.time.0)
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

    pub(super) fn is_paced(&mut self, index: usize, name: &str, sending: &Sending<'_>) -> Check {
        let settings = &self.settings;
        hold(Property::RateStaysWithin, sending.events.len() == 1, || format!("{name}: more than one event at once"))?;
        let rate = sending.rate.unwrap_or_default();
        let within = rate >= settings.lowest_rate && rate <= settings.highest_rate;
        hold(Property::RateStaysWithin, within, || format!("{name}: rate {rate}"))?;
        let lane = &mut self.lanes[index];
        hold(Property::RetryAfterIsRespected, lane.pause_until <= sending.time.0, || {
            format!("{name} was sent at {}; Retry-After asked to wait until {}", sending.time.0, lane.pause_until)
        })?;
        if let Some((last, last_rate)) = lane.last_sent {
            let gap = sending.time.0.since(last);
            let least = Duration::from_secs_f64(1.0 / last_rate).saturating_sub(SLACK);
            hold(Property::RateIsSpread, gap >= least, || {
                format!("{name}: {gap:?} after the one before, at a rate of {last_rate}")
            })?;
        }
        lane.last_sent = Some((sending.time.0, rate));
        let second = sending.time.0 - Duration::from_secs(1);
        while lane.recently_sent.front().is_some_and(|at| *at <= second) {
            lane.recently_sent.pop_front();
        }
        lane.recently_sent.push_back(sending.time.0);
        let most = settings.highest_rate as usize + 1;
        hold(Property::RateStaysWithin, lane.recently_sent.len() <= most, || {
            format!("{name}: {} events within a second", lane.recently_sent.len())
        })
    }
}
