//! Suspension of a topic's lane, and the fate of its events.

use super::*;

#[test]
fn a_topic_that_fails_counts_once_and_each_refused_event_once() {
    let mut bench = Bench::with_batch(patient(), 10);
    bench.answer_all(failed());
    assert_eq!(bench.failed_in_window(), 1);
    bench.pass(2 * SECOND);
    let other = Outcome::Failed(failure(ErrorReason::DestinationTimeout));
    bench.answer_with([vec![failed(); 5], vec![other; 5]].concat());
    assert_eq!(bench.failed_in_window(), 1, "attempts are not events");
    bench.pass(5 * SECOND);
    bench.answer_with([vec![refused(); 4], vec![DELIVERED; 6]].concat());
    let status = bench.lane.status(bench.now);
    assert_eq!((status.delivered_in_window, status.failed_in_window), (7, 5));
    let reported: u64 = bench.save().failures.iter().map(|note| note.count).sum();
    assert_eq!(reported, 5);
}

/// One event to a broker that refuses connections: twenty attempts filled the window, and the subscription was
/// suspended within minutes.
#[test]
fn no_success_rate_suspends_a_topic() {
    let mut bench = Bench::topic(Settings { suspend_after: Duration::ZERO, ..Settings::default() });
    bench.offer(1..=1);
    bench.pass_answering(60 * MINUTE, |_| failed());
    assert_eq!(bench.suspended, None);
    bench.pass_answering(2 * MINUTE, |_| DELIVERED);
    for position in 2..=60 {
        bench.offer(position..=position);
        bench.pass_answering(SECOND, |_| refused());
    }
    assert_eq!(bench.suspended, None, "records that are refused for themselves are given up one by one");
    assert_eq!(bench.save().cursor, None);
}

#[test]
fn a_broken_topic_is_suspended_at_once() {
    let mut bench = Bench::with_batch(Settings::default(), 3);
    bench.answer_all(broken(ErrorReason::TopicNotFound));
    assert_eq!(bench.suspended, Some(SuspensionReason::Destination(ErrorReason::TopicNotFound)));
    assert_eq!(bench.failed_in_window(), 1);
    bench.pass(100 * MINUTE);
    assert_eq!(bench.log.len(), 1, "sent after the suspension");
}

#[test]
fn a_forbidden_destination_does_not_count() {
    let mut bench = Bench::with_batch(Settings::default(), 3);
    bench.answer_all(broken(ErrorReason::DestinationForbidden));
    assert_eq!(bench.suspended, Some(SuspensionReason::Destination(ErrorReason::DestinationForbidden)));
    assert_eq!(bench.failed_in_window(), 0);
    assert_eq!(bench.save().failures.len(), 1, "but it is told");
}

/// A batch whose first, third and sixth event were accepted before the topic turned out to be broken; others wait
/// behind it.
fn broken_in_part() -> Bench {
    let mut bench = Bench::with_batch(Settings::default(), 6);
    bench.offer(7..=8);
    let broken = broken(ErrorReason::AuthenticationFailed);
    bench.answer_with(vec![DELIVERED, broken.clone(), DELIVERED, broken.clone(), broken, DELIVERED]);
    assert_eq!(bench.suspended, Some(SuspensionReason::Destination(ErrorReason::AuthenticationFailed)));
    bench
}

#[test]
fn unaccepted_events_are_delivered_in_order_after_the_release() {
    let mut bench = broken_in_part();
    bench.tell(Input::Held);
    assert_eq!(bench.lane.status(bench.now).backlog, 0, "nothing stays in memory");
    bench.pass(100 * MINUTE);
    bench.tell(Input::Released);
    assert_eq!(bench.reads, [Position(2)]);
    bench.read(2..=9, true);
    assert_eq!(bench.sent[0].0, [2, 4, 5, 7, 8, 9], "and what was taken is not sent again");
    // Its hour has only begun, as have its pauses.
    bench.answer_all(failed());
    assert_about(bench.pass_until_sent(MINUTE), 1.0);
    bench.answer_all(DELIVERED);
    assert_eq!(bench.save().cursor, None);
}

