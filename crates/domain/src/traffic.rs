//! What came in and went out over time, and which subscriptions are in trouble.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::SubscriptionId;
use crate::time::Timestamp;

/// Counts within a step.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct TrafficCounts {
    /// Start of the step, a multiple of its length since the epoch.
    pub from: Timestamp,
    /// Accepted events, without duplicates.
    pub accepted: u64,
    /// Delivered events.
    pub delivered: u64,
    /// Failed attempts.
    pub failed: u64,
    /// Throttled attempts.
    pub throttled: u64,
}

impl TrafficCounts {
    fn add(&mut self, other: &TrafficCounts) {
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.throttled += other.throttled;
    }
}

/// Counts over the last 24 hours; steps without any are left out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Traffic {
    step: Duration,
    counts: VecDeque<TrafficCounts>,
    arrivals: Arrivals,
}

impl Traffic {
    /// Step of the whole platform.
    pub const STEP: Duration = Duration::from_secs(300);
    /// Step of one PIM: an active one costs about a kilobyte.
    pub const STEP_OF_PIM: Duration = Duration::from_secs(3600);
    /// Time span.
    pub const SPAN: Duration = Duration::from_hours(24);

    /// None yet.
    pub fn new(step: Duration) -> Traffic {
        Traffic { step, counts: VecDeque::new(), arrivals: Arrivals::default() }
    }

    /// Length of a step.
    pub fn step(&self) -> Duration {
        self.step
    }

    /// Adds counts to the step of `at`, and forgets those that are too old.
    pub fn add(&mut self, at: Timestamp, counts: &TrafficCounts) {
        let micros = self.step.as_micros() as i64;
        let from = Timestamp::from_micros(at.as_micros().div_euclid(micros) * micros);
        // Nearly always the latest step; the wall clock may have been set back.
        match self.counts.iter_mut().rev().find(|step| step.from <= from) {
            Some(step) if step.from == from => step.add(counts),
            Some(_) | None => {
                let place = self.counts.partition_point(|step| step.from < from);
                self.counts.insert(place, TrafficCounts { from, ..*counts });
            }
        }
        let most = (Traffic::SPAN.as_secs() / self.step.as_secs()) as usize;
        while self.counts.len() > most {
            self.counts.pop_front();
        }
    }

    /// Adds another shard's counts.
    pub fn merge(&mut self, other: &Traffic) {
        other.counts.iter().for_each(|counts| self.add(counts.from, counts));
        for (of_type, steps) in &other.arrivals.0 {
            steps.iter().for_each(|(step, count)| self.arrivals.add(of_type, *step, *count));
        }
    }

    /// Counts an accepted event by its type, besides the sum.
    pub fn arrived(&mut self, of_type: &str, at: Timestamp) {
        self.arrivals.add(of_type, Arrivals::step(at), 1);
    }

    /// Accepted events of these types since a moment, by the start of each [`Traffic::STEP`], oldest first.
    pub fn arrivals<'t>(&self, types: impl Iterator<Item = &'t str>, from: Timestamp) -> BTreeMap<Timestamp, u64> {
        let mut sums = BTreeMap::new();
        let steps = types.filter_map(|of_type| self.arrivals.0.get(of_type)).flatten();
        for (step, count) in steps.filter(|(step, _)| Arrivals::start(step + 1) > from) {
            *sums.entry(Arrivals::start(*step)).or_default() += u64::from(*count);
        }
        sums
    }

    /// The counts since a moment, oldest first.
    pub fn since(&self, from: Timestamp) -> impl Iterator<Item = &TrafficCounts> {
        self.counts.iter().filter(move |counts| counts.from + self.step > from)
    }
}

/// Accepted events by type, in steps of [`Traffic::STEP`]: eight bytes per step in which there were any.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
struct Arrivals(HashMap<Box<str>, VecDeque<(u32, u32)>>);

impl Arrivals {
    const MOST: usize = (Traffic::SPAN.as_secs() / Traffic::STEP.as_secs()) as usize;

    /// Number of a moment's step since the epoch.
    fn step(at: Timestamp) -> u32 {
        u32::try_from(at.as_micros() / Traffic::STEP.as_micros() as i64).unwrap_or_default()
    }

    fn start(step: u32) -> Timestamp {
        Timestamp::from_micros(i64::from(step) * Traffic::STEP.as_micros() as i64)
    }

    fn add(&mut self, of_type: &str, step: u32, count: u32) {
        let Some(steps) = self.0.get_mut(of_type) else {
            self.0.insert(of_type.into(), VecDeque::from([(step, count)]));
            return;
        };
        match steps.iter_mut().rev().find(|(known, _)| *known <= step) {
            Some((known, sum)) if *known == step => *sum = sum.saturating_add(count),
            Some(_) | None => {
                let place = steps.partition_point(|(known, _)| *known < step);
                steps.insert(place, (step, count));
            }
        }
        while steps.len() > Arrivals::MOST {
            steps.pop_front();
        }
    }
}

