//! What a world is made of, drawn from its seed.

mod losses;
mod replays;
mod schedule;
mod silence;

use std::time::Duration;

use domain::outcome::Lack;
use domain::subscription::{Options, Ordering};
use store::KeepBounds;

use crate::mutation::Mutation;
use crate::random::Random;
use crate::receiver::Behaviour;
use crate::sharing::Sharing;
use crate::storage::Health;

use schedule::{batches, schedule, storage_schedule};

pub use losses::Loss;
pub use replays::ReplayPlan;

/// One second in microseconds.
pub const SECOND: u64 = 1_000_000;
/// One minute in microseconds.
pub const MINUTE: u64 = 60 * SECOND;

/// Event types in use.
pub const TYPES: [&str; 4] = [
    "com.akeneo.pim.v1.product.created",
    "com.akeneo.pim.v1.product.updated",
    "com.akeneo.pim.v1.product-model.updated",
    "com.akeneo.pim.v1.attribute.created",
];

/// Plan of a world.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its seed.
    pub seed: u64,
    /// Tenants.
    pub pims: u32,
    /// Subscriptions at the beginning.
    pub subscriptions: Vec<SubscriptionPlan>,
    /// Behaviour of each endpoint or topic over time; subscriptions refer to them by index.
    pub receivers: Vec<Vec<(u64, Behaviour)>>,
    /// Which of them are topics.
    pub topics: Vec<bool>,
    /// Storage over time.
    pub storage: Vec<(u64, Health)>,
    /// Batches of events: `(when, PIM, events)`.
    pub batches: Vec<(u64, u32, u64)>,
    /// Incidents over time.
    pub incidents: Vec<(u64, Incident)>,
    /// Duration; afterwards everything is healed and the world has to settle.
    pub lasts: u64,
    /// The engine's settings.
    pub settings: engine::Settings,
    /// The store's tail.
    pub tail_bytes: usize,
    /// Whether changes fall between the engine's look at the log and its look at the catalogue.
    pub races: bool,
    /// Outages of the platform: `(from, until, lack)`.
    pub outages: Vec<(u64, u64, Lack)>,
    /// Whether silence may be a receiver's own, so that the oracle has to judge it; otherwise it is the platform's
    /// during outages.
    pub judges_silence: bool,
    /// Replays that are started or cancelled over time.
    pub replays: Vec<(u64, ReplayPlan)>,
    /// Lost connections to the store over time; in worlds without any, no producer repeats what was not answered.
    pub losses: Vec<(u64, Loss)>,
    /// Bounds of the kept events.
    pub keep: KeepBounds,
    /// Shared resources; none: they are unlimited.
    pub sharing: Option<Sharing>,
    /// The planted fault.
    pub mutation: Option<Mutation>,
}

/// A subscription at the beginning.
#[derive(Clone, Debug)]
pub struct SubscriptionPlan {
    /// Its PIM.
    pub pim: u32,
    /// Its types, by index in [`TYPES`].
    pub types: Vec<usize>,
    /// Only events of this user.
    pub user: Option<u64>,
    /// Its options.
    pub options: Options,
    /// Its endpoint.
    pub receiver: usize,
}

/// An incident.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Incident {
    /// The process dies and is back after this many microseconds.
    Crash(u64),
    /// The process is stopped orderly and is back after this many microseconds.
    Restart(u64),
    /// The wall clock jumps by this many microseconds.
    Jump(i64),
    /// A subscription is suspended, or a suspended one resumed.
    SuspendOrResume,
    /// All suspended subscriptions are resumed.
    ResumeAll,
    /// A subscription is deleted.
    Delete,
    /// Its client is removed.
    Revoke,
    /// A new subscription.
    Create,
    /// Other types, another filter.
    Select,
    /// Another endpoint.
    Redirect,
    /// Other options.
    Options,
}

impl Plan {
    /// The world of a seed.
    pub fn random(seed: u64) -> Plan {
        let mut plan = Plan::of_endpoints(seed);
        // Numbers of their own, so that a world with topics is otherwise that without.
        let mut random = Random::new(seed, 4);
        let r = &mut random;
        let share = r.one_of(&[0, 50, 50, 100]);
        plan.topics = plan.receivers.iter().map(|_| r.percent(share)).collect();
        if plan.topics.contains(&true) {
            plan.settings.delivery.batch_events = r.one_of(&[2, 7, 40, 1_000]);
            plan.settings.delivery.batch_bytes = r.one_of(&[700, 3_000, 1024 * 1024]);
            plan.settings.delivery.topic_patience = Duration::from_secs(60 * r.one_of(&[3, 20, 60]));
        }
        let r = &mut Random::new(seed, 6);
        plan.settings.delivery.suspend_after = Duration::from_secs(r.one_of(&[0, 30, 600, 600]));
        plan
    }

