//! What came in and went out, and the lanes in trouble.

use std::time::Duration;

use domain::outcome::Outcome;
use domain::traffic::TrafficCounts;
use domain::{PimId, Timestamp};

use crate::world::{MINUTE, World, failed, https};

fn sum(world: &World, pim: Option<PimId>) -> (u64, u64, u64) {
    let traffic = world.core().traffic(pim);
    traffic.since(Timestamp::EPOCH).fold((0, 0, 0), |sum, TrafficCounts { accepted, delivered, failed, .. }| {
        (sum.0 + accepted, sum.1 + delivered, sum.2 + failed)
    })
}

#[test]
fn arrivals_and_outcomes_are_counted_for_the_platform_and_by_pim() {
    let mut world = World::new([https("https://a.example/")]);
    let pim = world.subscription(0).pim;
    let other = PimId(pim.0 + 1);
    for _ in 0..3 {
        world.event();
    }
    world.event_of(other);
    // All are sent at the lane's pace.
    world.pass(Duration::from_secs(1));
    world.answer(0, Outcome::Delivered);
    world.answer(0, failed());
    assert_eq!(sum(&world, None), (4, 1, 1));
    assert_eq!(sum(&world, Some(pim)), (3, 1, 1));
    assert_eq!(sum(&world, Some(other)), (1, 0, 0));
    // A day later, only what happens then is left.
    world.pass_answering(25 * 60 * MINUTE, |_| Outcome::Delivered);
    let from = world.now().wall;
    assert_eq!(world.core().traffic(None).since(from).count(), 0);
}

#[test]
fn only_lanes_that_are_behind_or_failing_are_in_trouble() {
    let mut world = World::new([https("https://a.example/")]);
    world.event();
    assert_eq!(world.troubled(), []);
    // It waits for an answer.
    world.pass(Duration::from_secs(30));
    assert_eq!(world.troubled(), []);
    world.answer(0, failed());
    let [failing] = &world.troubled()[..] else { panic!("{:?}", world.troubled()) };
    assert!(failing.is_failing());
    assert_eq!((failing.subscription, failing.failed), (world.subscription(0).id, 1));
    world.pass_answering(5 * MINUTE, |_| Outcome::Delivered);
    // The failure leaves the hour.
    world.pass(61 * MINUTE);
    assert_eq!(world.troubled(), []);
}
