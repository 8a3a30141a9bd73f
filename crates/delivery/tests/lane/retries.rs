//! Retries, throttling, and the fate of failed events.

use std::time::Duration;

use delivery::lane::LaneOptions;
use delivery::{Input, Settings};
use domain::Position;
use domain::exception::ExceptionKind;
use domain::outcome::{ErrorReason, Outcome};

use crate::bench::{Bench, MINUTE, START, failed, failure};

#[test]
fn retries_come_after_5_10_and_20_minutes_then_the_event_is_dropped() {
    let mut bench = Bench::new();
    bench.offer(1..=1);
    let mut times = vec![bench.now];
    for minutes in [5, 10, 20] {
        bench.answer(failed());
        let state = bench.save();
        assert_eq!(state.cursor, None, "the cursor passes an event that waits");
        assert_eq!(state.changed.len(), 1);
        assert_eq!(
            (state.changed[0].kind, state.changed[0].due_at),
            (ExceptionKind::Retry, bench.now + minutes * MINUTE)
        );
        assert_eq!(state.failures.len(), 1);
        bench.pass(minutes * MINUTE - Duration::from_micros(1));
        assert!(bench.sent.is_empty(), "a retry came early");
        bench.pass(Duration::from_micros(1));
        assert_eq!(bench.sent.len(), 1, "a retry did not come after {minutes} minutes");
        times.push(bench.now);
    }
    bench.answer(failed());
    let state = bench.save();
    assert_eq!((state.settled, state.changed), (vec![Position(1)], vec![]));
    bench.pass(100 * MINUTE);
    assert_eq!(bench.log.len(), 4);
}

#[test]
fn rejected_events_are_not_retried() {
    let mut bench = Bench::new();
    bench.offer(1..=1);
    bench.answer(Outcome::Refused(failure(ErrorReason::AuthenticationFailed)));
    let state = bench.save();
    assert_eq!((state.cursor, state.changed, state.failures.len()), (None, vec![], 1));
    bench.pass(100 * MINUTE);
    assert_eq!(bench.log.len(), 1);
}

#[test]
fn equal_failures_are_reported_once_with_a_count() {
    let mut bench = Bench::new();
    bench.offer(1..=5);
    bench.pass_answering(MINUTE, |_| failed());
    let failures = bench.save().failures;
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].count, 5);
}

#[test]
fn retries_neither_hold_back_fresh_events_nor_starve() {
    let mut bench = Bench::with(Settings { judged_from: 1000, ..Settings::default() }, LaneOptions::default());
    bench.offer(1..=20);
    bench.pass_answering(4 * MINUTE, |_| failed());
    bench.log.clear();
    bench.offer(101..=160);
    // All twenty retries become due while fresh events wait, as after a downtime of the platform.
    bench.now = bench.now + 10 * MINUTE;
    bench.tell(Input::Timeout);
    bench.pass_answering(Duration::from_secs(4), |_| Outcome::Delivered);
    let sent = bench.positions_sent();
    let retries = sent.iter().filter(|position| **position <= 20).count();
    let fresh = sent.len() - retries;
    assert!(retries * 2 >= fresh / 2 && retries * 2 <= fresh, "{retries} retries among {fresh} fresh events: {sent:?}");
}

#[test]
fn a_throttled_event_is_first_in_line_and_fresh_ones_go_on_meanwhile() {
    let mut bench = Bench::new();
    bench.offer(1..=30);
    bench.answer(Outcome::Throttled { retry_after: None });
    assert_eq!(bench.save().changed[0].kind, ExceptionKind::Throttled);
    bench.pass_answering(Duration::from_secs(10), |_| Outcome::Delivered);
    let sent = bench.log.clone();
    let again = sent.iter().skip(1).position(|(_, sent)| sent == &[1]).expect("never sent again") + 1;
    let waited = sent[again].0.since(sent[0].0);
    assert!((1000..=1300).contains(&waited.as_millis()), "sent again after {waited:?}");
    assert!(again > 5, "fresh events did not go on");
    assert_eq!(bench.save().settled, [Position(1)]);
}

#[test]
fn an_event_throttled_for_an_hour_fails_and_delays_no_other() {
    let mut bench = Bench::new();
    bench.offer(1..=1);
    let mut other = 1;
    for _ in 0..70 {
        other += 1;
        bench.offer(other..=other);
        bench.pass_answering(MINUTE, |position| match position {
            1 => Outcome::Throttled { retry_after: None },
            _ => Outcome::Delivered,
        });
    }
    let state = bench.save();
    assert_eq!(state.failures.len(), 1);
    assert_eq!(state.failures[0].failure.reason, ErrorReason::Throttled);
    assert_eq!(state.cursor, None);
    let last = bench.log.iter().rev().find(|(_, sent)| sent == &[1]).unwrap().0;
    assert!(
        last.since(START) > 60 * MINUTE && last.since(START) < 63 * MINUTE,
        "given up after {:?}",
        last.since(START)
    );
    let fresh = bench.log.iter().filter(|(_, sent)| sent != &[1]).count();
    assert_eq!(fresh, 70);
}

#[test]
fn retry_after_counts_only_where_the_subscription_says_so() {
    let check = |respect_retry_after, at_least: u64, at_most: u64| {
        let options = LaneOptions { respect_retry_after, ..LaneOptions::default() };
        let mut bench = Bench::with(Settings::default(), options);
        bench.offer(1..=2);
        bench.answer(Outcome::Throttled { retry_after: Some(Duration::from_secs(40)) });
        bench.pass_answering(5 * MINUTE, |_| Outcome::Delivered);
        let next = bench.log[1].0.since(START).as_millis() as u64;
        assert!((at_least..=at_most).contains(&next), "next event after {next} ms (respected: {respect_retry_after})");
    };
    check(false, 50, 500);
    check(true, 40_000, 40_100);
}

/// Found by simulation (seed 6): retries would make room, fresh events can't be sent without it, and each waited for
/// the other.
#[test]
fn a_lane_full_of_waiting_events_still_sends_its_retries() {
    let mut bench = Bench::with(Settings { max_waiting: 2, ..Settings::default() }, LaneOptions::default());
    bench.offer(1..=4);
    bench.pass_answering(Duration::from_secs(1), |_| failed());
    bench.pass_answering(6 * MINUTE, |_| Outcome::Delivered);
    let sent = bench.positions_sent();
    assert_eq!(sent.iter().filter(|position| **position == 1).count(), 2, "{sent:?}");
    assert!(sent.contains(&4), "{sent:?}");
}
