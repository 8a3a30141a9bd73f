//! Order of a replay's attempts, within itself and beside live ones.

use domain::ReplayId;

use super::super::change::keeps_entities_in_order;
use super::super::{Oracle, State};
use super::{Progress, Sent};
use crate::property::{Check, Property, hold};

impl Oracle {
    /// New events go in order; events of a batch do, and overtake nothing.
    pub(super) fn is_in_order(&self, index: usize, id: ReplayId, positions: &[u64], batch: bool, name: &str) -> Check {
        let (lane, book) = (&self.lanes[index], &self.replays[&id]);
        let known = lane.known.as_ref().unwrap_or(&lane.stored);
        let new = positions.iter().filter(|position| !book.sent.contains_key(position));
        let mut in_order = new.clone().is_sorted() && new.clone().all(|position| *position > book.last_new);
        if keeps_entities_in_order(known) {
            // Those behind another of their entity wait, and others pass them.
            in_order = positions.iter().all(|position| {
                let entity = self.entity(*position);
                let before = book.sent.range(..*position).filter(|(other, _)| self.entity(**other) == entity);
                book.loose || before.into_iter().all(|(_, sent)| sent.progress != Progress::Open)
            });
        }
        // After a crash, and with every change of the options, parked events are passed.
        let excused = self.crashes > 0 || book.loose;
        hold(Property::TopicsStayInOrder, in_order || excused, || {
            format!("{name}: {} was sent before", book.last_new)
        })?;
        if !batch || excused {
            return Ok(());
        }
        let last = positions.last().copied().unwrap_or(0);
        let open = |(position, sent): &(&u64, &Sent)| sent.progress == Progress::Open && !positions.contains(position);
        let overtaken = book.sent.range(..last).find(open);
        hold(Property::TopicsStayInOrder, overtaken.is_none() && positions.is_sorted(), || {
            format!("{name} overtakes {overtaken:?}")
        })
    }

    /// While live events wait, the attempts alternate, and half of those in flight are live ones.
    pub(super) fn leaves_live_events_their_turn(&self, index: usize, id: ReplayId, batch: bool, name: &str) -> Check {
        let (lane, settings) = (&self.lanes[index], &self.settings);
        let most = (settings.max_in_flight / 2).max(1);
        let in_flight = self.replays[&id].in_flight;
        hold(Property::LiveComesFirst, batch || in_flight < most, || {
            format!("{name}: {in_flight} attempts of the replay under way")
        })?;
        let Some(Some(routed)) = lane.replayed_last else { return Ok(()) };
        // Events parked behind others of their entity wait in their turn, even once the order is not kept any more.
        if lane.kept_entities_in_order {
            return Ok(());
        }
        let waits = |state| matches!(state, State::Retry | State::Throttled);
        let waiting = lane.items.values().filter(|item| waits(item.state)).count();
        let ready = lane.items.range(..routed).find(|(_, item)| {
            item.state == State::Owed && item.in_flight.is_none() && !(item.optional || item.late || item.repeated)
        });
        hold(Property::LiveComesFirst, ready.is_none() || waiting + 1 >= settings.max_waiting, || {
            format!("{name}: the second in a row while event {:?} waits", ready.map(|(position, _)| position))
        })
    }
}
