//! Counts of what comes in and goes out, in memory, since the core's start; and the lanes in trouble.

use std::collections::HashMap;

use domain::outcome::Outcome;
use domain::subscription::SubscriptionStatus;
use domain::traffic::{Traffic, TrafficCounts, Trouble};
use domain::{LoggedEvent, PimId, Timestamp};

use super::Core;
use super::facts::counted;
use delivery::lane::Silence;

/// Traffic of the platform and of each PIM.
#[derive(Debug)]
pub(super) struct Flow {
    whole: Traffic,
    by_pim: HashMap<PimId, Traffic>,
}

impl Default for Flow {
    fn default() -> Flow {
        Flow { whole: Traffic::new(Traffic::STEP), by_pim: HashMap::new() }
    }
}

impl Flow {
    fn add(&mut self, pim: PimId, at: Timestamp, counts: &TrafficCounts) -> &mut Traffic {
        self.whole.add(at, counts);
        let of_pim = self.by_pim.entry(pim).or_insert_with(|| Traffic::new(Traffic::STEP_OF_PIM));
        of_pim.add(at, counts);
        of_pim
    }

    /// Counts a routed event.
    pub(super) fn arrived(&mut self, event: &LoggedEvent) {
        let one = TrafficCounts { accepted: 1, ..TrafficCounts::default() };
        self.add(event.pim, event.accepted_at, &one).arrived(event.event.event_type(), event.accepted_at);
    }

    /// Counts the outcomes of an attempt.
    pub(super) fn ended(&mut self, pim: PimId, outcomes: &[Outcome], silence: Silence, now: Timestamp) {
        let step = counted(outcomes, silence, now);
        if !step.is_empty() {
            let (delivered, failed, throttled) = (step.delivered, step.failed, step.throttled);
            self.add(pim, now, &TrafficCounts { delivered, failed, throttled, ..TrafficCounts::default() });
        }
    }
}

impl Core {
    /// What came in and went out since the start: of the platform, or of one PIM.
    pub fn traffic(&self, pim: Option<PimId>) -> Traffic {
        match pim {
            None => self.flow.whole.clone(),
            Some(pim) => self.flow.by_pim.get(&pim).cloned().unwrap_or_else(|| Traffic::new(Traffic::STEP_OF_PIM)),
        }
    }

    /// Active subscriptions that are behind or failing: at most this many, the worst first.
    pub fn troubled(&mut self, at_most: usize) -> Vec<Trouble> {
        let clock = self.clock;
        let active = self
            .entries
            .iter_mut()
            .flatten()
            .filter(|entry| !entry.replaced && matches!(entry.subscription.status, SubscriptionStatus::Active));
        let mut all: Vec<Trouble> = active
            .filter_map(|entry| {
                let load = entry.lane.load(clock);
                let (delivered, failed) = entry.lane.last_hour(clock.steady);
                let reads = entry.lane.reach().is_some();
                let trouble = Trouble {
                    subscription: entry.subscription.id,
                    backlog: load.backlog,
                    backlog_at_least: reads,
                    oldest_accepted_at: load.oldest,
                    delivered,
                    failed,
                };
                let late = load.oldest.is_some_and(|oldest| clock.wall.since(oldest) >= Trouble::BEHIND);
                (late || reads || trouble.is_failing()).then_some(trouble)
            })
            .collect();
        Trouble::worst_first(&mut all, at_most);
        all
    }
}
