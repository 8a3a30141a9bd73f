//! Whether a node should deliver while others can: not as long as it lacks something of its own.

use std::time::Duration;

/// A lack of this time is more than a moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time without a lack after which it tries again. A node without shards doesn't notice what it lacks.
const REST: Duration = Duration::from_secs(60);

/// What a node knows about itself, from one look to the next.
#[derive(Debug, Default)]
pub struct Fitness {
    lacks_since: Option<Duration>,
    unfit_until: Option<Duration>,
}

impl Fitness {
    /// Whether it is fit. `now` is the node's own time; `lacks`: whether it lacks something that others may have.
    pub fn look(&mut self, now: Duration, lacks: bool) -> bool {
        let since = lacks.then(|| self.lacks_since.unwrap_or(now));
        self.lacks_since = since;
        if since.is_some_and(|since| now.saturating_sub(since) >= PATIENCE) {
            self.unfit_until = Some(now + REST);
        }
        self.unfit_until = self.unfit_until.filter(|until| now < *until);
        self.unfit_until.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is fit at each second, if it lacks something in these.
    fn fit(lacking: std::ops::Range<u64>, seconds: std::ops::Range<u64>) -> Vec<bool> {
        let mut fitness = Fitness::default();
        let all: Vec<bool> =
            (0..seconds.end).map(|now| fitness.look(Duration::from_secs(now), lacking.contains(&now))).collect();
        all[seconds.start as usize..].to_vec()
    }

    #[test]
    fn a_short_lack_is_overlooked() {
        assert_eq!(fit(3..8, 0..20), [true; 20]);
    }

    #[test]
    fn a_lasting_one_counts_until_a_minute_after_its_end() {
        assert_eq!(fit(3..9, 0..10), [[true; 8].as_slice(), &[false; 2]].concat());
        assert_eq!(fit(3..20, 78..81), [false, true, true]);
    }
}
