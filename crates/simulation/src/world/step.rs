//! Agenda of a world.

use std::time::Duration;

use domain::outcome::Outcome;
use domain::{PimId, Position};
use engine::core::{Floors, Read, ReadId, ReplayRead, Suspend};
use engine::driver::Input;
use fair::Holder;
use store::{Change, ReadLimit};

use super::World;
use crate::plan::{Incident, Loss, ReplayPlan};
use crate::property::Check;
use crate::sharing::Resource;

/// An agenda item. Those with a run number happen only in the same run of the process.
#[derive(Debug)]
pub(super) enum Step {
    Batch(u32, u64),
    /// A producer sends a request, it is at the store, and its answer at the producer.
    Produce(usize),
    Append(usize),
    Answered(usize),
    /// Connections to the store are lost; a commit's wait for the standby was cancelled.
    Loss(Loss),
    Cancelled,
    /// The driver is dropped because its tenure holds no more.
    Abandon(u32),
    /// The store's server dies for a time; its standby takes over.
    Die(u64),
    TakeOver,
    Incident(Incident),
    /// Somebody starts or cancels a replay.
    Replay(ReplayPlan),
    Start,
    /// A shared slot is in use for this long, followed by a step.
    Place(Resource, Holder, u64, Box<Step>),
    GiveBack(Resource, Holder),
    LookedUp(u64, bool, u64),
    Connected(u64),
    /// One of the plan's uses of shared resources begins, or has ended.
    Use(usize),
    Used(usize),
    Arrive(u64),
    Ended(u32, u64, Vec<Outcome>),
    /// Deliveries of an attempt are reported to the engine before its end (a planted fault).
    Early(u32, u64, usize),
    /// Events before the position are in the tail.
    Pushed(u32, Position),
    /// The store processes a request of the driver.
    Changes(u32, u64),
    Missed(u32, Position, ReadLimit),
    Read(u32, Read),
    Load(u32, ReadId, PimId, Vec<Position>),
    Replays(u32, Option<u64>),
    ReplayRead(u32, Box<ReplayRead>),
    Save(u32),
    Suspend(u32, u64, Suspend),
    SuspendCommit(u32, u64, Box<Change>),
    Trim(u32, Floors, Duration),
    /// The driver gets an input.
    Reported(u32, Input),
}

impl World {
    /// Runs an agenda item.
    pub(super) fn take(&mut self, step: Step) -> Check {
        let Some(step) = self.hold_back(step) else { return Ok(()) };
        let alive = |run| run == self.run && self.is_up();
        match step {
            Step::Batch(pim, events) if self.plan.losses.is_empty() => self.append(pim, events),
            Step::Batch(pim, events) => self.produce(pim, events),
            Step::Produce(request) => self.send_request(request),
            Step::Append(request) => self.append_request(request)?,
            Step::Answered(request) => self.acknowledge(request)?,
            Step::Loss(loss) => self.lose(loss)?,
            Step::Cancelled => self.lose_connections()?,
            Step::Abandon(run) if alive(run) => self.drop_driver()?,
            Step::Die(away) => self.die(away)?,
            Step::TakeOver => self.take_over()?,
            Step::Incident(incident) => self.happen(incident)?,
            Step::Replay(plan) => self.replay(plan),
            Step::Start => self.start()?,
            Step::Arrive(number) => self.arrive(number)?,
            Step::Place(what, holder, takes, then) => self.use_place(what, holder, takes, *then),
            Step::GiveBack(what, holder) => self.give_back(what, holder),
            Step::LookedUp(number, found, took) => self.looked_up(number, found, took),
            Step::Connected(number) => self.connected(number),
            Step::Use(index) => self.begin_use(index),
            Step::Used(index) => self.end_use(index),
            Step::Ended(run, number, outcomes) if alive(run) => self.ended(number, outcomes)?,
            Step::Early(run, number, events) if alive(run) => self.ended_early(number, events)?,
            Step::Pushed(run, head) if alive(run) && !self.connections.are_lost() => {
                self.pushed = head.max(self.pushed)
            }
            Step::Changes(run, since) if alive(run) => self.read_changes(since),
            Step::Missed(run, from, limit) if alive(run) => self.read_missed(from, limit),
            Step::Read(run, read) if alive(run) => self.read(read),
            Step::Load(run, id, pim, positions) if alive(run) => self.load(id, pim, positions),
            Step::Replays(run, since) if alive(run) => self.list_replays(since),
            Step::ReplayRead(run, read) if alive(run) => self.read_for_replay(read),
            Step::Save(run) if alive(run) => self.save()?,
            Step::Suspend(run, number, wanted) if alive(run) => self.prepare_suspension(number, &wanted),
            Step::SuspendCommit(run, number, change) if alive(run) => self.commit_suspension(number, *change),
            Step::Trim(run, floors, retention) if alive(run) => self.trim(floors, retention)?,
            Step::Reported(run, input) if alive(run) => self.answered_by_the_store(input)?,
            // Answers to a dead process.
            _ => {}
        }
        Ok(())
    }
}
