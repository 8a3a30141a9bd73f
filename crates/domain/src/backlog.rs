//! Backlogs over time: for each subscription whose events have waited within the last day, the highest values of each
//! step. A subscription that keeps up has none.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{PimId, SubscriptionId};
use crate::time::Timestamp;

/// Length of a step in this hour and the one before, in seconds.
const FINE: i64 = 300;
/// Length of an older step.
const COARSE: i64 = 3600;
/// Fine steps of the current and the last hour.
const MOST_FINE: usize = 24;
/// Hours before those.
const MOST_COARSE: usize = 22;

/// A backlog at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Age of the oldest undelivered event; of events that wait for another attempt, since their first one.
    pub oldest: Duration,
    /// Undelivered events in memory.
    pub waiting: u64,
    /// Whether there are more, which are yet to be read from the log.
    pub at_least: bool,
}

/// The highest values within a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Start of the step, a multiple of its length since the epoch.
    pub from: Timestamp,
    /// Its length.
    pub length: Duration,
    /// The values: of several subscriptions, the greatest age and the sum of their events.
    pub peak: Sample,
}

/// The subscriptions whose backlogs are asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// All.
    All,
    /// Those of one PIM.
    Pim(PimId),
    /// Some of one PIM.
    These(PimId, Vec<SubscriptionId>),
}

/// The backlog of a subscription over the last 24 hours: at most a kilobyte.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Backlog {
    /// By five minutes.
    fine: VecDeque<Peak>,
    /// By hour, before those.
    coarse: VecDeque<Peak>,
}

/// The highest values of a step, packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Peak {
    /// Number of the step since the epoch.
    number: u32,
    /// Seconds.
    oldest: u32,
    waiting: u32,
    at_least: bool,
}

impl Peak {
    fn new(number: i64, sample: Sample) -> Peak {
        let packed = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Peak {
            number: u32::try_from(number).unwrap_or_default(),
            oldest: packed(sample.oldest.as_secs()),
            waiting: packed(sample.waiting),
            at_least: sample.at_least,
        }
    }

    /// The higher values of both.
    fn raise(&mut self, other: Peak) {
        self.oldest = self.oldest.max(other.oldest);
        self.waiting = self.waiting.max(other.waiting);
        self.at_least |= other.at_least;
    }

    fn step(self, length: i64) -> Step {
        Step {
            from: Timestamp::from_micros(i64::from(self.number) * length * 1_000_000),
            length: Duration::from_secs(length.unsigned_abs()),
            peak: Sample {
                oldest: Duration::from_secs(u64::from(self.oldest)),
                waiting: u64::from(self.waiting),
                at_least: self.at_least,
            },
        }
    }
}

fn number(at: Timestamp, length: i64) -> i64 {
    at.as_micros().div_euclid(length * 1_000_000)
}

/// Adds a peak to those of its step. Nearly always it is the latest; the wall clock may have been set back.
fn put(steps: &mut VecDeque<Peak>, peak: Peak) {
    let place = steps.partition_point(|known| known.number < peak.number);
    match steps.get_mut(place).filter(|known| known.number == peak.number) {
        Some(known) => known.raise(peak),
        None => steps.insert(place, peak),
    }
}

impl Backlog {
    /// Age of the oldest event below which a subscription keeps up: an attempt may take 5 s.
    pub const LEAST: Duration = Duration::from_secs(10);
    /// Interval of the samples.
    pub const SAMPLED_EVERY: Duration = Duration::from_secs(60);

    /// Adds a sample to the step of `at`.
    pub fn add(&mut self, at: Timestamp, sample: Sample) {
        put(&mut self.fine, Peak::new(number(at, FINE), sample));
        self.age(at);
    }

    /// Merges steps that are no longer recent into hours, and forgets those of the day before.
    pub fn age(&mut self, now: Timestamp) {
        let hour = number(now, COARSE);
        let per_hour = COARSE / FINE;
        let is_old = |peak: &Peak| i64::from(peak.number) / per_hour < hour - 1;
        while let Some(first) = self.fine.front().copied()
            && (is_old(&first) || self.fine.len() > MOST_FINE)
        {
            self.fine.pop_front();
            let number = u32::try_from(i64::from(first.number) / per_hour).unwrap_or_default();
            put(&mut self.coarse, Peak { number, ..first });
        }
        let is_over = |peak: &Peak| i64::from(peak.number) + MOST_COARSE as i64 + 2 <= hour;
        while self.coarse.front().is_some_and(is_over) || self.coarse.len() > MOST_COARSE {
            self.coarse.pop_front();
        }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.fine.is_empty() && self.coarse.is_empty()
    }

