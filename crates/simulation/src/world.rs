//! A world: a clock, an agenda, the store, the endpoints, and the engine's driver in the middle. Virtual time advances
//! from one step to the next.

mod step;

mod driver;
mod fates;

mod attempts;
mod backend;
mod connections;
mod producers;
mod replays;
mod saving;

mod incident;
mod settle;
mod setup;
mod shared;

use std::collections::{BTreeMap, VecDeque};

use domain::{Position, ReplayId, Timestamp};
use engine::core::AttemptId;
use engine::driver::{Driver, Input};
use step::Step;
use store::{MemoryStore, Save, Tenure};

use crate::mutation::Mutation;
use crate::oracle::{self, Oracle};
use crate::plan::Plan;
use crate::property::{Check, Property, hold};
use crate::random::Random;
use crate::receiver::Receiver;
use crate::storage::Storage;

pub(crate) use setup::{About, entity_of, event, receiver_of, selection};

/// Wall-clock time at the beginning.
const START: i64 = 1_790_000_000_000_000;

/// A requested save that is not made yet.
#[derive(Debug)]
struct PendingSave {
    save: Save,
    /// State of the oracle's books at that moment.
    windows: Vec<oracle::Asked>,
    replays: BTreeMap<ReplayId, oracle::Snapshot>,
    asked_at: u64,
}

/// An attempt in flight.
#[derive(Debug)]
struct Attempt {
    id: AttemptId,
    lane: usize,
    made: oracle::Attempt,
    receiver: usize,
    sent_at: u64,
    run: u32,
    /// The replay that made it.
    replay: Option<ReplayId>,
}

/// Counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Worlds.
    pub worlds: u64,
    /// Steps.
    pub steps: u64,
    /// Events accepted.
    pub events: u64,
    /// Events owed to subscriptions.
    pub owed: u64,
    /// Attempts.
    pub attempts: u64,
    /// Crashes and restarts.
    pub crashes: u64,
    /// Suspensions by the platform.
    pub suspensions: u64,
    /// Other changes of subscriptions.
    pub changes: u64,
    /// Events accepted more than once by an endpoint.
    pub duplicates: u64,
    /// Batches to topics.
    pub batches: u64,
    /// Events sent again.
    pub repeats: u64,
    /// Events dropped with a suspension or by age.
    pub dropped: u64,
    /// Calls of the store that failed.
    pub store_failures: u64,
    /// Losses of connections to the store, failovers of its server, and the commits that vanished with those.
    pub losses: u64,
    /// See [`Totals::losses`].
    pub failovers: u64,
    /// See [`Totals::losses`].
    pub vanished: u64,
    /// Takeovers of shards, and shards that were given away.
    pub takeovers: u64,
    /// See [`Totals::takeovers`].
    pub given: u64,
    /// Replays.
    pub replays: u64,
    /// Events sent by replays.
    pub replayed: u64,
    /// Virtual seconds.
    pub seconds: u64,
    /// Checked fates, in the order of [`domain::fate::Fate::ALL`].
    pub fates: [u64; 9],
}

impl Totals {
    /// Adds another world's counters.
    pub fn add(&mut self, other: &Totals) {
        self.worlds += other.worlds;
        self.steps += other.steps;
        self.events += other.events;
        self.owed += other.owed;
        self.attempts += other.attempts;
        self.crashes += other.crashes;
        self.suspensions += other.suspensions;
        self.changes += other.changes;
        self.duplicates += other.duplicates;
        self.batches += other.batches;
        self.repeats += other.repeats;
        self.dropped += other.dropped;
        self.store_failures += other.store_failures;
        self.losses += other.losses;
        self.failovers += other.failovers;
        self.vanished += other.vanished;
        self.takeovers += other.takeovers;
        self.given += other.given;
        self.replays += other.replays;
        self.replayed += other.replayed;
        self.seconds += other.seconds;
        self.fates.iter_mut().zip(other.fates).for_each(|(fates, more)| *fates += more);
    }
}

