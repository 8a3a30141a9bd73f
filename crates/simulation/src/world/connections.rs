//! Connections to the store that are lost, and failovers of its server, as with a database that acknowledges a commit
//! once its standby has it. After a loss, whatever was under way may have been made or not, nothing more is written for
//! the tenure, and the shard is taken up anew from what is stored. A failover keeps all acknowledged commits, and the
//! first of the others in their order.

use std::collections::BTreeMap;

use engine::driver::Input;
use store::memory::Moment;
use store::{ChangeError, EventLog, Ledger, LedgerRecord, Shard, TenureError};

use super::{Step, World};
use crate::mutation::Mutation;
use crate::oracle::Oracle;
use crate::plan::Loss;
use crate::property::Check;
use crate::random::Random;
use crate::storage::{at_once, unavailable};

/// The connections to the store, and its server.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) random: Random,
    server: Server,
    /// Calls that the server has not made visible yet.
    held: Vec<Step>,
    /// A connection was lost: the tenure holds no more.
    lost: bool,
    /// Calls that are being made will not be answered.
    cut: bool,
    /// Calls that are being made fail.
    fails: bool,
    /// The process goes on without a driver.
    retakes: bool,
    /// The ledger before the failover (a planted fault).
    remembered: Option<LedgerRecord>,
    went_back: bool,
}

#[derive(Debug)]
enum Server {
    /// Its standby has every commit.
    Fine,
    /// No commit reaches the standby.
    Behind {
        seen: bool,
        /// The moment before each commit.
        commits: Vec<Before>,
    },
    /// It is dead.
    Dead { commits: Vec<Before> },
}

/// All that a failover brings back.
#[derive(Debug)]
struct Before {
    stored: Moment,
    oracle: Oracle,
    written: BTreeMap<u64, u64>,
}

impl Connections {
    pub(super) fn new(random: Random) -> Connections {
        Connections {
            random,
            server: Server::Fine,
            held: Vec::new(),
            lost: false,
            cut: false,
            fails: false,
            retakes: false,
            remembered: None,
            went_back: false,
        }
    }

    /// Whether calls fail for lack of a server or a connection.
    pub(super) fn fail(&self) -> bool {
        self.fails || matches!(self.server, Server::Dead { .. })
    }

    /// Whether nothing that is written now is seen.
    pub(super) fn hide(&self) -> bool {
        matches!(self.server, Server::Behind { seen: false, .. })
    }

    /// Whether the shard cannot be taken over.
    pub(super) fn are_in_trouble(&self) -> bool {
        !matches!(self.server, Server::Fine)
    }

    pub(super) fn are_lost(&self) -> bool {
        self.lost
    }

    pub(super) fn retakes(&self) -> bool {
        self.retakes
    }

    /// The process has no driver any more; `lives`: it takes the shard up anew.
    pub(super) fn without_driver(&mut self, lives: bool) {
        (self.lost, self.retakes) = (false, lives);
    }

    /// A driver starts; returns whether it is in the same process, and the ledger and the tail that it wrongly has
    /// from before a failover.
    pub(super) fn begin_anew(&mut self) -> (bool, bool, Option<LedgerRecord>) {
        let went_back = std::mem::take(&mut self.went_back);
        let remembered = self.remembered.take().filter(|_| went_back);
        (std::mem::take(&mut self.retakes), went_back, remembered)
    }
}

impl World {
    pub(super) fn lose(&mut self, loss: Loss) -> Check {
        self.note(|| format!("{loss:?}"));
        match loss {
            Loss::Connections => self.lose_connections(),
            Loss::Failover { behind, seen, away } if matches!(self.connections.server, Server::Fine) => {
                self.connections.server = Server::Behind { seen, commits: Vec::new() };
                self.schedule(behind, Step::Die(away));
                Ok(())
            }
            Loss::Failover { .. } => Ok(()),
        }
    }

