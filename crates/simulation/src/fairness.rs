//! Tenants that share a platform: a world with one tenant that uses everything at once, held against its quiet twin
//! without that tenant.

use std::collections::{BTreeMap, BTreeSet};

use domain::subscription::Options;

use crate::mutation::Mutation;
use crate::oracle::State;
use crate::plan::{Incident, Plan, SECOND, SubscriptionPlan};
use crate::property::{Check, Property, hold};
use crate::random::Random;
use crate::receiver::Behaviour;
use crate::world::{Totals, World};

/// Something that tenants have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Resource {
    /// Look-ups of names at a time.
    LookUps,
    /// Connections to destinations.
    Connections,
    /// Readers of the store.
    Readers,
    /// Senders of notifications.
    Senders,
}

/// How much of it there is, and what is used beside deliveries.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// Look-ups at a time.
    pub look_ups: u64,
    /// Connections.
    pub connections: u64,
    /// Readers of the store.
    pub readers: u64,
    /// Senders of notifications.
    pub senders: u64,
    /// Receivers about whose names every name server keeps silent.
    pub silent_names: BTreeSet<usize>,
    /// Queries, notifications: uses of what is shared beside deliveries.
    pub uses: Vec<Use>,
}

/// One use of something shared.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// When it is asked for, in microseconds.
    pub at: u64,
    /// For which PIM.
    pub pim: u32,
    /// For which client or subscription of it.
    pub part: u64,
    /// What is used.
    pub what: Resource,
    /// How long, in microseconds.
    pub takes: u64,
}

/// What the hostile tenant does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hostility {
    /// Subscriptions whose endpoints take 4.5 s.
    pub slow: usize,
    /// Subscriptions whose names nobody resolves.
    pub silent: usize,
    /// Subscriptions that refuse everything, are suspended, and resumed.
    pub refusing: usize,
    /// Log queries a second, of a second and a half each.
    pub queries: u64,
    /// Notifications a second, to a webhook that hangs for five seconds.
    pub notifications: u64,
    /// Events at once, every ten seconds, beside those that the quiet tenant has as well.
    pub flood: u64,
}

impl Hostility {
    /// Nothing: the quiet twin.
    pub const NONE: Hostility = Hostility { slow: 0, silent: 0, refusing: 0, queries: 0, notifications: 0, flood: 0 };

    /// Everything at once.
    pub const ALL: Hostility =
        Hostility { slow: 50, silent: 50, refusing: 5, queries: 20, notifications: 20, flood: 60 };

    /// What a seed does: every third world has everything, the others some of it.
    pub fn of(seed: u64) -> Hostility {
        let mut r = Random::new(seed, 6);
        let all = seed.is_multiple_of(3);
        let mut some = |amount: u64| if all || r.percent(50) { amount } else { 0 };
        Hostility {
            slow: some(50) as usize,
            silent: some(50) as usize,
            refusing: some(5) as usize,
            queries: some(20),
            notifications: some(20),
            flood: some(60),
        }
    }
}

/// The hostile tenant.
const HOSTILE: u32 = 1;

/// The others.
const OTHERS: std::ops::RangeInclusive<u32> = 2..=4;

/// The hostile tenant's subscription that does as it should, by its place.
const DECENT: usize = 6;

/// The host that all the others have in common, and how many events a second it takes.
const COMMON_HOST: usize = 0;
const COMMON_HOST_TAKES: u64 = 120;

/// Events of the hostile tenant a second, also where it is quiet.
const EVENTS: u64 = 2;

/// When the hostile tenant begins: the others have asked for everything by then. Shares bind only while others want
/// some.
const BEGINS: u64 = 5 * SECOND;

/// How long traffic goes on, and how long what is under way may take after that.
const TRAFFIC: u64 = 40 * SECOND;
const REST: u64 = 20 * SECOND;

/// A tenant may be this much slower beside a hostile one.
const SLOWER_AT_MOST: f64 = 2.0;

/// How long something took the tenants, by tenant and by what it was: deliveries, or the use of a resource.
type Times = BTreeMap<(u32, Option<Resource>), Vec<u64>>;