/// An attempt, for comparisons between worlds and for measurements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sent {
    /// True time in microseconds.
    pub at: u64,
    /// Index of the subscription.
    pub lane: usize,
    /// The event.
    pub position: u64,
}

/// A world.
pub struct World {
    plan: Plan,
    /// True time in microseconds since the beginning.
    time: u64,
    /// End of the counted hours of service.
    served_until: u64,
    /// The wall clock's lead, now and when the process started.
    offset: i64,
    offset_at_start: i64,
    agenda: BTreeMap<(u64, u64), Step>,
    next_step: u64,
    random: Random,
    store: MemoryStore,
    /// Tenure of the running process.
    tenure: Tenure,
    storage: Storage,
    connections: connections::Connections,
    producers: producers::Producers,
    receivers: Vec<Receiver>,
    /// The process; `None` while it is down.
    driver: Option<Driver>,
    run: u32,
    of_run: driver::Run,
    stopping_since: Option<u64>,
    back_after: u64,
    /// End of the events in the tail: they get there shortly after their acceptance.
    pushed: Position,
    pushes: Random,
    looks: Random,
    late_facts: fates::LateFacts,
    pending_save: Option<PendingSave>,
    failed_save: Option<PendingSave>,
    /// Choices about replays: numbers of their own, so that a world is otherwise that without them.
    replays: Random,
    next_replay: u128,
    replayed: Vec<Sent>,
    attempts: BTreeMap<u64, Attempt>,
    next_attempt: u64,
    next_event: u64,
    suspensions_asked: u64,
    next_subscription: u128,
    /// End of a planted fault: changes reach the engine late.
    withheld_until: u64,
    /// The log's position at a change that is announced only after later events are pushed, and the latest time of the
    /// announcement (a planted fault).
    unannounced: Option<(Position, u64)>,
    /// Shared resources, in worlds where they are scarce.
    shared: Option<shared::Shared>,
    oracle: Oracle,
    totals: Totals,
    sent: Vec<Sent>,
    /// Outcomes by attempt, for measurements: `(when, lane, throttled)`.
    answered: Vec<(u64, usize, bool)>,
    trace: Option<VecDeque<String>>,
    shown: usize,
}

impl World {
    /// Plays a world to its end.
    pub fn play(plan: Plan) -> Check<Totals> {
        let mut world = World::new(plan)?;
        world.live()?;
        world.settle()?;
        Ok(world.totals())
    }

    /// Replays a world and returns its last steps.
    pub fn last_steps(plan: Plan, shown: usize) -> Vec<String> {
        let Ok(mut world) = World::new(plan) else { return Vec::new() };
        world.trace = Some(VecDeque::new());
        world.shown = shown;
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

    /// Plays a world for as long as its plan lasts.
    pub fn live(&mut self) -> Check {
        self.until(self.plan.lasts, |_| false)?;
        Ok(())
    }

    /// All attempts so far.
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// Attempts of replays so far.
    pub fn replayed(&self) -> &[Sent] {
        &self.replayed
    }

    /// All responses so far: time, lane, whether it was 429.
    pub fn answered(&self) -> &[(u64, usize, bool)] {
        &self.answered
    }

    /// The rate reported by a lane.
    pub fn rate(&mut self, lane: usize) -> f64 {
        let (id, now) = (self.oracle.lanes[lane].stored.id, self.steady());
        self.driver
            .as_mut()
            .and_then(|driver| driver.status(id, now))
            .and_then(|(status, ..)| status.rate)
            .unwrap_or_default()
    }

    /// Continues until `end` (true time).
    pub fn play_until(&mut self, end: u64) -> Check {
        self.until(end, |_| false).map(|_| ())
    }

    /// The books of a subscription, by its index.
    pub(crate) fn lane(&self, index: usize) -> &oracle::Lane {
        &self.oracle.lanes[index]
    }

    /// Times from acceptance to delivery of a subscription's events, in microseconds.
    pub(crate) fn latencies(&self, index: usize) -> impl Iterator<Item = u64> + '_ {
        let delivered = self.oracle.lanes[index].items.values().filter(|item| item.state == oracle::State::Delivered);
        delivered.map(|item| item.reported_at.saturating_sub((item.accepted_at.as_micros() - START) as u64))
    }

