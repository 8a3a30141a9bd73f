//! Counters of the running engine. Attempts are counted here, where all of them pass, so that all destination types are
//! counted alike. Counters of lanes and the router are in the core, in [`Survey`](crate::core::Survey).

use std::time::Duration;

use domain::destination::DestinationType;
use domain::outcome::{ErrorReason, Outcome};
use domain::{LoggedEvent, Timestamp};
use meter::{Counter, Counters, Histogram, LONG, Names, SHORT};

/// Kind of an attempt's outcome, without its reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// [`Outcome::Delivered`]
    Delivered,
    /// [`Outcome::Throttled`]
    Throttled,
    /// [`Outcome::Failed`]
    Failed,
    /// [`Outcome::Refused`]
    Refused,
    /// [`Outcome::Broken`]
    Broken,
    /// [`Outcome::Silent`]
    Silent,
    /// [`Outcome::NotProcessed`]
    NotProcessed,
    /// [`Outcome::Ours`]
    Ours,
    /// [`Outcome::Abandoned`]
    Abandoned,
}

impl Ending {
    /// The ending of an outcome, and its reason if it is a failure.
    pub fn of(outcome: &Outcome) -> (Ending, Option<ErrorReason>) {
        match outcome {
            Outcome::Delivered => (Ending::Delivered, None),
            Outcome::Throttled { .. } => (Ending::Throttled, None),
            Outcome::Failed(failure) => (Ending::Failed, Some(failure.reason)),
            Outcome::Refused(failure) => (Ending::Refused, Some(failure.reason)),
            Outcome::Broken(failure) => (Ending::Broken, Some(failure.reason)),
            Outcome::Silent(failure) => (Ending::Silent, Some(failure.reason)),
            Outcome::NotProcessed(failure) => (Ending::NotProcessed, Some(failure.reason)),
            Outcome::Ours(_) => (Ending::Ours, None),
            Outcome::Abandoned => (Ending::Abandoned, None),
        }
    }
}

impl Names for Ending {
    const ALL: &'static [Ending] = &[
        Ending::Delivered,
        Ending::Throttled,
        Ending::Failed,
        Ending::Refused,
        Ending::Broken,
        Ending::Silent,
        Ending::NotProcessed,
        Ending::Ours,
        Ending::Abandoned,
    ];

    fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        match self {
            Ending::Delivered => "delivered",
            Ending::Throttled => "throttled",
            Ending::Failed => "failed",
            Ending::Refused => "refused",
            Ending::Broken => "broken",
            Ending::Silent => "silent",
            Ending::NotProcessed => "not_processed",
            Ending::Ours => "ours",
            Ending::Abandoned => "abandoned",
        }
    }
}

/// Reason of a failed delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reason(pub ErrorReason);

impl Names for Reason {
    const ALL: &'static [Reason] = &{
        let mut all = [Reason(ErrorReason::DestinationTimeout); ErrorReason::ALL.len()];
        let mut index = 0;
        while index < all.len() {
            all[index] = Reason(ErrorReason::ALL[index]);
            index += 1;
        }
        all
    };

    fn index(self) -> usize {
        self.0 as usize
    }

    fn name(self) -> &'static str {
        self.0.as_str()
    }
}

/// Attempts at one destination type.
#[derive(Debug)]
pub struct Attempts {
    /// Events by the ending of their attempts.
    pub endings: Counters<Ending>,
    /// Failed ones by reason.
    pub failures: Counters<Reason>,
    /// Duration of attempts: of an event at an endpoint, of a batch at a topic.
    pub duration: Histogram,
    /// Time from the acceptance of an event to the end of the attempt that delivered it.
    pub latency: Histogram,
}

impl Default for Attempts {
    fn default() -> Attempts {
        Attempts {
            endings: Counters::default(),
            failures: Counters::default(),
            duration: Histogram::new(SHORT),
            latency: Histogram::new(LONG),
        }
    }
}

/// Counters since the start of the process.
#[derive(Debug)]
pub struct Meters {
    attempts: [Attempts; DestinationType::ALL.len()],
    /// Events of replays by the ending of their attempts; [`Meters::attempts`] doesn't include them.
    pub replayed: Counters<Ending>,
    /// Time from the acceptance of an event to its routing, observed once per batch, on its first event.
    pub routing_lag: Histogram,
    /// Busy time of the loop between two waits.
    pub turn: Histogram,
    /// Duration of saves of progress.
    pub save_duration: Histogram,
    /// Failed saves of progress.
    pub failed_saves: Counter,
}

impl Default for Meters {
    fn default() -> Meters {
        Meters {
            attempts: DestinationType::ALL.map(|_| Attempts::default()),
            replayed: Counters::default(),
            routing_lag: Histogram::new(SHORT),
            turn: Histogram::new(SHORT),
            save_duration: Histogram::new(SHORT),
            failed_saves: Counter::default(),
        }
    }
}

impl Meters {
    /// Attempts at a destination type.
    pub fn attempts(&self, of: DestinationType) -> &Attempts {
        &self.attempts[of.index()]
    }

    /// Counts a completed attempt of a replay.
    pub(crate) fn replayed(&self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            self.replayed.of(Ending::of(outcome).0).one();
        }
    }

    /// Counts a completed attempt.
    pub(crate) fn attempted(
        &self,
        of: DestinationType,
        accepted: &Accepted,
        outcomes: &[Outcome],
        took: Duration,
        now: Timestamp,
    ) {
        let attempts = self.attempts(of);
        attempts.duration.observe(took);
        for (index, outcome) in outcomes.iter().enumerate() {
            let (ending, reason) = Ending::of(outcome);
            attempts.endings.of(ending).one();
            if let Some(reason) = reason {
                attempts.failures.of(Reason(reason)).one();
            }
            if ending == Ending::Delivered
                && let Some(accepted_at) = accepted.at(index)
            {
                attempts.latency.observe(now.since(accepted_at));
            }
        }
    }
}

/// Acceptance times of an attempt's events: a single event, the usual case, needs no allocation.
pub(crate) enum Accepted {
    One(Timestamp),
    Several(Box<[Timestamp]>),
}

impl Accepted {
    pub(crate) fn of(events: &[std::sync::Arc<LoggedEvent>]) -> Accepted {
        match events {
            [only] => Accepted::One(only.accepted_at),
            several => Accepted::Several(several.iter().map(|event| event.accepted_at).collect()),
        }
    }

    fn at(&self, index: usize) -> Option<Timestamp> {
        match self {
            Accepted::One(at) => Some(*at),
            Accepted::Several(at) => at.get(index).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    fn check_places<N: Names + PartialEq + Debug>() {
        for (index, name) in N::ALL.iter().enumerate() {
            assert_eq!(name.index(), index, "{name:?}");
        }
    }

    #[test]
    fn every_name_has_its_place() {
        check_places::<Ending>();
        check_places::<Reason>();
    }
}
