//! Runs of many seeds, and reports of failed ones.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::cluster;
use crate::fairness::{self, Hostility};
use crate::mutation::Mutation;
use crate::plan::Plan;
use crate::property::{Check, Property, Violation};
use crate::random::Random;
use crate::world::{Totals, World};

/// A kind of world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A mix of everything.
    Ordinary,
    /// The same without topics.
    Endpoints,
    /// Slow storage, and a crash after each batch.
    Restless,
    /// With temporary outages of the platform itself.
    Outages,
    /// With silence of the platform's network and of single receivers.
    Silence,
    /// With lost connections to the store, and failovers of its server.
    Losses,
    /// With a tenant that uses every resource at once, beside others.
    Hostile,
    /// With several nodes over one store.
    Cluster,
}

impl Kind {
    /// The last steps of a seed's world.
    pub fn last_steps(self, seed: u64, shown: usize) -> Vec<String> {
        match self {
            Kind::Cluster => cluster::World::last_steps(cluster::Plan::random(seed), shown),
            _ => World::last_steps(self.plan(seed), shown),
        }
    }

    /// The world of a seed, if it is of one node. Most of those in which replays are checked have some.
    pub fn plan(self, seed: u64) -> Plan {
        let plan = self.plan_without_replays(seed);
        match self {
            Kind::Silence | Kind::Hostile | Kind::Cluster => plan,
            _ if Random::new(seed, 14).percent(60) => plan.with_replays(),
            _ => plan,
        }
    }

    /// The world of a seed, without replays.
    pub fn plan_without_replays(self, seed: u64) -> Plan {
        match self {
            Kind::Ordinary | Kind::Cluster => Plan::random(seed),
            Kind::Endpoints => Plan::of_endpoints(seed),
            Kind::Restless => Plan::restless(seed),
            Kind::Outages => Plan::outage(seed),
            Kind::Silence => Plan::silence(seed),
            Kind::Losses => Plan::losing(seed),
            Kind::Hostile => Plan::shared(seed, Hostility::of(seed)),
        }
    }

    /// Plays the world of a seed; a panic in it is a violation, too.
    pub fn play(self, seed: u64) -> Check<Totals> {
        self.play_with(seed, None)
    }

    /// The same, with a planted fault.
    pub fn play_with(self, seed: u64, mutation: Option<Mutation>) -> Check<Totals> {
        match self {
            Kind::Hostile => guarded(|| fairness::play(seed, Hostility::of(seed), mutation)),
            Kind::Cluster => {
                guarded(|| cluster::World::play(cluster::Plan { mutation, ..cluster::Plan::random(seed) }))
            }
            _ => play(Plan { mutation, ..self.plan(seed) }),
        }
    }

    /// The command line flag of `sim` for this kind.
    fn flag(self) -> &'static str {
        match self {
            Kind::Ordinary => "",
            Kind::Endpoints => "--endpoints ",
            Kind::Restless => "--restless ",
            Kind::Outages => "--outages ",
            Kind::Silence => "--silence ",
            Kind::Losses => "--losses ",
            Kind::Hostile => "--hostile ",
            Kind::Cluster => "--cluster ",
        }
    }
}

/// A seed whose world violated a property.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The kind of the world.
    pub kind: Kind,
    /// The seed.
    pub seed: u64,
    /// The violated property.
    pub violation: Violation,
    /// The world's last steps.
    pub steps: Vec<String>,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        for step in &self.steps {
            writeln!(text, "  {step}")?;
        }
        write!(
            f,
            "seed {}: {}\n{text}play it again with `cargo xtask sim {}--seeds 1 --from {}`",
            self.seed,
            self.violation,
            self.kind.flag(),
            self.seed
        )
    }
}

/// Plays one world; a panic in it is a violation, too.
pub fn play(plan: Plan) -> Check<Totals> {
    guarded(|| World::play(plan))
}

fn guarded(play: impl FnOnce() -> Check<Totals>) -> Check<Totals> {
    match catch_unwind(AssertUnwindSafe(play)) {
        Ok(played) => played,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Violation {
                property: Property::EveryEventEnds,
                detail: format!("panicked: {}", text.unwrap_or_default()),
            })
        }
    }
}

/// Plays the worlds of many seeds on `threads` threads; calls `progress` after each world. Each thread stops at its
/// first failure.
pub fn seeds(
    from: u64,
    count: u64,
    threads: usize,
    shown: usize,
    kind: Kind,
    progress: impl Fn(&Totals) + Sync,
) -> (Totals, Vec<Failed>) {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let totals = Mutex::new((Totals::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let seed = from + number;
                    let played = kind.play(seed);
                    let Ok(mut totals) = totals.lock() else { return };
                    match played {
                        Ok(world) => {
                            totals.0.add(&world);
                            progress(&totals.0);
                        }
                        Err(violation) => {
                            stop.store(true, Ordering::Relaxed);
                            totals.1.push((seed, violation));
                        }
                    }
                }
            });
        }
    });
    let (totals, failures) = totals.into_inner().unwrap_or_default();
    let failed = failures.into_iter().map(|(seed, violation)| Failed {
        kind,
        seed,
        violation,
        steps: kind.last_steps(seed, shown),
    });
    let mut failed: Vec<Failed> = failed.collect();
    failed.sort_by_key(|failed| failed.seed);
    (totals, failed)
}
