//! Where an event is on its way, and what a drop of the undelivered events takes.

use std::ops::Range;

use domain::exception::Exception;
use domain::fate::{GivenUp, Whereabouts};
use domain::{Now, Position};

use super::{Lane, Phase};

impl Lane {
    /// Where a matching event before the router's position is. Events before `from` that don't wait concerned an
    /// earlier lane.
    pub fn whereabouts(&self, position: Position, from: Position, now: Now) -> Whereabouts {
        if self.flies(position) {
            return Whereabouts::InFlight;
        }
        if let Some(given_up) = self.unsaved.given_up.iter().find(|given_up| given_up.position == position) {
            return Whereabouts::GivenUp(GivenUp { at: now.on_the_wall(given_up.at), ..given_up.clone() });
        }
        if self.unsaved.late.contains(&position) {
            return Whereabouts::Delivered;
        }
        if self.phase == Phase::Dropped || self.ahead.contains(&position) {
            return Whereabouts::Passed;
        }
        if let Some(exception) = self.waiting.get(position).or_else(|| self.beyond.get(&position)) {
            return Whereabouts::waits(&Exception { due_at: now.on_the_wall(exception.due_at), ..exception.clone() });
        }
        if self.fresh.binary_search_by_key(&position, |event| event.position).is_ok() {
            let again = self.backoff.as_ref().filter(|backoff| position < backoff.tried_before);
            return again.map_or(Whereabouts::Waiting, |backoff| Whereabouts::WaitingForRetry {
                failures: u8::try_from(backoff.failures).unwrap_or(u8::MAX),
                throttled: backoff.throttled,
                due_at: now.on_the_wall(backoff.until),
            });
        }
        match self.reach() {
            Some(reach) if reach.max(from).max(self.expired_before) <= position => Whereabouts::Waiting,
            _ => Whereabouts::Passed,
        }
    }

    /// Unsettled events at hand, ascending: in hand, waiting and, if `in_flight`, in flight.
    pub fn unsettled(&self, in_flight: bool) -> Vec<Position> {
        let waiting = self.waiting.iter().map(|exception| exception.position).chain(self.beyond.keys().copied());
        let mut at_hand: Vec<_> = self.fresh.iter().map(|event| event.position).chain(waiting).collect();
        if in_flight {
            at_hand.extend(self.flying());
        } else {
            at_hand.retain(|position| !self.flies(*position));
        }
        at_hand.sort_unstable();
        at_hand.dedup();
        at_hand
    }

    /// Events of a range that is yet to be read which a drop of that range doesn't take: those settled ahead of the
    /// cursor and, unless `in_flight`, those in flight.
    pub fn spared(&self, range: Range<Position>, in_flight: bool) -> Vec<Position> {
        let flying = self.flying().filter(|position| !in_flight && range.contains(position));
        let mut spared: Vec<_> = flying.chain(self.ahead.iter().copied().filter(|at| range.contains(at))).collect();
        spared.sort_unstable();
        spared
    }

    fn flying(&self) -> impl Iterator<Item = Position> {
        self.in_flight.values().flat_map(|attempt| &attempt.flights).map(|flight| flight.event.position)
    }

    fn flies(&self, position: Position) -> bool {
        self.flying().any(|flying| flying == position)
    }
}
