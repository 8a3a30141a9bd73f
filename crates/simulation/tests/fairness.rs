//! Isolation of tenants: beside one that uses every resource at once, the others are as fast as alone, and lose
//! nothing.

use simulation::Mutation;
use simulation::Property::{self, *};
use simulation::fairness::{self, Hostility};

/// Number of worlds within which a planted fault has to be detected.
const WORLDS: u64 = 4;

#[test]
fn a_hostile_tenant_disturbs_no_other() {
    for seed in 0..WORLDS {
        let totals = fairness::play(seed, Hostility::of(seed), None);
        let totals = totals.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
        assert!(totals.attempts > 500, "seed {seed}: {totals:?}");
    }
}

/// Plays worlds with a planted fault until one detects it; it must be by one of `expected`.
fn caught(mutation: Mutation, expected: &[Property]) {
    caught_beside(Hostility::of, mutation, expected);
}

/// The same beside a hostile tenant of some kind.
fn caught_beside(hostility: impl Fn(u64) -> Hostility, mutation: Mutation, expected: &[Property]) {
    for seed in 0..WORLDS {
        if let Err(violation) = fairness::play(seed, hostility(seed), Some(mutation)) {
            assert!(expected.contains(&violation.property), "seed {seed}: {mutation:?} was noticed by {violation}");
            return;
        }
    }
    panic!("{mutation:?} was not noticed in {WORLDS} worlds");
}

#[test]
fn one_queue_for_all() {
    caught(Mutation::OneQueueForAll, &[OthersAreNotDisturbed]);
}

#[test]
fn shares_by_subscription_only() {
    caught(Mutation::ShareBySubscription, &[OthersAreNotDisturbed]);
}

#[test]
fn waiting_counted_as_the_attempts_time() {
    caught(Mutation::CountWaiting, &[WaitingIsNoFailure]);
}

#[test]
fn a_fan_out_without_a_host_rate() {
    caught(Mutation::NoHostRate, &[HostRateIsKept, OthersAreNotDisturbed]);
}

#[test]
fn known_names_that_wait_behind_look_ups() {
    let silent = Hostility { silent: Hostility::ALL.silent, ..Hostility::NONE };
    for seed in 0..WORLDS {
        fairness::play(seed, silent, None).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
    caught_beside(|_| silent, Mutation::PlaceBeforeCache, &[OthersAreNotDisturbed]);
}

#[test]
fn a_log_that_one_tenant_fills_for_all() {
    caught(Mutation::OneBoundForAll, &[OthersAreNotDisturbed]);
}
