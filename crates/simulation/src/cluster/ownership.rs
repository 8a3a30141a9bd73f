//! Ownership: renewals, looks at the roll, takeovers, and shards that are given away.

use domain::Position;
use engine::driver::{Driver, End, Found, Input};
use store::{Cluster, Epoch, MemoryStore, Profile, Roll, Shard, Shards, StoreError, Tenure};

use super::calls::{Answer, Loaded, Renewal, What};
use super::holding::{Holding, Stage};
use super::step::{At, Local};
use super::world::World;
use crate::mutation::Mutation;
use crate::property::Check;
use crate::storage::at_once;

/// Interval of renewals, and of looks at the roll.
const RENEW_EVERY: u64 = 2_000_000;
const LOOK_EVERY: u64 = 500_000;

impl World {
    pub(super) fn renew(&mut self, at: At) -> Check {
        let now = self.lease_clock(at.node);
        let Some(process) = &self.nodes[at.node].process else { return Ok(()) };
        let before = process.leases.taken();
        self.ask(at, What::Renew(Renewal { sent: now, before, is_regular: true }));
        Ok(())
    }

    pub(super) fn renewed(&mut self, at: At, renewal: Renewal, result: Result<Vec<(Shard, Epoch)>, StoreError>) {
        let now = self.lease_clock(at.node);
        let sent = if self.mutated(Mutation::CountFromAnswer) { now } else { renewal.sent };
        if let (Some(process), Ok(renewed)) = (&mut self.nodes[at.node].process, result) {
            process.leases.renewed(sent, renewal.before, &renewed);
        }
        if renewal.is_regular {
            self.local(at, RENEW_EVERY, Local::Renew);
        }
    }

    /// Looks at all nodes and leases.
    pub(super) fn look(&mut self, at: At) -> Check {
        let is_fit = self.time >= self.nodes[at.node].unfit_until;
        let Some(process) = &self.nodes[at.node].process else { return Ok(()) };
        if process.stopping {
            return Ok(());
        }
        if process.said != Some(is_fit) {
            self.ask(at, What::Enter(is_fit));
        }
        self.ask(at, What::Roll);
        Ok(())
    }

    pub(super) fn entered(&mut self, at: At, said: Option<bool>) {
        if let Some(process) = &mut self.nodes[at.node].process {
            process.said = said.or(process.said);
        }
    }

    /// Takes and gives what the tenancy decides.
    pub(super) fn saw(&mut self, at: At, result: Result<Roll, StoreError>) -> Check {
        self.local(at, LOOK_EVERY, Local::Look);
        let (now, enters_once) = (self.nodes[at.node].clock.uptime(), self.mutated(Mutation::EnterOnce));
        let Some(process) = &mut self.nodes[at.node].process else { return Ok(()) };
        let Some(roll) = result.ok().filter(|_| !process.stopping) else { return Ok(()) };
        if !enters_once {
            // A failover may have forgotten it, or brought back what it said before.
            let own = roll.nodes.iter().find(|node| node.id == process.store.node());
            process.said = own.map(|node| node.profile.is_fit);
        }
        let held: Vec<Shard> = process.holdings.keys().copied().collect();
        let decision = process.tenancy.decide(now, &roll, &held);
        for lease in decision.take {
            let Some(process) = &mut self.nodes[at.node].process else { return Ok(()) };
            if !process.holdings.contains_key(&lease.shard) && process.taking.insert(lease.shard) {
                self.note(|| format!("node {} takes {lease:?}", at.node));
                self.ask(at, What::Take(lease));
            }
        }
        decision.give.into_iter().try_for_each(|shard| self.give(at, shard))
    }

