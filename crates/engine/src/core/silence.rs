//! Responsibility for silence: the core sees all destinations, while lanes are independent of each other.
//!
//! A silent destination is responsible, unless another host was tried within a minute and none has answered since the
//! silence began: then the platform's own connection may be the cause. The destination becomes responsible with the
//! first silent attempt that began after another host had answered. Without such an answer, the silence counts as the
//! platform's for a day at most.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use delivery::lane::Silence;
use domain::Timestamp;

/// Period in which a tried host can show whether the platform's connection works. After a silence of this length, other
/// hosts' inactivity isn't a coincidence.
const RECENTLY: Duration = Duration::from_secs(60);

/// Maximum duration of a silence that counts as the platform's.
const OURS_AT_MOST: Duration = Duration::from_secs(24 * 3600);

/// Number of hosts beyond which those without silence in the last hour are dropped.
const HOSTS: usize = 1_024;

/// A host, as a number.
pub(super) type Host = u64;

/// State of answers and silences by host.
#[derive(Debug, Default)]
pub(super) struct Silences {
    silent: HashMap<Host, Silent>,
    /// The host tried last, and the last different one before it.
    tried: Option<(Host, Timestamp)>,
    tried_before: Option<(Host, Timestamp)>,
    /// Time of the last answer of any host.
    heard: Option<Timestamp>,
}

/// A host that has not answered since its last silent attempt.
#[derive(Debug)]
struct Silent {
    began: Timestamp,
    latest: Timestamp,
    /// Time of the first answer of any other host since.
    heard: Option<Timestamp>,
    /// Lanes waiting for the decision.
    lanes: BTreeSet<usize>,
}

impl Silences {
    /// An attempt begins.
    pub(super) fn tried(&mut self, host: Host, now: Timestamp) {
        match &mut self.tried {
            Some((last, at)) if *last == host => *at = now,
            _ => {
                let before = self.tried.replace((host, now));
                self.tried_before = before.or(self.tried_before);
            }
        }
    }

    /// Whether another host was tried within a minute, or would have been if it didn't wait.
    fn others_in_use(&self, host: Host, now: Timestamp) -> bool {
        let other = [self.tried, self.tried_before].into_iter().flatten().find(|(other, _)| *other != host);
        other.is_some_and(|(_, at)| now.since(at) <= RECENTLY) || self.others_wait(host)
    }

    /// Whether lanes of another host wait for a decision.
    fn others_wait(&self, host: Host) -> bool {
        self.silent.iter().any(|(other, silent)| *other != host && !silent.lanes.is_empty())
    }

    /// Decides responsibility for a silent attempt that began at `started`.
    pub(super) fn judge(&mut self, host: Host, started: Timestamp, now: Timestamp) -> Silence {
        self.forget_old(now);
        let (in_use, others_wait) = (self.others_in_use(host, now), self.others_wait(host));
        let heard = self.heard;
        let silent = self.silent.entry(host).or_insert_with(|| Silent {
            began: now,
            latest: now,
            heard: None,
            lanes: BTreeSet::new(),
        });
        silent.latest = now;
        if !in_use {
            return Silence::THEIRS;
        }
        let stale = heard.is_none_or(|heard| now.since(heard) > RECENTLY);
        if silent.heard.is_some() && stale {
            // Others answered when it began, and none does any more: that is another silence.
            (silent.began, silent.heard) = (now, None);
        }
        let others_answer = silent.heard.is_some_and(|heard| heard <= started);
        if others_answer || now.since(silent.began) >= OURS_AT_MOST {
            return Silence::Theirs { suspends_from: silent.began + RECENTLY };
        }
        Silence::Undecided { since: others_wait.then_some(heard.unwrap_or(Timestamp::EPOCH)) }
    }

    /// A host has answered, or one that isn't a destination (`None`). Returns the lanes to retry at once.
    pub(super) fn answered(&mut self, host: Option<Host>, at: Timestamp) -> Vec<usize> {
        if self.heard.is_some_and(|heard| heard > at) {
            return Vec::new();
        }
        self.heard = Some(at);
        let mut lanes = Vec::new();
        if let Some(silent) = host.and_then(|host| self.silent.remove(&host)) {
            lanes.extend(silent.lanes);
        }
        for silent in self.silent.values_mut().filter(|silent| silent.heard.is_none() && silent.began < at) {
            silent.heard = Some(at);
            lanes.extend(&silent.lanes);
        }
        lanes
    }

    /// A lane starts or stops waiting for the decision on its host's silence.
    pub(super) fn waits(&mut self, host: Host, slot: usize, waits: bool) {
        if let Some(silent) = self.silent.get_mut(&host) {
            if waits {
                silent.lanes.insert(slot);
            } else {
                silent.lanes.remove(&slot);
            }
        }
    }

