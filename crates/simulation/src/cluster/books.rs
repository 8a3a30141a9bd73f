//! Independent books: what is committed, who owns a shard, which event is owed to which subscription, and what
//! receivers got. They know the commits of the store and go back with them, but nothing of leases, tails or lanes.

mod runs;
mod sending;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::subscription::{Ordering, Subscription, SubscriptionStatus};
use domain::{LoggedEvent, SubscriptionId};
use store::{Shard, Spread, Tenure};
use uuid::Uuid;

use crate::property::{Check, Property, hold};

pub use runs::Asked;
pub use sending::Handed;

/// Progress of an event with one subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// To be delivered.
    Owed,
    /// Handed over to a sink, in this attempt.
    InFlight(u64),
    /// It failed, and is tried again.
    Failed,
    /// The driver knows that it was delivered.
    Delivered,
}

/// An event owed to a subscription.
#[derive(Clone, Debug)]
struct Item {
    number: u64,
    /// The commit of its append.
    commit: u64,
    entity: u64,
    state: State,
    /// The driver that changed its state last.
    run: u64,
    failures: usize,
    /// When a driver learnt of an outcome last, in time that its process did not stand still.
    changed_at: u64,
    /// How often a receiver got it.
    taken: u32,
    /// The commit of the save that says that it is settled.
    settled: Option<u64>,
    /// The commit of the suspension that dropped it, and the subscription's revision.
    dropped: Option<(u64, u64)>,
    /// The contract leaves open whether it is delivered: it was refused, or tried often enough.
    optional: bool,
}

/// A subscription.
#[derive(Clone, Debug)]
struct Lane {
    /// As stored, with the commits.
    history: Vec<(u64, Subscription)>,
    items: BTreeMap<u64, Item>,
    /// Changes of its sending up to this revision were answered.
    answered: u64,
    /// Suspensions by the platform.
    suspensions: Vec<u64>,
}

impl Lane {
    fn stored(&self) -> &Subscription {
        // Each begins with one.
        &self.history[self.history.len() - 1].1
    }

    /// Whether entities are kept in order. No order is promised for what was due at a destination of the other kind.
    fn is_ordered(&self) -> bool {
        let is_topic = |(_, one): &(u64, Subscription)| crate::oracle::is_topic(one);
        let by_entity = self.stored().options.ordering == Ordering::PerEntity;
        self.history.iter().all(is_topic) || by_entity && !self.history.iter().any(is_topic)
    }
}

/// A notification.
#[derive(Clone, Debug, Default)]
struct Notice {
    /// The owner that has sent it.
    sent: Option<Tenure>,
    /// The commit that recorded it.
    settled: Option<u64>,
}

/// The books.
#[derive(Clone, Debug)]
pub struct Books {
    lanes: Vec<Lane>,
    by_id: BTreeMap<SubscriptionId, usize>,
    /// All tenures of a shard, with the commits of the takeovers.
    tenures: BTreeMap<Shard, Vec<(u64, Tenure)>>,
    /// Positions of events in the log, with the commits, by number.
    written: BTreeMap<u64, (u64, u64)>,
    acknowledged: BTreeSet<u64>,
    notices: BTreeMap<Uuid, Notice>,
    runs: BTreeMap<u64, runs::Run>,
    save_every: Duration,
    spread: Spread,
    /// Events that are sent again although a driver knew that they were delivered.
    pub duplicates: u64,
}

impl Books {
    /// Empty books.
    pub fn new(save_every: Duration, spread: Spread) -> Books {
        Books {
            lanes: Vec::new(),
            by_id: BTreeMap::new(),
            tenures: BTreeMap::new(),
            written: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            notices: BTreeMap::new(),
            runs: BTreeMap::new(),
            save_every,
            spread,
            duplicates: 0,
        }
    }

    /// The index of a subscription.
    pub fn find(&self, id: SubscriptionId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// The subscription with an index, as stored.
    pub fn stored(&self, lane: usize) -> &Subscription {
        self.lanes[lane].stored()
    }

    /// Number of subscriptions.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// The entities of a subscription's events.
    pub fn entities(&self, lane: usize, events: &[(u64, u64)]) -> Vec<u64> {
        let items = &self.lanes[lane].items;
        events.iter().map(|(position, _)| items.get(position).map_or(0, |item| item.entity)).collect()
    }

    /// Events owed to subscriptions.
    pub fn owed(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.items.len() as u64).sum()
    }

    /// The current tenure of a shard.
    pub fn tenure(&self, shard: Shard) -> Option<Tenure> {
        self.tenures.get(&shard)?.last().map(|(_, tenure)| *tenure)
    }

    /// A shard was taken over.
    pub fn taken_over(&mut self, tenure: Tenure, commit: u64) {
        self.tenures.entry(tenure.shard).or_default().push((commit, tenure));
    }

    /// Something was done under a tenure: it must be the current one.
    pub fn acts(&self, tenure: &Tenure, what: &str) -> Check {
        let current = self.tenure(tenure.shard);
        hold(Property::OneOwner, current == Some(*tenure), || {
            format!("{what} under the tenure of {tenure}; the current one is {current:?}")
        })
    }

    /// A subscription was committed, new or changed.
    pub fn committed(&mut self, subscription: &Subscription, commit: u64) {
        let Some(index) = self.find(subscription.id) else {
            self.by_id.insert(subscription.id, self.lanes.len());
            let history = vec![(commit, subscription.clone())];
            self.lanes.push(Lane { history, items: BTreeMap::new(), answered: 0, suspensions: Vec::new() });
            return;
        };
        let lane = &mut self.lanes[index];
        lane.history.push((commit, subscription.clone()));
        if !subscription.status.is_active() && !subscription.holds() {
            // What was delivered is dropped as well, unless that is saved.
            for item in lane.items.values_mut().filter(|item| item.dropped.is_none() && item.settled.is_none()) {
                item.dropped = Some((commit, subscription.revision));
            }
        }
    }

