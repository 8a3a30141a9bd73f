//! Pauses of a lane whose topic rejects events, and when it gives up.

use super::*;

#[test]
fn pauses_double_from_a_second_to_a_minute_and_begin_anew_after_a_delivery() {
    let mut bench = Bench::with_batch(patient(), 2);
    for seconds in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0] {
        bench.answer_all(failed());
        assert_about(bench.pass_until_sent(2 * MINUTE), seconds);
    }
    bench.answer_with(vec![DELIVERED, failed()]);
    assert_about(bench.pass_until_sent(2 * MINUTE), 1.0);
    bench.answer_all(failed());
    assert_about(bench.pass_until_sent(2 * MINUTE), 2.0);
    bench.answer_all(DELIVERED);
    bench.offer(3..=3);
    bench.answer_all(failed());
    assert_about(bench.pass_until_sent(2 * MINUTE), 1.0);
}

#[test]
fn pauses_differ_from_lane_to_lane() {
    let pause = |destination| {
        let mut bench = Bench::with(patient(), LaneOptions { destination, ..TOPIC });
        bench.offer(1..=1);
        bench.answer_all(failed());
        bench.pass_until_sent(MINUTE)
    };
    let mut pauses: Vec<_> = (0..20).map(pause).collect();
    pauses.sort();
    pauses.dedup();
    assert_eq!(pauses.len(), 20);
}

#[test]
fn a_broker_that_is_down_for_a_night_costs_nothing() {
    let mut bench = Bench::with_batch(Settings::default(), 3);
    bench.offer(4..=4);
    bench.pass_answering(12 * 60 * MINUTE, |_| failed());
    assert_eq!((bench.suspended, bench.save().cursor), (None, Some(Position(1))));
    bench.log.clear();
    bench.pass_answering(2 * MINUTE, |_| DELIVERED);
    assert_eq!(bench.batches(), [vec![1, 2, 3], vec![4]], "in order, and none was dropped");
}

/// Fails a topic for this time; returns its owner's notifications: minutes since the first failure, and number of
/// attempts.
fn reports_while_failing(bench: &mut Bench, time: Duration, outcome: &Outcome) -> Vec<(u64, u64)> {
    let (from, mut reported) = (bench.now, Vec::new());
    while bench.now < from + time && bench.suspended.is_none() {
        bench.answer_all(outcome.clone());
        reported.extend(bench.save().failures.iter().map(|note| (bench.now.since(from).as_secs() / 60, note.count)));
        if bench.suspended.is_none() {
            bench.pass_until_sent(2 * MINUTE);
        }
    }
    reported
}

#[test]
fn failures_are_reported_at_once_after_ten_minutes_and_hourly() {
    for outcome in [failed(), THROTTLED] {
        let mut bench = Bench::with_batch(Settings::default(), 3);
        let reported = reports_while_failing(&mut bench, 200 * MINUTE, &outcome);
        let minutes: Vec<u64> = reported.iter().map(|(minute, _)| *minute).collect();
        // An attempt happens at most 72 s after it was possible.
        for (minute, due) in minutes.iter().zip([0, 10, 60, 120, 180]) {
            assert!((due..=due + 1).contains(minute), "{minutes:?}");
        }
        assert_eq!(minutes.len(), 5, "{minutes:?}");
        let attempts: u64 = reported.iter().map(|(_, count)| count).sum();
        assert!(bench.log.len() as u64 - attempts < 60, "{reported:?} of {} attempts", bench.log.len());
        assert_eq!(bench.failed_in_window(), 0, "attempts are not counted where events are meant");
        assert_eq!(bench.lane.status(bench.now).taking_nothing_since, Some(START));
    }
}

#[test]
fn a_topic_that_accepts_nothing_for_a_day_is_suspended() {
    let mut bench = Bench::with_batch(Settings::default(), 3);
    reports_while_failing(&mut bench, 48 * 60 * MINUTE, &failed());
    let hours = bench.now.since(START).as_secs_f64() / 3600.0;
    assert!((24.0..24.1).contains(&hours), "suspended after {hours} hours");
    assert_eq!(bench.suspended, Some(SuspensionReason::TookNothing));
}