    /// Gives a shard to others.
    pub(super) fn give(&mut self, at: At, shard: Shard) -> Check {
        let (keeps, early) = (self.mutated(Mutation::KeepWhatWasGiven), self.mutated(Mutation::GiveBeforeTheStop));
        let Some(process) = &mut self.nodes[at.node].process else { return Ok(()) };
        let keeps = keeps && !process.stopping;
        let Some(holding) = process.holdings.get_mut(&shard) else { return Ok(()) };
        let (run, tenure) = (holding.run, holding.tenure);
        if holding.stage != Stage::Running {
            holding.leaves = true;
            return Ok(());
        }
        holding.stage = if keeps { Stage::Running } else { Stage::Stopping };
        if let Some(holding) = keeps.then(|| process.holdings.remove(&shard)).flatten() {
            process.kept.insert(shard, holding);
            self.ask(at, What::Give(run, tenure));
            return Ok(());
        }
        self.totals.given += 1;
        self.note(|| format!("node {} gives shard {shard} away", at.node));
        if early {
            self.ask(at, What::Give(0, tenure));
        }
        self.tell(at, run, Input::Stop)
    }

    /// A driver has ended.
    pub(super) fn driver_ended(&mut self, at: At, run: u64, end: End) -> Check {
        self.note(|| format!("the driver {run} of node {} ends: {end:?}", at.node));
        let Some(process) = &mut self.nodes[at.node].process else { return Ok(()) };
        let Some(holding) = process.holding(run) else { return Ok(()) };
        let (tenure, stage) = (holding.tenure, holding.stage);
        if end == End::Fenced {
            return self.abandon(at, run);
        }
        if stage == Stage::Stopping {
            holding.stage = Stage::Giving;
            holding.driver = None;
            let now = self.active(at);
            self.books.run_ends(run, now, end == End::InOrder)?;
            self.ask(at, What::Give(run, tenure));
        }
        Ok(())
    }

    /// A shard was given back, or could not be.
    pub(super) fn given(&mut self, at: At, run: u64) -> Check {
        self.drop_holding(at, run);
        self.end_if_stopped(at)
    }

    /// A shard is lost, with everything under way.
    pub(super) fn abandon(&mut self, at: At, run: u64) -> Check {
        self.note(|| format!("node {} drops holding {run}", at.node));
        let now = self.active(at);
        self.books.run_ends(run, now, false)?;
        self.drop_holding(at, run);
        self.end_if_stopped(at)
    }

    fn drop_holding(&mut self, at: At, run: u64) {
        let Some(process) = &mut self.nodes[at.node].process else { return };
        if let Some(tenure) = process.holding(run).map(|holding| holding.tenure) {
            process.holdings.remove(&tenure.shard);
            process.leases.gave(&tenure);
        }
    }

    pub(super) fn taken(&mut self, at: At, shard: Shard, result: Result<Option<Tenure>, StoreError>) {
        let now = self.lease_clock(at.node);
        let Some(process) = &mut self.nodes[at.node].process else { return };
        process.taking.remove(&shard);
        let Ok(Some(tenure)) = result else { return };
        self.totals.takeovers += 1;
        process.leases.took(&tenure, process.losses);
        let is_valid = process.leases.is_valid(now);
        if process.stopping {
            return self.ask(at, What::Give(0, tenure));
        }
        self.next_run += 1;
        let run = self.next_run;
        let kept = process.kept.remove(&shard).map(|kept| Holding { run: kept.run, tenure, ..kept });
        let holding = kept.unwrap_or_else(|| Holding::new(run, tenure));
        let run = holding.run;
        process.holdings.insert(shard, holding);
        if !is_valid {
            let before = process.leases.taken();
            self.ask(at, What::Renew(Renewal { sent: now, before, is_regular: false }));
        }
        self.note(|| format!("node {} has taken {tenure}, holding {run}", at.node));
        self.ask(at, What::Begin(run, shard));
    }

