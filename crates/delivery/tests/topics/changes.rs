//! Restarts, and changes of the destination.

use super::*;

#[test]
fn a_restart_in_a_pause_tries_at_once_and_goes_on_counting() {
    let mut bench = Bench::with_batch(patient(), 3);
    for seconds in [1, 2, 4, 8] {
        let taken_of_three = [DELIVERED, failed(), failed()];
        bench.answer_with(taken_of_three[3 - bench.sent[0].0.len()..].to_vec());
        bench.pass(Duration::from_millis(1_300 * seconds));
    }
    bench.answer_all(failed());
    let saved = bench.save();
    assert_eq!((saved.cursor, saved.changed.len()), (Some(Position(2)), 0));
    bench.restart(patient(), TOPIC, saved, 30 * MINUTE);
    bench.read(2..=9, true);
    assert_eq!(bench.sent[0].0, [2, 3], "at once, as it was");
    // Five failures before; this is the sixth.
    bench.answer_all(failed());
    assert_about(bench.pass_until_sent(2 * MINUTE), 32.0);
    assert_eq!(bench.save().cursor, Some(Position(2)));
}

#[test]
fn a_restart_repeats_only_unaccepted_events() {
    let mut bench = Bench::with_batch(Settings::default(), 5);
    bench.answer_with(vec![DELIVERED, failed(), DELIVERED, failed(), refused()]);
    let saved = bench.save();
    assert_eq!(saved.cursor, Some(Position(2)));
    bench.restart(Settings::default(), TOPIC, saved, SECOND);
    bench.read(2..=7, true);
    bench.answer_all(DELIVERED);
    bench.answer_all(DELIVERED);
    assert_eq!(bench.batches(), [vec![2, 4], vec![6, 7]]);
}

#[test]
fn a_new_topic_starts_afresh_without_events_accepted_by_the_old_one() {
    let mut bench = Bench::with_batch(Settings::default(), 3);
    bench.answer_with(vec![failed(), DELIVERED, failed()]);
    for _ in 0..10 {
        bench.pass(2 * MINUTE);
        bench.answer_all(failed());
    }
    let saved = bench.save();
    bench.restart(Settings::default(), OTHER_TOPIC, saved, SECOND);
    bench.read(1..=4, true);
    assert_eq!(bench.failed_in_window(), 0);
    assert_eq!(bench.lane.status(bench.now).taking_nothing_since, None);
    bench.answer_all(failed());
    assert_about(bench.pass_until_sent(2 * MINUTE), 1.0);
    assert_eq!(bench.batches(), [vec![1, 3, 4], vec![1, 3, 4]]);
}

#[test]
fn a_new_topic_gets_unaccepted_events_at_once() {
    let mut bench = Bench::with_batch(Settings::default(), 3);
    bench.answer_with(vec![DELIVERED, failed(), failed()]);
    bench.offer(4..=4);
    bench.configure(OTHER_TOPIC);
    assert_eq!(bench.sent[0].0, [2, 3, 4]);
    assert_eq!(bench.failed_in_window(), 0);
}

/// The attempt in flight at the change of destination failed, and the new destination was suspended for it.
#[test]
fn outcomes_of_an_old_destination_do_not_count() {
    for options in [TOPIC, ENDPOINT] {
        let mut bench = Bench::with(Settings::default(), options);
        bench.offer(1..=1);
        bench.configure(LaneOptions { destination: 70, ..options });
        bench.answer_all(broken(ErrorReason::TopicNotFound));
        assert_eq!((bench.suspended, bench.failed_in_window()), (None, 0));
        assert_eq!(bench.save().failures.len(), 1, "but it is told");
        bench.pass_answering(2 * SECOND, |_| DELIVERED);
        assert_eq!(bench.positions_sent(), [1, 1], "the new destination gets it");
        assert_eq!(bench.save().cursor, None);
    }
}

/// Positions of the same ten share an entity.
fn tens(event: &LoggedEvent) -> u64 {
    event.position.0 / 10 + 1
}

/// An endpoint's lane with one event waiting for its retry, one for its turn, one for its predecessor, one in flight,
/// and one in hand.
fn endpoint_in_trouble() -> Bench {
    let mut bench = Bench::with(Settings::default(), LaneOptions { entity_of: Some(tens), ..ENDPOINT });
    bench.offer(11..=11);
    bench.answer_all(failed());
    bench.offer(21..=21);
    bench.pass(SECOND);
    bench.answer_all(THROTTLED);
    bench.offer(12..=12);
    bench.offer(31..=31);
    bench.offer(41..=41);
    assert_eq!((bench.sent.len(), &bench.sent[0].0[..]), (1, &[31][..]));
    bench.log.clear();
    bench
}

