//! Start of a world: PIMs, subscribers, subscriptions, endpoints; and ingest of traffic.

use std::collections::VecDeque;

use domain::destination::{CustomHeaders, Destination, KafkaDestination, SaslAuth, SaslMechanism};
use domain::filter::Filter;
use domain::pim::Pim;
use domain::subscriber::Subscriber;
use domain::subscription::{Selection, Subscription};
use domain::{ClientId, Event, EventType, PimId, Position, Secret, SubscriberId, SubscriptionId, testing};
use store::memory::{MemorySettings, MemoryStore};
use store::{Change, EventLog, Pims, Put, ReadLimit, Scope, Shard, Shards, Subscriptions};
use uuid::Uuid;

use super::backend::HOURS_A_MINUTE;
use super::connections::Connections;
use super::driver::Run;
use super::shared::Shared;
use super::{Step, Totals, World};
use crate::oracle::{Oracle, user_filter};
use crate::plan::{Plan, SubscriptionPlan, TYPES};
use crate::property::Check;
use crate::random::Random;
use crate::receiver::Receiver;
use crate::storage::{Storage, at_once};

/// Products, models and attributes used as entities.
const ENTITIES: u64 = 4;

impl World {
    /// A new world.
    pub fn new(plan: Plan) -> Check<World> {
        let seed = plan.seed;
        let usual = MemorySettings::default();
        let dedup_window = usual.dedup_window * HOURS_A_MINUTE;
        let max_log_bytes = plan.sharing.as_ref().map_or(usual.max_log_bytes, |sharing| sharing.log_bytes);
        let settings =
            MemorySettings { tail_bytes: plan.tail_bytes, max_log_bytes, dedup_window, keep: plan.keep, ..usual };
        let store = MemoryStore::new(settings);
        let tenure =
            at_once(store.take(Shard::FIRST)).unwrap_or_else(|error| panic!("a new store is not owned: {error}"));
        let receivers = plan.receivers.iter().enumerate();
        let receivers = receivers
            .map(|(index, schedule)| Receiver::new(schedule.clone(), Random::new(seed, 100 + index as u64)))
            .collect();
        let mut world = World {
            time: 0,
            served_until: 0,
            offset: 0,
            offset_at_start: 0,
            agenda: Default::default(),
            next_step: 0,
            random: Random::new(seed, 2),
            store,
            tenure,
            storage: Storage::new(plan.storage.clone(), Random::new(seed, 3)),
            connections: Connections::new(Random::new(seed, 16)),
            producers: Default::default(),
            receivers,
            driver: None,
            run: 0,
            of_run: Run::default(),
            stopping_since: None,
            back_after: 0,
            pushed: Position::FIRST,
            pushes: Random::new(seed, 10),
            looks: Random::new(seed, 11),
            late_facts: Default::default(),
            pending_save: None,
            failed_save: None,
            replays: Random::new(seed, 13),
            next_replay: 0,
            replayed: Vec::new(),
            attempts: Default::default(),
            next_attempt: 0,
            next_event: 0,
            suspensions_asked: 0,
            next_subscription: 0,
            withheld_until: 0,
            unannounced: None,
            shared: plan.sharing.as_ref().map(Shared::new),
            oracle: Oracle::new(plan.settings.delivery.clone()),
            totals: Totals::default(),
            sent: Vec::new(),
            answered: Vec::new(),
            trace: None::<VecDeque<String>>,
            shown: 0,
            plan,
        };
        world.set_up();
        Ok(world)
    }

    fn set_up(&mut self) {
        for pim in 1..=self.plan.pims {
            let pim = Pim { created_at: self.now(), ..testing::pim(&format!("pim-{pim}")) };
            at_once(self.store.add_pim(pim)).unwrap_or_else(|error| panic!("a new PIM was refused: {error}"));
        }
        for subscription in self.plan.subscriptions.clone() {
            self.subscribe(&subscription);
        }
        for (at, pim, events) in self.plan.batches.clone() {
            self.schedule(at, Step::Batch(pim, events));
        }
        for (at, incident) in self.plan.incidents.clone() {
            self.schedule(at, Step::Incident(incident));
        }
        for (at, replay) in self.plan.replays.clone() {
            self.schedule(at, Step::Replay(replay));
        }
        for (at, loss) in self.plan.losses.clone() {
            self.schedule(at, Step::Loss(loss));
        }
        let uses = self.plan.sharing.as_ref().map(|sharing| sharing.uses.clone()).unwrap_or_default();
        for (index, one) in uses.iter().enumerate() {
            self.schedule(one.at, Step::Use(index));
        }
        self.schedule(0, Step::Start);
    }

    /// Adds a subscription with its own subscriber.
    pub(super) fn subscribe(&mut self, plan: &SubscriptionPlan) {
        self.next_subscription += 1;
        let number = self.next_subscription;
        let now = self.now();
        let subscription = Subscription {
            id: SubscriptionId(Uuid::from_u128(number)),
            subscriber_id: SubscriberId(Uuid::from_u128(number << 64)),
            pim: PimId(plan.pim),
            client_id: ClientId(if number.is_multiple_of(3) { "other" } else { "client" }.to_owned()),
            selection: selection(&plan.types, plan.user),
            options: plan.options,
            created_at: now,
            updated_at: now,
            ..testing::subscription(self.destination(plan.receiver))
        };
        let subscriber = Subscriber { created_at: now, updated_at: now, ..testing::subscriber_of(&subscription) };
        let change = Change {
            subscriber: Some(Put::New(subscriber)),
            subscriptions: vec![Put::New(subscription)],
            subscriber_limit: 1000,
            subscription_limit: 1000,
            ..Change::default()
        };
        self.before_commit();
        match at_once(self.store.change(change)) {
            Ok(made) => self.committed(&made.subscriptions),
            Err(error) => panic!("a new subscription was refused: {error}"),
        }
    }

