//! Resources shared by tenants: slots for look-ups, connections, readers and senders of notifications. The real
//! [`fair::Queue`] divides them.

use std::collections::HashMap;
use std::time::Duration;

use domain::outcome::{ErrorReason, Failure, Outcome};
use domain::{Event, PimId};
use fair::{Asked, Holder, Queue, Waiter};
use store::EventLog;

use super::{Step, World};
use crate::mutation::Mutation;
use crate::receiver::{ATTEMPT, BatchVerdict};
use crate::sharing::{Resource, Sharing};

/// Time for which the result of a look-up is cached.
const NAME_IS_KEPT: u64 = 30_000_000;

/// Slots of one kind, and the steps that wait for one.
#[derive(Debug)]
struct Pool {
    queue: Queue,
    waiting: HashMap<Waiter, Step>,
}

impl Pool {
    fn new(capacity: u64) -> Pool {
        Pool { queue: Queue::new(capacity), waiting: HashMap::new() }
    }

    /// Requests a slot; returns the steps that have got theirs.
    fn ask(&mut self, holder: Holder, step: Step) -> Vec<Step> {
        match self.queue.ask(holder, 1) {
            Asked::Granted => vec![step],
            Asked::Waits(waiter) => {
                self.waiting.insert(waiter, step);
                self.serve()
            }
        }
    }

    fn give_back(&mut self, holder: Holder) -> Vec<Step> {
        self.queue.give_back(holder, 1);
        self.serve()
    }

    fn serve(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Some(waiter) = self.queue.serve() {
            steps.extend(self.waiting.remove(&waiter));
        }
        steps
    }
}

/// Progress of an attempt with shared resources.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Duration of its own look-up, which is part of its time.
    looked_up_for: u64,
    /// Start of its time, its look-up included.
    began_at: u64,
    connected: bool,
}

/// The shared resources of a world's tenants.
#[derive(Debug)]
pub(super) struct Shared {
    look_ups: Pool,
    connections: Pool,
    readers: Pool,
    senders: Pool,
    token_checks: Pool,
    /// Expiry of each receiver's cached name.
    names: HashMap<usize, u64>,
    attempts: HashMap<u64, Progress>,
    /// Duration of each of the plan's uses, in microseconds.
    pub(super) used: HashMap<usize, u64>,
    /// Producer requests refused for lack of room, by PIM.
    pub(super) refused: HashMap<u32, u64>,
}

impl Shared {
    pub(super) fn new(sharing: &Sharing) -> Shared {
        Shared {
            look_ups: Pool::new(sharing.look_ups),
            connections: Pool::new(sharing.connections),
            readers: Pool::new(sharing.readers),
            senders: Pool::new(sharing.senders),
            token_checks: Pool::new(sharing.token_checks),
            names: HashMap::new(),
            attempts: HashMap::new(),
            used: HashMap::new(),
            refused: HashMap::new(),
        }
    }

    fn pool(&mut self, what: Resource) -> &mut Pool {
        match what {
            Resource::LookUps => &mut self.look_ups,
            Resource::Connections => &mut self.connections,
            Resource::Readers => &mut self.readers,
            Resource::Senders => &mut self.senders,
            Resource::TokenChecks => &mut self.token_checks,
        }
    }
}

impl World {
    fn holder(&self, pim: PimId, part: u64) -> Holder {
        let pim = u64::from(pim.0);
        match self.plan.mutation {
            Some(Mutation::OneQueueForAll) => Holder { pim: 0, part: 0 },
            Some(Mutation::ShareBySubscription) => Holder { pim: pim << 32 | part, part: 0 },
            _ => Holder { pim, part },
        }
    }

    /// Runs a step once its holder has a slot.
    fn with_place(&mut self, what: Resource, holder: Holder, step: Step) {
        let Some(shared) = &mut self.shared else { return self.schedule(0, step) };
        let steps = shared.pool(what).ask(holder, step);
        steps.into_iter().for_each(|step| self.schedule(0, step));
    }

    pub(super) fn give_back(&mut self, what: Resource, holder: Holder) {
        let Some(shared) = &mut self.shared else { return };
        let steps = shared.pool(what).give_back(holder);
        steps.into_iter().for_each(|step| self.schedule(0, step));
    }

    /// Occupies a slot for a time, then runs the step.
    pub(super) fn use_place(&mut self, what: Resource, holder: Holder, takes: u64, then: Step) {
        self.schedule(takes, Step::GiveBack(what, holder));
        self.schedule(takes, then);
    }

    /// The engine reads from the store, using one of the readers if those are shared.
    pub(super) fn read_store(&mut self, pim: PimId, read: Step) {
        let takes = self.store_takes();
        if self.shared.is_none() {
            return self.schedule(takes, read);
        }
        let holder = self.holder(pim, 0);
        let place = Step::Place(Resource::Readers, holder, takes, Box::new(read));
        self.with_place(Resource::Readers, holder, place);
    }

    /// Starts one of the plan's uses beside deliveries.
    pub(super) fn begin_use(&mut self, index: usize) {
        let Some(one) = self.plan.sharing.as_ref().and_then(|sharing| sharing.uses.get(index).copied()) else { return };
        let holder = self.holder(PimId(one.pim), one.part);
        let place = Step::Place(one.what, holder, one.takes, Box::new(Step::Used(index)));
        self.with_place(one.what, holder, place);
    }

