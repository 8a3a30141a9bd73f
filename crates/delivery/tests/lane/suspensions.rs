//! Suspension of an endpoint's lane, and the effects of a stop or a hold.

use std::time::Duration;

use delivery::lane::LaneOptions;
use delivery::{Input, Settings};
use domain::Position;
use domain::outcome::{ErrorReason, Outcome, SuspensionReason};

use crate::bench::{Bench, MINUTE, event, failed, failure};

#[test]
fn a_broken_destination_is_suspended_at_once() {
    let mut bench = Bench::new();
    bench.offer(1..=20);
    bench.pass(Duration::from_millis(250));
    bench.answer(Outcome::Broken(failure(ErrorReason::DestinationNotFound)));
    assert_eq!(bench.suspended, Some(SuspensionReason::Destination(ErrorReason::DestinationNotFound)));
    let sent = bench.log.len();
    bench.pass(10 * MINUTE);
    assert_eq!(bench.log.len(), sent, "sent after the suspension");
    assert!(!bench.lane.is_live());
}

/// Rules without a minimum age of failures.
pub(crate) fn strict() -> Settings {
    Settings { suspend_after: Duration::ZERO, ..Settings::default() }
}

#[test]
fn the_twentieth_outcome_is_judged() {
    let check = |failures: u64, suspended| {
        let mut bench = Bench::with(strict(), LaneOptions::default());
        bench.offer(1..=20);
        // Failures first: judgement happens at a failure.
        bench.pass_answering(MINUTE, |position| if position > 20 - failures { failed() } else { Outcome::Delivered });
        assert_eq!(bench.suspended.is_some(), suspended, "{failures} failures of 20");
    };
    check(2, false);
    check(3, true);
    let mut bench = Bench::with(strict(), LaneOptions::default());
    bench.offer(1..=19);
    bench.pass_answering(MINUTE, |_| failed());
    assert_eq!(bench.suspended, None, "19 outcomes are too few to judge");
}

#[test]
fn a_burst_of_failures_suspends_when_the_first_of_them_is_ten_minutes_old() {
    let mut bench = Bench::new();
    bench.offer(1..=1);
    bench.answer(failed());
    bench.pass(MINUTE);
    bench.offer(2..=40);
    bench.pass_answering(2 * MINUTE, |_| failed());
    // The first of them are retried after five minutes and fail again; nothing else happens.
    bench.pass_answering(7 * MINUTE - Duration::from_micros(1), |_| failed());
    assert_eq!(bench.suspended, None);
    bench.sent.clear();
    bench.pass(Duration::from_micros(1));
    assert_eq!(bench.suspended, Some(SuspensionReason::SuccessRate), "judged without a further outcome");
}

#[test]
fn a_receiver_that_was_away_for_some_seconds_is_not_suspended() {
    let mut bench = Bench::new();
    bench.offer(1..=30);
    bench.pass_answering(10 * Duration::from_secs(1), |_| failed());
    assert_eq!(bench.lane.status(bench.now).failed_in_window, 30);
    // The retries after five minutes succeed, as do all others meanwhile.
    let mut next = 31;
    for _ in 0..20 {
        bench.offer(next..=next + 30);
        next += 31;
        bench.pass_answering(MINUTE, |_| Outcome::Delivered);
    }
    assert_eq!(bench.suspended, None);
}

#[test]
fn a_stopped_lane_reports_its_last_attempts_and_sends_no_more() {
    let mut bench = Bench::new();
    bench.offer(1..=30);
    bench.pass(Duration::from_millis(150));
    assert_eq!(bench.sent.len(), 2);
    bench.tell(Input::Stopped);
    assert_eq!(bench.lane.undelivered(), 0, "events in hand are counted from the log");
    assert_eq!(bench.lane.reach(), Some(Position(3)), "from the first that was not sent");
    bench.answer(Outcome::Delivered);
    bench.answer(failed());
    assert_eq!(bench.save().failures.len(), 1);
    bench.tell(Input::Dropped);
    bench.pass(100 * MINUTE);
    assert_eq!(bench.log.len(), 2);
    assert_eq!(bench.save().cursor, None);
}

#[test]
fn a_held_lane_goes_on_where_it_stood_with_a_fresh_rate() {
    let mut bench = Bench::new();
    bench.offer(1..=30);
    bench.pass_answering(Duration::from_secs(1), |_| Outcome::Delivered);
    let sent = bench.log.len() as u64;
    bench.tell(Input::Held);
    bench.pass(10 * MINUTE);
    assert_eq!(bench.log.len() as u64, sent);
    assert_eq!(bench.save().cursor, Some(Position(sent + 1)));
    bench.tell(Input::Released);
    assert_eq!(bench.reads, [Position(sent + 1)]);
    assert_eq!(bench.lane.status(bench.now).rate, Some(10.0));
    bench.tell(Input::Read { events: vec![event(sent + 1)], next: Position(31), caught_up: false });
    assert_eq!(bench.log.last().unwrap().1, [sent + 1]);
}

#[test]
fn a_new_destination_starts_a_new_window_and_rate() {
    let mut bench = Bench::new();
    bench.offer(1..=60);
    bench.pass_answering(MINUTE, |position| if position == 1 { failed() } else { Outcome::Delivered });
    let status = bench.lane.status(bench.now);
    assert!(status.rate > Some(10.0) && status.failed_in_window == 1);
    bench.tell(Input::Configured { options: LaneOptions::default(), new_destination: true });
    let status = bench.lane.status(bench.now);
    assert_eq!((status.rate, status.delivered_in_window, status.failed_in_window), (Some(10.0), 0, 0));
    assert_eq!(status.waiting_retries, 1, "pending retries go to the new destination");
}

#[test]
fn a_new_destination_releases_a_lane_that_gave_up_the_old_one() {
    let mut bench = Bench::new();
    bench.offer(1..=3);
    bench.answer(Outcome::Broken(failure(ErrorReason::DestinationRedirected)));
    bench.lane.fall_behind(Position(4));
    bench.tell(Input::Configured { options: LaneOptions::default(), new_destination: true });
    assert_eq!(bench.reads, [Position(2)]);
}
