//! A few hundred quick worlds; the program `sim` plays ten thousand and more.

use simulation::plan::Plan;
use simulation::run::{self, Kind};

/// Plays the worlds of these seeds; shows the first that fails, with its last steps.
fn check(kind: Kind, from: u64, count: u64) {
    let (totals, failed) = run::seeds(from, count, 2, 40, kind, |_| {});
    if let Some(failed) = failed.first() {
        panic!("{failed}");
    }
    assert_eq!(totals.worlds, count);
    assert!(totals.events > 0 && totals.attempts > 0 && totals.crashes > 0, "{totals:?}");
    assert!(totals.replays > count && totals.replayed > 10 * count, "{totals:?}");
}

#[test]
fn every_property_holds_in_a_few_hundred_worlds() {
    check(Kind::Ordinary, 0, 300);
}

#[test]
fn every_property_holds_in_restless_worlds() {
    check(Kind::Restless, 0, 150);
}

#[test]
fn outages_of_the_platform_count_against_no_destination() {
    let (totals, failed) = run::seeds(0, 60, 2, 40, Kind::Outages, |_| {});
    if let Some(failed) = failed.first() {
        panic!("{failed}");
    }
    // No drops, no suspensions, no notifications.
    assert_eq!((totals.worlds, totals.suspensions, totals.dropped), (60, 0, 0), "{totals:?}");
    assert!(totals.repeats > 0 && totals.batches > 0 && totals.crashes > 0, "{totals:?}");
}

#[test]
fn silence_counts_against_a_receiver_only_if_others_answer() {
    let (totals, failed) = run::seeds(0, 100, 2, 40, Kind::Silence, |_| {});
    if let Some(failed) = failed.first() {
        panic!("{failed}");
    }
    assert_eq!(totals.worlds, 100);
    assert!(totals.repeats > 0, "{totals:?}");
}

/// Seeds whose worlds once found a fault.
#[test]
fn seeds_that_once_failed_pass() {
    // Each with what it found:
    for (seed, _found) in [
        (0, "the failure that led to a suspension was not told: the suspension overtook its save"),
        (6, "a lane full of waiting events sent no retries, and its timer fired for ever"),
        (7, "what waited beyond the cursor was read again after a restart, and sent twice and out of order"),
        (39, "a save that a suspension with hold overtook lost its waiting events"),
        (95, "the pause after a failed read fired for ever where the lane had no room"),
        (154, "events sent in the place of expired ones were counted as dropped"),
        (1278, "a revocation after a restart counted events of the suspension as dropped"),
        (1770, "a crash while last attempts ended counted a dropped backlog twice"),
        (2496, "events in hand did not expire"),
        (2751, "what became too old while a suspension's backlog was counted was counted twice"),
        (5013, "after a crash the window of an old destination was held against the new one"),
    ] {
        check_one(Kind::Endpoints, seed);
    }
    for (seed, _found) in [
        (1448, "a clock that was set back while the process was down made retries due before their stored time"),
        (1180, "a batch that went in parts after a restart began its hour anew with the second part"),
        (3936, "a stop in order brought a stopped lane back, and what it had dropped was counted again"),
        (8895, "a batch that failed after it had become too old took those behind it back with it"),
        (
            9074,
            "a stop while changes could not be read: reading them again was due for ever, and the loop never rested",
        ),
        (10395, "events that were too old before they were routed were told to be dropped, and sent"),
        (
            11625,
            "a revocation pinned a suspended lane again, and a restart counted events of the suspension as dropped",
        ),
        (11816, "a revocation counted events of the suspension before it, if they were still to be routed"),
        (36944, "after a restart a resumed subscription got events of its suspension, if they were still to be routed"),
        (39033, "failures that could not be saved before a suspension were not told after the resume"),
    ] {
        check_one(Kind::Ordinary, seed);
    }
    for (seed, _found) in [
        (318, "a lane that began behind the router's mark was saved as if it stood at the mark, and counted too much"),
        (
            557,
            "what a suspension dropped was told with the lane before the resume, whose memory was saved for the new \
             one",
        ),
        (
            1278,
            "a suspension overtook a save: what was too old was told, but not recorded, and told again after a crash",
        ),
        (4108, "a backlog was counted twice where a resume and the next suspension were learnt of together"),
        (4407, "a crash took away that events had expired: they were sent again, and each was told when it failed"),
    ] {
        check_one(Kind::Restless, seed);
    }
}

/// Plays a world as it was when it found its fault.
fn check_one(kind: Kind, seed: u64) {
    if let Err(violation) = run::play(kind.plan_without_replays(seed)) {
        panic!("seed {seed}: {violation}");
    }
}

#[test]
fn the_same_seed_plays_the_same_world() {
    for seed in [1, 3, 8] {
        let first = simulation::World::last_steps(Plan::random(seed), 5000);
        let again = simulation::World::last_steps(Plan::random(seed), 5000);
        assert_eq!(first.len(), again.len(), "seed {seed}");
    }
}
