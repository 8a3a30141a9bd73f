//! Books of replays: which kept events a replay has to send, what became of each, and what its saves must say.

mod order;
mod saved;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::outcome::Outcome;
use domain::replay::{ReplayScope, ReplayStatus};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{PimId, ReplayId, Timestamp};

use super::batch::no_outcome;
use super::{Attempt, Oracle, Sending, is_topic, user_filter};
use crate::property::{Check, Property, hold};

/// Pauses before the retries of a replayed event (contract page 8).
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];

/// Failed attempts in a row that end a replay (contract page 8).
const IN_A_ROW: usize = 20;

/// An accepted event.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pim: PimId,
    accepted_at: Timestamp,
    event_type: String,
    user: u64,
    entity: u64,
    /// Subscriptions in use that named its type at that moment.
    named_by: Vec<usize>,
}

/// Progress of an event with a replay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Progress {
    #[default]
    Open,
    Delivered,
    Failed,
}

/// An event that a replay has sent.
#[derive(Clone, Debug, Default)]
struct Sent {
    progress: Progress,
    failures: u8,
    in_flight: Option<u64>,
    due_at: Timestamp,
    first_tried_at: Option<Timestamp>,
    taken: u32,
}

/// State of a replay's events at a save request.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    sent: BTreeMap<u64, Sent>,
    must: BTreeSet<u64>,
    over: bool,
}

/// Books of a replay.
#[derive(Clone, Debug)]
pub(super) struct Book {
    /// Its subscription.
    lane: usize,
    scope: ReplayScope,
    user: Option<u64>,
    /// Events that it must send: they match since its start, and the live lane has settled them.
    must: BTreeSet<u64>,
    sent: BTreeMap<u64, Sent>,
    /// Events as of the last save made.
    durable: BTreeMap<u64, Sent>,
    /// The last event sent for the first time.
    last_new: u64,
    in_a_row: usize,
    /// A broken destination or too many failures in a row: it has to end.
    over: bool,
    /// The subscription, or what is visible, has changed since: events may be left out.
    loose: bool,
    /// Its end in the store.
    ended: Option<ReplayStatus>,
    in_flight: usize,
}

impl Oracle {
    pub(super) fn note_accepted(&mut self, event: &domain::LoggedEvent, user: u64, entity: u64) {
        let event_type = event.event.event_type().to_owned();
        let names = |of: &Subscription| {
            of.pim == event.pim
                && of.status.counts()
                && of.selection.events.iter().any(|named| named.as_str() == event_type)
        };
        let named_by = self.lanes.iter().enumerate().filter(|(_, lane)| names(&lane.stored));
        let named_by = named_by.map(|(index, _)| index).collect();
        let (pim, accepted_at) = (event.pim, event.accepted_at);
        self.accepted.insert(event.position.0, Accepted { pim, accepted_at, event_type, user, entity, named_by });
    }

    /// The entity of an event.
    pub fn entity(&self, position: u64) -> u64 {
        self.accepted.get(&position).map_or(0, |event| event.entity)
    }

    /// The running replay of a subscription.
    pub fn running_replay(&self, lane: usize) -> Option<ReplayId> {
        self.replays.iter().find(|(_, book)| book.lane == lane && book.ended.is_none()).map(|(id, _)| *id)
    }

    /// Replays that have not ended.
    pub fn running_replays(&self) -> Vec<(ReplayId, usize)> {
        self.replays.iter().filter(|(_, book)| book.ended.is_none()).map(|(id, book)| (*id, book.lane)).collect()
    }

    /// A replay was started.
    pub fn replay_started(&mut self, id: ReplayId, lane: usize, scope: ReplayScope, user: Option<u64>) {
        let mut book = Book {
            lane,
            scope,
            user,
            must: BTreeSet::new(),
            sent: BTreeMap::new(),
            durable: BTreeMap::new(),
            last_new: 0,
            in_a_row: 0,
            over: false,
            loose: false,
            ended: None,
            in_flight: 0,
        };
        let subscription = &self.lanes[lane].stored;
        let must = self.accepted.keys().copied().filter(|position| {
            self.replays_event(&book, subscription, *position) && self.is_certainly_settled(lane, *position)
        });
        let only = matches!(&book.scope, ReplayScope::Span { only, .. } if *only != Default::default());
        book.must = if only { BTreeSet::new() } else { must.collect() };
        self.replays.insert(id, book);
    }

    fn is_certainly_settled(&self, lane: usize, position: u64) -> bool {
        let item = self.lanes[lane].items.get(&position);
        item.is_none_or(|item| item.state.is_settled() && !item.late && !item.optional && item.in_flight.is_none())
    }

    /// Whether a replay sends an event, as far as the subscription decides.
    fn replays_event(&self, book: &Book, subscription: &Subscription, position: u64) -> bool {
        self.selects(book, subscription, position, SubscriptionStatus::counts)
    }

