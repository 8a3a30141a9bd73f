//! Which events of a read a replay sends.

use std::collections::BTreeSet;
use std::sync::Arc;

use delivery::replay::{self, LeftOut, Part};
use domain::fate::Whereabouts;
use domain::replay::Only;
use domain::{LoggedEvent, Position};

use super::super::Core;
use super::super::lanes::Entry;
use super::super::replay_read::{ReplayChunk, ReplayRead, Wanted};
use super::super::replaying::Running;
use super::super::route::is_for;

/// A part of a replay's scope: positions with their events, if they are there.
type Found = Vec<(Position, Option<Arc<LoggedEvent>>)>;

impl Core {
    /// Judges the events of a read.
    pub(super) fn judge_for_replay(&self, read: &ReplayRead, chunk: ReplayChunk) -> Option<replay::Input> {
        let entry = self.entries.get(read.lane.slot)?.as_ref()?;
        let running = entry.replays.current.as_ref()?;
        let (found, next): (Found, Position) = match &read.wanted {
            Wanted::Again(positions) => {
                let mut left: BTreeSet<Position> = positions.iter().copied().collect();
                let (mut events, mut gone, mut excluded) = (Vec::new(), Vec::new(), Vec::new());
                for event in chunk.events {
                    left.remove(&event.position);
                    if !running.is_visible(&event) {
                        gone.push(event.position);
                    } else if !running.selects(&entry.subscription, &event) {
                        excluded.push(event.position);
                    } else {
                        events.push(event);
                    }
                }
                gone.extend(left);
                return Some(replay::Input::Loaded { events, gone, excluded });
            }
            Wanted::Range { .. } => {
                let only = running.only();
                let is_exceptional = |position: Position| {
                    only.given_up && chunk.given_up.binary_search(&position).is_ok()
                        || only.dropped && chunk.dropped.iter().any(|dropped| dropped.contains(position))
                };
                let matches = |event: &Arc<LoggedEvent>| {
                    let meant = only == Only::default() || is_exceptional(event.position);
                    meant && running.is_in_span(event) && running.is_visible(event)
                };
                let found = chunk.events.into_iter().filter(matches).map(|event| (event.position, Some(event)));
                (found.collect(), chunk.next)
            }
            Wanted::Listed(positions) => {
                let mut events = chunk.events.into_iter().peekable();
                let found = positions.iter().map(|position| {
                    let event = events.next_if(|event| event.position == *position);
                    (*position, event.filter(|event| running.is_visible(event)))
                });
                (found.collect(), running.behind(positions))
            }
        };
        Some(replay::Input::Read(self.part_of_replay(entry, running, read.room, found, next)))
    }

    /// The part of a replay's scope that there is room for.
    fn part_of_replay(
        &self,
        entry: &Entry,
        running: &Running,
        (room, room_bytes): (usize, usize),
        found: Found,
        mut next: Position,
    ) -> Part {
        let (mut events, mut left_out, mut bytes, mut at) = (Vec::new(), LeftOut::default(), 0, None);
        for (position, event) in found {
            let Some(event) = event else {
                left_out.gone += 1;
                continue;
            };
            if !running.selects(&entry.subscription, &event) {
                at = Some(event.accepted_at);
            } else if self.is_unsettled(entry, &event) {
                at = Some(event.accepted_at);
                left_out.skipped += 1;
            } else {
                bytes += event.event.size();
                if events.len() >= room.max(1) || (!events.is_empty() && bytes > room_bytes) {
                    next = position;
                    break;
                }
                at = Some(event.accepted_at);
                events.push((std::mem::take(&mut left_out), event));
            }
        }
        Part { events, rest: left_out, next, at }
    }

    /// Whether the live lane has yet to settle the event.
    fn is_unsettled(&self, entry: &Entry, event: &LoggedEvent) -> bool {
        is_for(&entry.subscription, event)
            && self.whereabouts(entry.subscription.id, event.position).is_some_and(|at| match at {
                Whereabouts::InFlight | Whereabouts::Waiting | Whereabouts::WaitingForRetry { .. } => true,
                Whereabouts::GivenUp(_)
                | Whereabouts::Dropped { .. }
                | Whereabouts::Delivered
                | Whereabouts::Passed => false,
            })
    }
}
