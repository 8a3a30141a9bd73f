//! Start of a world: machines, PIMs, subscriptions, traffic.

use domain::destination::Destination;
use domain::subscriber::Subscriber;
use domain::subscription::{Options, Ordering, Subscription};
use domain::{PimId, SubscriberId, SubscriptionId, Timestamp, testing};
use store::memory::{MemorySettings, MemoryStore};
use store::{Change, KeepBounds, Pims, Put, Spread, Subscriptions};
use uuid::Uuid;

use super::clock::Clock;
use super::node::Node;
use super::plan::{Plan, Subscribed};
use super::step::Step;
use super::world::World;
use crate::plan::{SECOND, TYPES};
use crate::storage::at_once;
use crate::world::selection;

/// An empty store.
pub(super) fn store(plan: &Plan) -> MemoryStore {
    let settings = MemorySettings {
        spread: Spread::of(plan.shards),
        tail_bytes: 1,
        keep: KeepBounds::NONE,
        ..MemorySettings::default()
    };
    MemoryStore::new(settings)
}

/// The destination of a receiver.
pub(super) fn destination(plan: &Plan, receiver: usize) -> Destination {
    let host = format!("r{receiver}.example");
    match plan.topics[receiver] {
        true => testing::pubsub(&host),
        false => testing::https(&format!("https://{host}/")),
    }
}

impl World {
    /// The time of the store's server.
    pub(super) fn server_time(&self) -> Timestamp {
        Clock::at(self.time)
    }

    pub(super) fn set_up(&mut self) {
        for pim in 1..=self.plan.pims {
            let pim = testing::pim(&format!("pim-{pim}"));
            at_once(self.store.add_pim(pim)).unwrap_or_else(|error| panic!("a new PIM was refused: {error}"));
        }
        for (number, subscribed) in self.plan.subscriptions.clone().into_iter().enumerate() {
            self.subscribe(number as u128 + 1, subscribed);
        }
        for index in 0..self.plan.nodes {
            let booted = self.random.within(0, 1_000_000) * SECOND;
            let offset = self.random.within(0, 4 * SECOND) as i64 - 2 * SECOND as i64;
            self.nodes.push(Node {
                clock: Clock::new(booted, offset),
                run: 0,
                process: None,
                paused_until: None,
                stood_still: 0,
                postponed: Vec::new(),
                cut_until: 0,
                unfit_until: 0,
            });
            let after = self.random.one_of(&[0, 0, 0, SECOND, 20 * SECOND]);
            self.schedule(if index == 0 { 0 } else { after }, Step::Start(index));
        }
        for (at, pim, events) in self.plan.batches.clone() {
            self.schedule(at, Step::Batch(pim, events));
        }
        for (at, incident) in self.plan.incidents.clone() {
            self.schedule(at, Step::Incident(incident));
        }
        for (at, change) in self.plan.changes.clone() {
            self.schedule(at, Step::Change(change));
        }
    }

    fn subscribe(&mut self, number: u128, subscribed: Subscribed) {
        let Subscribed { pim, ordered, hold, receiver } = subscribed;
        let ordering = if ordered { Ordering::PerEntity } else { Ordering::None };
        let types: Vec<usize> = (0..TYPES.len()).collect();
        let subscription = Subscription {
            id: SubscriptionId(Uuid::from_u128(number)),
            subscriber_id: SubscriberId(Uuid::from_u128(number << 64)),
            pim: PimId(pim),
            selection: selection(&types, None),
            options: Options { hold, ordering, ..Options::default() },
            ..testing::subscription(destination(&self.plan, receiver))
        };
        let subscriber = Subscriber { ..testing::subscriber_of(&subscription) };
        let change = Change {
            subscriber: Some(Put::New(subscriber)),
            subscriptions: vec![Put::New(subscription)],
            subscriber_limit: 1000,
            subscription_limit: 1000,
            ..Change::default()
        };
        let commit = self.before_commit();
        match at_once(self.store.change(change)) {
            Ok(made) => made.subscriptions.iter().for_each(|one| self.books.committed(one, commit)),
            Err(error) => panic!("a new subscription was refused: {error}"),
        }
    }
}