    /// The same, with the statuses in which another subscription of the client makes an event visible.
    fn selects(
        &self,
        book: &Book,
        subscription: &Subscription,
        position: u64,
        shows: fn(SubscriptionStatus) -> bool,
    ) -> bool {
        let Some(event) = self.accepted.get(&position) else { return false };
        let in_scope = match &book.scope {
            ReplayScope::Span { from, to, positions, .. } => {
                (positions.start.0..positions.end.0).contains(&position) && (*from..*to).contains(&event.accepted_at)
            }
            ReplayScope::Events(positions) => positions.iter().any(|one| one.0 == position),
        };
        let selection = &subscription.selection;
        let passes = selection.filter.as_ref().is_none_or(|filter| filter.as_str() == user_filter(event.user))
            && book.user.is_none_or(|user| user == event.user)
            && selection.events.iter().any(|named| named.as_str() == event.event_type);
        let mut named_by = event.named_by.iter().map(|index| &self.lanes[*index].stored);
        let visible = named_by.any(|one| one.client_id == subscription.client_id && shows(one.status));
        in_scope && event.pim == subscription.pim && passes && visible
    }

    /// A subscription has changed: what is still to be sent, and whether its replay has ended with it.
    pub(super) fn replays_follow(&mut self, index: usize) {
        let (client, status) = (self.lanes[index].stored.client_id.clone(), self.lanes[index].stored.status);
        let mut books = std::mem::take(&mut self.replays);
        for book in books.values_mut().filter(|book| book.ended.is_none()) {
            let subscription = &self.lanes[book.lane].stored;
            if subscription.client_id != client {
                continue;
            }
            book.loose = true;
            let must = book.must.iter().copied();
            let must = must.filter(|position| self.replays_event(book, subscription, *position)).collect();
            book.must = must;
            if book.lane == index {
                book.ended = match status {
                    SubscriptionStatus::Active => None,
                    SubscriptionStatus::Suspended(why) if !why.by_the_platform() => Some(ReplayStatus::Cancelled),
                    _ => Some(ReplayStatus::Failed),
                };
            }
        }
        self.replays = books;
    }

    /// The engine knows of another destination.
    pub(super) fn replays_go_elsewhere(&mut self, lane: usize) {
        for book in self.replays.values_mut().filter(|book| book.lane == lane) {
            book.in_a_row = 0;
        }
    }

    /// Whether attempts of a subscription's replays are in flight.
    pub(super) fn replays_are_under_way(&self, lane: usize) -> bool {
        self.replays.values().any(|book| book.lane == lane && book.in_flight > 0)
    }

    /// Failed attempts at events of a subscription's replays.
    pub fn replay_failures(&self, lane: usize) -> u32 {
        let books = self.replays.values().filter(|book| book.lane == lane);
        books.flat_map(|book| book.sent.values()).map(|sent| u32::from(sent.failures)).sum()
    }

    /// A replay was cancelled.
    pub fn replay_cancelled(&mut self, id: ReplayId) {
        if let Some(book) = self.replays.get_mut(&id) {
            book.ended.get_or_insert(ReplayStatus::Cancelled);
        }
    }

    /// Events were deleted.
    pub fn replays_lose(&mut self, positions: &[u64]) {
        for book in self.replays.values_mut() {
            book.loose |= !positions.is_empty();
            positions.iter().for_each(|position| _ = book.must.remove(position));
        }
    }

    /// The engine sends events of a replay. `routed`: the router's position, if the lane keeps up with it.
    pub fn replayed(&mut self, id: ReplayId, sending: &Sending<'_>, routed: Option<u64>) -> Check<(usize, Attempt)> {
        let positions: Vec<u64> = sending.events.iter().map(|event| event.position.0).collect();
        let name = format!("{positions:?} of replay {id}");
        let known = self.replays.get(&id).map(|book| book.lane);
        let index = self.find(sending.subscription.id).filter(|index| known == Some(*index));
        let Some(index) = index else {
            hold(Property::OnlyWhatMatches, false, || format!("{name}: sent for another subscription"))?;
            unreachable!("a violation was returned")
        };
        let (lane, book) = (&self.lanes[index], &self.replays[&id]);
        let active = !lane.halted && lane.stored.status.is_active();
        hold(Property::SuspensionStops, active || sending.excused, || {
            format!("{name}: status {:?}, halted {}", lane.stored.status, lane.halted)
        })?;
        hold(Property::ReplaysEnd, (book.ended.is_none() || sending.excused) && !book.over, || {
            format!("{name}: it has ended ({:?}), or has to", book.ended)
        })?;
        let current = lane.stored.destination == sending.subscription.destination || sending.excused;
        hold(Property::DestinationIsCurrent, current, || {
            format!("{name} went to {}, not {}", sending.subscription.destination, lane.stored.destination)
        })?;
        let judged = lane.known.as_ref().unwrap_or(&lane.stored);
        for position in &positions {
            let same_pim = self.accepted.get(position).is_some_and(|event| event.pim == lane.stored.pim);
            hold(Property::PimsAreApart, same_pim, || format!("{name}: another PIM's event"))?;
            // It was visible when it was read, even if the subscription that named its type has ended since.
            let matches = sending.excused || self.selects(book, judged, *position, |_| true);
            hold(Property::OnlyWhatMatches, matches, || {
                format!("{name}: event {position} doesn't match, or isn't visible ({:?})", self.accepted.get(position))
            })?;
            if let Some(sent) = book.sent.get(position) {
                hold(Property::DuplicatesAreBounded, sent.progress == Progress::Open, || {
                    format!("{name}: event {position} is {:?}", sent.progress)
                })?;
                hold(Property::DuplicatesAreExplained, sent.in_flight.is_none(), || {
                    format!("{name}: an attempt at event {position} is under way")
                })?;
                hold(Property::RetriesAreNeverEarly, sent.due_at <= sending.time.0, || {
                    format!("{name}: retry {} of event {position} is due at {}", sent.failures, sent.due_at)
                })?;
            }
        }
        let batch = is_topic(sending.subscription);
        self.is_in_order(index, id, &positions, batch, &name)?;
        self.leaves_live_events_their_turn(index, id, batch, &name)?;
        if batch {
            let busy = self.lanes[index].under_way > 0 || self.replays_are_under_way(index);
            hold(Property::OneBatchAtATime, !busy, || format!("{name}: another batch is under way"))?;
        } else {
            self.is_paced(index, &name, sending)?;
        }
        let lane = &mut self.lanes[index];
        lane.replayed_last = Some(routed);
        let destination = sending.subscription.destination.to_string();
        let made = Attempt { lane_number: lane.number, positions, destination, batch };
        let Some(book) = self.replays.get_mut(&id) else { unreachable!("it was found above") };
        book.in_flight += 1;
        for position in &made.positions {
            let sent = book.sent.entry(*position).or_default();
            sent.in_flight = Some(sending.attempt);
            sent.first_tried_at.get_or_insert(sending.time.0);
            book.last_new = book.last_new.max(*position);
        }
        Ok((index, made))
    }