#[test]
fn from_an_endpoint_to_a_topic_nothing_is_lost_and_nothing_is_stuck() {
    for under_way in [DELIVERED, failed(), THROTTLED, refused()] {
        let mut bench = endpoint_in_trouble();
        bench.configure(TOPIC);
        assert!(bench.log.is_empty(), "the attempt under way ends first");
        bench.answer_all(under_way.clone());
        bench.pass_answering(SECOND, |_| DELIVERED);
        let mut sent = bench.positions_sent();
        sent.sort_unstable();
        let expected = if under_way == DELIVERED { vec![21, 41] } else { vec![21, 31, 41] };
        assert_eq!(sent, expected, "{under_way:?}");
        // The retry keeps its time, and its successor its place behind it.
        bench.log.clear();
        bench.pass_answering(5 * MINUTE, |_| DELIVERED);
        assert_eq!(bench.batches(), [vec![11], vec![12]]);
        assert_eq!(bench.save().cursor, None);
        assert_eq!(bench.lane.status(bench.now).backlog, 0);
    }
}

#[test]
fn waiting_events_move_from_an_endpoint_to_a_topic() {
    let mut bench = endpoint_in_trouble();
    bench.configure(TOPIC);
    bench.answer_all(DELIVERED);
    bench.offer(50..=50);
    bench.pass_answering(5 * 60 * MINUTE, |_| THROTTLED);
    assert_eq!((bench.suspended, bench.lane.status(bench.now).backlog), (None, 5));
    bench.pass_answering(5 * MINUTE, |_| DELIVERED);
    assert_eq!((bench.save().cursor, bench.lane.status(bench.now).backlog), (None, 0));
}

#[test]
fn from_a_topic_to_an_endpoint_nothing_is_lost_and_nothing_is_stuck() {
    // During a pause, and with the batch in flight.
    for in_pause in [true, false] {
        let mut bench = Bench::with_batch(Settings::default(), 4);
        bench.offer(5..=6);
        let answer = vec![DELIVERED, failed(), DELIVERED, refused()];
        if in_pause {
            bench.answer_with(answer.clone());
        }
        bench.configure(ENDPOINT);
        if !in_pause {
            bench.answer_with(answer);
        }
        assert_eq!((bench.failed_in_window(), bench.lane.status(bench.now).rate), (0, Some(10.0)));
        bench.pass_answering(2 * SECOND, |_| DELIVERED);
        let mut sent = bench.positions_sent();
        assert!(bench.batches()[1..].iter().all(|attempt| attempt.len() == 1), "one by one");
        sent.sort_unstable();
        // Events rejected by the old topic go to the new endpoint if it was already configured.
        let expected = if in_pause { vec![1, 2, 2, 3, 4, 5, 6] } else { vec![1, 2, 2, 3, 4, 4, 5, 6] };
        assert_eq!(sent, expected);
        assert_eq!(bench.save().cursor, None);
    }
}

/// A topic's batch was in flight while an endpoint was briefly the destination. The batch failed, and events already
/// sent to the endpoint were read and sent again after a hold.
#[test]
fn to_an_endpoint_and_back_within_one_attempt() {
    let mut bench = Bench::with_batch(Settings::default(), 2);
    bench.offer(3..=3);
    bench.configure(ENDPOINT);
    let batch = bench.sent.pop_front().unwrap();
    bench.pass_answering(SECOND, |_| DELIVERED);
    bench.configure(TOPIC);
    bench.tell(Input::Outcomes(batch.1, vec![failed(), failed()], Silence::THEIRS));
    bench.tell(Input::Held);
    assert_eq!(bench.lane.reach(), None, "nothing is to be read again");
    bench.tell(Input::Released);
    bench.pass_answering(5 * SECOND, |_| DELIVERED);
    let mut sent = bench.positions_sent();
    sent.sort_unstable();
    assert_eq!(sent, [1, 1, 2, 2, 3]);
    assert_eq!(bench.save().cursor, None);
}

/// With many of an endpoint's events waiting, the pause of the topic that replaced it had no timer.
#[test]
fn a_lane_full_of_an_endpoints_retries_goes_on_after_a_pause() {
    let settings = Settings { max_waiting: 2, ..patient() };
    let mut bench = Bench::with(settings, ENDPOINT);
    bench.offer(1..=3);
    bench.pass_answering(SECOND, |_| failed());
    bench.configure(TOPIC);
    assert_eq!(bench.sent[0].0, [3]);
    bench.answer_all(failed());
    bench.pass(2 * SECOND);
    assert_eq!(bench.sent[0].0, [3]);
    bench.offer(4..=4);
    bench.tell(Input::Held);
    bench.tell(Input::Released);
    assert_eq!(bench.reads, [Position(4)], "and it reads on");
}