#[test]
fn one_record_taken_begins_the_patience_anew() {
    let mut bench = Bench::with_batch(Settings::default(), 3);
    reports_while_failing(&mut bench, 23 * 60 * MINUTE, &failed());
    bench.answer_with(vec![DELIVERED, failed(), failed()]);
    assert_eq!(bench.lane.status(bench.now).taking_nothing_since, Some(bench.now));
    bench.pass_until_sent(2 * MINUTE);
    reports_while_failing(&mut bench, 23 * 60 * MINUTE, &failed());
    assert_eq!(bench.suspended, None);
}

#[test]
fn patience_counts_hours_of_service_without_trouble_of_the_platforms_own() {
    let mut bench = Bench::with_batch(Settings::default(), 3);
    reports_while_failing(&mut bench, 13 * 60 * MINUTE, &failed());
    let since = bench.lane.status(bench.now).taking_nothing_since;
    // A day without the platform, and one without its name server.
    bench.tell(Input::Held);
    let saved = bench.save();
    assert!(saved.memory.is_some(), "a hold saves everything anew");
    bench.restart(Settings::default(), TOPIC, saved, 24 * 60 * MINUTE);
    bench.read(1..=3, true);
    bench.answer_all(failed());
    assert_eq!(bench.lane.status(bench.now).taking_nothing_since, since);
    bench.pass_until_sent(2 * MINUTE);
    bench.pass_answering(24 * 60 * MINUTE, |_| Outcome::Ours(domain::outcome::Lack::NameServers));
    while bench.sent.is_empty() {
        bench.pass_until_sent(2 * MINUTE);
    }
    reports_while_failing(&mut bench, 10 * 60 * MINUTE, &failed());
    assert_eq!(bench.suspended, None);
    reports_while_failing(&mut bench, 2 * 60 * MINUTE, &failed());
    assert_eq!(bench.suspended, Some(SuspensionReason::TookNothing));
}

#[test]
fn a_quota_is_no_retry() {
    let mut bench = Bench::with_batch(Settings::default(), 2);
    bench.answer_all(THROTTLED);
    let status = bench.lane.status(bench.now);
    assert_eq!((status.throttled, status.waiting_retries), (2, 0));
    let failures = bench.save().failures;
    assert_eq!((failures.len(), failures[0].failure.reason), (1, ErrorReason::Throttled));
}

/// The events to be resent left the log, and nothing else was ever sent.
#[test]
fn an_expired_batch_gives_way_to_newer_events() {
    let mut bench = Bench::with_batch(Settings::default(), 3);
    bench.answer_with(vec![DELIVERED, failed(), failed()]);
    bench.offer(4..=5);
    bench.save();
    bench.tell(Input::Expired(Position(4)));
    bench.pass(2 * SECOND);
    assert_eq!(bench.sent[0].0, [4, 5]);
    bench.answer_all(DELIVERED);
    let saved = bench.save();
    assert_eq!(saved.cursor, None);
    bench.restart(Settings::default(), TOPIC, saved, SECOND);
    bench.offer(6..=6);
    assert_eq!(bench.sent[0].0, [6]);
}

#[test]
fn part_of_a_failed_batch_expires() {
    let mut bench = Bench::with_batch(Settings::default(), 3);
    bench.answer_with(vec![failed(), DELIVERED, failed()]);
    bench.tell(Input::Expired(Position(2)));
    assert_eq!(bench.save().cursor, Some(Position(3)));
    bench.pass(2 * SECOND);
    assert_eq!(bench.sent[0].0, [3]);
}

/// Found by simulation (seed 8895): a batch that failed after it had become too old took back later events that had
/// already been reported as dropped.
#[test]
fn a_batch_that_fails_when_it_is_too_old_is_over() {
    let mut bench = Bench::with_batch(Settings::default(), 3);
    bench.offer(4..=9);
    bench.tell(Input::Expired(Position(8)));
    bench.answer_with(vec![DELIVERED, failed(), failed()]);
    let state = bench.save();
    assert_eq!(state.cursor, Some(Position(8)));
    let reported: Vec<u64> = state.failures.iter().map(|note| note.count).collect();
    assert_eq!(reported, [1, 2], "that it failed, and that two are gone");
    bench.pass(2 * SECOND);
    assert_eq!(bench.batches()[1..], [vec![8, 9]]);
}