    /// Connections are lost, and the tenure with them.
    pub(super) fn lose_connections(&mut self) -> Check {
        if !self.is_up() || self.connections.lost {
            return Ok(());
        }
        self.totals.losses += 1;
        self.cut_off()?;
        if self.is_up() && (!self.mutated(Mutation::KeepTenure) || self.connections.are_in_trouble()) {
            self.connections.lost = true;
            let after = self.connections.random.within(0, 300_000);
            self.schedule(after, Step::Abandon(self.run));
        }
        Ok(())
    }

    /// Half of the calls under way are cut off: made or not, and never answered.
    fn cut_off(&mut self) -> Check {
        let run = self.run;
        let is_call = |step: &Step| match step {
            Step::Save(of) | Step::SuspendCommit(of, ..) | Step::Trim(of, ..) => *of == run,
            Step::Reported(of, input) => *of == run && unanswered(input).is_some(),
            Step::Append(_) | Step::Answered(_) => true,
            _ => false,
        };
        let calls: Vec<_> = self.agenda.iter().filter(|(_, step)| is_call(step)).map(|(key, _)| *key).collect();
        for key in calls {
            if self.connections.random.percent(50) {
                continue;
            }
            let Some(step) = self.agenda.remove(&key) else { continue };
            let is_made = self.connections.random.percent(50) && !self.connections.fail();
            match step {
                Step::Reported(run, input) => {
                    if let Some(error) = unanswered(&input) {
                        self.schedule(0, Step::Reported(run, error));
                    }
                }
                Step::Answered(request) => self.leave_unanswered(request),
                Step::Append(request) if !is_made => {
                    // It may still be on its way to the server.
                    if self.connections.random.percent(30) {
                        let after = self.connections.random.within(0, 3_000_000);
                        self.schedule(after, Step::Append(request));
                    }
                    self.leave_unanswered(request);
                }
                step => {
                    (self.connections.cut, self.connections.fails) = (true, !is_made);
                    let made = self.take(step);
                    (self.connections.cut, self.connections.fails) = (false, false);
                    made?;
                }
            }
        }
        Ok(())
    }

    /// The driver is dropped, because its tenure holds no more.
    pub(super) fn drop_driver(&mut self) -> Check {
        self.note(|| "the driver is dropped".to_owned());
        self.back_after = self.connections.random.within(0, 700_000);
        self.end_suddenly(true)
    }

    /// The server dies: of the calls that were not seen yet, it has made the first ones.
    pub(super) fn die(&mut self, away: u64) -> Check {
        let Server::Behind { commits, .. } = std::mem::replace(&mut self.connections.server, Server::Fine) else {
            return Ok(());
        };
        let mut held = std::mem::take(&mut self.connections.held);
        let made = self.connections.random.within(0, held.len() as u64) as usize;
        self.note(|| {
            format!("the server dies, with {} commits; {made} of {} calls are made", commits.len(), held.len())
        });
        let lost = held.split_off(made);
        self.connections.cut = true;
        let result = held.into_iter().try_for_each(|step| self.take(step));
        self.connections.cut = false;
        result?;
        for step in lost {
            if let Step::Append(request) = step {
                self.leave_unanswered(request);
            }
        }
        self.connections.server = Server::Dead { commits };
        self.totals.failovers += 1;
        self.lose_connections()?;
        self.schedule(away, Step::TakeOver);
        Ok(())
    }

    /// The standby takes over.
    pub(super) fn take_over(&mut self) -> Check {
        if self.is_up() {
            self.drop_driver()?;
        }
        let server = std::mem::replace(&mut self.connections.server, Server::Fine);
        let Server::Dead { mut commits } = server else { return Ok(()) };
        let kept = self.connections.random.within(0, commits.len() as u64) as usize;
        let gone = commits.len() - kept;
        self.note(|| format!("the standby takes over, {gone} commits are gone"));
        if gone > 0 {
            self.totals.vanished += gone as u64;
            self.go_back(commits.swap_remove(kept))?;
        }
        self.producers.are_not_deceived()
    }

