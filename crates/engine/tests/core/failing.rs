//! Warnings about a low success rate, before it leads to a suspension.

use std::time::Duration;

use delivery::lane::Counts;
use domain::Timestamp;
use domain::outcome::{Outcome, SuspensionReason};
use domain::subscription::SubscriptionStatus;

use super::world::{MINUTE, World, failed, https};

/// Sends this many events, ten seconds apart, and answers each at once.
fn send(world: &mut World, events: u64, outcome: fn() -> Outcome) {
    for _ in 0..events {
        world.pass_answering(Duration::from_secs(10), |_| outcome());
        world.event();
        world.pass_answering(Duration::from_millis(1), |_| outcome());
    }
}

fn delivered() -> Outcome {
    Outcome::Delivered
}

/// A subscription with these outcomes, and its warnings.
fn warned_after(delivered_first: u64, failures: u64) -> Vec<(Timestamp, Counts)> {
    let mut world = World::new([https("https://a.example/")]);
    send(&mut world, delivered_first, delivered);
    send(&mut world, failures, failed);
    assert_eq!(world.suspended, []);
    world.warned
}

#[test]
fn below_ninety_five_percent_of_twenty_outcomes_the_owner_is_warned() {
    let counts = |(delivered, failed)| Counts { delivered, failed };
    let check = |delivered, failures, expect: Option<(u64, u64)>| {
        let warned: Vec<_> = warned_after(delivered, failures).into_iter().map(|(_, counts)| counts).collect();
        assert_eq!(warned, expect.map(counts).into_iter().collect::<Vec<_>>(), "{delivered} and {failures}");
    };
    check(19, 1, None);
    check(18, 1, None);
    check(18, 2, Some((18, 2)));
    check(40, 2, None);
    check(40, 3, Some((40, 3)));
    check(10, 9, None);
}

#[test]
fn at_most_once_an_hour_and_again_after_a_resume() {
    let mut world = World::new([https("https://a.example/")]);
    send(&mut world, 40, delivered);
    send(&mut world, 3, failed);
    assert_eq!(world.warned.len(), 1);
    let first = world.warned[0].0;
    // Its rate stays between 90 and 95 %; each failure is retried and fails again, but for the last time.
    while world.warned.len() < 2 {
        send(&mut world, 27, delivered);
        send(&mut world, 1, failed);
        send(&mut world, 27, delivered);
        send(&mut world, 3, failed);
        assert_eq!(world.suspended, []);
    }
    let again = world.warned[1].0.since(first);
    assert!(again >= 60 * MINUTE && again < 80 * MINUTE, "again after {again:?}");
    // A suspension with hold keeps the lane.
    for (status, generation) in
        [(SubscriptionStatus::Suspended(SuspensionReason::User), 1), (SubscriptionStatus::Active, 2)]
    {
        let head = world.head();
        world.change(0, |subscription| {
            subscription.options.hold = true;
            (subscription.status, subscription.generation, subscription.status_since) = (status, generation, head);
        });
    }
    send(&mut world, 18, delivered);
    assert_eq!(world.warned.len(), 2);
    send(&mut world, 2, failed);
    assert_eq!(world.warned.len(), 3, "the resume ends the pause");
}

#[test]
fn a_restart_does_not_repeat_a_warning() {
    let mut world = World::new([https("https://a.example/")]);
    send(&mut world, 18, delivered);
    send(&mut world, 2, failed);
    assert_eq!(world.warned.len(), 1);
    world.restart_after(Duration::from_secs(1), 0);
    send(&mut world, 2, failed);
    assert_eq!(world.warned.len(), 1);
}
