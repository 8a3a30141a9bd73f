//! The store's server: a database that acknowledges a commit once its standby has it. Connections to it are lost, and
//! its standby takes over without the latest commits.

use store::memory::Moment;

use super::calls::{Answer, Call, What};
use super::step::{At, Local, Step};
use super::world::World;
use crate::mutation::Mutation;
use crate::plan::SECOND;
use crate::property::Check;

/// A call that hangs for so long is given up with its connection.
const HANGS: u64 = 10 * SECOND;

/// The server.
#[derive(Debug, Default)]
pub(super) struct Server {
    /// Number of failovers so far: connections lead to one server.
    pub(super) number: u64,
    /// Number of commits so far.
    pub(super) commits: u64,
    condition: Condition,
}

#[derive(Debug, Default)]
enum Condition {
    /// Its standby has every commit.
    #[default]
    Fine,
    /// No commit reaches the standby.
    Behind {
        /// Whether commits are seen by others.
        seen: bool,
        /// The moment before each commit, and its number.
        before: Vec<(u64, Moment)>,
        /// Answers to be given once the standby has the commits.
        unanswered: Vec<(At, u64, Answer)>,
        /// Calls that are not made visible.
        held: Vec<Call>,
    },
    /// It is dead.
    Dead { before: Vec<(u64, Moment)> },
}

impl Server {
    /// Whether a failover can begin.
    pub(super) fn is_fine(&self) -> bool {
        matches!(self.condition, Condition::Fine)
    }

    fn is_dead(&self) -> bool {
        matches!(self.condition, Condition::Dead { .. })
    }

    pub(super) fn fall_behind(&mut self, seen: bool) {
        self.condition = Condition::Behind { seen, before: Vec::new(), unanswered: Vec::new(), held: Vec::new() };
    }
}

impl World {
    /// A call arrives at the server.
    pub(super) fn serve(&mut self, call: Call) -> Check {
        if call.server != self.server.number {
            let after = self.random.within(0, 300_000);
            self.local(call.at, after, Local::Notice);
            return Ok(());
        }
        let is_cut = self.time < self.nodes[call.at.node].cut_until;
        if self.server.is_dead() || is_cut || self.storage.fails(self.time) {
            self.totals.store_failures += 1;
            let (takes, answer) = (self.store_takes(), call.what.refused());
            self.local(call.at, takes, Local::Answered(call.id, answer));
            return Ok(());
        }
        if let Condition::Behind { seen: false, held, .. } = &mut self.server.condition
            && call.what.writes()
        {
            let (at, id) = (call.at, call.id);
            held.push(call);
            self.local(at, HANGS, Local::Timeout(id));
            return Ok(());
        }
        self.make(call)
    }

    /// Carries out a call and answers it.
    fn make(&mut self, call: Call) -> Check {
        let (id, at, writes) = (call.id, call.at, call.what.writes());
        let answer = self.carry_out(call)?;
        if writes {
            if let Condition::Behind { unanswered, .. } = &mut self.server.condition {
                unanswered.push((at, id, answer));
                self.local(at, HANGS, Local::Timeout(id));
                return Ok(());
            }
            if !self.healed && self.random.percent(self.plan.lost_answers) {
                let after = self.random.within(0, 2 * SECOND);
                self.local(at, after, Local::Timeout(id));
                return Ok(());
            }
        }
        let takes = self.store_takes();
        self.local(at, takes, Local::Answered(id, answer));
        Ok(())
    }

    /// Something is about to be written; returns the commit's number.
    pub(super) fn before_commit(&mut self) -> u64 {
        self.server.commits += 1;
        if let Condition::Behind { before, .. } = &mut self.server.condition {
            before.push((self.server.commits, self.store.moment()));
        }
        self.server.commits
    }

    /// Commits reach the standby again.
    pub(super) fn catch_up(&mut self) -> Check {
        let condition = std::mem::take(&mut self.server.condition);
        let Condition::Behind { unanswered, held, .. } = condition else {
            self.server.condition = condition;
            return Ok(());
        };
        self.note(|| format!("the standby has caught up; {} calls were held", held.len()));
        for (at, id, answer) in unanswered {
            let takes = self.store_takes();
            self.local(at, takes, Local::Answered(id, answer));
        }
        held.into_iter().try_for_each(|call| self.make(call))
    }

