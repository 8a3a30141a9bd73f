//! Records about events that a lane settles without a delivery, and where an event is.

use std::time::Duration;

use domain::Position;
use domain::fate::{DropReason, DroppedBacklog, GivenUp, OutcomeCounts, Whereabouts};
use domain::outcome::{ErrorReason, Failure, Outcome, SuspensionReason};
use domain::subscription::SubscriptionStatus;

use crate::world::{MINUTE, World, failed, https};

fn refused() -> Outcome {
    let message = "the endpoint answered 400 Bad Request".to_owned();
    Outcome::Refused(Failure { reason: ErrorReason::DestinationFailure, code: 400, message, answer: None })
}

fn given_up(world: &World) -> Vec<GivenUp> {
    world.facts(0).iter().flat_map(|facts| facts.given_up.clone()).collect()
}

fn dropped(world: &World) -> Vec<DroppedBacklog> {
    world.facts(0).iter().flat_map(|facts| facts.dropped.clone()).collect()
}

/// Suspends the subscription without hold, at the head of the log.
fn suspend(world: &mut World) {
    let head = world.head();
    world.change(0, |subscription| {
        subscription.status = SubscriptionStatus::Suspended(SuspensionReason::User);
        subscription.status_since = head;
        subscription.generation += 1;
    });
}

/// Five events a tenth of a second apart; all of them are in flight.
fn with_five_in_flight() -> World {
    let mut world = World::new([https("https://a.example/")]);
    for _ in 0..5 {
        world.event();
        world.pass(Duration::from_millis(100));
    }
    assert_eq!(world.under_way(), 5);
    world
}

#[test]
fn an_event_given_up_is_recorded_once_a_crash_would_not_repeat_it() {
    let mut world = with_five_in_flight();
    world.answer_latest(refused());
    let whereabouts = world.whereabouts(0, 5);
    assert!(matches!(&whereabouts, Some(Whereabouts::GivenUp(GivenUp { status: Some(400), attempts: 1, .. }))));
    assert_eq!(given_up(&world), [], "the cursor stands before the first");
    for _ in 0..4 {
        assert_eq!(world.whereabouts(0, 4), Some(Whereabouts::InFlight));
        world.answer(0, Outcome::Delivered);
    }
    world.pass(Duration::from_secs(1));
    let recorded = given_up(&world);
    assert_eq!(Some(Whereabouts::GivenUp(recorded[0].clone())), whereabouts);
    assert_eq!((recorded.len(), recorded[0].position), (1, Position(5)));
    // From now on the store knows.
    assert_eq!(world.whereabouts(0, 5), Some(Whereabouts::Passed));
    assert_eq!(world.whereabouts(0, 6), Some(Whereabouts::Waiting), "not accepted yet, or not routed");
}

#[test]
fn retries_count_their_attempts() {
    let mut world = World::new([https("https://a.example/")]);
    world.event();
    world.answer(0, failed());
    let due_at = world.now().wall + 5 * MINUTE;
    let waits = Whereabouts::WaitingForRetry { failures: 1, throttled: false, due_at };
    assert_eq!(world.whereabouts(0, 1), Some(waits));
    world.pass_answering(60 * MINUTE, |_| failed());
    let recorded = given_up(&world);
    let [GivenUp { position: Position(1), reason: ErrorReason::ConnectionRefused, status: None, attempts: 4, .. }] =
        recorded[..]
    else {
        panic!("{recorded:?}")
    };
}

#[test]
fn a_stop_records_what_it_drops_and_how_its_last_attempts_end() {
    let mut world = with_five_in_flight();
    world.answer(0, failed());
    world.answer(0, Outcome::Delivered);
    suspend(&mut world);
    // The first waits for its retry, three are in flight.
    let [drop] = &dropped(&world)[..] else { panic!("{:?}", dropped(&world)) };
    assert_eq!((drop.reason, drop.until, drop.uncertain), (DropReason::Suspended, Position(6), true));
    let contained = |drop: &DroppedBacklog| (1..=6).filter(|at| drop.contains(Position(*at))).collect::<Vec<_>>();
    assert_eq!(contained(drop), [1, 3, 4, 5]);
    let now = world.now().wall;
    let was_dropped = |uncertain| Whereabouts::Dropped { reason: DropReason::Suspended, at: now, uncertain };
    assert_eq!(world.whereabouts(0, 1), Some(was_dropped(false)));
    assert_eq!(world.whereabouts(0, 3), Some(Whereabouts::InFlight));
    world.answer(0, Outcome::Delivered);
    world.answer(0, refused());
    assert_eq!(world.whereabouts(0, 3), Some(Whereabouts::Passed), "recorded as delivered late");
    world.answer(0, Outcome::Abandoned);
    // The last attempt has ended: the drop is certain.
    let drop = dropped(&world).pop().unwrap();
    assert_eq!((drop.until, drop.uncertain, contained(&drop)), (Position(6), false, vec![1, 5]));
    let late: Vec<_> = world.facts(0).iter().flat_map(|facts| facts.delivered_late.clone()).collect();
    assert_eq!(late, [Position(3)]);
    assert_eq!(given_up(&world).iter().map(|one| one.position).collect::<Vec<_>>(), [Position(4), Position(5)]);
    assert_eq!(world.whereabouts(0, 1), Some(Whereabouts::Passed), "recorded");
}

#[test]
fn outcomes_are_counted_in_steps_of_five_minutes() {
    let mut world = World::new([https("https://a.example/")]);
    let counts = |world: &World| {
        let unsaved = world.core().outcome_counts(&[world.subscription(0).id]);
        let saved = world.facts(0).iter().flat_map(|facts| facts.counts.clone()).collect::<Vec<_>>();
        let all = saved.iter().chain(&unsaved);
        all.fold((0, 0, 0), |(delivered, failed, throttled), step| {
            (delivered + step.delivered, failed + step.failed, throttled + step.throttled)
        })
    };
    for number in 0..60 {
        world.event();
        let outcome = match number % 6 {
            0 => failed(),
            1 => Outcome::Throttled { retry_after: None },
            _ => Outcome::Delivered,
        };
        while world.under_way() == 0 {
            world.pass(Duration::from_millis(100));
        }
        world.answer(0, outcome);
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(counts(&world), (40, 10, 10));
    let of_step = |from| OutcomeCounts::at(from).from;
    assert!(world.facts(0).iter().flat_map(|facts| &facts.counts).all(|step| step.from == of_step(step.from)));
}
