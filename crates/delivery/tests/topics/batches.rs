//! Contents of a batch, and their outcomes.

use super::*;

#[test]
fn an_event_for_an_idle_topic_goes_at_once_and_those_that_come_meanwhile_are_the_next_batch() {
    let mut bench = Bench::topic(Settings::default());
    bench.offer(1..=5);
    assert_eq!(bench.batches(), [vec![1]]);
    bench.answer_all(DELIVERED);
    bench.answer_all(DELIVERED);
    assert_eq!(bench.batches(), [vec![1], vec![2, 3, 4, 5]]);
    let state = bench.save();
    assert_eq!((state.cursor, state.changed, state.settled, state.failures), (None, vec![], vec![], vec![]));
    assert_eq!(bench.lane.poll_timeout(), None, "an idle lane waits for nothing");
}

#[test]
fn a_topic_has_no_pace() {
    let mut bench = Bench::topic(Settings::default());
    assert_eq!(bench.lane.status(START).rate, None);
    for position in 1..=5_000 {
        bench.offer(position..=position);
        bench.answer_all(DELIVERED);
    }
    assert_eq!((bench.now, bench.log.len()), (START, 5_000));
}

#[test]
fn a_batch_is_limited_in_events() {
    let mut bench = Bench::topic(Settings { batch_events: 3, ..Settings::default() });
    bench.offer(1..=4);
    assert!(bench.lane.is_live());
    bench.offer(5..=5);
    assert_eq!(bench.lane.reach(), Some(Position(5)), "a batch is in hand beside the one under way");
    bench.answer_all(DELIVERED);
    assert_eq!(bench.batches(), [vec![1], vec![2, 3, 4]]);
    assert_eq!(bench.reads, [Position(5)], "it reads on while the batch is under way");
    bench.read(5..=7, true);
    assert_eq!(bench.sent.len(), 1, "one batch at a time");
    bench.answer_all(DELIVERED);
    assert_eq!(bench.batches()[2..], [vec![5, 6, 7]]);
}

#[test]
fn a_batch_is_no_larger_than_its_type_of_destination_takes() {
    let manner = Manner::InBatches(BatchLimits { events: 2, bytes: 1024 * 1024 });
    let mut bench = Bench::with(Settings::default(), LaneOptions { manner, ..TOPIC });
    bench.offer(1..=3);
    while !bench.sent.is_empty() {
        bench.answer_all(DELIVERED);
    }
    assert_eq!(bench.batches(), [vec![1], vec![2, 3]]);
    let of_size = |position, size| event_with(position, &format!("{{\"x\":\"{}\"}}", "x".repeat(size)));
    let manner = Manner::InBatches(BatchLimits { events: 1_000, bytes: 3_000 });
    let mut bench = Bench::with(Settings::default(), LaneOptions { manner, ..TOPIC });
    bench.offer(0..=0);
    bench.tell(Input::Offered(of_size(1, 1_000)));
    bench.tell(Input::Offered(of_size(2, 1_000)));
    bench.tell(Input::Offered(of_size(3, 1_500)));
    assert_eq!(bench.lane.reach(), Some(Position(3)), "no room for it in hand");
}

#[test]
fn a_batch_is_limited_in_bytes_and_a_large_event_is_sent_alone() {
    let of_size = |position, size| event_with(position, &format!("{{\"x\":\"{}\"}}", "x".repeat(size)));
    let mut bench = Bench::topic(Settings { batch_bytes: 3_000, ..Settings::default() });
    bench.offer(0..=0);
    for (position, size) in [(1, 1_000), (2, 1_000)] {
        bench.tell(Input::Offered(of_size(position, size)));
    }
    bench.tell(Input::Offered(of_size(3, 9_000)));
    assert_eq!(bench.lane.reach(), Some(Position(3)), "no room for it in hand");
    bench.answer_all(DELIVERED);
    assert_eq!(bench.reads, [Position(3)]);
    let events = [(3, 9_000), (4, 1_000), (5, 2_500), (6, 9_000)].map(|(position, size)| of_size(position, size));
    bench.tell(Input::Read { events: events.into(), next: Position(7), caught_up: true });
    while !bench.sent.is_empty() {
        bench.answer_all(DELIVERED);
    }
    assert_eq!(bench.batches(), [vec![0], vec![1, 2], vec![3], vec![4], vec![5], vec![6]]);
}

#[test]
fn a_failed_batch_is_resent_unchanged_before_any_other() {
    let mut bench = Bench::with_batch(Settings::default(), 4);
    bench.offer(5..=6);
    bench.answer_all(failed());
    bench.offer(7..=7);
    assert!(bench.sent.is_empty(), "it waits");
    let state = bench.save();
    assert_eq!((state.cursor, state.changed), (Some(Position(1)), vec![]), "the cursor stands before what failed");
    assert_about(bench.pass_until_sent(MINUTE), 1.0);
    bench.offer(8..=8);
    bench.answer_all(DELIVERED);
    assert_eq!(bench.batches(), [vec![1, 2, 3, 4], vec![1, 2, 3, 4], vec![5, 6, 7, 8]]);
}

#[test]
fn only_the_failed_part_of_a_batch_is_resent() {
    let mut bench = Bench::with_batch(Settings::default(), 6);
    bench.offer(7..=7);
    bench.answer_with(vec![DELIVERED, failed(), DELIVERED, DELIVERED, failed(), DELIVERED]);
    bench.pass(2 * SECOND);
    bench.answer_with(vec![DELIVERED, failed()]);
    bench.pass(2 * SECOND);
    bench.answer_all(DELIVERED);
    assert_eq!(bench.batches()[1..], [vec![2, 5], vec![5], vec![7]]);
}