    /// Ingests events, if possible.
    pub(super) fn append(&mut self, pim: u32, count: u64) {
        if !self.is_up() || self.stopping_since.is_some() || self.store_fails() {
            return;
        }
        let mut events = Vec::new();
        let mut about = Vec::new();
        for _ in 0..count {
            let (number, one) = self.next_event();
            about.push(one);
            events.push(event(number, &one));
        }
        if self.has_no_room(pim, &events) {
            return self.refuse(pim);
        }
        let head = self.store.tail(Shard::FIRST).head();
        let now = self.now();
        if self.random.percent(10) {
            // The producer gets no response and sends the batch again: nothing is ingested twice.
            let _ = at_once(self.store.append(PimId(pim), events.clone(), now));
        }
        if at_once(self.store.append(PimId(pim), events, now)).is_err() {
            return self.refuse(pim);
        }
        let limit = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };
        let chunk = at_once(self.store.read(Scope::Shard(Shard::FIRST), head, limit)).unwrap_or_default();
        self.totals.events += chunk.events.len() as u64;
        self.note(|| format!("{count} events of PIM {pim} from {head}"));
        for (event, about) in chunk.events.iter().zip(about) {
            self.oracle.accepted(event, about.user, entity_of(about.kind, about.entity));
        }
        self.push();
    }

    /// A new event, by its number.
    pub(super) fn next_event(&mut self) -> (u64, About) {
        self.next_event += 1;
        let (kind, user, entity) = (
            self.random.within(0, TYPES.len() as u64 - 1),
            self.random.within(0, 2),
            self.random.within(0, ENTITIES - 1),
        );
        (self.next_event, About { kind: kind as usize, user, entity })
    }

    /// Moves accepted events into the tail. That of a driver whose tenure is lost stays as it is.
    pub(super) fn push(&mut self) {
        if self.connections.are_lost() || !self.is_up() {
            return;
        }
        let head = self.store.tail(Shard::FIRST).head();
        if self.plan.races && self.pushes.percent(50) {
            let takes = self.pushes.within(0, 400_000);
            self.schedule(takes, Step::Pushed(self.run, head));
        } else {
            self.pushed = head;
        }
    }

    pub(super) fn first_destination(&self, id: SubscriptionId) -> Option<Destination> {
        let index = self.oracle.find(id)?;
        self.plan.subscriptions.get(index).map(|plan| self.destination(plan.receiver))
    }

    /// The destination of a receiver.
    pub(super) fn destination(&self, receiver: usize) -> Destination {
        let host = format!("r{receiver}.example");
        match self.plan.topics[receiver] {
            false => testing::https(&format!("https://{host}/")),
            true if receiver.is_multiple_of(2) => testing::pubsub(&host),
            true => Destination::Kafka(KafkaDestination {
                brokers: vec![format!("{host}:9092")],
                topic: "events".to_owned(),
                sasl: SaslAuth {
                    mechanism: SaslMechanism::Plain,
                    username: "user".to_owned(),
                    password: Secret::new("secret"),
                },
                tls: None,
                headers: CustomHeaders::default(),
            }),
        }
    }
}

/// Number of an event's entity; product events of one product share it.
pub(crate) fn entity_of(kind: usize, entity: u64) -> u64 {
    let family = match kind {
        0 | 1 => 1,
        2 => 2,
        _ => 3,
    };
    family * 100 + entity
}

/// What an event is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub(crate) kind: usize,
    pub(crate) user: u64,
    pub(crate) entity: u64,
}

pub(crate) fn event(number: u64, &About { kind, user, entity }: &About) -> Event {
    let about = match kind {
        0 | 1 => format!("\"product\":{{\"uuid\":\"p{entity}\"}}"),
        2 => format!("\"product_model\":{{\"code\":\"m{entity}\"}}"),
        _ => format!("\"attribute\":{{\"code\":\"a{entity}\"}}"),
    };
    let data = format!("{{{about},\"author\":{{\"identifier\":\"u{user}\",\"type\":\"user\"}}}}");
    testing::event(&format!("e{number}"), TYPES[kind], &data)
}

/// A selection by types and user.
pub(crate) fn selection(types: &[usize], user: Option<u64>) -> Selection {
    let filter = user.map(user_filter).and_then(|text| Filter::parse(&text).ok().flatten());
    Selection { events: types.iter().map(|kind| EventType::new(TYPES[*kind])).collect(), filter }
}

/// The receiver of a subscription's destination.
pub(crate) fn receiver_of(subscription: &Subscription) -> usize {
    let host = match &subscription.destination {
        Destination::Https(https) => https.url.host(),
        Destination::Pubsub(pubsub) => &pubsub.topic_id,
        Destination::Kafka(kafka) => &kafka.brokers[0],
    };
    host.get(1..).and_then(|rest| rest.split('.').next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}