/// An active subscription that is behind, or whose deliveries fail.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Trouble {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Events that wait; if it reads from the log, more than these.
    pub backlog: u64,
    /// Whether the actual backlog may be larger.
    pub backlog_at_least: bool,
    /// Acceptance time of the oldest event that waits, if known.
    pub oldest_accepted_at: Option<Timestamp>,
    /// Successes of the last rolling hour.
    pub delivered: u64,
    /// Failures of the last rolling hour.
    pub failed: u64,
}

impl Trouble {
    /// Age of the oldest waiting event beyond which a subscription is behind.
    pub const BEHIND: Duration = Duration::from_secs(60);
    /// Success rate below which a subscription fails, in percent.
    pub const FAILING: u64 = 95;

    /// Whether its deliveries fail.
    pub fn is_failing(&self) -> bool {
        self.failed * 100 > (self.delivered + self.failed) * (100 - Trouble::FAILING)
    }

    /// Sorts those with most failures first, then the oldest backlogs, and keeps the first.
    pub fn worst_first(all: &mut Vec<Trouble>, at_most: usize) {
        all.sort_by_key(|trouble| {
            let failures = if trouble.is_failing() { trouble.failed } else { 0 };
            (Reverse(failures), trouble.oldest_accepted_at, trouble.subscription)
        });
        all.truncate(at_most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000 + minute * 60_000_000)
    }

    fn one() -> TrafficCounts {
        TrafficCounts { accepted: 1, ..TrafficCounts::default() }
    }

    #[test]
    fn counts_are_kept_by_step_for_a_day() {
        let mut traffic = Traffic::new(Traffic::STEP);
        for at in [0, 4, 5, 12, 6] {
            traffic.add(minute(at), &one());
        }
        let steps: Vec<_> = traffic.since(Timestamp::EPOCH).map(|step| (step.from, step.accepted)).collect();
        assert_eq!(steps, [(minute(0), 2), (minute(5), 2), (minute(10), 1)]);
        assert_eq!(traffic.since(minute(5)).count(), 2);
        for step in 0..1000 {
            traffic.add(minute(5 * step), &one());
        }
        assert_eq!(traffic.since(Timestamp::EPOCH).count(), 288);
        assert_eq!(traffic.since(Timestamp::EPOCH).last().unwrap().from, minute(5 * 999));
    }

    #[test]
    fn shards_are_added() {
        let (mut here, mut there) = (Traffic::new(Traffic::STEP), Traffic::new(Traffic::STEP));
        here.add(minute(5), &one());
        there.add(minute(0), &TrafficCounts { delivered: 2, failed: 3, throttled: 4, ..one() });
        there.add(minute(6), &one());
        here.merge(&there);
        let steps: Vec<_> = here.since(Timestamp::EPOCH).copied().collect();
        assert_eq!((steps[0].from, steps[0].delivered, steps[0].throttled), (minute(0), 2, 4));
        assert_eq!((steps.len(), steps[1].accepted), (2, 2));
    }

    #[test]
    fn arrivals_are_counted_by_type() {
        let (mut here, mut there) = (Traffic::new(Traffic::STEP_OF_PIM), Traffic::new(Traffic::STEP_OF_PIM));
        for (of_type, at) in [("a", 7), ("b", 7), ("a", 9), ("c", 9), ("a", 3), ("a", 20)] {
            here.arrived(of_type, minute(at));
        }
        there.arrived("a", minute(5));
        here.merge(&there);
        let of = |types: &[&str], from| {
            let steps = here.arrivals(types.iter().copied(), minute(from));
            steps.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of(&["a", "b", "unknown"], 0), [(minute(0), 1), (minute(5), 4), (minute(20), 1)]);
        assert_eq!(of(&["c"], 0), [(minute(5), 1)]);
        assert_eq!(of(&["a"], 9), [(minute(5), 3), (minute(20), 1)]);
        assert_eq!(of(&["a"], 10), [(minute(20), 1)]);
        for step in 0..1000 {
            here.arrived("a", minute(5 * step));
        }
        assert_eq!(here.arrivals(["a"].into_iter(), Timestamp::EPOCH).len(), 288);
    }

    #[test]
    fn a_subscription_fails_below_its_rate() {
        let check = |delivered, failed, expect| {
            let trouble = Trouble {
                subscription: SubscriptionId::generate(),
                backlog: 0,
                backlog_at_least: false,
                oldest_accepted_at: None,
                delivered,
                failed,
            };
            assert_eq!(trouble.is_failing(), expect, "{delivered} {failed}");
        };
        check(0, 0, false);
        check(95, 5, false);
        check(94, 6, true);
        check(0, 1, true);
    }
}