impl Plan {
    /// The world of a seed with three tenants, and a fourth that does this.
    pub fn shared(seed: u64, hostility: Hostility) -> Plan {
        let mut plan = Builder::new();
        // The same for the quiet world and for its twin; numbers of their own.
        let mut r = Random::new(seed, 7);
        plan.receivers.push(Behaviour::Throttling(COMMON_HOST_TAKES));
        for pim in OTHERS {
            plan.subscribe(pim, COMMON_HOST);
            let own = plan.receiver(Behaviour::Good(r.one_of(&[1, 30, 200])));
            plan.subscribe(pim, own);
            plan.batches.push((SECOND, pim, 1));
            plan.uses.push(Use::of(pim, SECOND, Resource::Readers, 5_000));
            plan.uses.push(Use::of(pim, SECOND, Resource::Senders, 50_000));
            for _ in 0..TRAFFIC / SECOND {
                plan.batches.push((r.within(0, TRAFFIC), pim, r.within(1, 2)));
                plan.uses.push(Use::of(pim, r.within(0, TRAFFIC), Resource::Readers, 5_000));
                plan.uses.push(Use::of(pim, r.within(0, TRAFFIC), Resource::Senders, 50_000));
            }
        }
        // A subscription of the hostile tenant that does as it should; also in the quiet world.
        debug_assert_eq!(plan.subscriptions.len(), DECENT);
        let decent = plan.receiver(Behaviour::Good(30));
        plan.subscribe(HOSTILE, decent);
        plan.batches.extend((BEGINS..TRAFFIC).step_by(SECOND as usize).map(|at| (at, HOSTILE, EVENTS)));
        plan.hostile(&hostility, &mut Random::new(seed, 8));
        plan.build(seed)
    }
}

#[derive(Default)]
struct Builder {
    subscriptions: Vec<SubscriptionPlan>,
    receivers: Vec<Behaviour>,
    silent_names: BTreeSet<usize>,
    batches: Vec<(u64, u32, u64)>,
    uses: Vec<Use>,
    incidents: Vec<(u64, Incident)>,
}

impl Builder {
    fn new() -> Builder {
        Builder::default()
    }

    fn receiver(&mut self, behaviour: Behaviour) -> usize {
        self.receivers.push(behaviour);
        self.receivers.len() - 1
    }

    fn subscribe(&mut self, pim: u32, receiver: usize) {
        let types = vec![0, 1, 2, 3];
        let options = Options::default();
        self.subscriptions.push(SubscriptionPlan { pim, types, user: None, options, receiver });
    }

    fn hostile(&mut self, hostility: &Hostility, r: &mut Random) {
        for _ in 0..hostility.slow {
            let slow = self.receiver(Behaviour::Good(4_500));
            self.subscribe(HOSTILE, slow);
        }
        for _ in 0..hostility.silent {
            let silent = self.receiver(Behaviour::Good(1));
            self.silent_names.insert(silent);
            self.subscribe(HOSTILE, silent);
        }
        for _ in 0..hostility.refusing {
            let refusing = self.receiver(Behaviour::Answering(410));
            self.subscribe(HOSTILE, refusing);
        }
        for second in (BEGINS..TRAFFIC).step_by(SECOND as usize) {
            for _ in 0..hostility.queries {
                self.uses.push(Use::of(HOSTILE, second, Resource::Readers, 1_500_000));
            }
            for _ in 0..hostility.notifications {
                self.uses.push(Use::of(HOSTILE, second, Resource::Senders, 5_000_000));
            }
        }
        if hostility.flood > 0 {
            let floods = (BEGINS..TRAFFIC).step_by(10 * SECOND as usize);
            self.batches.extend(floods.map(|at| (at + r.within(0, SECOND), HOSTILE, hostility.flood)));
        }
        if hostility.refusing > 0 {
            self.incidents.extend((BEGINS..TRAFFIC).step_by(10 * SECOND as usize).map(|at| (at, Incident::ResumeAll)));
        }
    }

