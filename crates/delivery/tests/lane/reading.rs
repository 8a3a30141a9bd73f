//! Reads of a lane that is behind.

use std::sync::Arc;
use std::time::Duration;

use delivery::lane::LaneOptions;
use delivery::{Input, Lane, Settings};
use domain::Position;
use domain::outcome::Outcome;

use crate::bench::{Bench, MINUTE, START, event, failed};

#[test]
fn a_lane_without_room_reads_on_later_and_catches_up() {
    let mut bench = Bench::with(Settings { max_in_hand: 4, ..Settings::default() }, LaneOptions::default());
    bench.offer(1..=1);
    bench.offer(2..=6);
    assert!(!bench.lane.is_live(), "the sixth has no room");
    assert_eq!(bench.lane.reach(), Some(Position(6)));
    assert!(bench.reads.is_empty(), "nothing is read while there is no room");
    bench.pass_answering(Duration::from_millis(250), |_| Outcome::Delivered);
    assert_eq!(bench.reads, [Position(6)], "one read at a time");
    bench.tell(Input::Read { events: vec![event(6), event(8)], next: Position(9), caught_up: true });
    assert!(bench.lane.is_live());
    bench.pass_answering(Duration::from_secs(1), |_| Outcome::Delivered);
    bench.offer(9..=9);
    bench.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!(bench.positions_sent(), [1, 2, 3, 4, 5, 6, 8, 9]);
    assert_eq!(bench.save().cursor, None);
}

#[test]
fn a_failed_read_is_tried_again() {
    let settings = Arc::new(Settings::default());
    let lane = Lane::restore(settings, LaneOptions::default(), Some(Position(5)), None, [], START);
    let mut bench = Bench::of(lane);
    bench.tell(Input::Timeout);
    bench.tell(Input::ReadFailed);
    assert_eq!(bench.reads.len(), 1);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.reads, [Position(5), Position(5)]);
}

#[test]
fn a_read_from_before_a_hold_skips_no_released_event() {
    let mut bench = Bench::with(Settings { max_in_hand: 4, ..Settings::default() }, LaneOptions::default());
    bench.offer(1..=6);
    bench.pass_answering(Duration::from_millis(250), |_| Outcome::Delivered);
    assert_eq!(bench.reads, [Position(6)]);
    let unsent = bench.log.last().unwrap().1[0] + 1;
    bench.tell(Input::Held);
    bench.tell(Input::Released);
    bench.tell(Input::Read { events: vec![event(6)], next: Position(7), caught_up: true });
    assert_eq!(bench.reads, [Position(6), Position(unsent)], "it reads again from what it let go of");
    assert!(!bench.lane.is_live());
}

/// Found by simulation (seed 95): the pause after a failed read ended while the lane could not read, and its timer
/// fired forever.
#[test]
fn the_pause_after_a_failed_read_ends_once() {
    let mut bench =
        Bench::with(Settings { max_in_hand: 2, max_waiting: 1, ..Settings::default() }, LaneOptions::default());
    bench.offer(1..=4);
    bench.pass(Duration::from_millis(150));
    assert_eq!(bench.reads, [Position(4)]);
    bench.tell(Input::ReadFailed);
    // One event waiting for its retry leaves no room for more.
    bench.answer(failed());
    bench.pass(Duration::from_secs(5));
    assert_eq!(bench.reads, [Position(4)]);
}