    /// Duration of a use of shared resources, if it has ended.
    pub(crate) fn use_took(&self, index: usize) -> Option<u64> {
        self.shared.as_ref()?.used.get(&index).copied()
    }

    /// Number of a PIM's requests rejected for lack of room.
    pub(crate) fn refused(&self, pim: u32) -> u64 {
        self.shared.as_ref().and_then(|shared| shared.refused.get(&pim).copied()).unwrap_or_default()
    }

    pub(crate) fn totals(&self) -> Totals {
        let lanes = &self.oracle.lanes;
        let dropped = |lane: &oracle::Lane| {
            use oracle::State::{Dropped, Expired};
            lane.items.values().filter(|item| matches!(item.state, Dropped | Expired)).count() as u64
        };
        Totals {
            worlds: 1,
            owed: lanes.iter().map(|lane| lane.items.len() as u64).sum(),
            dropped: lanes.iter().map(dropped).sum(),
            suspensions: lanes.iter().map(|lane| lane.suspensions).sum(),
            duplicates: self.oracle.duplicates,
            crashes: self.oracle.crashes,
            seconds: self.time / 1_000_000,
            ..self.totals
        }
    }

    /// The wall clock.
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(START + self.time as i64 + self.offset)
    }

    /// The monotonic clock of the process: it continues from the wall clock's value at its start.
    fn steady(&self) -> Timestamp {
        Timestamp::from_micros(START + self.time as i64 + self.offset_at_start)
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        let (time, offset) = (self.time, self.offset);
        if let Some(trace) = &mut self.trace {
            if trace.len() >= self.shown {
                trace.pop_front();
            }
            trace.push_back(format!("{:>14.6} {:+} {}", time as f64 / 1e6, offset / 1_000_000, text()));
        }
    }

    fn schedule(&mut self, after: u64, step: Step) {
        self.next_step += 1;
        self.agenda.insert((self.time + after, self.next_step), step);
    }

    fn mutated(&self, mutation: Mutation) -> bool {
        self.plan.mutation == Some(mutation)
    }

    /// Continues until `end`, or until `enough`; returns whether it was enough.
    fn until(&mut self, end: u64, enough: impl Fn(&World) -> bool) -> Check<bool> {
        let mut at_rest = 0u32;
        loop {
            self.wake()?;
            if enough(self) {
                return Ok(true);
            }
            let timer = self.timer();
            let next = self.agenda.first_key_value().map(|(key, _)| *key);
            // The driver looks at answers before its timer.
            let step_first = match (next, timer) {
                (Some((at, _)), Some(timer)) => at <= timer,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => return Ok(false),
            };
            let at = if step_first { next.map_or(end, |(at, _)| at) } else { timer.unwrap_or(end) };
            if at >= end {
                self.time = end.max(self.time);
                return Ok(false);
            }
            at_rest = if at == self.time { at_rest + 1 } else { 0 };
            hold(Property::LoopRests, at_rest < 20_000, || {
                format!(
                    "{at_rest} turns without time going on: {:?}",
                    self.driver.as_ref().and_then(Driver::poll_timeout)
                )
            })?;
            self.time = at.max(self.time);
            self.totals.steps += 1;
            if step_first {
                if let Some(step) = next.and_then(|key| self.agenda.remove(&key)) {
                    self.take(step)?;
                }
            } else {
                self.tell(Input::Timeout)?;
            }
            if self.totals.steps.is_multiple_of(16) {
                self.look_at_status()?;
                self.look_at_fates()?;
            }
        }
    }
}
