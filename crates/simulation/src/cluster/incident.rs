//! Incidents: nodes that die, stop, stand still and come back, clocks that are set, and trouble with the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ::cluster::Tenancy;
use store::{Cluster, Shard};

use super::holding::Stage;
use super::lease::{Leases, VALID};
use super::node::Process;
use super::plan::Incident;
use super::step::{At, Local, Step};
use super::world::World;
use crate::mutation::Mutation;
use crate::plan::SECOND;
use crate::property::Check;

impl World {
    pub(super) fn happen(&mut self, incident: Incident) -> Check {
        self.note(|| format!("{incident:?}"));
        match incident {
            Incident::Crash(node, away) => self.crash(node, away)?,
            Incident::Stop(node, away) => self.stop(node, away)?,
            Incident::Pause(node, lasts) => _ = self.pause(node, lasts),
            Incident::Sleep(node, lasts) => {
                if self.pause(node, lasts) {
                    self.nodes[node].clock.sleep(lasts);
                }
            }
            Incident::Jump(node, by) => self.nodes[node].clock.set(by),
            Incident::Lose(node) => {
                let at = At { node, run: self.nodes[node].run };
                if self.nodes[node].process.is_some() && !self.nodes[node].is_paused(self.time) {
                    self.lose_connections(at)?;
                }
            }
            Incident::Cut(node, lasts) => self.nodes[node].cut_until = self.time + lasts,
            Incident::Unfit(node, lasts) => self.nodes[node].unfit_until = self.time + lasts,
            Incident::Stall(lasts) if self.server.is_fine() => {
                self.server.fall_behind(false);
                self.schedule(lasts, Step::CatchUp);
            }
            Incident::Failover { behind, seen, away } if self.server.is_fine() => {
                self.server.fall_behind(seen);
                self.schedule(behind, Step::Die(away));
            }
            Incident::Stall(_) | Incident::Failover { .. } => {}
        }
        Ok(())
    }

    /// A process starts.
    pub(super) fn start(&mut self, index: usize) -> Check {
        if self.nodes[index].process.is_some() {
            return Ok(());
        }
        let store = Arc::new(self.store.reopen());
        let valid = if self.mutated(Mutation::TakeTooEarly) { VALID / 4 } else { VALID };
        let node = &mut self.nodes[index];
        node.clock.start();
        (node.cut_until, node.unfit_until) = (0, 0);
        let at = At { node: index, run: node.run };
        let now = self.lease_clock(index);
        self.nodes[index].process = Some(Process {
            tenancy: Tenancy::new(store.node(), valid),
            store,
            leases: Leases::new(now),
            holdings: BTreeMap::new(),
            taking: BTreeSet::new(),
            losses: 0,
            server: self.server.number,
            asked: BTreeMap::new(),
            said: None,
            stopping: false,
            back_after: 0,
            kept: BTreeMap::new(),
        });
        self.note(|| format!("node {index} starts"));
        self.local(at, 0, Local::Renew);
        self.local(at, 1, Local::Look);
        Ok(())
    }

    /// A process is gone. What it asked of the store may still be carried out.
    fn gone(&mut self, index: usize, back_after: u64) {
        let at = At { node: index, run: self.nodes[index].run };
        for step in self.calls_of(at) {
            if self.random.percent(50) {
                self.schedule(0, step);
            }
        }
        let node = &mut self.nodes[index];
        node.process = None;
        node.run += 1;
        node.paused_until = None;
        node.postponed.clear();
        self.schedule(back_after, Step::Start(index));
    }

    fn crash(&mut self, index: usize, away: u64) -> Check {
        let at = At { node: index, run: self.nodes[index].run };
        let Some(process) = &self.nodes[index].process else { return Ok(()) };
        let runs: Vec<u64> = process.holdings.values().map(|holding| holding.run).collect();
        self.totals.crashes += 1;
        let is_paused = self.nodes[index].is_paused(self.time);
        for run in runs {
            let now = if is_paused { 0 } else { self.active(at) };
            self.books.run_ends(run, now, false)?;
        }
        self.gone(index, away);
        Ok(())
    }

    fn stop(&mut self, index: usize, away: u64) -> Check {
        let at = At { node: index, run: self.nodes[index].run };
        if self.nodes[index].is_paused(self.time) {
            return Ok(());
        }
        let Some(process) = self.nodes[index].process.as_mut().filter(|process| !process.stopping) else {
            return Ok(());
        };
        (process.stopping, process.back_after) = (true, away);
        let shards: Vec<Shard> = process.holdings.keys().copied().collect();
        shards.into_iter().try_for_each(|shard| self.give(at, shard))?;
        self.end_if_stopped(at)
    }

    /// A process that stops ends once it has given its shards away.
    pub(super) fn end_if_stopped(&mut self, at: At) -> Check {
        let Some(process) = &self.nodes[at.node].process else { return Ok(()) };
        let is_busy = process.holdings.values().any(|holding| holding.stage != Stage::Loading);
        if process.stopping && !is_busy {
            let back_after = process.back_after;
            self.note(|| format!("node {} has stopped", at.node));
            self.gone(at.node, back_after);
        }
        Ok(())
    }

    /// A process stands still; whether it does.
    fn pause(&mut self, index: usize, lasts: u64) -> bool {
        let (now, node) = (self.time, &mut self.nodes[index]);
        if node.process.is_none() || node.is_paused(now) {
            return false;
        }
        node.paused_until = Some(now + lasts);
        self.schedule(lasts, Step::Resume(index, lasts));
        true
    }

    /// A process goes on.
    pub(super) fn resume(&mut self, index: usize, lasts: u64) -> Check {
        let at = At { node: index, run: self.nodes[index].run };
        let (now, node) = (self.time, &mut self.nodes[index]);
        if node.paused_until.is_none_or(|until| until > now) {
            return Ok(());
        }
        node.paused_until = None;
        node.stood_still += lasts;
        let postponed = std::mem::take(&mut node.postponed);
        self.note(|| format!("node {index} goes on"));
        for local in postponed {
            // What has come meanwhile is looked at in any order.
            let after = self.random.within(0, SECOND / 50);
            self.local(at, after, local);
        }
        Ok(())
    }
}