    pub(super) fn begun(&mut self, at: At, run: u64, result: Result<(Position, u64), StoreError>) -> Check {
        let tail_bytes = self.plan.tail_bytes;
        let Some(holding) = self.nodes[at.node].process.as_mut().and_then(|process| process.holding(run)) else {
            return Ok(());
        };
        let Ok((head, version)) = result else { return self.abandon(at, run) };
        let tenure = holding.tenure;
        holding.begin(head, version, tail_bytes);
        if holding.driver.is_none() {
            self.ask(at, What::Load(run, tenure));
        }
        Ok(())
    }

    pub(super) fn loaded(&mut self, at: At, run: u64, result: Result<Loaded, StoreError>) -> Check {
        let Some(holding) = self.nodes[at.node].process.as_mut().and_then(|process| process.holding(run)) else {
            return Ok(());
        };
        let Ok(Loaded { ledger, version, subscriptions }) = result else { return self.abandon(at, run) };
        let (tenure, head) = (holding.tenure, holding.tail.head());
        let now = self.nodes[at.node].clock.now().steady;
        self.note(|| format!("holding {run} of node {} starts at {head}, {}", at.node, shown(&ledger)));
        self.books.run_begins(run, tenure, &ledger)?;
        let found = Found { shard: tenure.shard, ledger, version, subscriptions, head };
        let driver = Driver::new(self.plan.settings.clone(), Default::default(), now, found);
        let Some(holding) = self.nodes[at.node].process.as_mut().and_then(|process| process.holding(run)) else {
            return Ok(());
        };
        (holding.driver, holding.stage) = (Some(driver), Stage::Running);
        self.local(at, 50_000, Local::Notify(run));
        // What was committed while it loaded.
        self.local(at, 200_000, Local::Poll);
        self.tell(at, run, Input::News)?;
        let leaves = self.holding(at, run).is_some_and(|holding| holding.leaves);
        if leaves { self.give(at, tenure.shard) } else { Ok(()) }
    }

    /// The store carries out a call about ownership.
    pub(super) fn about_ownership(&mut self, store: &MemoryStore, what: What) -> Answer {
        match what {
            What::Renew(renewal) => {
                self.before_commit();
                Answer::Renewed(renewal, renew(store))
            }
            What::Enter(is_fit) => {
                self.before_commit();
                let profile = Profile { address: None, version: "1".to_owned(), reads: 1, is_fit };
                Answer::Entered(is_fit, at_once(store.enter(&profile)).is_ok())
            }
            What::Take(seen) => {
                let commit = self.before_commit();
                let whatever = self.mutated(Mutation::TakeWhatever);
                let taken = match whatever {
                    true => at_once(store.take(seen.shard)).map(Some),
                    false => at_once(store.take_if(&seen)),
                };
                if let Ok(Some(tenure)) = &taken {
                    self.books.taken_over(*tenure, commit);
                }
                Answer::Taken(seen.shard, taken)
            }
            What::Give(run, tenure) => {
                self.before_commit();
                let given = at_once(store.give(&tenure));
                self.note(|| format!("{tenure} is given back: {given:?}"));
                Answer::Given(run)
            }
            _ => Answer::Roll(at_once(store.roll())),
        }
    }
}

/// Renews the leases of a process; returns those that it has.
fn renew(store: &MemoryStore) -> Result<Vec<(Shard, Epoch)>, StoreError> {
    store.renew();
    let leases = at_once(store.roll())?.leases.into_iter();
    Ok(leases.filter(|lease| lease.owner == Some(store.node())).map(|lease| (lease.shard, lease.epoch)).collect())
}

fn shown(ledger: &store::LedgerRecord) -> String {
    let lane = |lane: &store::LaneRecord| {
        let exceptions: Vec<u64> = lane.exceptions.iter().map(|exception| exception.position.0).collect();
        format!("; {}: {:?}, {exceptions:?}", lane.subscription.0.as_u128() - 1, lane.cursor.map(|cursor| cursor.0))
    };
    format!("mark {}{}", ledger.mark, ledger.lanes.iter().map(lane).collect::<String>())
}