    pub(super) fn end_use(&mut self, index: usize) {
        let now = self.time;
        if let (Some(shared), Some(sharing)) = (&mut self.shared, &self.plan.sharing) {
            shared.used.insert(index, now - sharing.uses[index].at);
        }
    }

    /// Whether a request is refused although its PIM has room (a planted fault).
    pub(super) fn has_no_room(&self, pim: u32, events: &[Event]) -> bool {
        let Some(sharing) = self.plan.sharing.as_ref().filter(|_| self.mutated(Mutation::OneBoundForAll)) else {
            return false;
        };
        let (backlog, more) = (self.store.backlog(), events.iter().map(|event| event.size() as u64).sum::<u64>());
        backlog.total() + more > sharing.log_bytes / 2 && backlog.lacks(PimId(pim), more).is_none()
    }

    /// Refuses a PIM's request for lack of room.
    pub(super) fn refuse(&mut self, pim: u32) {
        if let Some(shared) = &mut self.shared {
            *shared.refused.entry(pim).or_default() += 1;
        }
    }

    /// Starts an attempt: at once, or with the shared resources that it needs.
    pub(super) fn set_out(&mut self, number: u64) {
        if self.shared.is_none() {
            return self.go(number);
        }
        let Some(attempt) = self.attempts.get(&number) else { return };
        let (receiver, now) = (attempt.receiver, self.time);
        let known = self.shared.as_ref().is_some_and(|shared| shared.names.get(&receiver).is_some_and(|at| *at > now));
        if let Some(shared) = &mut self.shared {
            shared.attempts.insert(number, Progress::default());
        }
        if known && self.mutated(Mutation::PlaceBeforeCache) {
            let holder = self.holder_of(number);
            let place = Step::Place(Resource::LookUps, holder, 0, Box::new(Step::LookedUp(number, true, 0)));
            return self.with_place(Resource::LookUps, holder, place);
        }
        if known {
            return self.connect(number);
        }
        let silent = self.plan.sharing.as_ref().is_some_and(|sharing| sharing.silent_names.contains(&receiver));
        let takes = if silent { ATTEMPT.as_micros() as u64 } else { self.random.within(500, 10_000) };
        let holder = self.holder_of(number);
        let place = Step::Place(Resource::LookUps, holder, takes, Box::new(Step::LookedUp(number, !silent, takes)));
        self.with_place(Resource::LookUps, holder, place);
    }

    fn holder_of(&self, number: u64) -> Holder {
        let lane = self.attempts.get(&number).map_or(0, |attempt| attempt.lane);
        self.holder(self.oracle.lanes[lane].stored.pim, lane as u64)
    }

    pub(super) fn looked_up(&mut self, number: u64, found: bool, took: u64) {
        let Some(attempt) = self.attempts.get(&number) else { return };
        let (receiver, run, until) = (attempt.receiver, attempt.run, self.time + NAME_IS_KEPT);
        if !found {
            let failure = Failure {
                reason: ErrorReason::DnsLookupFailure,
                code: 500,
                message: "no name server answered".to_owned(),
                answer: None,
            };
            return self.schedule(0, Step::Ended(run, number, vec![Outcome::Failed(failure)]));
        }
        if let Some(shared) = &mut self.shared {
            shared.names.insert(receiver, until);
            shared.attempts.entry(number).or_default().looked_up_for = took;
        }
        self.connect(number);
    }

    fn connect(&mut self, number: u64) {
        let holder = self.holder_of(number);
        self.with_place(Resource::Connections, holder, Step::Connected(number));
    }

    /// The attempt has its connection: its time starts.
    pub(super) fn connected(&mut self, number: u64) {
        let sent_at = self.attempts.get(&number).map_or(0, |attempt| attempt.sent_at);
        let counts_waiting = self.mutated(Mutation::CountWaiting);
        let now = self.time;
        if let Some(progress) = self.shared.as_mut().and_then(|shared| shared.attempts.get_mut(&number)) {
            progress.connected = true;
            progress.began_at = if counts_waiting { sent_at } else { now - progress.looked_up_for };
        }
        self.go(number);
    }

    /// Sends the request.
    fn go(&mut self, number: u64) {
        let Some(attempt) = self.attempts.get(&number) else { return };
        let receiver = attempt.receiver;
        let way = self.receivers[receiver].way().as_micros() as u64;
        self.schedule(way, Step::Arrive(number));
    }

    /// Result of an attempt that times out before the response; `None`: there is enough time.
    pub(super) fn too_late(&self, number: u64, verdict: &BatchVerdict) -> Option<(BatchVerdict, u64)> {
        let progress = self.shared.as_ref()?.attempts.get(&number)?;
        let left = (progress.began_at + ATTEMPT.as_micros() as u64).saturating_sub(self.time);
        if verdict.after <= Duration::from_micros(left) {
            return None;
        }
        let failure = Failure {
            reason: ErrorReason::DestinationTimeout,
            code: 500,
            message: "no answer within 5 s".to_owned(),
            answer: None,
        };
        let outcomes = vec![Outcome::Failed(failure); verdict.outcomes.len()];
        Some((BatchVerdict { outcomes, after: Duration::from_micros(left), again: None, ..verdict.clone() }, left))
    }

    /// An attempt is over: its connection is free.
    pub(super) fn disconnect(&mut self, number: u64) {
        let progress = self.shared.as_mut().and_then(|shared| shared.attempts.remove(&number));
        if progress.is_some_and(|progress| progress.connected) {
            let holder = self.holder_of(number);
            self.give_back(Resource::Connections, holder);
        }
    }
}
