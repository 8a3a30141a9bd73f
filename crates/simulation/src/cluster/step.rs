//! Agenda of a world.

use domain::outcome::Outcome;
use engine::driver::Input;
use uuid::Uuid;

use super::calls::{Answer, Call};
use super::plan::{Change, Incident};
use super::world::World;
use crate::property::Check;

/// A process: the node, and its number there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct At {
    pub(super) node: usize,
    pub(super) run: u32,
}

/// An agenda item.
#[derive(Debug)]
pub(super) enum Step {
    Incident(Incident),
    /// A producer has events.
    Batch(u32, u64),
    /// A producer sends a request; its patience with a try ends; it gets an answer.
    Produce(usize),
    Unanswered(usize, u64),
    Acknowledged(usize),
    /// A person changes something.
    Change(Change),
    /// A node starts, and goes on after a pause.
    Start(usize),
    Resume(usize, u64),
    /// A call arrives at the server.
    Call(Box<Call>),
    /// The server dies, its standby takes over, commits reach it again.
    Die(u64),
    TakeOver,
    CatchUp,
    /// A request arrives at its receiver.
    Arrive(u64),
    /// Something happens in a process.
    Local(At, Local),
}

/// What happens in a process, once it does not stand still.
#[derive(Debug)]
pub(super) enum Local {
    Renew,
    Look,
    Poll,
    /// It notices that the server has changed.
    Notice,
    /// A call was not answered in time.
    Timeout(u64),
    Answered(u64, Answer),
    /// An attempt of a holding ended.
    Ended(u64, Vec<Outcome>),
    Reported(u64, Input),
    Notify(u64),
    Notified(u64, Uuid),
    Abandon(u64),
    /// A producer's request, with the number of the try, and a person's.
    Append(usize, u64),
    Change(usize),
    InEffect(usize),
}

impl World {
    pub(super) fn take(&mut self, step: Step) -> Check {
        match step {
            Step::Incident(incident) => self.happen(incident),
            Step::Batch(pim, events) => self.produce(pim, events),
            Step::Produce(request) => self.send_request(request),
            Step::Unanswered(request, tries) => self.unanswered(request, tries),
            Step::Acknowledged(request) => self.acknowledged(request),
            Step::Change(change) => self.ask_for(change),
            Step::Start(node) => self.start(node),
            Step::Resume(node, lasts) => self.resume(node, lasts),
            Step::Call(call) => self.serve(*call),
            Step::Die(away) => self.die(away),
            Step::TakeOver => self.take_over(),
            Step::CatchUp => self.catch_up(),
            Step::Arrive(attempt) => self.arrive(attempt),
            Step::Local(at, local) => self.locally(at, local),
        }
    }

    fn locally(&mut self, at: At, local: Local) -> Check {
        let node = &mut self.nodes[at.node];
        if node.run != at.run || node.process.is_none() {
            return Ok(());
        }
        if node.is_paused(self.time) {
            node.postponed.push(local);
            return Ok(());
        }
        match local {
            Local::Renew => self.renew(at),
            Local::Look => self.look(at),
            Local::Poll => self.poll(at),
            Local::Notice => self.notice(at),
            Local::Timeout(call) => self.timed_out(at, call),
            Local::Answered(call, answer) => self.answered(at, call, answer),
            Local::Ended(attempt, outcomes) => self.ended(at, attempt, outcomes),
            Local::Reported(run, input) => self.tell(at, run, input),
            Local::Notify(run) => self.notify(at, run),
            Local::Notified(run, id) => self.notified(at, run, id),
            Local::Abandon(run) => self.abandon(at, run),
            Local::Append(request, tries) => self.append_at(at, request, tries),
            Local::Change(change) => self.change_at(at, change),
            Local::InEffect(change) => self.is_in_effect(at, change),
        }
    }
}