    /// A receiver accepted events of a replay.
    pub fn replay_taken(&mut self, id: ReplayId, made: &Attempt, taken: &[bool]) {
        let Some(book) = self.replays.get_mut(&id) else { return };
        for (position, _) in made.positions.iter().zip(taken).filter(|(_, taken)| **taken) {
            book.sent.entry(*position).or_default().taken += 1;
            if let Some(sent) = book.durable.get_mut(position) {
                sent.taken += 1;
            }
        }
    }

    /// The engine learns the outcome of a replay's attempt. A second response has no effect.
    pub fn replay_ended(&mut self, id: ReplayId, number: u64, made: &Attempt, outcomes: &[Outcome], now: Timestamp) {
        let settings = self.settings.clone();
        let Some(book) = self.replays.get_mut(&id) else { return };
        let lane = &mut self.lanes[book.lane];
        let known = lane.known.as_ref().unwrap_or(&lane.stored);
        let elsewhere = known.destination.to_string() != made.destination;
        let respects = known.options.respect_retry_after;
        let none = Outcome::NotProcessed(no_outcome());
        let (mut any, mut delivered, mut failed, mut refused) = (false, false, false, 0);
        for (place, position) in made.positions.iter().enumerate() {
            let Some(sent) = book.sent.get_mut(position).filter(|sent| sent.in_flight == Some(number)) else {
                continue;
            };
            any = true;
            sent.in_flight = None;
            let outcome = outcomes.get(place).unwrap_or(&none);
            match outcome {
                Outcome::Delivered => {
                    sent.progress = Progress::Delivered;
                    delivered |= !elsewhere;
                }
                _ if elsewhere => sent.first_tried_at = None,
                Outcome::Failed(_) | Outcome::Silent(_) => {
                    failed = true;
                    match PAUSES.get(usize::from(sent.failures)) {
                        Some(pause) => (sent.failures, sent.due_at) = (sent.failures + 1, now + *pause),
                        None => sent.progress = Progress::Failed,
                    }
                }
                Outcome::Refused(_) => {
                    refused += 1;
                    sent.progress = Progress::Failed;
                }
                Outcome::Broken(_) => {
                    sent.progress = Progress::Failed;
                    book.over = true;
                }
                Outcome::Throttled { retry_after } => {
                    let first = sent.first_tried_at.unwrap_or(now);
                    if now.since(first) > settings.undelivered_at_most {
                        sent.progress = Progress::Failed;
                        failed = true;
                    } else if let Some(asked) = retry_after.filter(|_| respects && !made.batch) {
                        let asked = asked.min(settings.undelivered_at_most).saturating_sub(Duration::from_micros(1));
                        lane.pause_until = lane.pause_until.max(now + asked);
                    }
                }
                Outcome::NotProcessed(_) => sent.first_tried_at = None,
                Outcome::Ours(_) | Outcome::Abandoned => sent.first_tried_at = None,
            }
        }
        if any {
            book.in_flight -= 1;
        }
        if delivered {
            book.in_a_row = 0;
        } else if failed || refused > 0 {
            book.in_a_row += refused.max(1);
            book.over |= book.in_a_row >= IN_A_ROW;
        }
        if outcomes.contains(&Outcome::Delivered) {
            self.host_answered();
        }
    }
}
