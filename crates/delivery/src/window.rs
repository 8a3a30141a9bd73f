//! The success window: outcomes of the last rolling hour, in bounded memory.

use std::time::Duration;

use domain::{Now, Timestamp};

/// Buckets of the hour, one per minute: the window forgets one minute at a time.
const BUCKETS: usize = 60;

/// Length of a bucket.
const BUCKET: Duration = Duration::from_secs(60);

/// Outcomes of the last rolling hour.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Window {
    /// Empty until the first outcome, so that an idle lane costs little. Bucket `minute % 60` holds that minute's
    /// outcomes.
    buckets: Vec<Bucket>,
    /// Sums over the buckets within the hour of `newest`.
    sum: Counts,
    /// The newest minute counted or read.
    newest: i64,
}

/// A minute's outcomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) minute: i64,
    pub(crate) counts: Counts,
    /// Time of the minute's first failure.
    pub(crate) first_failure: Option<Timestamp>,
    /// Failures by silence among them: they may turn out to be the platform's.
    silent: u64,
}

impl Bucket {
    const EMPTY: Bucket = Bucket { minute: i64::MIN, counts: Counts::EMPTY, first_failure: None, silent: 0 };

    /// A saved minute.
    pub(crate) fn saved(minute: i64, counts: Counts, first_failure: Option<Timestamp>) -> Bucket {
        Bucket { minute, counts, first_failure, silent: 0 }
    }
}

/// Numbers of outcomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Successes.
    pub delivered: u64,
    /// Failures.
    pub failed: u64,
}

impl Counts {
    const EMPTY: Counts = Counts { delivered: 0, failed: 0 };

    /// Whether the success rate is below `percent`, given at least `judged_from` outcomes. Exactly `percent` is fine.
    pub fn is_below(self, percent: u64, judged_from: u64) -> bool {
        let all = self.delivered + self.failed;
        all >= judged_from && self.delivered * 100 < all * percent
    }
}

fn minute(now: Timestamp) -> i64 {
    now.as_micros().div_euclid(BUCKET.as_micros() as i64)
}

impl Window {
    /// Counts a success.
    pub fn delivered(&mut self, now: Timestamp) {
        self.bucket(now).counts.delivered += 1;
        self.sum.delivered += 1;
    }

    /// Counts a failure.
    pub fn failed(&mut self, now: Timestamp) {
        let bucket = self.bucket(now);
        bucket.counts.failed += 1;
        bucket.first_failure.get_or_insert(now);
        self.sum.failed += 1;
    }

    /// Counts a failure by silence.
    pub fn silent(&mut self, now: Timestamp) {
        self.failed(now);
        self.bucket(now).silent += 1;
    }

    /// Removes silence since `since`, to the minute, because it was the platform's. Whether anything was removed.
    pub fn take_out_silence(&mut self, since: Timestamp) -> bool {
        let since = minute(since);
        let mut taken = 0;
        for bucket in self.buckets.iter_mut().filter(|bucket| bucket.minute >= since) {
            taken += bucket.silent;
            bucket.counts.failed -= bucket.silent;
            bucket.silent = 0;
            if bucket.counts.failed == 0 {
                bucket.first_failure = None;
            }
        }
        self.sum.failed -= taken;
        taken > 0
    }

    /// Outcomes of the last hour.
    pub fn counts(&mut self, now: Timestamp) -> Counts {
        self.advance(minute(now));
        self.sum
    }

    /// Outcomes of the last full minute.
    pub fn last_minute(&self, now: Timestamp) -> Counts {
        let last = minute(now) - 1;
        self.buckets.iter().find(|bucket| bucket.minute == last).map_or(Counts::EMPTY, |bucket| bucket.counts)
    }

    /// Whether it never had an outcome.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Time of the last hour's oldest failure.
    pub fn oldest_failure(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.advance(minute(now));
        self.buckets.iter().filter_map(|bucket| bucket.first_failure).min()
    }

    /// The wall clock was set back while stopped: no failure is later than now.
    pub(crate) fn none_is_later(&mut self, now: Timestamp) {
        for bucket in &mut self.buckets {
            bucket.first_failure = bucket.first_failure.map(|at| at.min(now));
        }
    }

    fn bucket(&mut self, now: Timestamp) -> &mut Bucket {
        if self.buckets.is_empty() {
            self.buckets = vec![Bucket::EMPTY; BUCKETS];
        }
        self.advance(minute(now));
        // If time goes back, outcomes count for the newest minute known: they are not forgotten too early.
        let minute = self.newest;
        let bucket = &mut self.buckets[minute.rem_euclid(BUCKETS as i64) as usize];
        if bucket.minute != minute {
            *bucket = Bucket { minute, ..Bucket::EMPTY };
        }
        bucket
    }

    /// Moves on to `minute` and forgets outcomes an hour old. If the wall clock was set back by more than an hour while
    /// stopped, the hour starts afresh: otherwise outcomes counted under the wrong clock would count until that time
    /// comes.
    fn advance(&mut self, minute: i64) {
        if minute > self.newest || minute < self.newest - BUCKETS as i64 {
            self.newest = minute;
            let oldest = minute - BUCKETS as i64 + 1;
            self.sum = Counts::EMPTY;
            for bucket in &mut self.buckets {
                if (oldest..=minute).contains(&bucket.minute) {
                    self.sum.delivered += bucket.counts.delivered;
                    self.sum.failed += bucket.counts.failed;
                } else {
                    *bucket = Bucket::EMPTY;
                }
            }
        }
    }

