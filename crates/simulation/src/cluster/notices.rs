//! Notifications: the owner of a shard sends those in its outbox, one after another, and records each.

use store::{Outbox, Shard, StoreError};
use uuid::Uuid;

use super::calls::{Answer, What};
use super::step::{At, Local};
use super::world::World;
use crate::mutation::Mutation;
use crate::property::Check;
use crate::storage::at_once;

/// Pause of a notifier after a failure.
const AGAIN: u64 = 500_000;

impl World {
    /// Notifications were committed in a shard.
    pub(super) fn notices(&mut self, shard: Shard) {
        for index in 0..self.nodes.len() {
            let (run, node) = (self.nodes[index].run, &self.nodes[index]);
            let holding = node.process.as_ref().and_then(|process| process.holdings.get(&shard));
            let Some(holding) = holding.map(|holding| holding.run) else { continue };
            let after = self.random.within(1_000, 600_000);
            self.local(At { node: index, run }, after, Local::Notify(holding));
        }
    }

    /// The notifier of a holding looks for notifications.
    pub(super) fn notify(&mut self, at: At, run: u64) -> Check {
        let Some(holding) = self.holding(at, run).filter(|holding| holding.driver.is_some()) else { return Ok(()) };
        let shard = holding.tenure.shard;
        if std::mem::replace(&mut holding.notifier.is_busy, true) {
            holding.notifier.again = true;
        } else {
            holding.notifier.again = false;
            self.ask(at, What::Outbox(run, shard));
        }
        Ok(())
    }

    pub(super) fn outbox(&mut self, at: At, run: u64, result: Result<Vec<Uuid>, StoreError>) {
        let Some(holding) = self.holding(at, run) else { return };
        let Ok(ids) = result else {
            holding.notifier.is_busy = false;
            return self.local(at, AGAIN, Local::Notify(run));
        };
        let Some(id) = ids.first().copied() else {
            holding.notifier.is_busy = false;
            if holding.notifier.again {
                self.local(at, 0, Local::Notify(run));
            }
            return;
        };
        if holding.notifier.sent.contains(&id) {
            return self.ask(at, What::Settle(run, id));
        }
        let after = self.random.within(1_000, 200_000);
        self.local(at, after, Local::Notified(run, id));
    }

    /// A notification is sent.
    pub(super) fn notified(&mut self, at: At, run: u64, id: Uuid) -> Check {
        let now = self.lease_clock(at.node);
        let looks = !self.mutated(Mutation::NotifyAfterTheEnd);
        let Some(process) = &mut self.nodes[at.node].process else { return Ok(()) };
        let (losses, leases) = (process.losses, &process.leases);
        let Some(holding) = process.holdings.values_mut().find(|holding| holding.run == run) else { return Ok(()) };
        let tenure = holding.tenure;
        if holding.driver.is_none() {
            // It has stopped with the driver.
            holding.notifier.is_busy = false;
            return Ok(());
        }
        if looks && !leases.owns(tenure.shard, losses, now) {
            holding.notifier.is_busy = false;
            self.local(at, AGAIN, Local::Notify(run));
            return Ok(());
        }
        holding.notifier.sent.insert(id);
        self.note(|| format!("node {} sends notification {id}", at.node));
        self.books.notified(id, &tenure)?;
        self.ask(at, What::Settle(run, id));
        Ok(())
    }

    pub(super) fn settled(&mut self, at: At, run: u64, done: bool) {
        if let Some(holding) = self.holding(at, run) {
            holding.notifier.is_busy = false;
            self.local(at, if done { 0 } else { AGAIN }, Local::Notify(run));
        }
    }

    /// Notifications in the outbox of a shard.
    pub(super) fn waiting_notices(&self, shard: Shard) -> Vec<Uuid> {
        let found = at_once(self.store.notifications(shard, None, usize::MAX)).unwrap_or_default();
        found.into_iter().map(|outgoing| outgoing.id).collect()
    }

    /// The store carries out a call about notifications.
    pub(super) fn about_notices(&mut self, what: What) -> Answer {
        match what {
            What::Outbox(run, shard) => Answer::Outbox(run, Ok(self.waiting_notices(shard))),
            What::Settle(run, id) => {
                let commit = self.before_commit();
                self.books.notice_settled(id, commit);
                Answer::Settled(run, at_once(self.store.settle_notification(id)).is_ok())
            }
            other => other.refused(),
        }
    }
}