    /// Whether any host is silent, so that signs of life are relevant.
    pub(super) fn any(&self) -> bool {
        !self.silent.is_empty()
    }

    /// Whether the silence seems general: several hosts wait for a decision, or one has for a minute.
    pub(super) fn is_general(&self, now: Timestamp) -> bool {
        let mut waiting = self.silent.values().filter(|silent| !silent.lanes.is_empty());
        let first = waiting.next();
        waiting.next().is_some() || first.is_some_and(|silent| now.since(silent.began) >= RECENTLY)
    }

    fn forget_old(&mut self, now: Timestamp) {
        if self.silent.len() > HOSTS {
            self.silent
                .retain(|_, silent| !silent.lanes.is_empty() || now.since(silent.latest) < Duration::from_secs(3600));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Host = 1;
    const B: Host = 2;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000) + Duration::from_secs(seconds)
    }

    /// A silent attempt at a host that takes a second; its lane (of the same number) waits if nothing is decided.
    fn silent(silences: &mut Silences, host: Host, ended: u64) -> Silence {
        silences.tried(host, at(ended - 1));
        let silence = silences.judge(host, at(ended - 1), at(ended));
        silences.waits(host, host as usize, matches!(silence, Silence::Undecided { .. }));
        silence
    }

    #[test]
    fn a_single_host_that_is_all_there_is_is_to_blame() {
        let mut silences = Silences::default();
        for second in [10, 12, 500] {
            assert_eq!(silent(&mut silences, A, second), Silence::THEIRS);
        }
    }

    #[test]
    fn a_host_is_to_blame_once_it_is_silent_after_another_has_answered() {
        let mut silences = Silences::default();
        silences.tried(B, at(5));
        silences.answered(Some(B), at(6));
        assert_eq!(silent(&mut silences, A, 10), Silence::Undecided { since: None }, "nobody has answered since");
        assert_eq!(silences.answered(Some(B), at(12)), [A as usize], "it is tried again at once");
        assert_eq!(silent(&mut silences, A, 14), Silence::Theirs { suspends_from: at(70) });
        assert_eq!(silent(&mut silences, A, 40), Silence::Theirs { suspends_from: at(70) });
    }

    #[test]
    fn an_answer_while_the_attempt_was_under_way_says_nothing_about_it() {
        let mut silences = Silences::default();
        silences.tried(B, at(5));
        silent(&mut silences, A, 10);
        silences.tried(A, at(20));
        silences.answered(Some(B), at(21));
        assert!(matches!(silences.judge(A, at(20), at(25)), Silence::Undecided { .. }));
    }

    #[test]
    fn silence_of_all_hosts_is_the_platforms_problem_for_a_day() {
        let mut silences = Silences::default();
        silent(&mut silences, A, 10);
        for second in (20..24 * 3600).step_by(30) {
            assert!(matches!(silent(&mut silences, B, second), Silence::Undecided { .. }), "{second} s");
            assert!(matches!(silent(&mut silences, A, second + 1), Silence::Undecided { .. }), "{second} s");
        }
        assert!(silences.is_general(at(24 * 3600)));
        assert!(matches!(silent(&mut silences, A, 24 * 3600 + 60), Silence::Theirs { .. }));
    }

    #[test]
    fn an_outage_that_begins_while_a_host_is_silent_by_itself_is_not_its_own() {
        let mut silences = Silences::default();
        silences.tried(B, at(5));
        silent(&mut silences, A, 10);
        silences.answered(Some(B), at(12));
        assert!(matches!(silent(&mut silences, A, 14), Silence::Theirs { .. }));
        // From here on no host answers.
        assert!(matches!(silent(&mut silences, B, 60), Silence::Undecided { .. }));
        assert_eq!(silent(&mut silences, A, 80), Silence::Undecided { since: Some(at(12)) });
    }

    #[test]
    fn a_sign_of_life_from_elsewhere_counts_as_well() {
        let mut silences = Silences::default();
        assert_eq!(silent(&mut silences, B, 9), Silence::THEIRS, "it was all there was");
        silent(&mut silences, A, 10);
        assert_eq!(silent(&mut silences, B, 11), Silence::Undecided { since: Some(Timestamp::EPOCH) });
        let again: BTreeSet<usize> = silences.answered(None, at(30)).into_iter().collect();
        assert_eq!(again, BTreeSet::from([A as usize, B as usize]));
        assert!(matches!(silent(&mut silences, A, 32), Silence::Theirs { .. }));
    }
}