    /// The world of a seed without topics.
    pub fn of_endpoints(seed: u64) -> Plan {
        let mut random = Random::new(seed, 1);
        let r = &mut random;
        let lasts = r.within(10, 75) * MINUTE;
        let pims = r.within(1, 3) as u32;
        let count = r.within(1, 5) as usize;
        let receivers: Vec<_> = (0..count + 2).map(|_| schedule(r, lasts)).collect();
        let subscriptions = (0..count).map(|index| SubscriptionPlan::random(r, pims, index)).collect();
        let bad_storage = r.percent(60);
        let storage = if bad_storage { storage_schedule(r, lasts) } else { Vec::new() };
        let batches = batches(r, pims, lasts);
        let mut incidents = Vec::new();
        let kinds = r.within(0, 7);
        if kinds & 1 != 0 {
            for _ in 0..r.within(1, 6) {
                let away = r.one_of(&[0, SECOND, 20 * SECOND, 8 * MINUTE]);
                let restart = r.percent(25);
                // Often just when something is under way: close to a batch.
                let near = batches[r.within(0, batches.len() as u64 - 1) as usize].0 + r.within(0, 4 * SECOND);
                let at = if r.percent(70) { near } else { r.within(0, lasts) };
                incidents.push((at, if restart { Incident::Restart(away) } else { Incident::Crash(away) }));
            }
        }
        if kinds & 2 != 0 {
            for _ in 0..r.within(2, 14) {
                let incident = r.one_of(&[
                    Incident::SuspendOrResume,
                    Incident::SuspendOrResume,
                    Incident::SuspendOrResume,
                    Incident::ResumeAll,
                    Incident::Delete,
                    Incident::Revoke,
                    Incident::Create,
                    Incident::Select,
                    Incident::Select,
                    Incident::Redirect,
                    Incident::Redirect,
                    Incident::Options,
                ]);
                let near = batches[r.within(0, batches.len() as u64 - 1) as usize].0 + r.within(0, 2 * SECOND);
                incidents.push((if r.percent(60) { near } else { r.within(0, lasts) }, incident));
            }
        }
        for _ in 0..r.within(1, 4) {
            incidents.push((r.within(0, lasts), Incident::ResumeAll));
        }
        if kinds == 7 || r.percent(15) {
            for _ in 0..r.within(1, 3) {
                let far = r.one_of(&[SECOND, 70 * SECOND, 9 * MINUTE, 70 * MINUTE]) as i64;
                incidents.push((r.within(0, lasts), Incident::Jump(if r.percent(50) { far } else { -far })));
            }
        }
        let mut settings = engine::Settings::default();
        settings.delivery.max_in_flight = r.one_of(&[2, 8, 64, 64]);
        settings.delivery.max_in_hand = r.one_of(&[2, 8, 64, 64]);
        settings.delivery.max_waiting = r.one_of(&[6, 40, 32_768, 32_768]);
        settings.delivery.max_bytes_in_hand = r.one_of(&[1000, 256 * 1024]);
        settings.trim_every = Duration::from_secs(r.one_of(&[1, 10, 60, 60]));
        if r.percent(15) {
            settings.retention = Duration::from_secs(60 * r.within(3, 60));
        }
        Plan {
            seed,
            pims,
            subscriptions,
            topics: vec![false; receivers.len()],
            receivers,
            storage,
            batches,
            incidents,
            lasts,
            settings,
            tail_bytes: r.one_of(&[300, 3000, 1 << 20, 1 << 20]),
            races: r.percent(50),
            outages: Vec::new(),
            judges_silence: false,
            replays: Vec::new(),
            losses: Vec::new(),
            sharing: None,
            keep: keep_bounds(seed),
            mutation: None,
        }
    }

    /// A world with slow storage, in which the process dies soon after each batch: often while a save is under way. In
    /// every other world somebody suspends or resumes a subscription just before.
    pub fn restless(seed: u64) -> Plan {
        let plan = Plan::random(seed);
        let mut random = Random::new(seed, 5);
        let mut incidents = Vec::new();
        for (at, ..) in &plan.batches {
            if seed.is_multiple_of(2) {
                incidents.push((at + random.within(0, SECOND), Incident::SuspendOrResume));
            }
            incidents.push((at + random.within(SECOND / 3, 2 * SECOND), Incident::Crash(0)));
            incidents.push((at + 10 * SECOND, Incident::ResumeAll));
        }
        Plan { storage: vec![(0, Health::Slow)], incidents, races: false, ..plan }
    }