    fn go_back(&mut self, to: Before) -> Check {
        if self.mutated(Mutation::RememberLedger) {
            self.connections.remembered = at_once(self.store.load(&self.tenure)).ok();
        }
        self.connections.went_back = true;
        self.store.go_back(to.stored);
        self.oracle.go_back(to.oracle);
        self.producers.written = to.written;
        // The positions of vanished events are used again: their attempts must not count for the new events.
        let (head, lanes) = (at_once(self.store.head(Shard::FIRST)).unwrap_or_default(), self.oracle.lanes.len());
        let is_there = |position: &u64| *position < head.0;
        self.attempts.retain(|_, attempt| attempt.lane < lanes && attempt.made.positions.iter().all(is_there));
        let ledger = at_once(self.store.load(&self.tenure)).unwrap_or_default();
        self.note(|| format!("the store has {ledger:?}"));
        self.oracle.crashed(&ledger)
    }

    /// Something is about to be written.
    pub(super) fn before_commit(&mut self) {
        if let Server::Behind { seen: true, commits } = &mut self.connections.server {
            let (oracle, written) = (self.oracle.clone(), self.producers.written.clone());
            commits.push(Before { stored: self.store.moment(), oracle, written });
        }
    }

    /// Whether a call that was made is answered as such.
    pub(super) fn is_answered(&mut self, trusted: bool) -> bool {
        if self.connections.cut {
            return false;
        }
        if !self.connections.are_in_trouble() || trusted || self.mutated(Mutation::AnswerBeforeStandby) {
            return true;
        }
        // Its wait is cancelled: it is seen, and not acknowledged.
        if self.connections.random.percent(15) {
            if self.mutated(Mutation::TrustCancelled) {
                return true;
            }
            self.schedule(0, Step::Cancelled);
        }
        false
    }

    /// What the driver learns of a call.
    pub(super) fn as_answered(&mut self, input: Input) -> Option<Input> {
        let Some(error) = unanswered(&input) else { return Some(input) };
        if self.is_answered(false) {
            return Some(input);
        }
        self.connections.cut.then_some(error)
    }

    /// Whether a call of the tenure is refused at once; its answer is `fenced`.
    pub(super) fn is_fenced(&mut self, fenced: Input) -> bool {
        if self.connections.lost {
            self.schedule(0, Step::Reported(self.run, fenced));
        }
        self.connections.lost
    }

    /// A call that is not seen before the server dies.
    pub(super) fn hold_back(&mut self, step: Step) -> Option<Step> {
        let is_write = matches!(step, Step::Save(_) | Step::SuspendCommit(..) | Step::Trim(..) | Step::Append(_));
        if !(is_write && self.connections.hide()) {
            return Some(step);
        }
        self.connections.held.push(step);
        None
    }

    /// The same for changes by people.
    pub(super) fn holds_back(&mut self, step: impl FnOnce() -> Step) -> bool {
        let hides = self.connections.hide();
        if hides {
            self.connections.held.push(step());
        }
        hides
    }
}

/// What is reported of a call of the tenure that was not answered; `None`: nothing was written.
fn unanswered(input: &Input) -> Option<Input> {
    let lost = || TenureError::from(unavailable());
    let unchanged = || ChangeError::from(unavailable());
    Some(match input {
        Input::Saved { result: Ok(_) } => Input::Saved { result: Err(lost()) },
        Input::Applied { result: Ok(_) } => Input::Applied { result: Err(lost()) },
        Input::Trimmed { result: Ok(_) } => Input::Trimmed { result: Err(lost()) },
        Input::Suspended { number, result: Ok(_) } => Input::Suspended { number: *number, result: Err(unchanged()) },
        Input::Warned { number, result: Ok(_) } => Input::Warned { number: *number, result: Err(unchanged()) },
        _ => return None,
    })
}
