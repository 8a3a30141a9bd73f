//! Books of replays: which kept events a replay has to send, what became of each, and what its saves must say.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::outcome::Outcome;
use domain::replay::{ReplayScope, ReplayStatus};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{PimId, ReplayId, Timestamp};
use store::ReplaySave;

use super::batch::no_outcome;
use super::change::keeps_entities_in_order;
use super::{Attempt, Oracle, Sending, State, is_topic, user_filter};
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
#[derive(Debug)]
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
        let visible = named_by.any(|one| one.client_id == subscription.client_id && one.status.counts());
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
            let matches = sending.excused || self.replays_event(book, judged, *position);
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

    /// New events go in order; events of a batch do, and overtake nothing.
    fn is_in_order(&self, index: usize, id: ReplayId, positions: &[u64], batch: bool, name: &str) -> Check {
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
    fn leaves_live_events_their_turn(&self, index: usize, id: ReplayId, batch: bool, name: &str) -> Check {
        let (lane, settings) = (&self.lanes[index], &self.settings);
        let most = (settings.max_in_flight / 2).max(1);
        let in_flight = self.replays[&id].in_flight;
        hold(Property::LiveComesFirst, batch || in_flight < most, || {
            format!("{name}: {in_flight} attempts of the replay under way")
        })?;
        let Some(Some(routed)) = lane.replayed_last else { return Ok(()) };
        if lane.known.as_ref().is_none_or(keeps_entities_in_order) {
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

    /// State of all replays at a save request.
    pub fn replays_asked(&self) -> BTreeMap<ReplayId, Snapshot> {
        let snapshot = |book: &Book| Snapshot { sent: book.sent.clone(), must: book.must.clone(), over: book.over };
        self.replays.iter().map(|(id, book)| (*id, snapshot(book))).collect()
    }

    /// The store has saved a replay's progress: nothing unsettled is passed, and each event is counted once.
    pub fn replay_saved(&mut self, save: &ReplaySave, asked: &BTreeMap<ReplayId, Snapshot>) -> Check {
        let (Some(book), Some(snapshot)) = (self.replays.get_mut(&save.id), asked.get(&save.id)) else { return Ok(()) };
        let progress = &save.progress;
        let count = |of: Progress| snapshot.sent.values().filter(|sent| sent.progress == of).count() as u64;
        let counted = (count(Progress::Delivered), count(Progress::Failed));
        hold(Property::ReplaysAreComplete, counted == (progress.delivered, progress.failed), || {
            format!("replay {}: {counted:?} events are delivered and failed, saved: {progress:?}", save.id)
        })?;
        let next = progress.next.0;
        for (position, sent) in snapshot.sent.range(..next).filter(|(_, sent)| sent.progress == Progress::Open) {
            let found = progress.open.iter().find(|(open, _)| open.0 == *position);
            let kept = found.is_some_and(|(_, failures)| *failures == sent.failures);
            hold(Property::ReplaysAreComplete, kept || book.loose, || {
                format!("replay {}: event {position} is {sent:?}, saved: {found:?}", save.id)
            })?;
        }
        let passed = snapshot.must.range(..next).find(|position| !snapshot.sent.contains_key(position));
        let parked = passed.is_some_and(|passed| progress.open.iter().any(|(open, _)| open.0 == *passed));
        hold(Property::ReplaysAreComplete, passed.is_none() || parked || book.loose, || {
            format!("replay {}: event {passed:?} was passed at {next} and never sent", save.id)
        })?;
        book.durable.clone_from(&snapshot.sent);
        let Some((status, reason)) = &save.end else { return Ok(()) };
        if book.ended.is_some() {
            return Ok(());
        }
        book.ended = Some(*status);
        let settled = |position: &u64| snapshot.sent.get(position).is_some_and(|sent| sent.progress != Progress::Open);
        let missing = snapshot.must.iter().find(|position| !settled(position));
        let follows = match status {
            ReplayStatus::Done => missing.is_none() && !snapshot.over,
            ReplayStatus::Failed => snapshot.over && reason.is_some(),
            ReplayStatus::Running | ReplayStatus::Cancelled => false,
        };
        // With a change of what matches, an event may have been passed before it matched.
        hold(Property::ReplaysAreComplete, follows || book.loose && *status == ReplayStatus::Done, || {
            format!("replay {} is {status:?} ({reason:?}); event {missing:?} is missing", save.id)
        })
    }

    /// The process is gone: replays go on at their saved progress.
    pub(super) fn replays_crashed(&mut self) {
        let mut books = std::mem::take(&mut self.replays);
        for book in books.values_mut() {
            let before = std::mem::replace(&mut book.sent, book.durable.clone());
            for (position, sent) in &mut book.sent {
                sent.in_flight = None;
                // The pause begins anew, or the attempt did not end.
                sent.due_at = Timestamp::EPOCH;
                sent.first_tried_at = None;
                sent.taken = before.get(position).map_or(sent.taken, |before| before.taken);
            }
            (book.in_flight, book.in_a_row, book.over) = (0, 0, false);
            // Events settled since the last save are not settled for the live lane any more: they are skipped.
            let lane = book.lane;
            book.must.retain(|position| self.is_certainly_settled(lane, *position));
        }
        self.replays = books;
        self.lanes.iter_mut().for_each(|lane| lane.replayed_last = None);
    }

    /// At the end, no replay is running, and what counts as delivered was taken.
    pub fn replays_have_ended(&self) -> Check {
        for (id, book) in &self.replays {
            hold(Property::ReplaysEnd, book.ended.is_some(), || format!("replay {id} is still running: {book:?}"))?;
            let untaken = book.sent.iter().find(|(_, sent)| sent.progress == Progress::Delivered && sent.taken == 0);
            hold(Property::EveryEventEnds, untaken.is_none(), || {
                format!("replay {id}: nobody took event {untaken:?}, which counts as delivered")
            })?;
        }
        Ok(())
    }
}
