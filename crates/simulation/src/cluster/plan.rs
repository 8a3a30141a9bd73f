//! What a world of several nodes is made of, drawn from its seed.

use std::time::Duration;

use crate::mutation::Mutation;
use crate::plan::SECOND;
use crate::random::Random;
use crate::receiver::Behaviour;
use crate::storage::Health;

/// Plan of a world.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its seed.
    pub seed: u64,
    /// Nodes.
    pub nodes: usize,
    /// Shards.
    pub shards: u8,
    /// Tenants.
    pub pims: u32,
    /// Subscriptions.
    pub subscriptions: Vec<Subscribed>,
    /// Behaviour of each receiver over time.
    pub receivers: Vec<Vec<(u64, Behaviour)>>,
    /// Which of them are topics.
    pub topics: Vec<bool>,
    /// The store over time.
    pub storage: Vec<(u64, Health)>,
    /// Percentage of the store's answers that are lost after the commit.
    pub lost_answers: u64,
    /// Requests of producers: `(when, PIM, events)`.
    pub batches: Vec<(u64, u32, u64)>,
    /// Incidents over time.
    pub incidents: Vec<(u64, Incident)>,
    /// Changes by people, each at some node.
    pub changes: Vec<(u64, Change)>,
    /// Duration; afterwards everything is healed and the world has to settle.
    pub lasts: u64,
    /// The engines' settings.
    pub settings: engine::Settings,
    /// Bytes of events in a tail.
    pub tail_bytes: usize,
    /// The planted fault.
    pub mutation: Option<Mutation>,
}

/// A subscription at the beginning.
#[derive(Clone, Copy, Debug)]
pub struct Subscribed {
    /// Its PIM.
    pub pim: u32,
    /// Whether entities are kept in order.
    pub ordered: bool,
    /// Whether its events are kept during a suspension.
    pub hold: bool,
    /// Its receiver.
    pub receiver: usize,
}

/// An incident.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Incident {
    /// A node dies and is back after this many microseconds.
    Crash(usize, u64),
    /// A node stops in order and is back after this many microseconds.
    Stop(usize, u64),
    /// The process of a node stands still for this long; its clocks go on.
    Pause(usize, u64),
    /// The machine of a node sleeps for this long: only `CLOCK_BOOTTIME` and the wall clock go on.
    Sleep(usize, u64),
    /// The wall clock of a node is set.
    Jump(usize, i64),
    /// Connections of a node to the store are lost.
    Lose(usize),
    /// A node does not reach the store for this long.
    Cut(usize, u64),
    /// A node is in trouble of its own for this long.
    Unfit(usize, u64),
    /// No commit reaches the standby for this long.
    Stall(u64),
    /// The server dies, and its standby takes over.
    Failover {
        /// For how long no commit has reached the standby by then.
        behind: u64,
        /// Whether such commits are seen by others although they are not acknowledged.
        seen: bool,
        /// Time until the standby has taken over.
        away: u64,
    },
}

/// A change of a subscription by a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It is suspended.
    Suspend,
    /// It is resumed.
    Resume,
    /// It gets another destination.
    Redirect,
    /// It gets other event types.
    Select,
    /// It is suspended if it is active, else resumed.
    Toggle,
}

