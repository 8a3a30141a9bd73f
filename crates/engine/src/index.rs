//! Index of lanes by PIM and event type, so that subscriptions that cannot match cost nothing.

use std::collections::HashMap;

use domain::subscription::Subscription;
use domain::{EventType, PimId};

/// Lanes by PIM and event type.
#[derive(Debug, Default)]
pub struct Index {
    pims: HashMap<PimId, HashMap<EventType, Vec<usize>>>,
}

impl Index {
    /// Adds a subscription's lane under all event types of its current and past selections.
    pub fn add(&mut self, lane: usize, subscription: &Subscription) {
        let types = self.pims.entry(subscription.pim).or_default();
        for event_type in types_of(subscription) {
            let lanes = types.entry(event_type.clone()).or_default();
            if !lanes.contains(&lane) {
                lanes.push(lane);
            }
        }
    }

    /// Removes the entries made by [`Index::add`].
    pub fn remove(&mut self, lane: usize, subscription: &Subscription) {
        let Some(types) = self.pims.get_mut(&subscription.pim) else { return };
        for event_type in types_of(subscription) {
            if let Some(lanes) = types.get_mut(event_type.as_str()) {
                lanes.retain(|other| *other != lane);
                if lanes.is_empty() {
                    types.remove(event_type.as_str());
                }
            }
        }
        if types.is_empty() {
            self.pims.remove(&subscription.pim);
        }
    }

    /// Lanes that an event may match.
    pub fn candidates(&self, pim: PimId, event_type: &str) -> &[usize] {
        self.pims.get(&pim).and_then(|types| types.get(event_type)).map_or(&[], Vec::as_slice)
    }
}

fn types_of(subscription: &Subscription) -> impl Iterator<Item = &EventType> {
    let past = subscription.past_selections.iter().flat_map(|(_, selection)| &selection.events);
    subscription.selection.events.iter().chain(past)
}
