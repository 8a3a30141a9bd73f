//! A world of several nodes: an agenda, the store's server, machines with their processes, producers, people and
//! receivers. Virtual time advances from one step to the next.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use engine::core::AttemptId;
use engine::driver::Input;
use store::{MemoryStore, Shard, Spread};

use super::books::Books;
use super::changes::Wanted;
use super::node::Node;
use super::plan::Plan;
use super::producers::Request;
use super::server::Server;
use super::step::{At, Local, Step};
use crate::mutation::Mutation;
use crate::property::{Check, Property, hold};
use crate::random::Random;
use crate::receiver::Receiver;
use crate::storage::Storage;
use crate::world::Totals;

/// An attempt that was handed over to its sink.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    pub(super) at: At,
    /// The holding that made it.
    pub(super) run: u64,
    pub(super) lane: usize,
    /// Positions, and numbers of the events.
    pub(super) events: Vec<(u64, u64)>,
    pub(super) receiver: usize,
    pub(super) sent_at: u64,
    pub(super) batch: bool,
}

/// A world of several nodes.
pub struct World {
    pub(super) plan: Plan,
    /// True time in microseconds since the beginning.
    pub(super) time: u64,
    agenda: BTreeMap<(u64, u64), Step>,
    next_step: u64,
    pub(super) random: Random,
    pub(super) storage: Storage,
    pub(super) server: Server,
    /// What is stored, as seen by nobody's process.
    pub(super) store: MemoryStore,
    pub(super) nodes: Vec<Node>,
    pub(super) receivers: Vec<Receiver>,
    pub(super) attempts: BTreeMap<u64, Attempt>,
    pub(super) next_attempt: u64,
    pub(super) next_event: u64,
    pub(super) next_run: u64,
    pub(super) next_call: u64,
    pub(super) requests: Vec<Request>,
    pub(super) wanted: Vec<Wanted>,
    /// The versions reported to be in effect, with the commits that said so.
    pub(super) applied: BTreeMap<Shard, Vec<(u64, u64)>>,
    pub(super) books: Books,
    /// All incidents are over.
    pub(super) healed: bool,
    pub(super) totals: Totals,
    trace: Option<VecDeque<String>>,
    shown: usize,
}

impl World {
    /// Plays a world to its end.
    pub fn play(plan: Plan) -> Check<Totals> {
        let mut world = World::new(plan);
        world.live()?;
        world.settle()?;
        Ok(world.totals())
    }

