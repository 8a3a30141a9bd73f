//! Worlds in which somebody is silent: the platform's network, or one receiver.

use super::{MINUTE, Plan, SECOND, SubscriptionPlan, TYPES, options};
use crate::random::Random;
use crate::receiver::Behaviour;
use domain::outcome::Lack;

/// Interval between events.
const EVERY: u64 = 10 * SECOND;

impl Plan {
    /// A world in which the network fails while only the first receiver is in use. It is to blame until the others are
    /// tried, too, which proves that it was not. Later one receiver is silent on its own.
    pub fn silence(seed: u64) -> Plan {
        let mut random = Random::new(seed, 12);
        let r = &mut random;
        let receivers = r.within(2, 4) as usize;
        // The first receiver belongs to the first PIM, the others to the second one.
        let subscriptions = (0..receivers).map(|receiver| SubscriptionPlan {
            pim: 1 + u32::from(receiver > 0),
            types: (0..TYPES.len()).collect(),
            user: None,
            options: options(r),
            receiver,
        });
        let subscriptions: Vec<_> = subscriptions.collect();
        let alone_from = r.within(4, 7) * MINUTE;
        let fails_at = alone_from + r.within(80, 120) * SECOND;
        let alone_until = fails_at + r.within(30, 330) * SECOND;
        let works_at = alone_until + r.within(30, 600) * SECOND;
        let mute_from = works_at + r.within(5, 8) * MINUTE;
        let mute_until = mute_from + r.within(60, 500) * SECOND;
        let lasts = mute_until + 5 * MINUTE;
        let batches = (1..lasts / EVERY - 6).flat_map(|number| {
            let at = number * EVERY;
            let alone = (alone_from..alone_until).contains(&at);
            let pims = if alone { 1..=1 } else { 1..=2 };
            pims.map(move |pim| (at + u64::from(pim) * SECOND, pim, 1 + number % 3))
        });
        let mute = r.within(0, receivers as u64 - 1) as usize;
        let schedule = |receiver| {
            let good = Behaviour::Good([1, 30, 400][receiver % 3]);
            let on_its_own = [(mute_from, Behaviour::Mute), (mute_until, good)];
            let on_its_own = on_its_own.into_iter().filter(|_| receiver == mute);
            std::iter::once((0, good)).chain(on_its_own).collect()
        };
        Plan {
            pims: 2,
            batches: batches.collect(),
            topics: vec![false; receivers],
            receivers: (0..receivers).map(schedule).collect(),
            subscriptions,
            storage: Vec::new(),
            incidents: Vec::new(),
            lasts,
            settings: engine::Settings::default(),
            races: false,
            outages: vec![(fails_at, works_at, Lack::Silence)],
            judges_silence: true,
            ..Plan::of_endpoints(seed)
        }
    }
}