    /// Minutes with outcomes, to be saved by the wall clock.
    pub(crate) fn minutes(&self, now: Now) -> impl Iterator<Item = Bucket> + '_ {
        let ahead = minute(now.wall) - minute(now.steady);
        let oldest = self.newest - BUCKETS as i64 + 1;
        self.buckets.iter().filter(move |bucket| bucket.minute >= oldest && bucket.counts != Counts::EMPTY).map(
            move |bucket| {
                let first_failure = bucket.first_failure.map(|at| now.on_the_wall(at));
                Bucket { minute: bucket.minute + ahead, first_failure, ..*bucket }
            },
        )
    }

    /// A window from the result of [`Window::minutes`].
    pub(crate) fn restore(minutes: impl IntoIterator<Item = Bucket>) -> Window {
        let mut window = Window::default();
        let mut minutes: Vec<_> = minutes.into_iter().collect();
        minutes.sort_by_key(|bucket| bucket.minute);
        for saved in minutes {
            let at = Timestamp::from_micros(saved.minute.saturating_mul(BUCKET.as_micros() as i64));
            let bucket = window.bucket(at);
            bucket.counts.delivered += saved.counts.delivered;
            bucket.counts.failed += saved.counts.failed;
            bucket.first_failure = bucket.first_failure.into_iter().chain(saved.first_failure).min();
            window.sum.delivered += saved.counts.delivered;
            window.sum.failed += saved.counts.failed;
        }
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros((1_000_000_000 + seconds) * 1_000_000)
    }

    #[test]
    fn exactly_ninety_percent_is_fine() {
        let check = |delivered, failed, below| {
            assert_eq!(Counts { delivered, failed }.is_below(90, 20), below, "{delivered} delivered, {failed} failed");
        };
        check(18, 2, false);
        check(17, 3, true);
        check(0, 19, false);
        check(0, 20, true);
        check(899, 100, true);
        check(900, 100, false);
    }

    #[test]
    fn forgets_after_an_hour() {
        let mut window = Window::default();
        window.failed(at(0));
        assert_eq!(window.counts(at(59 * 60)).failed, 1);
        window.delivered(at(59 * 60));
        assert_eq!(window.counts(at(60 * 60 + 60)), Counts { delivered: 1, failed: 0 });
        assert_eq!(window.counts(at(3 * 3600)), Counts::default());
    }

    #[test]
    fn the_last_full_minute_is_the_one_before_this() {
        let mut window = Window::default();
        // A minute begins at 20.
        assert_eq!(window.last_minute(at(20)), Counts::default());
        window.delivered(at(20));
        window.failed(at(50));
        window.delivered(at(79));
        window.delivered(at(80));
        assert_eq!(window.last_minute(at(80)), Counts { delivered: 2, failed: 1 });
        assert_eq!(window.last_minute(at(140)), Counts { delivered: 1, failed: 0 });
        assert_eq!(window.last_minute(at(3680)), Counts::default(), "another minute of the same bucket");
    }

    #[test]
    fn a_long_silence_leaves_nothing_behind() {
        let mut window = Window::default();
        window.failed(at(0));
        // The same bucket, many hours later.
        window.failed(at(5 * 3600));
        assert_eq!(window.counts(at(5 * 3600)).failed, 1);
    }

    #[test]
    fn a_step_back_of_the_clock_forgets_nothing_and_ends() {
        let mut window = Window::default();
        window.failed(at(3600));
        window.failed(at(0));
        assert_eq!(window.counts(at(0)).failed, 2);
        assert_eq!(window.counts(at(-2 * 3600)).failed, 0);
    }

    #[test]
    fn is_restored_as_it_was_saved() {
        let mut window = Window::default();
        for second in 0..4000 {
            if second % 7 == 0 {
                window.failed(at(second));
            } else {
                window.delivered(at(second));
            }
        }
        let mut restored = Window::restore(window.minutes(at(4000).into()));
        assert_eq!(restored.counts(at(4000)), window.counts(at(4000)));
        assert_eq!(restored.counts(at(5000)), window.counts(at(5000)));
        assert_eq!(restored.oldest_failure(at(5000)), window.oldest_failure(at(5000)));
    }

    #[test]
    fn knows_its_oldest_failure_to_the_moment() {
        let mut window = Window::default();
        assert_eq!(window.oldest_failure(at(0)), None);
        window.failed(at(100));
        window.failed(at(118));
        window.failed(at(1000));
        assert_eq!(window.oldest_failure(at(1000)), Some(at(100)));
        assert_eq!(window.oldest_failure(at(100 + 3660)), Some(at(1000)), "the first ones are an hour old");
    }

    #[test]
    fn silence_that_was_the_platforms_is_taken_out_and_nothing_else() {
        let mut window = Window::default();
        window.silent(at(0));
        window.failed(at(600));
        window.silent(at(601));
        window.silent(at(700));
        assert!(window.take_out_silence(at(300)));
        assert_eq!(window.counts(at(700)).failed, 2);
        assert_eq!(window.oldest_failure(at(700)), Some(at(0)));
        assert!(!window.take_out_silence(at(300)), "once");
    }
}
