//! Worlds of several nodes over one store, and planted faults in what they do for each other.

use simulation::Mutation;
use simulation::Property::{self, *};
use simulation::run::{self, Kind};

/// Number of worlds within which a planted fault has to be detected.
const WORLDS: u64 = 10_000;

#[test]
fn every_property_holds_in_worlds_of_several_nodes() {
    let (totals, failed) = run::seeds(0, 500, 2, 60, Kind::Cluster, |_| {});
    if let Some(failed) = failed.first() {
        panic!("{failed}");
    }
    assert_eq!(totals.worlds, 500);
    assert!(totals.takeovers > 2_000 && totals.given > 300 && totals.crashes > 50, "{totals:?}");
    assert!(totals.losses > 500 && totals.failovers > 50 && totals.vanished > 50, "{totals:?}");
    assert!(totals.suspensions > 50 && totals.changes > 500 && totals.duplicates > 100, "{totals:?}");
}

#[test]
fn the_same_seed_plays_the_same_world() {
    for seed in [0, 5, 7] {
        let [first, again] = [0; 2].map(|_| Kind::Cluster.last_steps(seed, 100_000).len());
        assert!(first > 10 && first == again, "seed {seed}: {first} and {again} steps");
    }
}

/// Plays worlds with a planted fault until one detects it; it must be by one of `expected`.
fn caught(mutation: Mutation, expected: &[Property]) {
    for seed in 0..WORLDS {
        if let Err(violation) = Kind::Cluster.play_with(seed, Some(mutation)) {
            assert!(expected.contains(&violation.property), "seed {seed}: {mutation:?} was noticed by {violation}");
            return;
        }
    }
    panic!("{mutation:?} was not noticed in {WORLDS} worlds");
}

#[test]
fn saves_that_nothing_fences() {
    caught(Mutation::NoFence, &[OneOwner, DuplicatesAreExplained, NothingIsForgotten]);
}

#[test]
fn fences_that_ignore_the_epoch() {
    caught(Mutation::FenceByNode, &[OneOwner, DuplicatesAreExplained, NothingIsForgotten]);
}

#[test]
fn suspensions_that_nothing_fences() {
    caught(Mutation::SuspendUnfenced, &[OneOwner]);
}

#[test]
fn takeovers_of_leases_that_have_not_run_out() {
    caught(Mutation::TakeTooEarly, &[OneOwner]);
}

#[test]
fn takeovers_of_leases_that_were_renewed_meanwhile() {
    caught(Mutation::TakeWhatever, &[OneOwner]);
}

#[test]
fn hand_overs_that_do_not_look_at_the_lease() {
    caught(Mutation::SendAfterTheEnd, &[OneOwner]);
}

#[test]
fn notifications_that_do_not_look_at_the_lease() {
    caught(Mutation::NotifyAfterTheEnd, &[OneOwner, NoticesAreSentOnce]);
}

#[test]
fn leases_counted_from_the_answer() {
    caught(Mutation::CountFromAnswer, &[OneOwner]);
}

#[test]
fn leases_counted_by_the_wall_clock() {
    caught(Mutation::LeaseByWallClock, &[OneOwner]);
}

#[test]
fn leases_counted_by_a_clock_that_sleeps() {
    caught(Mutation::LeaseWithoutSleep, &[OneOwner]);
}

#[test]
fn shards_continued_from_memory() {
    caught(Mutation::KeepWhatWasGiven, &[DuplicatesAreExplained, OnlyWhatMatches, EveryEventEnds]);
}

#[test]
fn shards_given_away_while_their_driver_runs() {
    caught(Mutation::GiveBeforeTheStop, &[OneOwner, DuplicatesAreBounded]);
}

#[test]
fn positions_that_have_gone_back_unnoticed() {
    caught(Mutation::IgnoreLosses, &[EveryEventEnds, OnlyWhatMatches, NothingIsForgotten, EntitiesStayInOrder]);
}

#[test]
fn ids_looked_at_before_the_lock() {
    caught(Mutation::IdsBeforeTheLock, &[AcceptedOnce]);
}

#[test]
fn a_gap_in_the_tail() {
    caught(Mutation::TakeGapOfOthers, &[EveryEventEnds, NothingIsForgotten, EntitiesStayInOrder]);
}

#[test]
fn changes_announced_after_the_events_behind_them() {
    caught(Mutation::AnnounceAfterFrames, &[OnlyWhatMatches, EveryEventEnds, NothingIsForgotten]);
}

#[test]
fn changes_reported_before_they_are_in_effect() {
    caught(Mutation::ApplyTooEarly, &[ChangesAreInEffect]);
}

#[test]
fn changes_answered_before_they_are_in_effect() {
    caught(Mutation::AnswerAtCommit, &[ChangesAreInEffect]);
}

#[test]
fn pauses_blamed_on_receivers() {
    caught(Mutation::BlamePauses, &[SuspendsByTheRule]);
}

#[test]
fn nodes_that_a_failover_has_forgotten() {
    caught(Mutation::EnterOnce, &[EveryShardIsOwned]);
}
