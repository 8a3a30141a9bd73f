//! What owners write: saves, and suspensions with their notifications.

use domain::subscription::SubscriptionStatus;
use engine::driver::Input;
use store::{Change, ChangeError, LaneSave, Ledger, Save, Subscriptions, Tenure};

use super::books::Asked;
use super::calls::Engine;
use super::step::At;
use super::world::World;
use crate::mutation::Mutation;
use crate::property::{Check, Property, hold};
use crate::storage::at_once;
use crate::world::receiver_of;

impl World {
    pub(super) fn begin_save(&mut self, at: At, run: u64, save: Save) -> Check {
        let Some(holding) = self.holding(at, run) else { return Ok(()) };
        let (tenure, failed) = (holding.tenure, holding.failed_save.take());
        // A failed save is requested again unchanged.
        let asked = failed.unwrap_or_else(|| self.books.asked(run));
        if let Some(holding) = self.holding(at, run) {
            holding.pending_save = Some(asked.clone());
        }
        self.note(|| {
            let lane = |lane: &LaneSave| (lane.subscription.0.as_u128() - 1, lane.cursor.map(|cursor| cursor.0));
            format!("driver {run} saves mark {}, {:?}", save.mark, save.lanes.iter().map(lane).collect::<Vec<_>>())
        });
        self.begin_call(at, run, tenure, Engine::Save(Box::new((save, asked))));
        Ok(())
    }

    /// A driver learns what has become of its save.
    pub(super) fn save_ended(&mut self, at: At, run: u64, done: bool) {
        self.books.save_ended(run, done);
        if let Some(holding) = self.holding(at, run) {
            let pending = holding.pending_save.take();
            holding.failed_save = pending.filter(|_| !done);
        }
    }

    /// The store saves; `told` is the tenure that it is told.
    pub(super) fn save(&mut self, tenure: &Tenure, told: &Tenure, (save, asked): (Save, Asked)) -> Check<Input> {
        let commit = self.before_commit();
        let result = at_once(self.store.save(told, save));
        self.note(|| format!("a save of {tenure}: {result:?}"));
        if result.is_ok() {
            self.books.saved(tenure, &asked, commit)?;
        }
        Ok(Input::Saved { result })
    }

    /// The store suspends a subscription for its owner.
    pub(super) fn suspend(&mut self, tenure: &Tenure, mut change: Change) -> Check<Result<bool, ChangeError>> {
        if self.mutated(Mutation::SuspendUnfenced) {
            change.fence = None;
        }
        let commit = self.before_commit();
        let made = match at_once(self.store.change(change)) {
            Ok(made) => made,
            Err(error) => return Ok(Err(error)),
        };
        self.totals.suspensions += 1;
        for subscription in &made.subscriptions {
            self.books.committed(subscription, commit);
            let Some(lane) = self.books.find(subscription.id) else { continue };
            self.books.suspended(lane, tenure, commit)?;
            let receiver = receiver_of(subscription);
            self.note(|| format!("subscription {lane} is suspended: {:?}", subscription.status));
            let is_suspended = matches!(subscription.status, SubscriptionStatus::Suspended(_));
            hold(Property::SuspendsByTheRule, self.plan.is_bad(receiver) && is_suspended, || {
                format!("subscription {lane} is {:?}; receiver {receiver} has done nothing", subscription.status)
            })?;
        }
        self.news(made.shard);
        self.notices(made.shard);
        Ok(Ok(true))
    }
}