    /// A world in which the platform itself is in trouble at times: nobody answers, or it has no descriptors or name
    /// servers, and sometimes it dies of it. Its receivers do as they should, and several are in use all the time, so
    /// that nothing is theirs.
    pub fn outage(seed: u64) -> Plan {
        let mut random = Random::new(seed, 9);
        let r = &mut random;
        let lasts = r.within(25, 45) * MINUTE;
        let pims = r.within(1, 2) as u32;
        let count = r.within(2, 5) as usize;
        let subscriptions = (0..count).map(|receiver| SubscriptionPlan {
            pim: receiver as u32 % pims + 1,
            types: (0..TYPES.len()).collect(),
            user: None,
            options: options(r),
            receiver,
        });
        let subscriptions: Vec<_> = subscriptions.collect();
        let receivers: Vec<_> = (0..count).map(|_| vec![(0, Behaviour::Good(r.one_of(&[1, 30, 400])))]).collect();
        let share = r.one_of(&[0, 50, 100]);
        let batches = (0..lasts / (10 * SECOND) - 6).flat_map(|tenth| {
            (1..=pims).map(move |pim| (tenth * 10 * SECOND + u64::from(pim) * SECOND, pim, 1 + tenth % 3))
        });
        let batches = batches.collect();
        let mut outages = Vec::new();
        let mut at = 3 * MINUTE;
        while at + 5 * MINUTE < lasts {
            at += r.within(0, 3) * MINUTE + 7 * SECOND;
            let lack = r.one_of(&[Lack::Silence, Lack::Silence, Lack::FileDescriptors, Lack::NameServers]);
            let until = at + r.one_of(&[20 * SECOND, 90 * SECOND, 11 * MINUTE, 20 * MINUTE]);
            outages.push((at, until.min(lasts - MINUTE), lack));
            at = until + 4 * MINUTE;
        }
        let topics = receivers.iter().map(|_| r.percent(share)).collect();
        // In half of the worlds the process dies, or is started anew, while it is in trouble. Not while nobody answers:
        // a restart forgets who else was silent, and a host that is the only one in use is to blame for its silence.
        let r = &mut Random::new(seed, 11);
        let dies = r.percent(50);
        let incidents = outages.iter().filter(|(.., lack)| dies && *lack != Lack::Silence).map(|(from, until, _)| {
            let away = r.one_of(&[0, SECOND, 20 * SECOND]);
            let incident = if r.percent(25) { Incident::Restart(away) } else { Incident::Crash(away) };
            (r.within(*from, *until), incident)
        });
        let incidents = incidents.collect();
        Plan {
            pims,
            subscriptions,
            receivers,
            topics,
            storage: Vec::new(),
            batches,
            incidents,
            lasts,
            settings: engine::Settings::default(),
            tail_bytes: r.one_of(&[3000, 1 << 20]),
            races: false,
            outages,
            ..Plan::of_endpoints(seed)
        }
    }

    /// Lack of the platform at a time.
    pub fn lack(&self, now: u64) -> Option<Lack> {
        self.outages.iter().find(|(from, until, _)| (*from..*until).contains(&now)).map(|(.., lack)| *lack)
    }

    /// The same world with a planted fault.
    pub fn with(self, mutation: Mutation) -> Plan {
        Plan { mutation: Some(mutation), ..self }
    }

    /// Whether the wall clock is ever set back.
    pub fn steps_back(&self) -> bool {
        self.incidents.iter().any(|(_, incident)| matches!(incident, Incident::Jump(by) if *by < 0))
    }

    /// Whether the process ever dies.
    pub fn crashes(&self) -> bool {
        self.incidents.iter().any(|(_, incident)| matches!(incident, Incident::Crash(_) | Incident::Restart(_)))
    }
}

/// Bounds of the kept events of a world, from none at all to all of them.
fn keep_bounds(seed: u64) -> KeepBounds {
    let mut random = Random::new(seed, 12);
    let hours = random.one_of(&[0, 30, 20 * 60, 10_000, 10_000, 10_000]);
    KeepBounds { hours, bytes: random.one_of(&[8_000, 1 << 30, 1 << 30, 1 << 30]) }
}

impl SubscriptionPlan {
    /// A random subscription.
    pub fn random(r: &mut Random, pims: u32, receiver: usize) -> SubscriptionPlan {
        let mut types: Vec<usize> = (0..TYPES.len()).filter(|_| r.percent(60)).collect();
        if types.is_empty() {
            types.push(0);
        }
        SubscriptionPlan {
            pim: r.within(1, u64::from(pims)) as u32,
            types,
            user: r.percent(35).then(|| r.within(0, 2)),
            options: options(r),
            receiver,
        }
    }
}

/// Random options.
pub fn options(r: &mut Random) -> Options {
    Options {
        hold: r.percent(35),
        ordering: if r.percent(40) { Ordering::PerEntity } else { Ordering::None },
        respect_retry_after: r.percent(30),
        cloudevents_content_type: false,
    }
}