    /// The steps with a backlog, oldest first.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        let coarse = self.coarse.iter().map(|peak| peak.step(COARSE));
        coarse.chain(self.fine.iter().map(|peak| peak.step(FINE)))
    }
}

/// The backlogs of several subscriptions together, oldest first.
pub fn together(steps: impl IntoIterator<Item = Step>) -> Vec<Step> {
    let mut sums: BTreeMap<(Timestamp, Duration), Sample> = BTreeMap::new();
    for Step { from, length, peak } in steps {
        let sum = sums.entry((from, length)).or_default();
        sum.oldest = sum.oldest.max(peak.oldest);
        sum.waiting += peak.waiting;
        sum.at_least |= peak.at_least;
    }
    sums.into_iter().map(|((from, length), peak)| Step { from, length, peak }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full hour.
    const START: i64 = 1_800_000_000;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_micros((START + minute * 60) * 1_000_000)
    }

    fn sample(oldest: u64, waiting: u64) -> Sample {
        Sample { oldest: Duration::from_secs(oldest), waiting, at_least: false }
    }

    /// Minute of the start, minutes, age, events.
    fn shown(steps: impl IntoIterator<Item = Step>) -> Vec<(i64, u64, u64, u64)> {
        let one = |step: Step| {
            let from = (step.from.as_micros() / 1_000_000 - START) / 60;
            (from, step.length.as_secs() / 60, step.peak.oldest.as_secs(), step.peak.waiting)
        };
        steps.into_iter().map(one).collect()
    }

    #[test]
    fn a_step_has_its_highest_values() {
        let mut backlog = Backlog::default();
        for (at, oldest, waiting) in [(0, 60, 5), (1, 120, 9), (4, 300, 2), (5, 20, 1)] {
            backlog.add(minute(at), sample(oldest, waiting));
        }
        backlog.add(minute(2), Sample { at_least: true, ..sample(10, 1) });
        assert_eq!(shown(backlog.steps()), [(0, 5, 300, 9), (5, 5, 20, 1)]);
        assert_eq!(backlog.steps().map(|step| step.peak.at_least).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn hours_remain_of_what_is_older_than_the_last_hour() {
        let mut backlog = Backlog::default();
        for at in [0, 7, 50, 61] {
            backlog.add(minute(at), sample(100 + at.unsigned_abs(), 1));
        }
        assert_eq!(shown(backlog.steps()), [(0, 5, 100, 1), (5, 5, 107, 1), (50, 5, 150, 1), (60, 5, 161, 1)]);
        backlog.age(minute(120));
        assert_eq!(shown(backlog.steps()), [(0, 60, 150, 1), (60, 5, 161, 1)]);
        backlog.age(minute(23 * 60 + 59));
        assert_eq!(shown(backlog.steps()), [(0, 60, 150, 1), (60, 60, 161, 1)]);
        backlog.age(minute(24 * 60));
        assert_eq!(shown(backlog.steps()), [(60, 60, 161, 1)]);
        backlog.age(minute(25 * 60));
        assert!(backlog.is_empty());
    }

    #[test]
    fn memory_is_bounded_whatever_the_clock_does() {
        let mut backlog = Backlog::default();
        for at in 0..5000 {
            backlog.add(minute(at), sample(1, 1));
        }
        for back in 0..5000 {
            backlog.add(minute(4000 - 7 * back), sample(1, 1));
        }
        assert!(backlog.steps().count() <= MOST_FINE + MOST_COARSE, "{}", backlog.steps().count());
        assert!(size_of::<Peak>() * (MOST_FINE + MOST_COARSE).next_power_of_two() <= 1024);
    }

    #[test]
    fn several_subscriptions_are_added_up() {
        let (mut here, mut there) = (Backlog::default(), Backlog::default());
        here.add(minute(0), sample(50, 3));
        here.add(minute(5), sample(60, 1));
        there.add(minute(0), sample(70, 4));
        assert_eq!(shown(together(here.steps().chain(there.steps()))), [(0, 5, 70, 7), (5, 5, 60, 1)]);
    }
}
