//! Counters of the crates: counters, counters by a closed set of names, and histograms of durations. All consist of
//! atomics, so counting takes no lock, no lookup and no allocation. Their readers and public names are up to `app`.
//! Also [`Seldom`], for log lines that others can cause.

mod seldom;

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use seldom::{QUIET, Seldom};

/// Counts up from the start of the process.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn one(&self) {
        self.add(1);
    }

    /// Adds several.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Current count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A closed set of names to count by.
pub trait Names: Copy + 'static {
    /// All names, in the order of [`Names::index`].
    const ALL: &'static [Self];

    /// Position of the name in [`Names::ALL`].
    fn index(self) -> usize;

    /// Public name.
    fn name(self) -> &'static str;
}

/// A counter per name.
#[derive(Debug)]
pub struct Counters<N> {
    counters: Box<[Counter]>,
    names: PhantomData<fn(N)>,
}

impl<N: Names> Default for Counters<N> {
    fn default() -> Counters<N> {
        Counters { counters: N::ALL.iter().map(|_| Counter::default()).collect(), names: PhantomData }
    }
}

impl<N: Names> Counters<N> {
    /// Counter of a name.
    pub fn of(&self, name: N) -> &Counter {
        // The tests of each set verify that indices match positions.
        &self.counters[name.index()]
    }

    /// All names with their counts.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        N::ALL.iter().map(|name| (name.name(), self.of(*name).get()))
    }
}

/// Upper bounds of buckets in microseconds, for the duration of a request, an attempt or a commit: 0.5 ms to 10 s.
pub const SHORT: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];

/// The same for durations of retries and backlogs: 1 ms to 6 h.
pub const LONG: &[u64] = &[
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    900_000_000,
    3_600_000_000,
    21_600_000_000,
];

/// A histogram of durations.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One per bound, and one for longer durations.
    buckets: Box<[AtomicU64]>,
    micros: AtomicU64,
}

/// A snapshot of a histogram.
#[derive(Clone, PartialEq, Debug)]
pub struct Measured {
    /// Upper bounds of the buckets in seconds, the last one infinite, each with the count of this bucket alone.
    pub buckets: Vec<(f64, u64)>,
    /// Sum in seconds.
    pub sum: f64,
    /// Number of observations.
    pub count: u64,
}

impl Histogram {
    /// A histogram with these upper bounds in microseconds.
    pub fn new(bounds: &'static [u64]) -> Histogram {
        Histogram {
            bounds,
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            micros: AtomicU64::new(0),
        }
    }

    /// Records a duration.
    pub fn observe(&self, took: Duration) {
        self.observe_times(took, 1);
    }

    /// Records the same duration several times.
    pub fn observe_times(&self, took: Duration, times: u64) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = self.bounds.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(times, Ordering::Relaxed);
        self.micros.fetch_add(micros.saturating_mul(times), Ordering::Relaxed);
    }

    /// A snapshot. Concurrent observations may be in the buckets but not yet in the sum, never the other way round.
    pub fn measured(&self) -> Measured {
        let sum = self.micros.load(Ordering::Relaxed) as f64 / 1e6;
        let bounds = self.bounds.iter().map(|bound| *bound as f64 / 1e6).chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        Measured { buckets, sum, count }
    }
}

/// A histogram per name.
#[derive(Debug)]
pub struct Histograms<N> {
    histograms: Box<[Histogram]>,
    names: PhantomData<fn(N)>,
}

impl<N: Names> Histograms<N> {
    /// Histograms with these upper bounds in microseconds.
    pub fn new(bounds: &'static [u64]) -> Histograms<N> {
        Histograms { histograms: N::ALL.iter().map(|_| Histogram::new(bounds)).collect(), names: PhantomData }
    }

    /// Histogram of a name.
    pub fn of(&self, name: N) -> &Histogram {
        &self.histograms[name.index()]
    }

    /// All names with snapshots of their histograms.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, Measured)> {
        N::ALL.iter().map(|name| (name.name(), self.of(*name).measured()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_bucket_that_ends_with_it() {
        let histogram = Histogram::new(&[1_000, 5_000]);
        let counts =
            |histogram: &Histogram| histogram.measured().buckets.iter().map(|(_, count)| *count).collect::<Vec<_>>();
        histogram.observe(Duration::ZERO);
        histogram.observe(Duration::from_micros(1_000));
        histogram.observe(Duration::from_micros(1_001));
        histogram.observe_times(Duration::from_secs(1), 3);
        assert_eq!(counts(&histogram), [2, 1, 3]);
        let measured = histogram.measured();
        assert_eq!(measured.count, 6);
        assert_eq!(measured.sum, 3.002_001);
        assert_eq!(measured.buckets[1].0, 0.005);
        assert_eq!(measured.buckets[2].0, f64::INFINITY);
    }

    #[test]
    fn bounds_rise() {
        assert!(SHORT.is_sorted() && LONG.is_sorted());
    }

    #[test]
    fn counters_count_each_for_itself() {
        #[derive(Clone, Copy)]
        enum Colour {
            Red,
            Blue,
        }
        impl Names for Colour {
            const ALL: &'static [Colour] = &[Colour::Red, Colour::Blue];
            fn index(self) -> usize {
                self as usize
            }
            fn name(self) -> &'static str {
                ["red", "blue"][self as usize]
            }
        }
        let counters = Counters::<Colour>::default();
        counters.of(Colour::Blue).add(2);
        counters.of(Colour::Red).one();
        counters.of(Colour::Blue).one();
        assert_eq!(counters.all().collect::<Vec<_>>(), [("red", 1), ("blue", 3)]);
    }
}
