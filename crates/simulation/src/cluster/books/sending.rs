//! Checks of what is handed over to sinks, and of what receivers get.

use std::sync::Arc;

use domain::LoggedEvent;
use domain::outcome::Outcome;
use domain::subscription::Subscription;
use store::Tenure;

use super::{Books, State};
use crate::property::{Check, Property, hold};

/// Events are handed over to a sink.
#[derive(Debug)]
pub struct Handed<'a> {
    /// The attempt.
    pub attempt: u64,
    /// The driver.
    pub run: u64,
    /// Its tenure.
    pub tenure: Tenure,
    /// The subscription as the driver knows it.
    pub subscription: &'a Subscription,
    /// The events, with their numbers.
    pub events: &'a [(Arc<LoggedEvent>, u64)],
    /// The store went back, and the process has not noticed yet.
    pub may_be_gone: bool,
}

impl Books {
    /// Events are handed over to a sink. Returns the index of the subscription.
    pub fn handed(&mut self, handed: &Handed<'_>) -> Check<usize> {
        let Handed { attempt, run, tenure, subscription, events, may_be_gone } = handed;
        let Some(index) = self.find(subscription.id) else {
            return Err(crate::Violation {
                property: Property::OnlyWhatMatches,
                detail: format!("events were sent for an unknown subscription {}", subscription.id),
            });
        };
        let name = || {
            let positions: Vec<u64> = events.iter().map(|(event, _)| event.position.0).collect();
            format!("{positions:?} for subscription {index} by driver {run}")
        };
        self.acts(tenure, &format!("{} were handed over", name()))?;
        let lane = &mut self.lanes[index];
        let is_current = subscription.revision >= lane.answered && subscription.status.is_active();
        hold(Property::ChangesAreInEffect, is_current, || {
            let known = subscription.revision;
            format!("{} were handed over with revision {known} after {} was answered", name(), lane.answered)
        })?;
        for (event, number) in *events {
            let Some(item) = lane.items.get_mut(&event.position.0).filter(|item| item.number == *number) else {
                hold(Property::OnlyWhatMatches, *may_be_gone, || {
                    format!("{}: event e{number} at {} is not owed to it", name(), event.position)
                })?;
                continue;
            };
            let is_dropped = item.dropped.is_some_and(|(_, revision)| subscription.revision >= revision);
            hold(Property::OnlyWhatMatches, !is_dropped, || format!("{}: {item:?} was dropped", name()))?;
            let is_known = item.run == *run && matches!(item.state, State::InFlight(_) | State::Delivered);
            hold(Property::DuplicatesAreExplained, !is_known, || format!("{}: {item:?}", name()))?;
            hold(Property::DuplicatesAreExplained, item.settled.is_none(), || {
                format!("{}: {item:?} was saved as settled", name())
            })?;
            (item.state, item.run) = (State::InFlight(*attempt), *run);
        }
        Ok(index)
    }

    /// A receiver gets events.
    pub fn got(&mut self, index: usize, events: &[(u64, u64)], taken: &[bool], outcomes: &[Outcome]) -> Check {
        let lane = &mut self.lanes[index];
        for ((position, number), outcome) in events.iter().zip(outcomes) {
            if let Some(item) = lane.items.get_mut(position).filter(|item| item.number == *number) {
                // It is not tried again.
                item.optional |= matches!(outcome, Outcome::Refused(_));
            }
        }
        let is_ordered = lane.is_ordered();
        for ((position, number), _) in events.iter().zip(taken).filter(|(_, taken)| **taken) {
            let Some(item) = lane.items.get_mut(position).filter(|item| item.number == *number) else { continue };
            item.taken += 1;
            let (taken, entity) = (item.taken, item.entity);
            if taken > 1 || !is_ordered {
                continue;
            }
            let mut before = lane.items.range(..position);
            let overtaken = before.find(|(_, before)| {
                let is_over = before.taken > 0 || before.dropped.is_some() || before.optional;
                before.entity == entity && !is_over
            });
            hold(Property::EntitiesStayInOrder, overtaken.is_none(), || {
                format!("subscription {index} got {position} (e{number}) before {overtaken:?}")
            })?;
        }
        Ok(())
    }

    /// A driver learns the outcomes of an attempt.
    pub fn ended(&mut self, index: usize, attempt: u64, events: &[(u64, u64)], outcomes: &[Outcome], now: u64) {
        let lane = &mut self.lanes[index];
        for (place, (position, number)) in events.iter().enumerate() {
            let Some(item) = lane.items.get_mut(position).filter(|item| item.number == *number) else { continue };
            if item.state != State::InFlight(attempt) {
                continue;
            }
            item.changed_at = now;
            item.state = match outcomes.get(place) {
                Some(Outcome::Delivered) => State::Delivered,
                Some(Outcome::Failed(_) | Outcome::Silent(_)) => {
                    item.failures += 1;
                    item.optional |= item.failures > 3;
                    State::Failed
                }
                Some(Outcome::Refused(_) | Outcome::Broken(_)) => {
                    item.optional = true;
                    State::Failed
                }
                _ => State::Owed,
            };
        }
    }
}