    /// Replays a world and returns its last steps.
    pub fn last_steps(plan: Plan, shown: usize) -> Vec<String> {
        let mut world = World::new(plan);
        (world.trace, world.shown) = (Some(VecDeque::new()), shown);
        // A panic ends the world as well; the steps before it are wanted.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if let Err(violation) = world.live().and_then(|()| world.settle()) {
                world.note(|| violation.to_string());
            }
        }));
        if ended.is_err() {
            world.note(|| "panicked".to_owned());
        }
        world.trace.unwrap_or_default().into()
    }

    /// A new world.
    pub fn new(plan: Plan) -> World {
        let (seed, store) = (plan.seed, super::setup::store(&plan));
        let receivers = plan.receivers.iter().enumerate();
        let receivers = receivers
            .map(|(index, schedule)| Receiver::new(schedule.clone(), Random::new(seed, 100 + index as u64)))
            .collect();
        let mut world = World {
            time: 0,
            agenda: BTreeMap::new(),
            next_step: 0,
            random: Random::new(seed, 41),
            storage: Storage::new(plan.storage.clone(), Random::new(seed, 42)),
            server: Server::default(),
            store,
            nodes: Vec::new(),
            receivers,
            attempts: BTreeMap::new(),
            next_attempt: 0,
            next_event: 0,
            next_run: 0,
            next_call: 0,
            requests: Vec::new(),
            wanted: Vec::new(),
            applied: BTreeMap::new(),
            books: Books::new(plan.settings.save_every, Spread::of(plan.shards)),
            healed: false,
            totals: Totals::default(),
            trace: None,
            shown: 0,
            plan,
        };
        world.set_up();
        world
    }

    fn live(&mut self) -> Check {
        self.until(self.plan.lasts, |_| false).map(|_| ())
    }

    fn totals(&self) -> Totals {
        Totals {
            worlds: 1,
            duplicates: self.books.duplicates,
            owed: self.books.owed(),
            seconds: self.time / 1_000_000,
            ..self.totals
        }
    }

    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        let time = self.time;
        if let Some(trace) = &mut self.trace {
            if trace.len() >= self.shown {
                trace.pop_front();
            }
            trace.push_back(format!("{:>11.6} {}", time as f64 / 1e6, text()));
        }
    }

    pub(super) fn schedule(&mut self, after: u64, step: Step) {
        self.next_step += 1;
        self.agenda.insert((self.time + after, self.next_step), step);
    }

    pub(super) fn local(&mut self, at: At, after: u64, local: Local) {
        self.schedule(after, Step::Local(at, local));
    }

    /// Takes the calls of a process that have not arrived at the server out of the agenda.
    pub(super) fn calls_of(&mut self, at: At) -> Vec<Step> {
        let is_call = |step: &Step| matches!(step, Step::Call(call) if call.at == at);
        let keys: Vec<_> = self.agenda.iter().filter(|(_, step)| is_call(step)).map(|(key, _)| *key).collect();
        keys.into_iter().filter_map(|key| self.agenda.remove(&key)).collect()
    }

    pub(super) fn mutated(&self, mutation: Mutation) -> bool {
        self.plan.mutation == Some(mutation)
    }

    /// Half of a call's time.
    pub(super) fn store_takes(&mut self) -> u64 {
        self.storage.takes(self.time).as_micros() as u64
    }

    /// The clock by which a node counts its own leases.
    pub(super) fn lease_clock(&self, node: usize) -> Duration {
        let clock = &self.nodes[node].clock;
        match self.plan.mutation {
            Some(Mutation::LeaseByWallClock) => clock.of_day(),
            Some(Mutation::LeaseWithoutSleep) => clock.monotonic(),
            _ => clock.uptime(),
        }
    }

    /// Continues until `end`, or until `enough`; returns whether it was enough.
    pub(super) fn until(&mut self, end: u64, enough: impl Fn(&World) -> bool) -> Check<bool> {
        let mut at_rest = 0u32;
        loop {
            self.wake()?;
            if enough(self) {
                return Ok(true);
            }
            let timer = self.timer();
            let next = self.agenda.first_key_value().map(|(key, _)| *key);
            let step = next.filter(|(at, _)| timer.is_none_or(|(timer, ..)| *at <= timer));
            let due = step.map(|(at, _)| at).or(timer.map(|(at, ..)| at));
            let Some(due) = due.filter(|due| *due < end) else {
                self.advance(end.max(self.time));
                return Ok(false);
            };
            at_rest = if due == self.time { at_rest + 1 } else { 0 };
            hold(Property::LoopRests, at_rest < 20_000, || format!("{at_rest} turns without time going on"))?;
            self.advance(due.max(self.time));
            self.totals.steps += 1;
            match (step, timer) {
                (Some(key), _) => {
                    if let Some(step) = self.agenda.remove(&key) {
                        self.take(step)?;
                    }
                }
                (None, Some((_, at, run))) => self.tell(at, run, Input::Timeout)?,
                (None, None) => {}
            }
        }
    }

    fn advance(&mut self, time: u64) {
        self.time = time;
        self.nodes.iter_mut().for_each(|node| node.clock.advance(time));
    }

    /// The next timer of a driver: when it fires, where, and whose. Those of a process that stands still wait.
    fn timer(&self) -> Option<(u64, At, u64)> {
        let mut next: Option<(u64, At, u64)> = None;
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(process) = node.process.as_ref().filter(|_| !node.is_paused(self.time)) else { continue };
            let (now, at) = (node.clock.now().steady, At { node: index, run: node.run });
            for holding in process.holdings.values() {
                let Some(due) = holding.driver.as_ref().and_then(|driver| driver.poll_timeout()) else { continue };
                let due = self.time + due.since(now).as_micros() as u64;
                if next.is_none_or(|(first, ..)| due < first) {
                    next = Some((due, at, holding.run));
                }
            }
        }
        next
    }

    /// Wakes drivers whose tail has grown, or for which a change was announced.
    fn wake(&mut self) -> Check {
        let mut woken = Vec::new();
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let (is_paused, run) = (node.is_paused(self.time), node.run);
            let Some(process) = node.process.as_mut().filter(|_| !is_paused) else { continue };
            for holding in process.holdings.values_mut().filter(|holding| holding.driver.is_some()) {
                let news = (holding.tail.head(), holding.announced);
                if std::mem::replace(&mut holding.noticed, news) != news {
                    woken.push((At { node: index, run }, holding.run));
                }
            }
        }
        woken.into_iter().try_for_each(|(at, run)| self.tell(at, run, Input::News))
    }
}
