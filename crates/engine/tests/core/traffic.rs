//! What came in and went out, and the lanes in trouble.

use std::time::Duration;

use domain::backlog::{Backlog, Of};
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
    let of_type = world.subscription(0).selection.events.first().unwrap().as_str().to_owned();
    let arrivals = |pim, of_type: &str| {
        let traffic = world.core().traffic(pim);
        traffic.arrivals([of_type].into_iter(), Timestamp::EPOCH).into_values().sum::<u64>()
    };
    assert_eq!(arrivals(Some(pim), &of_type), 3);
    assert_eq!(arrivals(Some(other), &of_type), 1);
    assert_eq!(arrivals(Some(pim), "another"), 0);
    assert_eq!(arrivals(None, &of_type), 0, "by PIM only");
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

/// Minutes since `from`, length in minutes, age in minutes, events, and whether there are more.
fn backlog(world: &World, of: &Of, from: Timestamp) -> Vec<(u64, u64, u64, u64, bool)> {
    let minutes = |span: Duration| span.as_secs() / 60;
    let steps = world.core().backlog(of, world.now().wall).into_iter();
    let shown = steps.map(|step| {
        let peak = step.peak;
        (minutes(step.from.since(from)), minutes(step.length), minutes(peak.oldest), peak.waiting, peak.at_least)
    });
    shown.collect()
}

#[test]
fn a_backlog_is_sampled_while_its_events_wait() {
    let mut world = World::new([https("https://a.example/"), https("https://b.example/")]);
    let from = world.now().wall;
    let (pim, ids) = (world.subscription(0).pim, [world.subscription(0).id, world.subscription(1).id]);
    let of = |index: usize| Of::These(pim, vec![ids[index]]);
    world.event();
    // One keeps up; of the other, an event waits five minutes for its second attempt.
    world.answer(0, failed());
    world.answer(1, Outcome::Delivered);
    world.pass(Duration::from_secs(30));
    assert_eq!(backlog(&world, &of(0), from), [], "the minute isn't over");
    for _ in 0..6 {
        world.pass(MINUTE);
    }
    world.answer(0, Outcome::Delivered);
    world.pass(MINUTE);
    world.event();
    world.pass_answering(MINUTE, |_| Outcome::Delivered);
    let waited = backlog(&world, &of(0), from);
    assert!(matches!(waited[..], [(_, 5, 1, 1, false), (1, 5, 6, 1, false)]), "{waited:?}");
    assert_eq!(backlog(&world, &of(1), from), []);
    assert_eq!(backlog(&world, &Of::Pim(pim), from), waited);
    assert_eq!(backlog(&world, &Of::All, from), waited);
    assert_eq!(backlog(&world, &Of::Pim(PimId(pim.0 + 1)), from), []);
    // A day later, nothing is left of it.
    world.pass_answering(25 * 60 * MINUTE, |_| Outcome::Delivered);
    assert_eq!(backlog(&world, &Of::All, from), []);
}

#[test]
fn a_backlog_that_is_in_the_log_is_counted_as_far_as_it_is_in_hand() {
    let mut world = World::new([https("https://a.example/")]);
    let from = world.now().wall;
    for _ in 0..5_000 {
        world.event();
    }
    // None is answered.
    for _ in 0..3 {
        world.pass(MINUTE + Backlog::LEAST);
    }
    let waits = backlog(&world, &Of::All, from);
    let Some((1, 5, 3, events, true)) = waits.last().copied() else { panic!("{waits:?}") };
    assert!((100..5_000).contains(&events), "{events}");
}