    /// The platform has suspended a subscription.
    pub fn suspended(&mut self, lane: usize, tenure: &Tenure, commit: u64) -> Check {
        self.lanes[lane].suspensions.push(commit);
        self.acts(tenure, "a suspension was committed")
    }

    /// A person knows that a change of the sending of older events is in effect.
    pub fn change_answered(&mut self, lane: usize, revision: u64) {
        let answered = &mut self.lanes[lane].answered;
        *answered = revision.max(*answered);
    }

    /// An event was appended.
    pub fn appended(&mut self, event: &LoggedEvent, number: u64, entity: u64, commit: u64) -> Check {
        let position = event.position.0;
        let before = self.written.insert(number, (commit, position));
        hold(Property::AcceptedOnce, before.is_none(), || {
            format!("event e{number} is in the log at {before:?} and at {position}")
        })?;
        for lane in &mut self.lanes {
            let stored = lane.stored();
            let keeps = matches!(stored.status, SubscriptionStatus::Suspended(_)) && stored.options.hold;
            let typed = stored.selection.events.iter().any(|one| one.as_str() == event.event.event_type());
            if stored.pim == event.pim && typed && (stored.status.is_active() || keeps) {
                let item = Item {
                    number,
                    commit,
                    entity,
                    state: State::Owed,
                    run: 0,
                    failures: 0,
                    changed_at: 0,
                    taken: 0,
                    settled: None,
                    dropped: None,
                    optional: false,
                };
                lane.items.insert(position, item);
            }
        }
        Ok(())
    }

    /// Whether an event is in the log.
    pub fn is_written(&self, number: u64) -> bool {
        self.written.contains_key(&number)
    }

    /// A producer counts on an event.
    pub fn acknowledged(&mut self, number: u64) -> Check {
        self.acknowledged.insert(number);
        self.nobody_is_deceived()
    }

    /// Everything acknowledged is in the log.
    pub fn nobody_is_deceived(&self) -> Check {
        let lost = self.acknowledged.iter().find(|number| !self.written.contains_key(number));
        hold(Property::AcknowledgedIsKept, lost.is_none(), || {
            format!("event e{} was acknowledged and is not in the log", lost.copied().unwrap_or_default())
        })
    }

    /// The store goes back to the moment before a commit. What receivers have got stays.
    pub fn go_back(&mut self, before: u64) {
        self.written.retain(|_, (commit, _)| *commit < before);
        for tenures in self.tenures.values_mut() {
            tenures.retain(|(commit, _)| *commit < before);
        }
        for notice in self.notices.values_mut().filter(|notice| notice.settled.is_some_and(|commit| commit >= before)) {
            notice.settled = None;
        }
        for lane in &mut self.lanes {
            lane.history.retain(|(commit, _)| *commit < before);
            lane.suspensions.retain(|commit| *commit < before);
            lane.items.retain(|_, item| item.commit < before);
            for item in lane.items.values_mut() {
                item.settled = item.settled.filter(|commit| *commit < before);
                item.dropped = item.dropped.filter(|(commit, _)| *commit < before);
            }
        }
    }

    /// A notification is sent under a tenure.
    pub fn notified(&mut self, id: Uuid, tenure: &Tenure) -> Check {
        self.acts(tenure, "a notification was sent")?;
        let notice = self.notices.entry(id).or_default();
        let (before, settled) = (notice.sent.replace(*tenure), notice.settled);
        // An owner that lost the shard may not have recorded it.
        let is_explained = before.is_none_or(|before| settled.is_none() && before != *tenure);
        hold(Property::NoticesAreSentOnce, is_explained, || {
            format!("notification {id} was sent again, first in {before:?}, recorded in {settled:?}")
        })
    }

    /// It is recorded that a notification was sent.
    pub fn notice_settled(&mut self, id: Uuid, commit: u64) {
        self.notices.entry(id).or_default().settled = Some(commit);
    }

    /// Everything owed has been delivered.
    pub fn is_settled(&self) -> bool {
        self.open().is_none()
    }

    fn open(&self) -> Option<(usize, u64, &Item)> {
        let lanes = self.lanes.iter().enumerate().filter(|(_, lane)| lane.stored().status.is_active());
        let mut items = lanes.flat_map(|(index, lane)| lane.items.iter().map(move |(at, item)| (index, *at, item)));
        items.find(|(_, _, item)| {
            let is_over = matches!(item.state, State::Delivered) || item.dropped.is_some() || item.optional;
            !is_over
        })
    }

    /// Checks at the end, with all subscriptions active.
    pub fn close(&self) -> Check {
        self.nobody_is_deceived()?;
        let open = self.open();
        hold(Property::EveryEventEnds, open.is_none(), || format!("an event has not ended: {open:?}"))?;
        for (index, lane) in self.lanes.iter().enumerate() {
            for (position, item) in &lane.items {
                let is_there = item.taken > 0 || item.dropped.is_some() || item.optional;
                hold(Property::EveryEventEnds, is_there || !lane.stored().status.is_active(), || {
                    format!("subscription {index}: nobody got event {position}: {item:?}")
                })?;
            }
        }
        Ok(())
    }

    /// Notifications that were sent.
    pub fn notices(&self) -> u64 {
        self.notices.values().filter(|notice| notice.sent.is_some()).count() as u64
    }

    /// Suspensions by the platform: each has a notification.
    pub fn told_at_least(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.suspensions.len() as u64).sum()
    }
}
