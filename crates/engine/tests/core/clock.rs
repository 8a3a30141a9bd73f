//! The core without a driver: setting the wall clock has no effect on it.

use std::time::Duration;

use domain::log_entry::LogBody;
use domain::outcome::{Outcome, SuspensionReason};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{Now, Position, Timestamp};
use engine::core::{Core, Input, Output};
use store::StoreError;

use crate::world::{MINUTE, START, World, failed, https};

/// Forty days, forward and back.
const STEPS: [i64; 2] = [40 * 86_400_000_000, -40 * 86_400_000_000];

fn saves(core: &mut Core) -> usize {
    std::iter::from_fn(|| core.poll()).filter(|output| matches!(output, Output::Save { .. })).count()
}

#[test]
fn a_step_of_the_wall_clock_neither_puts_saves_off_nor_hurries_them() {
    for step in STEPS {
        let mut core = Core::new(engine::Settings::default(), Position::FIRST, START);
        core.handle(START + Duration::from_secs(1), Input::Events { events: Vec::new(), next: Position(5) });
        assert_eq!(saves(&mut core), 1);
        core.handle(
            START + Duration::from_secs(1),
            Input::Saved { result: Err(StoreError::Unavailable("full".into())) },
        );
        let again_at = core.poll_timeout().unwrap();
        let steady = START + Duration::from_secs(1);
        core.handle(Now { steady, wall: Timestamp::from_micros(steady.as_micros() + step) }, Input::Timeout);
        assert_eq!((saves(&mut core), core.poll_timeout()), (0, Some(again_at)));
        core.handle(again_at, Input::Timeout);
        assert_eq!(saves(&mut core), 1);
    }
}

#[test]
fn a_step_of_the_wall_clock_moves_no_retry() {
    for step in STEPS {
        let mut world = World::new([https("https://a.example/")]);
        world.event();
        world.answer(0, failed());
        world.set_clock(step);
        world.pass(5 * MINUTE - Duration::from_micros(1));
        assert_eq!(world.under_way(), 0, "after a step of {step} µs");
        world.pass(Duration::from_micros(1));
        assert_eq!(world.under_way(), 1, "after a step of {step} µs");
    }
}

#[test]
fn stored_and_displayed_times_follow_the_wall_clock() {
    for step in STEPS {
        let mut world = World::new([https("https://a.example/")]);
        world.event();
        world.set_clock(step);
        world.answer(0, failed());
        let wall = world.now().wall;
        let lane = world.saved.last().unwrap().lanes[0].clone();
        assert_eq!(lane.exceptions[0].due_at, wall + 5 * MINUTE);
        assert_eq!(lane.entries[0].timestamp, wall);
        let status = world.status(0);
        assert_eq!(status.next_due_at, Some(wall + 5 * MINUTE));
        assert_eq!(status.last_failure.map(|(at, _)| at), Some(wall));
    }
}

#[test]
fn a_step_of_the_wall_clock_causes_no_suspension() {
    for step in STEPS {
        let mut world = World::new([https("https://a.example/")]);
        for _ in 0..30 {
            world.event();
            world.pass(Duration::from_secs(1));
            world.answer(0, failed());
        }
        world.set_clock(step);
        world.pass(4 * MINUTE);
        assert_eq!(world.suspended, []);
    }
}

#[test]
fn a_restart_under_another_wall_clock_delays_nothing_for_longer_than_its_pause() {
    for step in STEPS {
        let mut world = World::new([https("https://a.example/")]);
        world.event();
        world.answer(0, failed());
        world.restart_after(MINUTE, step);
        // Past events are due now; those that seem far ahead are due after their pause.
        world.pass(5 * MINUTE);
        assert_eq!(world.under_way(), 1, "after a step of {step} µs");
        world.answer(0, Outcome::Delivered);
        assert_eq!(world.status(0).backlog, 0);
        assert!(!world.suspended.contains(&SuspensionReason::SuccessRate));
    }
}

/// A resume and the following suspension reached the core together, while the backlog of the previous suspension was
/// still being counted, and it was counted again. Found by simulation (restless, seed 4108).
#[test]
fn a_backlog_is_counted_once_however_often_its_lane_is_stopped() {
    let mut world = World::new([https("https://a.example/")]);
    world.event();
    world.answer(0, failed());
    world.event();
    world.event();
    let stopped = |generation| Subscription {
        status: SubscriptionStatus::Suspended(SuspensionReason::User),
        status_since: Position(4),
        generation,
        revision: generation.into(),
        ..https("https://a.example/")
    };
    let id = world.subscription(0).id;
    let subscriptions = [1, 3].map(|generation| Subscription { id, ..stopped(generation) }).to_vec();
    world.tell(Input::Changed { version: 2, subscriptions });
    let entries = world.saved.iter().flat_map(|save| &save.lanes).flat_map(|lane| &lane.entries);
    let dropped = entries.filter_map(|entry| match &entry.body {
        LogBody::FailedDelivery(failure) => {
            failure.message.split_once(" dropped from the backlog").map(|(number, _)| number)
        }
        LogBody::Action(_) | LogBody::Refused(_) => None,
    });
    assert_eq!(dropped.collect::<Vec<_>>(), ["3 events were"]);
}
