//! Routing of events to lanes.

use std::sync::Arc;

use domain::filter::Facets;
use domain::subscription::Subscription;
use domain::{LoggedEvent, Position};
use store::{Chunk, StoreError};

use super::ids::LaneId;
use super::{Core, unreadable};
use crate::trace::Routed;

/// Whether an event matches a subscription's selection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Passes {
    /// It matches.
    Yes,
    /// Its type is not subscribed to.
    OtherType,
    /// The filter excludes it.
    FilteredOut,
}

/// Matches an event against the selection in force when it was accepted. `facets` is filled by the first filter that
/// needs it.
pub(super) fn passes<'e>(
    subscription: &Subscription,
    event: &'e LoggedEvent,
    facets: &mut Option<Facets<'e>>,
) -> Passes {
    let selection = subscription.selection_at(event.position);
    let event_type = event.event.event_type();
    if !selection.events.iter().any(|subscribed| subscribed.as_str() == event_type) {
        return Passes::OtherType;
    }
    let Some(filter) = &selection.filter else { return Passes::Yes };
    let facets = facets.get_or_insert_with(|| Facets::of(event_type, event.event.data()));
    if filter.matches(facets) { Passes::Yes } else { Passes::FilteredOut }
}

/// Whether an event matches a subscription.
pub(crate) fn is_for(subscription: &Subscription, event: &LoggedEvent) -> bool {
    passes(subscription, event, &mut None) == Passes::Yes
}

impl Core {
    /// Offers events to the matching live lanes. Lanes that are behind read them later.
    pub(super) fn route(&mut self, events: &[Arc<LoggedEvent>], next: Position) {
        if self.stopping {
            return;
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        for event in events {
            debug_assert!(event.position >= self.routed);
            // From here on the event counts as routed: a lane that falls behind because of it begins at its position.
            self.routed = event.position;
            candidates.clear();
            candidates.extend_from_slice(self.index.candidates(event.pim, event.event.event_type()));
            let before = (self.totals.matched, self.totals.filtered_out);
            let mut facets = None;
            for slot in &candidates {
                self.offer(*slot, event, &mut facets);
            }
            self.routed = event.position.next();
            self.flow.arrived(event);
            if let Some(followed) = &mut self.followed {
                let count = |before: u64, now: u64| u32::try_from(now - before).unwrap_or(u32::MAX);
                followed.push(Routed {
                    event: event.clone(),
                    matched: count(before.0, self.totals.matched),
                    filtered_out: count(before.1, self.totals.filtered_out),
                });
            }
        }
        self.totals.routed += events.len() as u64;
        self.candidates = candidates;
        self.routed = self.routed.max(next);
        // From now on they follow the router's mark.
        for (_, slot) in self.beginning.extract_if(.., |(from, _)| *from <= self.routed).collect::<Vec<_>>() {
            self.mark_unsaved(slot);
        }
    }

    fn offer<'e>(&mut self, slot: usize, event: &'e Arc<LoggedEvent>, facets: &mut Option<Facets<'e>>) {
        let now = self.now;
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        if !entry.lane.is_live() || event.position < entry.from {
            return;
        }
        match passes(&entry.subscription, event, facets) {
            Passes::Yes => {
                entry.lane.handle(now, delivery::Input::Offered(event.clone()));
                let taken = u64::from(entry.lane.is_live());
                entry.matched += taken;
                self.totals.matched += taken;
                self.pump(slot);
            }
            Passes::FilteredOut => {
                entry.filtered_out += 1;
                self.totals.filtered_out += 1;
            }
            Passes::OtherType => {}
        }
    }

    /// Passes the matching part of a read to a lane.
    pub(super) fn lane_read(&mut self, lane: LaneId, chunk: Result<Chunk, StoreError>) {
        let routed = self.routed;
        let delivery = self.delivery.clone();
        let Some(entry) = self.entry(lane) else { return };
        let (room, room_bytes) = delivery.in_hand(entry.subscription.destination.descriptor().manner);
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                unreadable(&error);
                return self.tell(lane, delivery::Input::ReadFailed);
            }
        };
        let mut events = Vec::new();
        let (mut bytes, mut filtered_out) = (0, 0);
        let mut next = chunk.next.min(routed);
        for event in chunk.events {
            if event.position >= next {
                break;
            }
            if event.position < entry.from {
                continue;
            }
            match passes(&entry.subscription, &event, &mut None) {
                Passes::Yes => {
                    bytes += event.event.size();
                    if events.len() >= room || (!events.is_empty() && bytes > room_bytes) {
                        next = event.position;
                        break;
                    }
                    events.push(event);
                }
                Passes::FilteredOut => filtered_out += 1,
                Passes::OtherType => {}
            }
        }
        entry.matched += events.len() as u64;
        entry.filtered_out += filtered_out;
        self.totals.matched += events.len() as u64;
        self.totals.filtered_out += filtered_out;
        self.tell(lane, delivery::Input::Read { events, next, caught_up: next >= routed });
    }
}