#[test]
fn an_event_that_is_refused_does_not_hold_up_its_batch() {
    let mut bench = Bench::with_batch(Settings::default(), 4);
    bench.offer(5..=5);
    bench.answer_with(vec![DELIVERED, refused(), DELIVERED, DELIVERED]);
    assert_eq!(bench.batches(), [vec![1, 2, 3, 4], vec![5]], "at once");
    bench.answer_all(DELIVERED);
    let state = bench.save();
    assert_eq!((state.cursor, state.failures.len()), (None, 1));
    bench.pass(100 * MINUTE);
    assert_eq!(bench.log.len(), 2, "never again");
}

#[test]
fn one_refused_and_others_failed() {
    let mut bench = Bench::with_batch(Settings::default(), 4);
    bench.answer_with(vec![failed(), refused(), failed(), DELIVERED]);
    assert_eq!(bench.failed_in_window(), 2);
    bench.pass(2 * SECOND);
    assert_eq!(bench.sent[0].0, [1, 3]);
}

#[test]
fn an_event_without_an_outcome_is_sent_again_and_counts_nothing() {
    let mut bench = Bench::with_batch(Settings::default(), 3);
    bench.answer_with(vec![DELIVERED]);
    assert_eq!((bench.save().failures.len(), bench.failed_in_window()), (0, 0));
    bench.pass(2 * SECOND);
    assert_eq!(bench.sent[0].0, [2, 3]);
    bench.answer_with(vec![DELIVERED; 5]);
    assert_eq!(bench.save().cursor, None);
}

#[test]
fn a_second_answer_to_a_batch_changes_nothing() {
    let mut bench = Bench::with_batch(Settings::default(), 2);
    let ticket = bench.sent[0].1;
    bench.answer_all(failed());
    bench.save();
    bench.tell(Input::Outcomes(ticket, vec![DELIVERED; 2], Silence::THEIRS));
    bench.tell(Input::Outcomes(ticket, vec![broken(ErrorReason::TopicNotFound); 2], Silence::THEIRS));
    assert!(!bench.lane.is_unsaved());
    bench.pass(2 * SECOND);
    assert_eq!(bench.sent[0].0, [1, 2]);
}

#[test]
fn an_abandoned_batch_counts_nothing_and_goes_again() {
    let mut bench = Bench::with_batch(Settings::default(), 2);
    bench.answer_all(Outcome::Abandoned);
    assert_eq!((bench.failed_in_window(), bench.save().failures.len()), (0, 0));
    bench.pass_answering(2 * SECOND, |_| DELIVERED);
    assert_eq!(bench.batches(), [vec![1, 2], vec![1, 2]]);
}

#[test]
fn status_shows_attempts_in_flight_and_retries() {
    let mut bench = Bench::with_batch(Settings::default(), 3);
    bench.offer(4..=5);
    let status = bench.lane.status(bench.now);
    assert_eq!((status.in_flight, status.backlog, status.waiting_retries, status.next_due_at), (3, 5, 0, None));
    assert_eq!(status.oldest_accepted_at, Some(START));
    bench.answer_with(vec![DELIVERED, failed(), failed()]);
    let status = bench.lane.status(bench.now);
    assert_eq!((status.in_flight, status.backlog, status.waiting_retries, status.throttled), (0, 4, 2, 0));
    assert_eq!(status.next_due_at, bench.lane.poll_timeout());
    assert_eq!(status.last_failure.map(|(_, failure)| failure.reason), Some(ErrorReason::DestinationFailure));
    bench.pass_until_sent(MINUTE);
    let status = bench.lane.status(bench.now);
    assert_eq!((status.in_flight, status.backlog, status.waiting_retries, status.next_due_at), (2, 4, 0, None));
    bench.answer_all(failed());
    bench.tell(Input::Held);
    assert_eq!(bench.lane.status(bench.now).next_due_at, None, "nothing is due during a suspension");
}

#[test]
fn a_lane_holds_two_batches_at_most() {
    let settings = Settings { batch_events: 100, ..patient() };
    let mut bench = Bench::topic(settings);
    let last = 5_000;
    let (mut next, mut most, mut turn) = (1, 0, 0);
    while next <= last || !bench.sent.is_empty() {
        turn += 1;
        assert!(turn < 1_000, "event {next} was not sent");
        while bench.lane.is_live() && next <= last {
            bench.offer(next..=next);
            next += 1;
        }
        if let Some(from) = bench.reads.pop() {
            next = (from.0 + 100).min(last + 1);
            bench.read(from.0..next, false);
        }
        // The batch fails occasionally, with the next one in hand.
        bench.answer_all(if turn % 3 == 0 { failed() } else { DELIVERED });
        most = most.max(bench.lane.status(bench.now).backlog);
        bench.pass(2 * SECOND);
    }
    assert!(most <= 200, "{most} events");
    let mut first_sent: Vec<u64> = Vec::new();
    for position in bench.positions_sent() {
        if first_sent.last().is_none_or(|last| *last < position) {
            first_sent.push(position);
        }
    }
    assert_eq!(first_sent, (1..=last).collect::<Vec<_>>());
}
