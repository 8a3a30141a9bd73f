//! Producers that repeat what was not answered, with the same ids, in worlds that lose connections to the store.

use std::collections::{BTreeMap, BTreeSet};

use domain::PimId;
use store::{EventLog, ReadLimit, Scope, Shard};

use super::setup::{About, entity_of, event};
use super::{Step, World};
use crate::mutation::Mutation;
use crate::plan::SECOND;
use crate::property::{Check, Property, hold};
use crate::storage::at_once;

/// Added to the number of an event whose id is to be unknown (a planted fault).
const UNKNOWN: u64 = 1_000_000;

/// A producer's request.
#[derive(Debug)]
struct Request {
    pim: u32,
    events: Vec<(u64, About)>,
    tries: u64,
    /// It was answered, or given up.
    over: bool,
}

/// Requests of producers, and what they know.
#[derive(Debug, Default)]
pub(super) struct Producers {
    requests: Vec<Request>,
    /// Events that their producer counts on.
    acknowledged: BTreeSet<u64>,
    /// Positions of events in the log, by number.
    pub(super) written: BTreeMap<u64, u64>,
}

impl Producers {
    /// Whether all requests were answered or given up.
    pub(super) fn rest(&self) -> bool {
        self.requests.iter().all(|request| request.over)
    }

    /// Whether a request's events were written before.
    fn knows(&self, request: &Request) -> bool {
        request.events.iter().all(|(number, _)| self.written.contains_key(number))
    }

    /// Everything acknowledged is in the log.
    pub(super) fn are_not_deceived(&self) -> Check {
        let lost = self.acknowledged.iter().find(|number| !self.written.contains_key(number));
        hold(Property::AcknowledgedIsKept, lost.is_none(), || {
            format!("event e{} was acknowledged, and is not in the log", lost.copied().unwrap_or_default())
        })
    }
}

impl World {
    /// A producer has events.
    pub(super) fn produce(&mut self, pim: u32, count: u64) {
        let events = (0..count).map(|_| self.next_event()).collect();
        let request = self.producers.requests.len();
        self.producers.requests.push(Request { pim, events, tries: 0, over: false });
        self.schedule(0, Step::Produce(request));
    }

    /// A producer sends its request, once more if it was not answered.
    pub(super) fn send_request(&mut self, number: usize) {
        let takes = self.store_takes();
        let request = &mut self.producers.requests[number];
        if !request.over {
            request.tries += 1;
            self.schedule(takes, Step::Append(number));
        }
    }

    /// A producer gets no answer, or an error: it repeats the request, or gives up.
    pub(super) fn leave_unanswered(&mut self, number: usize) {
        let after = self.connections.random.within(SECOND / 2, 6 * SECOND);
        let gives_up = self.connections.random.percent(5);
        self.producers.requests[number].over |= gives_up;
        self.schedule(after, Step::Produce(number));
    }

    /// A request is at the store.
    pub(super) fn append_request(&mut self, number: usize) -> Check {
        let Request { pim, tries, .. } = self.producers.requests[number];
        // Requests are served while the shard is taken up anew.
        let serves = (self.is_up() || self.connections.retakes()) && self.stopping_since.is_none();
        if !serves || self.store_fails() {
            self.leave_unanswered(number);
            return Ok(());
        }
        if self.mutated(Mutation::AcknowledgeUnwritten) && self.connections.random.percent(10) {
            self.schedule(0, Step::Answered(number));
            return Ok(());
        }
        let known = self.producers.knows(&self.producers.requests[number]);
        self.before_commit();
        let unknown = if self.mutated(Mutation::ForgetIds) { tries * UNKNOWN } else { 0 };
        let of = |(number, about): &(u64, About)| event(number + unknown, about);
        let events = self.producers.requests[number].events.iter().map(of).collect();
        let head = at_once(self.store.head(Shard::FIRST)).unwrap_or_default();
        if at_once(self.store.append(PimId(pim), events, self.now())).is_err() {
            self.producers.requests[number].over = true;
            self.refuse(pim);
            return Ok(());
        }
        self.note(|| format!("request {number} of PIM {pim}, try {tries}, from {head}"));
        self.note_written(number, head)?;
        self.push();
        if self.is_answered(known && self.mutated(Mutation::TrustKnown)) {
            let takes = self.store_takes();
            self.schedule(takes, Step::Answered(number));
        } else {
            self.leave_unanswered(number);
        }
        Ok(())
    }

    /// Books a request's events that are in the log now.
    fn note_written(&mut self, number: usize, head: domain::Position) -> Check {
        let limit = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: domain::Position(u64::MAX) };
        let chunk = at_once(self.store.read(Scope::Shard(Shard::FIRST), head, limit)).unwrap_or_default();
        self.totals.events += chunk.events.len() as u64;
        for written in &chunk.events {
            let id = written.event.id().get(1..).and_then(|id| id.parse::<u64>().ok()).unwrap_or_default() % UNKNOWN;
            let events = &self.producers.requests[number].events;
            let Some(about) = events.iter().find(|(number, _)| *number == id).map(|(_, about)| *about) else {
                continue;
            };
            let before = self.producers.written.insert(id, written.position.0);
            hold(Property::AcceptedOnce, before.is_none(), || {
                format!("event e{id} is in the log at {before:?} and {}", written.position)
            })?;
            self.oracle.accepted(written, about.user, entity_of(about.kind, about.entity));
        }
        Ok(())
    }

    /// A producer gets its answer.
    pub(super) fn acknowledge(&mut self, number: usize) -> Check {
        let request = &mut self.producers.requests[number];
        request.over = true;
        let events: Vec<u64> = request.events.iter().map(|(number, _)| *number).collect();
        self.note(|| format!("request {number} is acknowledged: {events:?}"));
        self.producers.acknowledged.extend(events);
        self.producers.are_not_deceived()
    }
}