#[test]
fn unaccepted_events_are_counted_without_hold() {
    let mut bench = broken_in_part();
    bench.tell(Input::Stopped);
    assert_eq!((bench.lane.undelivered(), bench.lane.reach()), (0, Some(Position(2))));
    // Of the seven from the second event on, two were accepted.
    assert_eq!(bench.lane.passed_over(Position(9)), 2);
}

#[test]
fn a_held_lanes_save_prevents_duplicates() {
    let mut bench = broken_in_part();
    bench.tell(Input::Held);
    let saved = bench.save();
    assert_eq!((saved.cursor, saved.changed.len()), (Some(Position(2)), 0));
    bench.restart(Settings::default(), TOPIC, saved, 10 * MINUTE);
    bench.tell(Input::Held);
    bench.tell(Input::Released);
    bench.read(2..=8, true);
    bench.answer_all(DELIVERED);
    assert_eq!(bench.batches(), [vec![2, 4, 5, 7, 8]]);
}

#[test]
fn a_suspension_in_a_pause_repeats_nothing_and_counts_only_what_is_dropped() {
    let in_pause = || {
        let mut bench = Bench::with_batch(Settings::default(), 5);
        bench.answer_with(vec![DELIVERED, failed(), DELIVERED, failed(), DELIVERED]);
        bench.offer(6..=6);
        bench
    };
    let mut bench = in_pause();
    bench.tell(Input::Held);
    bench.tell(Input::Released);
    bench.read(2..=6, true);
    assert_eq!(bench.batches()[1..], [vec![2, 4, 6]]);
    let mut bench = in_pause();
    bench.tell(Input::Stopped);
    assert_eq!((bench.lane.undelivered(), bench.lane.reach()), (0, Some(Position(2))));
    assert_eq!(bench.lane.passed_over(Position(7)), 2);
}

#[test]
fn a_batch_in_flight_at_a_stop_is_reported_and_not_retried() {
    let mut bench = Bench::with_batch(Settings::default(), 4);
    bench.offer(5..=6);
    bench.tell(Input::Stopped);
    assert_eq!((bench.lane.undelivered(), bench.lane.reach()), (0, Some(Position(5))));
    bench.answer_with(vec![DELIVERED, failed(), THROTTLED, broken(ErrorReason::TopicNotFound)]);
    assert_eq!((bench.suspended, bench.lane.passed_over(Position(7))), (None, 0));
    let reported: u64 = bench.save().failures.iter().map(|note| note.count).sum();
    assert_eq!(reported, 3, "each is an event that was lost");
    bench.tell(Input::Dropped);
    bench.pass(100 * MINUTE);
    assert_eq!((bench.log.len(), bench.save().cursor), (1, None));
}

#[test]
fn a_batch_that_was_under_way_at_a_hold_goes_back_to_its_place() {
    let mut bench = Bench::with_batch(Settings::default(), 4);
    bench.offer(5..=6);
    bench.tell(Input::Held);
    assert_eq!(bench.save().cursor, Some(Position(1)));
    bench.answer_with(vec![DELIVERED, failed(), failed(), DELIVERED]);
    assert_eq!(bench.save().cursor, Some(Position(2)));
    bench.tell(Input::Released);
    bench.read(2..=6, true);
    assert_eq!(bench.batches()[1..], [vec![2, 3, 5, 6]]);
}

#[test]
fn a_release_before_the_batch_has_ended_waits_for_it() {
    let mut bench = Bench::with_batch(Settings::default(), 4);
    bench.offer(5..=6);
    bench.tell(Input::Held);
    bench.tell(Input::Released);
    bench.read(5..=6, true);
    assert_eq!(bench.sent.len(), 1, "one batch at a time");
    bench.answer_with(vec![DELIVERED, failed(), DELIVERED, DELIVERED]);
    bench.pass(2 * SECOND);
    bench.answer_all(DELIVERED);
    assert_eq!(bench.batches()[1..], [vec![2], vec![5, 6]]);
}
