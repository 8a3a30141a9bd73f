//! Lacks of the platform itself: counted over all lanes, and reported only to the operator.

use delivery::lane::Silence;
use domain::outcome::{ErrorReason, Lack, Outcome};

use super::lanes::Entry;
use super::{AttemptId, Core};

/// Lanes that lack something, by lack.
#[derive(Debug, Default)]
pub(super) struct Lacking([usize; Lack::ALL.len()]);

impl Lacking {
    fn of(&mut self, lack: Lack) -> Option<&mut usize> {
        self.0.get_mut(lack as usize)
    }
}

impl Entry {
    /// Counts the outcomes of an attempt. Failures of the platform or of unknown responsibility don't count.
    pub(super) fn count(&mut self, outcomes: &[Outcome], silence: Silence) {
        for outcome in outcomes {
            match outcome {
                Outcome::Delivered => self.delivered += 1,
                Outcome::Silent(_) if matches!(silence, Silence::Undecided { .. }) => {}
                Outcome::Failed(_) | Outcome::Silent(_) | Outcome::Refused(_) | Outcome::Broken(_) => self.failed += 1,
                Outcome::Throttled { .. } | Outcome::NotProcessed(_) | Outcome::Ours(_) | Outcome::Abandoned => {}
            }
        }
    }
}

/// Whether only the destination's host can have caused the outcome: neither a name server nor the address guard.
fn is_an_answer(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Delivered | Outcome::Throttled { .. } | Outcome::NotProcessed(_) => true,
        Outcome::Failed(failure) | Outcome::Refused(failure) | Outcome::Broken(failure) => !matches!(
            failure.reason,
            ErrorReason::DnsLookupFailure
                | ErrorReason::DestinationForbidden
                | ErrorReason::InvalidDestinationConfiguration
        ),
        Outcome::Silent(_) | Outcome::Ours(_) | Outcome::Abandoned => false,
    }
}

impl Core {
    /// Lacks that prevent deliveries, as shown by attempts.
    pub fn lacks(&self) -> Vec<Lack> {
        let lacks = Lack::ALL.into_iter().zip(self.lacking.0).filter(|(_, lanes)| *lanes > 0);
        // One silent destination while nothing else is tried isn't yet general silence.
        lacks
            .map(|(lack, _)| lack)
            .filter(|lack| *lack != Lack::Silence || self.silences.is_general(self.now))
            .collect()
    }

    /// Whether the core needs answers of hosts other than those of its own attempts ([`super::Input::Heard`]).
    pub fn listens(&self) -> bool {
        self.silences.any()
    }

    /// Decides responsibility for a silent attempt, and the meaning of an answered one for other hosts.
    pub(super) fn judge_silence(&mut self, attempt: AttemptId, outcomes: &[Outcome]) -> Silence {
        if outcomes.iter().any(is_an_answer) {
            let lanes = self.silences.answered(Some(attempt.host), self.now);
            self.try_again(lanes);
            return Silence::THEIRS;
        }
        let silent = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Silent(_)));
        let current = self.entry(attempt.lane).is_some_and(|entry| entry.host == attempt.host);
        if silent && current { self.silences.judge(attempt.host, attempt.started, self.now) } else { Silence::THEIRS }
    }

    /// Lanes that wait for the decision on a silence retry at once.
    pub(super) fn try_again(&mut self, lanes: Vec<usize>) {
        for slot in lanes {
            if let Some(id) = self.lane_id(slot) {
                self.tell(id, delivery::Input::TryNow);
            }
        }
    }

    /// Counts a lane's lack after an input.
    pub(super) fn count_lack(&mut self, slot: usize) {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        let lack = entry.lane.lack().map(|lack| (lack, entry.host));
        let before = std::mem::replace(&mut entry.lack, lack);
        if lack != before {
            self.count(slot, before, lack);
        }
    }

    /// A removed lane lacks nothing.
    pub(super) fn uncount_lack(&mut self, slot: usize, entry: &Entry) {
        self.count(slot, entry.lack, None);
    }

    fn count(&mut self, slot: usize, before: Option<(Lack, u64)>, now: Option<(Lack, u64)>) {
        for (lack, counts) in [(before, false), (now, true)] {
            let Some((lack, host)) = lack else { continue };
            if let Some(lanes) = self.lacking.of(lack) {
                *lanes = if counts { *lanes + 1 } else { lanes.saturating_sub(1) };
            }
            if lack == Lack::Silence {
                self.silences.waits(host, slot, counts);
            }
        }
    }
}
