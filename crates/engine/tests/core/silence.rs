//! Responsibility for silence: the core decides for lanes that are independent of each other.

use std::time::Duration;

use domain::outcome::{Lack, Outcome};
use engine::core::Input;

use crate::world::{MINUTE, World, failed, https, silent};

const SECOND: Duration = Duration::from_secs(1);

fn world(hosts: &[&str]) -> World {
    World::new(hosts.iter().map(|host| https(&format!("https://{host}/hook"))))
}

fn reported(world: &World) -> u64 {
    world.saved.iter().flat_map(|save| &save.lanes).flat_map(|lane| &lane.entries).map(|entry| entry.count).sum()
}

#[test]
fn an_outage_of_the_platform_counts_against_no_destination() {
    let mut world = world(&["a.example", "b.example", "c.example"]);
    for _ in 0..25 {
        world.event();
    }
    world.pass_answering(30 * MINUTE, |_| silent());
    assert_eq!((world.suspended.len(), reported(&world)), (0, 0));
    assert_eq!(world.core().lacks(), [Lack::Silence]);
    for index in 0..3 {
        let status = world.status(index);
        assert_eq!((status.failed_in_window, status.backlog), (0, 25));
        assert_eq!(status.lacks, [Lack::Silence]);
    }
    // It is over: everything is sent as soon as one of them has answered.
    world.pass_answering(2 * MINUTE, |_| Outcome::Delivered);
    assert_eq!(world.core().lacks(), []);
    for index in 0..3 {
        let status = world.status(index);
        assert_eq!((status.delivered_in_window, status.failed_in_window, status.backlog), (25, 0, 0));
    }
    assert_eq!(reported(&world), 0);
}

#[test]
fn the_end_of_an_outage_counts_against_no_destination() {
    let mut world = world(&["a.example", "b.example"]);
    world.event();
    world.pass_answering(10 * MINUTE, |_| silent());
    while world.under_way() == 0 {
        world.pass(SECOND);
    }
    // One of them answers first, and the other one has not been tried since.
    world.pass_answering(Duration::from_millis(10), |_| Outcome::Delivered);
    for index in 0..2 {
        let status = world.status(index);
        assert_eq!((status.failed_in_window, status.delivered_in_window), (0, 1));
    }
}

#[test]
fn a_host_that_is_silent_while_another_answers_is_to_blame() {
    let mut world = world(&["a.example", "b.example"]);
    world.event();
    world.answer(1, Outcome::Delivered);
    world.answer(0, silent());
    assert_eq!((world.status(0).failed_in_window, reported(&world)), (0, 0), "not decided");
    world.pass(Duration::from_millis(200));
    world.event();
    world.answer(1, Outcome::Delivered);
    assert_eq!(world.under_way(), 1, "it is tried again at once");
    world.answer(0, silent());
    let status = world.status(0);
    assert_eq!((status.failed_in_window, status.waiting_retries, reported(&world)), (1, 1, 1));
    assert_eq!(status.lacks, []);
}

#[test]
fn a_single_host_is_to_blame_at_once() {
    let mut world = world(&["a.example", "a.example", "A.example"]);
    world.event();
    for index in 0..3 {
        world.answer(index, silent());
        assert_eq!(world.status(index).failed_in_window, 1);
    }
}

#[test]
fn an_answer_of_another_host_counts() {
    let mut world = world(&["a.example", "b.example"]);
    world.event();
    world.answer(0, silent());
    world.answer(1, silent());
    world.pass(MINUTE / 2);
    assert!(world.core().listens());
    world.pass_answering(10 * SECOND, |_| silent());
    world.tell(Input::Heard { ago: Duration::ZERO });
    world.pass_answering(SECOND, |_| silent());
    assert_eq!((world.status(0).failed_in_window, world.status(1).failed_in_window), (1, 1));
}

#[test]
fn failures_of_the_platform_are_removed_from_the_window() {
    let mut world = world(&["a.example", "b.example"]);
    world.event();
    world.answer(1, Outcome::Delivered);
    world.answer(0, Outcome::Delivered);
    // For minutes only the first is tried: the only one, so it is responsible.
    world.pass(5 * MINUTE);
    world.event();
    world.pass_answering(Duration::ZERO, |index| if index == 0 { silent() } else { Outcome::Abandoned });
    world.pass(SECOND);
    world.pass_answering(20 * MINUTE, |_| silent());
    assert_eq!(world.status(0).failed_in_window, 0);
}

#[test]
fn after_a_day_a_silence_is_the_hosts() {
    let mut world = world(&["a.example", "b.example"]);
    world.event();
    world.pass_answering(Duration::from_secs(23 * 3600), |_| silent());
    assert_eq!(reported(&world), 0);
    world.pass_answering(Duration::from_secs(2 * 3600), |_| silent());
    assert!(reported(&world) >= 2);
}

#[test]
fn a_lack_ends_with_any_answer() {
    let mut world = world(&["a.example"]);
    world.event();
    world.answer(0, Outcome::Ours(Lack::FileDescriptors));
    assert_eq!(world.core().lacks(), [Lack::FileDescriptors]);
    world.pass(SECOND);
    world.answer(0, failed());
    assert_eq!(world.core().lacks(), []);
}
