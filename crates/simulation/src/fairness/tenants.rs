//! Tenants of a shared world: one that is hostile or quiet, and the others.

use std::collections::BTreeSet;

use domain::subscription::Options;

use super::{DECENT, HOSTILE, OTHERS, TRAFFIC};
use crate::plan::{Incident, Plan, SECOND, SubscriptionPlan};
use crate::random::Random;
use crate::receiver::Behaviour;
use crate::sharing::{Resource, Sharing, Use};

/// Behaviour of the hostile tenant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hostility {
    /// Subscriptions whose endpoints take 4.5 s.
    pub slow: usize,
    /// Subscriptions whose endpoints never answer.
    pub hanging: usize,
    /// Subscriptions with unresolvable names.
    pub silent: usize,
    /// Subscriptions that refuse everything, are suspended, and resumed.
    pub refusing: usize,
    /// Subscriptions to a host that the others use as well.
    pub fan_out: usize,
    /// Log queries per second, of 1.5 s each.
    pub queries: u64,
    /// Notifications per second, to a webhook that hangs for five seconds.
    pub notifications: u64,
    /// Invalid tokens per second, each of which costs the PIM 0.2 s.
    pub tokens: u64,
    /// Events at once, every ten seconds, beside those that the quiet tenant has as well.
    pub flood: u64,
    /// Events at once, beside the flood, that fill all of the log that the tenant may have, and more.
    pub filling: u64,
}

impl Hostility {
    /// Nothing: the quiet twin.
    pub const NONE: Hostility = Hostility {
        slow: 0,
        hanging: 0,
        silent: 0,
        refusing: 0,
        fan_out: 0,
        queries: 0,
        notifications: 0,
        tokens: 0,
        flood: 0,
        filling: 0,
    };

    /// Everything at once.
    pub const ALL: Hostility = Hostility {
        slow: 50,
        hanging: 20,
        silent: 50,
        refusing: 5,
        fan_out: 40,
        queries: 20,
        notifications: 20,
        tokens: 60,
        flood: 60,
        filling: 400,
    };

    /// What a seed does: every third world has everything, the others some of it.
    pub fn of(seed: u64) -> Hostility {
        let mut r = Random::new(seed, 6);
        let all = seed.is_multiple_of(3);
        let mut some = |amount: u64| if all || r.percent(50) { amount } else { 0 };
        Hostility {
            slow: some(Hostility::ALL.slow as u64) as usize,
            silent: some(Hostility::ALL.silent as u64) as usize,
            refusing: some(Hostility::ALL.refusing as u64) as usize,
            queries: some(Hostility::ALL.queries),
            notifications: some(Hostility::ALL.notifications),
            flood: some(Hostility::ALL.flood),
            hanging: some(Hostility::ALL.hanging as u64) as usize,
            fan_out: some(Hostility::ALL.fan_out as u64) as usize,
            tokens: some(Hostility::ALL.tokens),
            filling: some(Hostility::ALL.filling),
        }
    }

    /// Whether the hostile tenant's own other subscriptions find what they need.
    pub(super) fn leaves_connections(&self) -> bool {
        *self == Hostility { queries: self.queries, tokens: self.tokens, silent: self.silent, ..Hostility::NONE }
    }
}

/// The common host.
pub(super) const COMMON_HOST: usize = 0;
const COMMON_HOST_TAKES: u64 = 120;

/// Attempts per second from one PIM to one host.
pub(super) const HOST_RATE: u32 = 60;

/// Bytes of events in the log; one PIM may have half of it.
pub(super) const LOG_BYTES: u64 = 96 << 10;

/// Events of the hostile tenant per second, even when quiet.
const EVENTS: u64 = 2;

/// Start of the hostile tenant.
const BEGINS: u64 = SECOND;

/// Start of the others, by which time the hostile tenant has all it can get.
const NEWCOMERS: u64 = 4 * SECOND;

/// Time for work in flight after the traffic.
const REST: u64 = 20 * SECOND;

impl Plan {
    /// The world of a seed with three tenants, and a fourth that does this.
    pub fn shared(seed: u64, hostility: Hostility) -> Plan {
        let mut plan = Builder::default();
        // The same for the quiet world and for its twin; numbers of their own.
        let mut r = Random::new(seed, 7);
        plan.receivers.push(Behaviour::Throttling(COMMON_HOST_TAKES));
        for pim in OTHERS {
            plan.subscribe(pim, COMMON_HOST);
            let own = plan.receiver(Behaviour::Good(r.one_of(&[1, 30, 200])));
            plan.subscribe(pim, own);
            for second in 0..(TRAFFIC - NEWCOMERS) / SECOND {
                let mut at = || if second == 0 { NEWCOMERS } else { r.within(NEWCOMERS, TRAFFIC) };
                let uses = [
                    (at(), Resource::Readers, 5_000),
                    (at(), Resource::Senders, 20_000),
                    (at(), Resource::TokenChecks, 20_000),
                ];
                plan.uses.extend(uses.map(|(at, what, takes)| Use { at, pim, part: 0, what, takes }));
                let at = at();
                plan.batches.push((at, pim, r.within(1, 2)));
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
        let kinds = [
            (hostility.slow, Behaviour::Good(4_500)),
            (hostility.hanging, Behaviour::Hanging),
            (hostility.refusing, Behaviour::Answering(410)),
        ];
        for (count, behaviour) in kinds {
            for _ in 0..count {
                let receiver = self.receiver(behaviour);
                self.subscribe(HOSTILE, receiver);
            }
        }
        for _ in 0..hostility.silent {
            let silent = self.receiver(Behaviour::Good(1));
            self.silent_names.insert(silent);
            self.subscribe(HOSTILE, silent);
        }
        for _ in 0..hostility.fan_out {
            self.subscribe(HOSTILE, COMMON_HOST);
        }
        for at in (BEGINS..TRAFFIC).step_by(SECOND as usize) {
            let uses = [
                (hostility.queries, Resource::Readers, 1_500_000),
                (hostility.notifications, Resource::Senders, 5_000_000),
                (hostility.tokens, Resource::TokenChecks, 200_000),
            ];
            for (count, what, takes) in uses {
                self.uses.extend((0..count).map(|_| Use { at, pim: HOSTILE, part: 0, what, takes }));
            }
        }
        let tenth = |events: u64| (BEGINS..TRAFFIC).step_by(10 * SECOND as usize).filter(move |_| events > 0);
        self.batches.extend(tenth(hostility.flood).map(|at| (at + r.within(0, SECOND), HOSTILE, hostility.flood)));
        // In requests of ten events: one that does not fit is refused as a whole.
        let filling = (0..hostility.filling / 10).map(|_| (BEGINS + r.within(0, SECOND), HOSTILE, 10));
        self.batches.extend(filling);
        self.incidents.extend(tenth(hostility.refusing as u64).map(|at| (at, Incident::ResumeAll)));
    }

    fn build(self, seed: u64) -> Plan {
        let settings = engine::Settings { host_rate: HOST_RATE, ..engine::Settings::default() };
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
                readers: 16,
                senders: 16,
                token_checks: 16,
                log_bytes: LOG_BYTES,
                silent_names: self.silent_names,
                uses: self.uses,
            }),
            mutation: None,
            ..Plan::of_endpoints(seed)
        }
    }
}
