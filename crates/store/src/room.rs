//! Usage of the log's bound by PIM, and the right to use more: common to all backends.

use std::collections::BTreeMap;
use std::fmt;

use domain::PimId;

/// Percentage of a bound at which room is made.
const NEAR: u64 = 90;

/// Percentage of a bound down to which room is made.
const EASY: u64 = 80;

/// Usage of the log's bound: the backlog, events that some subscription still needs. Kept events, log entries,
/// snapshots, notifications and bookkeeping have their own bounds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    bound: u64,
    total: u64,
    pims: BTreeMap<PimId, u64>,
}

/// A place where room is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pressed {
    /// The PIM with the largest usage.
    pub pim: PimId,
    /// Bytes of its events to drop.
    pub bytes: u64,
}

impl Backlog {
    /// An empty one with a bound in bytes.
    pub fn new(bound: u64) -> Backlog {
        Backlog { bound, ..Backlog::default() }
    }

    /// Bytes of all events.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes of a PIM's events.
    pub fn of(&self, pim: PimId) -> u64 {
        self.pims.get(&pim).copied().unwrap_or(0)
    }

    /// PIMs with events.
    pub fn pims(&self) -> Vec<PimId> {
        self.pims.keys().copied().collect()
    }

    /// Bound of one PIM's events: half of the total bound.
    fn share(&self) -> u64 {
        self.bound / 2
    }

    /// Adds or subtracts bytes.
    pub fn count(&mut self, pim: PimId, bytes: i64) {
        let of_pim = self.pims.entry(pim).or_default();
        let before = *of_pim;
        *of_pim = before.saturating_add_signed(bytes);
        self.total = self.total - before + *of_pim;
        if *of_pim == 0 {
            self.pims.remove(&pim);
        }
    }

    /// Reason, with figures, why this many more bytes of a PIM don't fit. A PIM whose own events use half of the bound
    /// is rejected alone, so that it never costs other PIMs' events.
    pub fn lacks(&self, pim: PimId, more: u64) -> Option<String> {
        let of_pim = self.of(pim);
        if of_pim.saturating_add(more) > self.share() {
            return Some(format!(
                "the backlog of this PIM is full: its events take {}, and one PIM may have half of the bound of {} \
                 (storage.max_log_size); it shrinks as they are delivered or their retention ends",
                Mib(of_pim),
                Mib(self.bound)
            ));
        }
        (self.total.saturating_add(more) > self.bound).then(|| {
            format!(
                "the backlog is full: the events of all PIMs take {}, the bound is {} (storage.max_log_size); it \
                 shrinks as they are delivered or their retention ends",
                Mib(self.total),
                Mib(self.bound)
            )
        })
    }

    /// Where to make room near a bound: at the PIM near its own bound, otherwise at the PIM with the most events.
    pub fn pressed(&self) -> Option<Pressed> {
        let (pim, most) = self.pims.iter().map(|(pim, bytes)| (*pim, *bytes)).max_by_key(|(_, bytes)| *bytes)?;
        let beyond = |used: u64, bound: u64| {
            let near = used > bound / 100 * NEAR;
            if near { used - bound / 100 * EASY } else { 0 }
        };
        let bytes = beyond(most, self.share()).max(beyond(self.total, self.bound)).min(most);
        (bytes > 0).then_some(Pressed { pim, bytes })
    }
}

/// Bytes in human-readable form.
pub struct Mib(pub u64);

impl fmt::Display for Mib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MiB", self.0 as f64 / f64::from(1 << 20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PimId = PimId(1);
    const B: PimId = PimId(2);
    const C: PimId = PimId(3);

    fn backlog(used: [u64; 3]) -> Backlog {
        let mut backlog = Backlog::new(1000);
        for (pim, bytes) in [A, B, C].into_iter().zip(used) {
            backlog.count(pim, bytes as i64);
        }
        backlog
    }

    #[test]
    fn a_pim_with_half_of_the_bound_is_refused_alone() {
        let backlog = backlog([500, 10, 0]);
        assert!(backlog.lacks(A, 1).is_some_and(|why| why.starts_with("the backlog of this PIM is full")));
        assert_eq!(backlog.lacks(A, 0), None);
        assert_eq!(backlog.lacks(B, 490), None);
        assert_eq!(backlog.lacks(C, 490), None);
        assert!(backlog.lacks(C, 491).is_some_and(|why| why.starts_with("the backlog is full")));
    }

    #[test]
    fn freed_space_is_available_again() {
        let mut backlog = backlog([500, 10, 0]);
        backlog.count(A, -400);
        assert_eq!((backlog.total(), backlog.of(A)), (110, 100));
        assert_eq!(backlog.lacks(A, 400), None);
        backlog.count(A, -100);
        assert_eq!(backlog, self::backlog([0, 10, 0]));
    }

    #[test]
    fn room_is_made_before_a_bound_is_reached_and_where_most_is_taken() {
        assert_eq!(backlog([0, 0, 0]).pressed(), None);
        assert_eq!(backlog([450, 440, 0]).pressed(), None);
        assert_eq!(backlog([451, 0, 0]).pressed(), Some(Pressed { pim: A, bytes: 51 }));
        assert_eq!(backlog([300, 301, 300]).pressed(), Some(Pressed { pim: B, bytes: 101 }));
    }
}
