//! Worlds that lose connections to the store, and faults planted in what follows from a loss.

use simulation::Property::{self, *};
use simulation::run::{self, Kind};
use simulation::{Mutation, Plan};

/// Number of worlds within which a planted fault has to be detected.
const WORLDS: u64 = 300;

#[test]
fn every_property_holds_in_worlds_that_lose_connections() {
    let (totals, failed) = run::seeds(0, 300, 2, 40, Kind::Losses, |_| {});
    if let Some(failed) = failed.first() {
        panic!("{failed}");
    }
    assert_eq!(totals.worlds, 300);
    assert!(totals.losses > 600 && totals.failovers > 300 && totals.vanished > 300, "{totals:?}");
    assert!(totals.replayed > 3000 && totals.suspensions > 100 && totals.duplicates > 1000, "{totals:?}");
}

/// Plays worlds with a planted fault until one detects it; it must be by one of `expected`.
fn caught(mutation: Mutation, expected: &[Property]) {
    for seed in 0..WORLDS {
        if let Err(violation) = run::play(Plan::losing(seed).with(mutation)) {
            assert!(expected.contains(&violation.property), "seed {seed}: {mutation:?} was noticed by {violation}");
            return;
        }
    }
    panic!("{mutation:?} was not noticed in {WORLDS} worlds");
}

#[test]
fn saves_repeated_although_they_were_made() {
    caught(Mutation::KeepTenure, &[FailuresAreReported, DropsAreTold, SuccessRateIsTrue]);
}

#[test]
fn a_tail_from_before_a_failover() {
    caught(Mutation::KeepTail, &[OnlyWhatMatches, EveryEventEnds, StatusIsTrue]);
}

#[test]
fn a_ledger_from_before_a_failover() {
    caught(Mutation::RememberLedger, &[NothingIsForgotten, FatesAreTrue, StatusIsTrue, SuccessRateIsTrue]);
}

#[test]
fn appends_acknowledged_without_being_made() {
    caught(Mutation::AcknowledgeUnwritten, &[AcknowledgedIsKept]);
}

#[test]
fn cancelled_commits_taken_for_done() {
    caught(Mutation::TrustCancelled, &[AcknowledgedIsKept]);
}

#[test]
fn commits_answered_before_the_standby_has_them() {
    caught(Mutation::AnswerBeforeStandby, &[AcknowledgedIsKept]);
}

#[test]
fn known_events_acknowledged_before_the_standby_has_them() {
    caught(Mutation::TrustKnown, &[AcknowledgedIsKept]);
}

#[test]
fn ids_that_are_not_looked_up_when_a_producer_repeats() {
    caught(Mutation::ForgetIds, &[AcceptedOnce]);
}