impl Plan {
    /// The world of a seed.
    pub fn random(seed: u64) -> Plan {
        let mut random = Random::new(seed, 40);
        let r = &mut random;
        let lasts = r.within(30, 100) * SECOND;
        let nodes = r.one_of(&[1, 2, 2, 3, 3, 4, 5]);
        let shards = r.within(1, 4) as u8;
        let pims = u32::from(shards) + r.within(0, 2) as u32;
        let count = r.within(1, 5) as usize;
        let receivers: Vec<_> = (0..count + 1).map(|_| receiver(r, lasts)).collect();
        let topics = receivers.iter().map(|_| r.percent(25)).collect();
        let subscriptions = (0..count).map(|receiver| Subscribed {
            pim: r.within(1, u64::from(pims)) as u32,
            ordered: r.percent(60),
            hold: r.percent(40),
            receiver,
        });
        let subscriptions: Vec<Subscribed> = subscriptions.collect();
        let of = |r: &mut Random| match r.percent(85) {
            true => subscriptions[r.within(0, count as u64 - 1) as usize].pim,
            false => r.within(1, u64::from(pims)) as u32,
        };
        let mut batches = Vec::new();
        for _ in 0..r.within(4, 14) {
            let at = r.within(0, lasts);
            let pim = of(r);
            for _ in 0..r.within(1, 4) {
                batches.push((at + r.within(0, 1_500_000), pim, r.one_of(&[1, 1, 2, 3, 8])));
            }
        }
        let mut incidents = Vec::new();
        for _ in 0..r.within(0, 5) {
            let near = batches[r.within(0, batches.len() as u64 - 1) as usize].0 + r.within(0, 3 * SECOND);
            let at = if r.percent(70) { near } else { r.within(0, lasts) };
            let incident = Incident::random(r, nodes);
            // Traffic that may vanish with a failover, or be appended elsewhere meanwhile.
            for _ in 0..r.within(0, 3) {
                batches.push((at + r.within(0, 12 * SECOND), of(r), r.within(1, 3)));
            }
            incidents.push((at, incident));
        }
        let mut receivers = receivers;
        if r.percent(40) && nodes > 1 {
            // A node stands still just when something was handed over, and its receiver gives a reason for a
            // suspension; or after its wall clock was set back.
            let of = subscriptions[r.within(0, count as u64 - 1) as usize];
            let (at, node) = (r.within(SECOND, lasts), r.within(0, nodes as u64 - 1) as usize);
            batches.push((at, of.pim, r.within(1, 4)));
            if r.percent(60) {
                let good = Behaviour::Good(r.one_of(&[1, 30]));
                let bad = (at.saturating_sub(SECOND), Behaviour::Answering(404));
                receivers[of.receiver] = vec![(0, good), bad, (at + 6 * SECOND, good)];
            } else {
                incidents.push((at.saturating_sub(SECOND), Incident::Jump(node, -70 * SECOND as i64)));
            }
            let stands_still = r.within(11 * SECOND, 20 * SECOND);
            incidents.push((at + r.within(5_000, 150_000), Incident::Pause(node, stands_still)));
        }
        let mut changes = Vec::new();
        for _ in 0..r.one_of(&[0, 1, 3, 6]) {
            let near = match incidents.is_empty() || r.percent(40) {
                true => batches[r.within(0, batches.len() as u64 - 1) as usize].0,
                false => incidents[r.within(0, incidents.len() as u64 - 1) as usize].0,
            };
            let kinds = [Change::Toggle, Change::Toggle, Change::Redirect, Change::Redirect, Change::Select];
            changes.push((near + r.within(0, 2 * SECOND), r.one_of(&kinds)));
        }
        let mut settings = engine::Settings::default();
        settings.delivery.retry_delays = [8, 12, 20].map(Duration::from_secs).to_vec();
        settings.delivery.max_in_flight = r.one_of(&[2, 8, 64]);
        settings.delivery.max_in_hand = r.one_of(&[4, 64]);
        settings.delivery.judged_from = 5;
        settings.delivery.suspend_after = Duration::ZERO;
        settings.trim_every = Duration::from_secs(r.one_of(&[5, 20]));
        Plan {
            seed,
            nodes,
            shards,
            pims,
            subscriptions,
            receivers,
            topics,
            storage: storage(r, lasts),
            lost_answers: r.one_of(&[0, 0, 1, 3]),
            batches,
            incidents,
            changes,
            lasts,
            settings,
            tail_bytes: r.one_of(&[600, 1 << 20, 1 << 20]),
            mutation: None,
        }
    }

    /// The same world with a planted fault.
    pub fn with(self, mutation: Mutation) -> Plan {
        Plan { mutation: Some(mutation), ..self }
    }

    /// Whether a receiver may be the reason of a suspension.
    pub fn is_bad(&self, receiver: usize) -> bool {
        self.receivers[receiver].iter().any(|(_, behaviour)| !matches!(behaviour, Behaviour::Good(_)))
    }
}

impl Incident {
    fn random(r: &mut Random, nodes: usize) -> Incident {
        let node = r.within(0, nodes as u64 - 1) as usize;
        let away = r.one_of(&[0, SECOND, 4 * SECOND, 15 * SECOND]);
        match r.within(0, 99) {
            0..13 => Incident::Crash(node, away),
            13..23 => Incident::Stop(node, away),
            23..43 => Incident::Pause(node, r.within(SECOND, 25 * SECOND)),
            43..50 => Incident::Sleep(node, r.within(SECOND, 40 * SECOND)),
            50..55 => {
                let far = r.one_of(&[SECOND, 9 * SECOND, 70 * SECOND]) as i64;
                Incident::Jump(node, if r.percent(50) { far } else { -far })
            }
            55..70 => Incident::Lose(node),
            70..78 => Incident::Cut(node, r.one_of(&[2, 9, 14]) * SECOND),
            78..82 => Incident::Unfit(node, 6 * SECOND),
            82..86 => Incident::Stall(r.one_of(&[1, 9, 13]) * SECOND),
            _ => Incident::Failover {
                behind: r.one_of(&[SECOND / 5, 2 * SECOND, 6 * SECOND]),
                seen: r.percent(60),
                away: r.one_of(&[SECOND / 2, 3 * SECOND, 11 * SECOND]),
            },
        }
    }
}

fn receiver(r: &mut Random, lasts: u64) -> Vec<(u64, Behaviour)> {
    let good = Behaviour::Good(r.one_of(&[1, 30, 400, 3000]));
    let mut schedule = vec![(0, good)];
    if r.percent(35) {
        let bad = [
            Behaviour::Answering(404),
            Behaviour::Answering(404),
            Behaviour::Flaky(150),
            Behaviour::Hanging,
            Behaviour::Answering(503),
        ];
        let at = r.within(0, lasts);
        schedule.push((at, r.one_of(&bad)));
        schedule.push((at + r.within(2, 20) * SECOND, good));
    }
    schedule
}

fn storage(r: &mut Random, lasts: u64) -> Vec<(u64, Health)> {
    let mut schedule = Vec::new();
    if r.percent(15) {
        schedule.push((0, Health::Slow));
    }
    if r.percent(35) {
        let at = r.within(0, lasts);
        schedule.push((at, r.one_of(&[Health::Slow, Health::Slow, Health::Flaky(30), Health::Failing])));
        schedule.push((at + r.one_of(&[2, 6, 14]) * SECOND, Health::Good));
    }
    schedule
}