    fn build(self, seed: u64) -> Plan {
        let settings = engine::Settings::default();
        Plan {
            pims: *OTHERS.end(),
            subscriptions: self.subscriptions,
            topics: vec![false; self.receivers.len()],
            receivers: self.receivers.into_iter().map(|behaviour| vec![(0, behaviour)]).collect(),
            storage: Vec::new(),
            batches: self.batches,
            incidents: self.incidents,
            lasts: TRAFFIC + REST,
            settings,
            tail_bytes: 1 << 20,
            races: false,
            sharing: Some(Sharing {
                look_ups: 16,
                connections: 32,
                readers: 8,
                senders: 8,
                silent_names: self.silent_names,
                uses: self.uses,
            }),
            mutation: None,
            ..Plan::of_endpoints(seed)
        }
    }
}

impl Use {
    fn of(pim: u32, at: u64, what: Resource, takes: u64) -> Use {
        Use { at, pim, part: 0, what, takes }
    }
}

/// A world with a hostile tenant, held against its quiet twin.
pub fn play(seed: u64, hostility: Hostility, mutation: Option<Mutation>) -> Check<Totals> {
    let (quiet, _) = live(Plan::shared(seed, Hostility::NONE))?;
    let mut plan = Plan::shared(seed, hostility);
    plan.mutation = mutation;
    let (beside, totals) = live(plan)?;
    for ((pim, what), times) in &quiet {
        let judged = *pim != HOSTILE || hostility.leaves_connections();
        let Some(others) = beside.get(&(*pim, *what)).filter(|_| judged) else { continue };
        for percent in [50, 99] {
            let (alone, together) = (percentile(times, percent), percentile(others, percent));
            let slower = together as f64 / alone.max(1) as f64;
            hold(Property::OthersAreNotDisturbed, slower <= SLOWER_AT_MOST, || {
                let what = what.map_or("deliveries".to_owned(), |what| format!("{what:?}"));
                format!("PIM {pim}, {what}, {percent} %: {together} µs beside {hostility:?}, alone {alone} µs")
            })?;
        }
    }
    Ok(totals)
}

impl Hostility {
    /// Whether the hostile tenant's own other subscriptions find what they need.
    fn leaves_connections(&self) -> bool {
        self.slow == 0 && self.flood == 0
    }
}

/// Plays a world, and gives how long what took whom.
fn live(plan: Plan) -> Check<(Times, Totals)> {
    let sharing = plan.sharing.clone();
    let silent = sharing.as_ref().map(|sharing| sharing.silent_names.clone()).unwrap_or_default();
    let subscriptions = plan.subscriptions.clone();
    let receivers = plan.receivers.clone();
    let mut world = World::new(plan)?;
    world.live()?;
    let mut times = Times::new();
    for (index, subscription) in subscriptions.iter().enumerate() {
        let behaviour = receivers[subscription.receiver][0].1;
        let lane = world.lane(index);
        let good = matches!(behaviour, Behaviour::Good(_)) && !silent.contains(&subscription.receiver);
        hold(Property::WaitingIsNoFailure, !good || lane.failures_told == 0 && lane.suspensions == 0, || {
            format!("subscription {index}: {} failures, although its endpoint answers in time", lane.failures_told)
        })?;
        if !OTHERS.contains(&subscription.pim) && index != DECENT {
            continue;
        }
        hold(Property::OthersAreNotDisturbed, lane.suspensions == 0, || format!("subscription {index} was suspended"))?;
        let undelivered = lane.items.iter().find(|(_, item)| item.state != State::Delivered);
        hold(Property::OthersAreNotDisturbed, index == DECENT || undelivered.is_none(), || {
            format!("subscription {index}: not delivered: {undelivered:?}")
        })?;
        times.entry((subscription.pim, None)).or_default().extend(world.latencies(index));
    }
    for (index, one) in sharing.iter().flat_map(|sharing| &sharing.uses).enumerate() {
        if let Some(took) = world.use_took(index).filter(|_| one.pim != HOSTILE) {
            times.entry((one.pim, Some(one.what))).or_default().push(took);
        } else {
            hold(Property::OthersAreNotDisturbed, one.pim == HOSTILE, || format!("{one:?} never came to its turn"))?;
        }
    }
    Ok((times, world.totals()))
}

fn percentile(times: &[u64], percent: usize) -> u64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}