    /// The server dies: of the calls that were not seen yet, it has made the first ones.
    pub(super) fn die(&mut self, away: u64) -> Check {
        let condition = std::mem::take(&mut self.server.condition);
        let Condition::Behind { seen, before, mut held, .. } = condition else {
            self.server.condition = condition;
            return Ok(());
        };
        held.truncate(self.random.within(0, held.len() as u64) as usize);
        self.note(|| format!("the server dies, seen {seen}, with {} commits; {} are made", before.len(), held.len()));
        for call in held {
            self.carry_out(call)?;
        }
        self.totals.failovers += 1;
        self.server.number += 1;
        self.server.condition = Condition::Dead { before };
        for node in 0..self.nodes.len() {
            let (at, after) = (At { node, run: self.nodes[node].run }, self.random.within(0, 3 * SECOND));
            self.local(at, after, Local::Notice);
        }
        self.schedule(away, Step::TakeOver);
        Ok(())
    }

    /// The standby takes over, with all acknowledged commits and the first of the others.
    pub(super) fn take_over(&mut self) -> Check {
        let Condition::Dead { mut before } = std::mem::take(&mut self.server.condition) else { return Ok(()) };
        let kept = self.random.within(0, before.len() as u64) as usize;
        let gone = before.len() - kept;
        self.note(|| format!("the standby takes over, {gone} commits are gone"));
        if gone > 0 {
            self.totals.vanished += gone as u64;
            let (number, moment) = before.swap_remove(kept);
            self.store.go_back(moment);
            for applied in self.applied.values_mut() {
                applied.retain(|(commit, _)| *commit < number);
            }
            self.books.go_back(number);
        }
        self.books.nobody_is_deceived()
    }

    /// A process notices that its connections lead to a server that is gone.
    pub(super) fn notice(&mut self, at: At) -> Check {
        let server = self.server.number;
        match self.nodes[at.node].process.as_ref() {
            Some(process) if process.server != server => self.lose_connections(at),
            _ => Ok(()),
        }
    }

    /// A call was not answered in time.
    pub(super) fn timed_out(&mut self, at: At, call: u64) -> Check {
        match self.nodes[at.node].process.as_ref() {
            Some(process) if process.asked.contains_key(&call) => self.lose_connections(at),
            _ => Ok(()),
        }
    }

    /// Connections of a process are lost: what was under way is made or not, and never answered; its tenures are void.
    pub(super) fn lose_connections(&mut self, at: At) -> Check {
        self.totals.losses += 1;
        for step in self.calls_of(at) {
            match self.random.within(0, 3) {
                0 | 1 => {}
                2 => self.schedule(0, step),
                // It is still on its way to the server.
                _ => {
                    let after = self.random.within(0, 3 * SECOND);
                    self.schedule(after, step);
                }
            }
        }
        let (server, ignores) = (self.server.number, self.mutated(Mutation::IgnoreLosses));
        let Some(process) = self.nodes[at.node].process.as_mut() else { return Ok(()) };
        process.server = server;
        let asked = std::mem::take(&mut process.asked);
        let runs: Vec<u64> = process.holdings.values().map(|holding| holding.run).collect();
        process.losses += u64::from(!ignores);
        self.note(|| format!("node {} loses its connections", at.node));
        for run in runs.into_iter().filter(|_| !ignores) {
            let after = self.random.within(0, 300_000);
            self.local(at, after, Local::Abandon(run));
        }
        for asked in asked.into_values() {
            if let Some(answer) = asked.failed() {
                self.learn(at, answer)?;
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, call: Call) -> Check<Answer> {
        let Call { at, store, what, .. } = call;
        match what {
            What::Renew(..) | What::Enter(_) | What::Roll | What::Take(_) | What::Give(..) => {
                Ok(self.about_ownership(&store, what))
            }
            What::Begin(..) | What::Load(..) | What::Heads(_) | What::Frames(..) => Ok(self.about_the_log(what)),
            What::Append(request, tries, known) => self.about_events(at, request, tries, known),
            What::Change(change) => self.about_a_change(at, change),
            What::InEffect(change, asked) => Ok(self.about_its_effect(change, asked)),
            What::Outbox(..) | What::Settle(..) => Ok(self.about_notices(what)),
            What::Of(run, tenure, engine) => self.for_a_driver(run, tenure, engine),
        }
    }
}
