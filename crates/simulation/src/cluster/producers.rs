//! Producers: each sends its requests to any node, and repeats what was not answered at another one, with the same ids.

use domain::{LoggedEvent, PimId, Position};
use store::{EventLog, ReadLimit, Scope, Shards, StoreError};

use super::calls::{Answer, Appended, What};
use super::step::{At, Local, Step};
use super::world::World;
use crate::mutation::Mutation;
use crate::plan::{SECOND, TYPES};
use crate::property::Check;
use crate::storage::{at_once, unavailable};
use crate::world::{About, entity_of, event};

/// Patience of a producer with one try.
const PATIENCE: u64 = 6 * SECOND;

/// Added to the number of an event whose id is to be unknown (a planted fault).
const UNKNOWN: u64 = 1_000_000;

/// A producer's request.
#[derive(Debug)]
pub(super) struct Request {
    pim: u32,
    events: Vec<(u64, About)>,
    tries: u64,
    is_over: bool,
}

/// The number of an event.
pub(super) fn number_of(event: &LoggedEvent) -> u64 {
    event.event.id().get(1..).and_then(|id| id.parse::<u64>().ok()).unwrap_or_default() % UNKNOWN
}

impl World {
    /// A producer has events.
    pub(super) fn produce(&mut self, pim: u32, count: u64) -> Check {
        let mut events = Vec::new();
        for _ in 0..count {
            self.next_event += 1;
            let kind = self.random.within(0, TYPES.len() as u64 - 1) as usize;
            events.push((self.next_event, About { kind, user: 0, entity: self.random.within(0, 1) }));
        }
        self.requests.push(Request { pim, events, tries: 0, is_over: false });
        self.send_request(self.requests.len() - 1)
    }

    /// Whether all requests were answered.
    pub(super) fn producers_rest(&self) -> bool {
        self.requests.iter().all(|request| request.is_over)
    }

    /// A process that serves, for the next request.
    pub(super) fn some_node(&mut self) -> Option<At> {
        let serving: Vec<usize> = (0..self.nodes.len()).filter(|index| self.nodes[*index].serves()).collect();
        let most = serving.len().checked_sub(1)?;
        let node = serving[self.random.within(0, most as u64) as usize];
        Some(At { node, run: self.nodes[node].run })
    }

    pub(super) fn send_request(&mut self, number: usize) -> Check {
        if self.requests[number].is_over {
            return Ok(());
        }
        let Some(at) = self.some_node() else {
            self.schedule(SECOND, Step::Produce(number));
            return Ok(());
        };
        self.requests[number].tries += 1;
        let tries = self.requests[number].tries;
        let way = self.random.within(500, 20_000);
        self.local(at, way, Local::Append(number, tries));
        self.schedule(PATIENCE, Step::Unanswered(number, tries));
        // A client that has lost its connection repeats at once, while the first request is still under way.
        if self.random.percent(4) {
            self.schedule(way, Step::Unanswered(number, tries));
        }
        Ok(())
    }

    pub(super) fn unanswered(&mut self, number: usize, tries: u64) -> Check {
        match self.requests[number].tries == tries {
            true => self.send_request(number),
            false => Ok(()),
        }
    }

    pub(super) fn append_at(&mut self, at: At, number: usize, tries: u64) -> Check {
        if !self.nodes[at.node].serves() {
            self.schedule(SECOND / 2, Step::Unanswered(number, tries));
            return Ok(());
        }
        let known = self.mutated(Mutation::IdsBeforeTheLock).then(|| {
            let events = &self.requests[number].events;
            events.iter().all(|(number, _)| self.books.is_written(*number))
        });
        self.ask(at, What::Append(number, tries, known));
        Ok(())
    }

    /// The store appends.
    pub(super) fn about_events(&mut self, at: At, number: usize, tries: u64, known: Option<bool>) -> Check<Answer> {
        let commit = self.before_commit();
        let request = &self.requests[number];
        let (pim, unknown) = (PimId(request.pim), if known == Some(false) { tries * UNKNOWN } else { 0 });
        let events: Vec<_> = request.events.iter().map(|(number, about)| event(number + unknown, about)).collect();
        let shard = self.store.shard_of(pim);
        let (first, version) = self.head_of(shard);
        if at_once(self.store.append(pim, events, self.server_time())).is_err() {
            return Ok(Answer::Appended(number, Err(unavailable())));
        }
        let limit = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };
        let written = at_once(self.store.read(Scope::Shard(shard), first, limit)).unwrap_or_default().events;
        self.totals.events += written.len() as u64;
        for event in &written {
            let id = number_of(event);
            let about = self.requests[number].events.iter().find(|(number, _)| *number == id);
            let entity = about.map_or(0, |(_, about)| entity_of(about.kind, about.entity));
            self.books.appended(event, id, entity, commit)?;
        }
        let count = written.len();
        self.note(|| format!("node {}: request {number} of {pim}, try {tries}: {count} from {first}", at.node));
        if !written.is_empty() {
            self.news(shard);
        }
        Ok(Answer::Appended(number, Ok(Appended { shard, first, events: written, version })))
    }

    /// A process learns what has become of an append, and answers the producer.
    pub(super) fn appended(&mut self, at: At, number: usize, result: Result<Appended, StoreError>) {
        match result {
            Ok(appended) => {
                self.push_own(at, appended);
                let way = self.random.within(500, 20_000);
                self.schedule(way, Step::Acknowledged(number));
            }
            Err(_) => {
                let tries = self.requests[number].tries;
                self.schedule(SECOND, Step::Unanswered(number, tries));
            }
        }
    }

    /// A producer gets its answer.
    pub(super) fn acknowledged(&mut self, number: usize) -> Check {
        self.requests[number].is_over = true;
        let events: Vec<u64> = self.requests[number].events.iter().map(|(number, _)| *number).collect();
        events.into_iter().try_for_each(|number| self.books.acknowledged(number))
    }
}
