//! Followers of logs: they push what is committed to the tails, own events and others', once and in order, after the
//! version that was announced with them.

use domain::Position;
use store::{Chunk, EventLog, Ledger, ReadLimit, Scope, Shard, StoreError, Subscriptions, Tenure};

use super::calls::{Answer, Appended, Loaded, What};
use super::step::{At, Local};
use super::world::World;
use crate::mutation::Mutation;
use crate::plan::SECOND;
use crate::property::Check;
use crate::storage::at_once;

/// Interval of looks at the heads of the logs.
const POLL_EVERY: u64 = 200_000;

impl World {
    /// Something was committed in a shard: whoever follows it finds it with its next look, or is nudged.
    pub(super) fn news(&mut self, shard: Shard) {
        for index in 0..self.nodes.len() {
            let (run, node) = (self.nodes[index].run, &self.nodes[index]);
            if !node.process.as_ref().is_some_and(|process| process.holdings.contains_key(&shard)) {
                continue;
            }
            let at = At { node: index, run };
            let regular = self.random.within(0, POLL_EVERY);
            self.local(at, regular, Local::Poll);
            // A nudge comes at once, late, twice, or not at all.
            let nudges: &[u64] = match self.random.within(0, 9) {
                0..6 => &[20_000],
                6 => &[20_000, 90_000],
                7 => &[3 * SECOND],
                _ => &[],
            };
            for most in nudges {
                let after = self.random.within(most / 20, *most);
                self.local(at, after, Local::Poll);
            }
        }
    }

    /// Looks at the heads of the logs of the shards held.
    pub(super) fn poll(&mut self, at: At) -> Check {
        let Some(process) = &self.nodes[at.node].process else { return Ok(()) };
        let followed = process.holdings.values().filter(|holding| holding.driver.is_some());
        let shards: Vec<Shard> = followed.map(|holding| holding.tenure.shard).collect();
        if !shards.is_empty() {
            self.ask(at, What::Heads(shards));
        }
        Ok(())
    }

    pub(super) fn heads(&mut self, at: At, result: Result<Vec<(Shard, Position, u64)>, StoreError>) {
        let Ok(heads) = result else { return self.local(at, POLL_EVERY, Local::Poll) };
        let late = self.mutated(Mutation::AnnounceAfterFrames);
        for (shard, head, version) in heads {
            let Some(process) = &mut self.nodes[at.node].process else { return };
            let Some(holding) = process.holdings.get_mut(&shard) else { continue };
            if !late || head <= holding.follower.next {
                holding.announced = version.max(holding.announced);
            }
            let run = holding.run;
            holding.follower.wanted = head.max(holding.follower.wanted);
            self.read_frames(at, run);
        }
    }

    /// Reads others' events that are missing, unless it does so already.
    fn read_frames(&mut self, at: At, run: u64) {
        let Some(holding) = self.holding(at, run) else { return };
        let (shard, follower) = (holding.tenure.shard, &mut holding.follower);
        if follower.next < follower.wanted && !std::mem::replace(&mut follower.reads, true) {
            let (next, wanted) = (follower.next, follower.wanted);
            self.ask(at, What::Frames(run, shard, next, wanted));
        }
    }

    pub(super) fn frames(&mut self, at: At, run: u64, result: Result<Chunk, StoreError>) {
        let late = self.mutated(Mutation::AnnounceAfterFrames);
        let Some(holding) = self.holding(at, run) else { return };
        holding.follower.reads = false;
        let Ok(chunk) = result else { return self.local(at, POLL_EVERY, Local::Poll) };
        let behind = chunk.events.into_iter().filter(|event| event.position >= holding.follower.next);
        let events: Vec<_> = behind.collect();
        if let Some(last) = events.last() {
            holding.follower.next = last.position.next();
            holding.tail.push(events);
        } else {
            // They were pushed meanwhile, or the log went back.
            holding.follower.wanted = holding.follower.next;
        }
        self.read_frames(at, run);
        if late {
            self.local(at, POLL_EVERY, Local::Poll);
        }
    }

    /// Pushes own events, after others' that came before them.
    pub(super) fn push_own(&mut self, at: At, appended: Appended) {
        let takes_gaps = self.mutated(Mutation::TakeGapOfOthers);
        let Appended { shard, first, events, version } = appended;
        let Some(process) = &mut self.nodes[at.node].process else { return };
        let Some(holding) = process.holdings.get_mut(&shard).filter(|holding| holding.driver.is_some()) else { return };
        let Some(end) = events.last().map(|last| last.position.next()) else { return };
        holding.announced = version.max(holding.announced);
        let (run, follower) = (holding.run, &mut holding.follower);
        if follower.next == first && !follower.reads || takes_gaps && follower.next <= first {
            follower.next = end;
            holding.tail.push(events);
        } else {
            follower.wanted = end.max(follower.wanted);
            self.read_frames(at, run);
        }
    }

    /// The store carries out a call about a log.
    pub(super) fn about_the_log(&mut self, what: What) -> Answer {
        match what {
            What::Begin(run, shard) => Answer::Begun(run, Ok(self.head_of(shard))),
            What::Load(run, tenure) => Answer::Loaded(run, self.load(&tenure)),
            What::Frames(run, shard, from, until) => {
                let limit = ReadLimit { events: 64, bytes: 1 << 20, until };
                Answer::Frames(run, at_once(self.store.read(Scope::Shard(shard), from, limit)))
            }
            What::Heads(shards) => {
                let head = |shard: Shard| {
                    let (head, version) = self.head_of(shard);
                    (shard, head, version)
                };
                Answer::Heads(Ok(shards.into_iter().map(head).collect()))
            }
            other => other.refused(),
        }
    }

    fn load(&self, tenure: &Tenure) -> Result<Loaded, StoreError> {
        let ledger = at_once(self.store.load(tenure))?;
        let (version, subscriptions) = at_once(self.store.changed_since(tenure.shard, None))?;
        Ok(Loaded { ledger, version, subscriptions })
    }
}
