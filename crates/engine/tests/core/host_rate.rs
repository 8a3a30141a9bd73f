//! The rate shared by the subscriptions of one PIM to one host.

use std::time::Duration;

use domain::destination::Destination;
use domain::lane_status::SlowedBy;
use domain::outcome::{Outcome, SuspensionReason};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{PimId, Position, Timestamp};
use engine::Settings;
use engine::core::Input;

use crate::world::{MINUTE, START, World, https};

const SECOND: Duration = Duration::from_secs(1);
const OTHER_PIM: PimId = PimId(2);

/// Subscriptions of one PIM to one host.
fn to_one_host(count: usize) -> impl Iterator<Item = Subscription> {
    (0..count).map(|number| https(&format!("https://a.example/{number}")))
}

fn world(host_rate: u32, subscriptions: impl IntoIterator<Item = Subscription>) -> World {
    World::with(Settings { host_rate, ..Settings::default() }, subscriptions)
}

fn deliver(world: &mut World, time: Duration) {
    world.pass_answering(time, |_| Outcome::Delivered);
}

/// Start times of a subscription's attempts.
fn sent_to(world: &World, index: usize) -> Vec<Timestamp> {
    world.sent.iter().filter(|(_, to)| *to == index).map(|(at, _)| *at).collect()
}

/// Maximum number of attempts in any span of this length.
fn most_within(sent: &[Timestamp], time: Duration) -> usize {
    let from = |begin: &Timestamp| sent.iter().filter(|at| begin <= *at && at.since(*begin) < time).count();
    sent.iter().map(from).max().unwrap_or(0)
}

#[test]
fn eighty_subscriptions_to_one_host_stay_within_the_rate_and_all_is_delivered() {
    let mut world = world(400, to_one_host(80));
    for _ in 0..10 {
        world.event();
    }
    deliver(&mut world, MINUTE);
    let sent: Vec<Timestamp> = world.sent.iter().map(|(at, _)| *at).collect();
    assert_eq!(sent.len(), 800);
    assert!(most_within(&sent, SECOND) <= 400, "{} in a second", most_within(&sent, SECOND));
    assert!(most_within(&sent, Duration::from_millis(1)) <= 5, "a burst");
    let took = sent[799].since(START);
    assert!(took <= Duration::from_millis(2_050), "{took:?}: the rate is not used");
    for index in 0..80 {
        assert_eq!((sent_to(&world, index).len(), world.status(index).backlog), (10, 0));
        assert_eq!(world.status(index).slowed_by, None, "it is over");
    }
}

#[test]
fn other_pims_hosts_and_ports_are_not_slowed_and_status_shows_it() {
    let others = || {
        let other_pim = Subscription { pim: OTHER_PIM, ..https("https://a.example/") };
        [https("https://b.example/"), https("https://a.example:8443/"), other_pim]
    };
    let run = |world: &mut World| {
        for _ in 0..10 {
            world.event();
            world.event_of(OTHER_PIM);
        }
        deliver(world, SECOND / 2);
    };
    let mut alone = world(400, others());
    let mut crowded = world(400, others().into_iter().chain(to_one_host(80)));
    run(&mut alone);
    run(&mut crowded);
    for index in 0..3 {
        assert_eq!(sent_to(&crowded, index), sent_to(&alone, index));
        assert_eq!(crowded.status(index).slowed_by, None);
    }
    let slowed = (3..83).filter(|index| crowded.status(*index).slowed_by == Some(SlowedBy::HostRate)).count();
    assert!(slowed >= 40, "{slowed} of 80");
}

#[test]
fn one_host_has_one_rate_however_it_is_written() {
    let ways = ["https://a.example/", "https://A.Example:443/x", "https://a.example./"];
    let mut world = world(10, ways.map(https));
    world.event();
    deliver(&mut world, SECOND);
    let sent: Vec<Timestamp> = world.sent.iter().map(|(at, _)| *at).collect();
    assert_eq!(sent.len(), 3);
    assert_eq!(most_within(&sent, Duration::from_millis(90)), 1);
}

#[test]
fn a_deep_backlog_does_not_starve_another_subscription() {
    let late = Subscription { status_since: Position(301), ..https("https://a.example/late") };
    let mut world = world(20, [https("https://a.example/deep"), late]);
    for _ in 0..300 {
        world.event();
    }
    deliver(&mut world, 10 * SECOND);
    let before = sent_to(&world, 0).len();
    assert!(before < 210 && world.status(0).slowed_by == Some(SlowedBy::HostRate), "{before}");
    assert_eq!(sent_to(&world, 1).len(), 0);
    for _ in 0..10 {
        world.event();
    }
    deliver(&mut world, 2 * SECOND);
    assert_eq!(sent_to(&world, 1).len(), 10, "its own pace is all that bounds it");
    let deep = sent_to(&world, 0).len() - before;
    assert!((20..=30).contains(&deep), "{deep}");
}

#[test]
fn a_suspension_ends_the_wait_for_a_turn() {
    for hold in [false, true] {
        let mut world = world(3, to_one_host(3));
        world.change(0, |subscription| subscription.options.hold = hold);
        for _ in 0..5 {
            world.event();
        }
        deliver(&mut world, SECOND);
        assert_eq!(world.status(0).slowed_by, Some(SlowedBy::HostRate));
        let before = sent_to(&world, 0).len();
        assert!((1..5).contains(&before), "{before}");
        let head = world.head();
        world.change(0, |subscription| {
            subscription.status = SubscriptionStatus::Suspended(SuspensionReason::User);
            (subscription.status_since, subscription.generation) = (head, 1);
        });
        assert_eq!((world.status(0).slowed_by, world.under_way()), (None, 0));
        deliver(&mut world, MINUTE);
        assert_eq!([0, 1, 2].map(|index| sent_to(&world, index).len()), [before, 5, 5]);
        world.change(0, |subscription| {
            (subscription.status, subscription.generation) = (SubscriptionStatus::Active, 2);
        });
        deliver(&mut world, MINUTE);
        assert_eq!(sent_to(&world, 0).len(), if hold { 5 } else { before });
    }
}

#[test]
fn a_new_destination_is_sent_to_without_waiting_for_the_old_one() {
    let mut world = world(2, to_one_host(20));
    for _ in 0..2 {
        world.event();
    }
    deliver(&mut world, SECOND);
    assert_eq!(sent_to(&world, 19).len(), 0);
    world.change(19, |subscription| {
        let Destination::Https(https) = https("https://b.example/").destination else { return };
        subscription.destination = Destination::Https(https);
    });
    deliver(&mut world, SECOND);
    assert_eq!(sent_to(&world, 19).len(), 2);
}

#[test]
fn neither_a_stop_nor_a_crash_loses_events_waiting_for_a_turn() {
    for stop in [true, false] {
        let mut world = world(5, to_one_host(20));
        for _ in 0..3 {
            world.event();
        }
        deliver(&mut world, 2 * SECOND);
        if stop {
            world.tell(Input::Stop);
            assert!(world.core().is_quiet(), "nothing is waited for");
            assert_eq!(world.core().poll_timeout(), None);
        }
        let before = world.sent.len();
        assert!(before < 15, "{before}");
        world.restart_after(SECOND, 0);
        deliver(&mut world, MINUTE);
        for index in 0..20 {
            let sent = sent_to(&world, index).len();
            assert!(sent == 3 || !stop && sent > 3, "{sent} of 3");
            assert_eq!(world.status(index).backlog, 0);
        }
    }
}
