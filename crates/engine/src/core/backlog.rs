//! Samples of the backlogs, in memory, since the core's start.

use std::collections::HashMap;
use std::time::Duration;

use domain::backlog::{Backlog, Of, Sample, Step, together};
use domain::subscription::SubscriptionStatus;
use domain::{Now, PimId, SubscriptionId, Timestamp};

use super::Core;

/// Backlogs of the subscriptions that have had one within the last day.
#[derive(Debug)]
pub(super) struct Backlogs {
    /// Time of the next sample.
    due: Timestamp,
    of: HashMap<SubscriptionId, (PimId, Backlog)>,
}

impl Default for Backlogs {
    fn default() -> Backlogs {
        Backlogs { due: Timestamp::EPOCH, of: HashMap::new() }
    }
}

impl Core {
    /// Takes the samples of a minute, before its first input: until then, everything was as the lanes have it. No timer
    /// is needed, because a driver has inputs more often.
    pub(super) fn sample_backlogs(&mut self) {
        if self.now < self.backlogs.due {
            return;
        }
        let Now { wall, .. } = self.clock;
        let every = Backlog::SAMPLED_EVERY.as_micros() as i64;
        let rest = every - wall.as_micros().rem_euclid(every);
        self.backlogs.due = Timestamp::from_micros(self.now.as_micros() + rest);
        self.backlogs.of.retain(|_, (_, backlog)| {
            backlog.age(wall);
            !backlog.is_empty()
        });
        for entry in self.entries.iter().flatten() {
            if entry.replaced || !matches!(entry.subscription.status, SubscriptionStatus::Active) {
                continue;
            }
            let load = entry.lane.load(self.clock);
            let oldest = load.oldest.map_or(Duration::ZERO, |oldest| wall.since(oldest));
            if oldest >= Backlog::LEAST {
                let at_least = entry.lane.reach().is_some();
                let of = self.backlogs.of.entry(entry.subscription.id);
                let (_, backlog) = of.or_insert_with(|| (entry.subscription.pim, Backlog::default()));
                backlog.add(wall, Sample { oldest, waiting: load.backlog, at_least });
            }
        }
    }

    /// The backlogs of these subscriptions over the last 24 hours, together; oldest first, without steps in which they
    /// kept up.
    pub fn backlog(&self, of: &Of, now: Timestamp) -> Vec<Step> {
        let all = &self.backlogs.of;
        let aged = |backlog: &Backlog| {
            let mut backlog = backlog.clone();
            backlog.age(now);
            backlog.steps().collect::<Vec<_>>()
        };
        match of {
            Of::All => together(all.values().flat_map(|(_, backlog)| aged(backlog))),
            Of::Pim(pim) => together(all.values().filter(|(of, _)| of == pim).flat_map(|(_, backlog)| aged(backlog))),
            Of::These(_, ids) => {
                together(ids.iter().filter_map(|id| all.get(id)).flat_map(|(_, backlog)| aged(backlog)))
            }
        }
    }
}
