//! Runs of many seeds, and what is shown of a seed that fails.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::plan::Plan;
use crate::property::{Check, Property, Violation};
use crate::world::{Totals, World};

/// A seed whose world broke a property.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The seed.
    pub seed: u64,
    /// What was broken.
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
            "seed {}: {}\n{text}play it again with `cargo xtask sim --seeds 1 --from {}`",
            self.seed, self.violation, self.seed
        )
    }
}

/// Plays one world; a panic in it is a violation, too.
pub fn play(plan: Plan) -> Check<Totals> {
    match catch_unwind(AssertUnwindSafe(|| World::play(plan))) {
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

/// Plays the worlds of many seeds on `threads` threads; tells `progress` after each world. Stops at the first failure of each thread.
pub fn seeds(
    from: u64,
    count: u64,
    threads: usize,
    shown: usize,
    plan: impl Fn(u64) -> Plan + Sync,
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
                    let played = play(plan(seed));
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
        seed,
        violation,
        steps: World::last_steps(plan(seed), shown),
    });
    let mut failed: Vec<Failed> = failed.collect();
    failed.sort_by_key(|failed| failed.seed);
    (totals, failed)
}
