//! Adaptation of a lane's rate to an endpoint's capacity: measured second by second in a world with one lane and one
//! endpoint.

use std::fmt::Write;

use domain::subscription::{Options, Ordering};

use crate::plan::{Plan, SECOND, SubscriptionPlan};
use crate::property::{Check, Property, hold};
use crate::receiver::Behaviour;
use crate::world::World;

/// An endpoint's capacities, and the results of each second.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Capacities: `(from second, events per second)`.
    pub capacities: Vec<(u64, u64)>,
    /// Results second by second.
    pub seconds: Vec<Second>,
}

/// Results of one second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Second {
    /// The lane's rate at its end.
    pub rate: f64,
    /// Requests answered 2xx.
    pub delivered: u64,
    /// Requests answered 429.
    pub throttled: u64,
}

/// Sums over a stretch.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// Deliveries as a share of the capacity.
    pub used: f64,
    /// 429s as a share of the requests.
    pub throttled: f64,
}

/// Plays an endpoint with the capacity of the last entry that has begun; there are always events to send.
pub fn measure(capacities: &[(u64, u64)], seconds: u64) -> Check<Measured> {
    let settings = engine::Settings { trim_every: std::time::Duration::from_secs(30), ..Default::default() };
    let schedule = capacities.iter().map(|(from, capacity)| (from * SECOND, Behaviour::Throttling(*capacity)));
    let plan = Plan {
        seed: 25,
        pims: 1,
        subscriptions: vec![SubscriptionPlan {
            pim: 1,
            types: vec![0, 1, 2, 3],
            user: None,
            options: Options { ordering: Ordering::None, ..Options::default() },
            receiver: 0,
        }],
        receivers: vec![schedule.collect()],
        topics: vec![false],
        storage: Vec::new(),
        // More than a lane may send, so that there is always a backlog, but never more than the engine can hold.
        batches: (0..seconds).map(|second| (second * SECOND, 1, 101)).collect(),
        incidents: Vec::new(),
        lasts: seconds * SECOND,
        settings,
        tail_bytes: 1 << 30,
        races: false,
        outages: Vec::new(),
        judges_silence: false,
        replays: Vec::new(),
        losses: Vec::new(),
        keep: store::KeepBounds::NONE,
        sharing: None,
        mutation: None,
    };
    let mut world = World::new(plan)?;
    let mut measured = Vec::new();
    let mut seen = 0;
    for second in 1..=seconds {
        world.play_until(second * SECOND)?;
        let answered = &world.answered()[seen..];
        let throttled = answered.iter().filter(|(.., throttled)| *throttled).count() as u64;
        let delivered = answered.len() as u64 - throttled;
        seen += answered.len();
        measured.push(Second { rate: world.rate(0), delivered, throttled });
    }
    Ok(Measured { capacities: capacities.to_vec(), seconds: measured })
}

impl Measured {
    fn capacity(&self, second: u64) -> u64 {
        self.capacities.iter().rev().find(|(from, _)| *from <= second).map_or(0, |(_, capacity)| *capacity)
    }

    /// Sums of a stretch.
    pub fn stretch(&self, from: u64, to: u64) -> Stretch {
        let seconds = &self.seconds[from as usize..to as usize];
        let delivered: u64 = seconds.iter().map(|second| second.delivered).sum();
        let throttled: u64 = seconds.iter().map(|second| second.throttled).sum();
        let capacity: u64 = (from..to).map(|second| self.capacity(second)).sum();
        Stretch {
            used: delivered as f64 / capacity as f64,
            throttled: throttled as f64 / (delivered + throttled).max(1) as f64,
        }
    }

    /// The second, counted from `from`, in which the capacity at that time is found: from then on ten seconds use at
    /// least 90 % of it.
    pub fn found_after(&self, from: u64) -> Option<u64> {
        let last = self.seconds.len() as u64 - 10;
        (from..last)
            .find(|second| {
                let stretch = self.stretch(*second, second + 10);
                (0.9..=1.1).contains(&stretch.used) && stretch.throttled < 0.1
            })
            .map(|second| second - from)
    }

    /// A table for the terminal, one line per `every` seconds.
    pub fn table(&self, every: usize) -> String {
        let mut text = String::from("second  capacity   rate  delivered/s  429/s\n");
        for (index, seconds) in self.seconds.chunks(every).enumerate() {
            let second = (index * every) as u64;
            let of = seconds.len() as f64;
            let rate = seconds.iter().map(|second| second.rate).sum::<f64>() / of;
            let delivered = seconds.iter().map(|second| second.delivered).sum::<u64>() as f64 / of;
            let throttled = seconds.iter().map(|second| second.throttled).sum::<u64>() as f64 / of;
            let capacity = self.capacity(second);
            // One character for two events per second; the capacity is marked.
            let mut bar: Vec<char> = "#".repeat((delivered / 2.0).round() as usize).chars().collect();
            bar.extend("x".repeat((throttled / 2.0).round() as usize).chars());
            let mark = (capacity / 2) as usize;
            while bar.len() <= mark {
                bar.push(' ');
            }
            bar[mark] = '|';
            let bar: String = bar.into_iter().collect();
            let _ =
                writeln!(text, "{second:>6}  {capacity:>8}  {rate:>5.1}  {delivered:>11.1}  {throttled:>5.2}  {bar}");
        }
        text
    }
}

/// A fixed capacity of 25 events per second, and one that changes.
pub fn measurements() -> Check<(Measured, Measured)> {
    Ok((measure(&[(0, 25)], 600)?, measure(&[(0, 25), (180, 60), (420, 12), (600, 80), (840, 25)], 1080)?))
}

/// Checks the required figures of the rate.
pub fn figures_hold() -> Check<(Measured, Measured)> {
    let (fixed, changing) = measurements()?;
    let found = fixed.found_after(0);
    hold(Property::CapacityIsFound, found.is_some_and(|second| second <= 60), || {
        format!("a capacity of 25/s was found after {found:?} s")
    })?;
    let steady = fixed.stretch(60, 600);
    hold(Property::CapacityIsFound, steady.used >= 0.9 && steady.throttled < 0.05, || {
        format!("steady state: {steady:?}")
    })?;
    for window in [180, 420, 600, 840] {
        let found = changing.found_after(window);
        hold(Property::CapacityIsFound, found.is_some_and(|seconds| seconds <= 90), || {
            format!("the capacity of second {window} on was found after {found:?} s")
        })?;
    }
    Ok((fixed, changing))
}
