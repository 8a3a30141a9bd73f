//! Causes of trouble: the platform's own trouble costs a lane nothing but time.

mod bench;

use std::sync::Arc;
use std::time::Duration;

use bench::{Bench, MINUTE, START, failed, failure};
use delivery::lane::{LaneOptions, Silence};
use delivery::{Input, Lane, Settings};
use domain::destination::{BatchLimits, Manner};
use domain::outcome::{ErrorReason, Lack, Outcome, SuspensionReason};
use domain::{Position, Timestamp};

const SECOND: Duration = Duration::from_secs(1);
const OURS: Outcome = Outcome::Ours(Lack::FileDescriptors);
const UNDECIDED: Silence = Silence::Undecided { since: None };
const TOPIC: LaneOptions = LaneOptions {
    manner: Manner::InBatches(BatchLimits { events: 1_000, bytes: 1024 * 1024 }),
    entity_of: None,
    respect_retry_after: false,
    by_turns: false,
    destination: 7,
};

fn endpoint() -> Bench {
    Bench::with(Settings::default(), LaneOptions::default())
}

fn silent() -> Outcome {
    Outcome::Silent(failure(ErrorReason::DestinationTimeout))
}

/// Seconds from the start at which events were sent.
fn seconds(bench: &Bench) -> Vec<u64> {
    bench.log.iter().map(|(at, _)| at.since(START).as_secs()).collect()
}

#[test]
fn one_attempt_at_a_time_after_pauses_from_a_second_to_a_minute() {
    let mut bench = endpoint();
    bench.offer(1..=1);
    bench.pass_answering(5 * MINUTE, |_| OURS);
    assert_eq!(seconds(&bench), [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
    assert_eq!(bench.lane.lack(), Some(Lack::FileDescriptors));
}

#[test]
fn trouble_writes_only_the_events_in_flight_and_counts_none() {
    let mut bench = endpoint();
    bench.offer(1..=64);
    bench.pass(300 * Duration::from_millis(1));
    let under_way = bench.sent.len();
    assert!(under_way > 1);
    bench.pass_answering(30 * MINUTE, |_| OURS);
    let saved = bench.save();
    assert_eq!((saved.failures.len(), saved.changed.len()), (0, under_way));
    assert_eq!(saved.cursor, Some(Position(under_way as u64 + 1)));
    let status = bench.lane.status(bench.now);
    assert_eq!((status.failed_in_window, status.backlog), (0, 64));
    assert_eq!(status.lacks, [Lack::FileDescriptors]);
    assert_eq!(bench.suspended, None);
    bench.pass_answering(60 * MINUTE, |_| OURS);
    assert!(!bench.lane.is_unsaved(), "a try writes nothing");
    assert!(bench.sent.len() <= 1, "one attempt at a time");
}

#[test]
fn the_first_event_goes_first_and_the_rest_follows_in_order_when_it_is_over() {
    let mut bench = endpoint();
    bench.offer(1..=40);
    bench.pass(500 * Duration::from_millis(1));
    while !bench.sent.is_empty() {
        bench.answer_with(vec![OURS]);
    }
    bench.log.clear();
    bench.pass_answering(20 * MINUTE, |_| OURS);
    assert!(bench.positions_sent().iter().all(|position| *position == 1), "{:?}", bench.positions_sent());
    bench.log.clear();
    bench.pass_answering(2 * MINUTE, |_| Outcome::Delivered);
    assert_eq!(bench.positions_sent(), (1..=40).collect::<Vec<_>>());
    let saved = bench.save();
    assert_eq!((saved.cursor, bench.lane.status(bench.now).backlog, bench.lane.lack()), (None, 0, None));
}

#[test]
fn any_answer_ends_it_and_counts_for_itself() {
    let refused = Outcome::Refused(failure(ErrorReason::DestinationFailure));
    for answer in [Outcome::Delivered, failed(), refused, Outcome::Throttled { retry_after: None }] {
        let mut bench = endpoint();
        bench.offer(1..=3);
        bench.pass_answering(10 * MINUTE, |_| OURS);
        bench.pass_answering(MINUTE, |_| answer.clone());
        assert_eq!(bench.lane.lack(), None, "{answer:?}");
        assert!(bench.positions_sent().contains(&3), "the others go on after {answer:?}");
    }
}

#[test]
fn no_retry_is_used_up() {
    let mut bench = endpoint();
    bench.offer(1..=1);
    bench.answer_with(vec![failed()]);
    bench.save();
    // Its first retry meets an hour of the platform's own trouble.
    bench.pass(5 * MINUTE);
    bench.pass_answering(60 * MINUTE, |_| OURS);
    assert_eq!(bench.save().changed, [], "its place in the ledger is as it was");
    for minutes in [10, 20] {
        bench.pass_until_answered(failed());
        let due_at = bench.save().changed[0].due_at;
        assert_eq!(due_at, bench.now + minutes * MINUTE);
    }
    bench.pass_until_answered(failed());
    assert_eq!(bench.save().settled, [Position(1)], "given up after the third retry");
}

#[test]
fn an_hour_of_429s_is_not_used_up_by_the_platforms_trouble() {
    let mut bench = endpoint();
    bench.offer(1..=1);
    bench.answer_with(vec![Outcome::Throttled { retry_after: None }]);
    bench.pass(SECOND);
    bench.pass_answering(120 * MINUTE, |_| OURS);
    bench.pass_answering(30 * MINUTE, |_| Outcome::Throttled { retry_after: None });
    assert_eq!(bench.save().failures, [], "two of the two and a half hours were the platform's");
}

#[test]
fn a_restart_in_trouble_sends_each_event_once_more() {
    let mut bench = endpoint();
    bench.offer(1..=10);
    bench.pass(250 * Duration::from_millis(1));
    bench.pass_answering(10 * MINUTE, |_| OURS);
    let saved = bench.save();
    let settings = Arc::new(Settings::default());
    let lane = Lane::restore(
        settings,
        LaneOptions::default(),
        saved.cursor,
        saved.memory.as_deref(),
        saved.changed,
        bench.now,
    );
    let mut restarted = Bench { now: bench.now, ..Bench::of(lane) };
    restarted.tell(Input::Timeout);
    let rest = saved.cursor.map_or(11, |cursor| cursor.0);
    let events = (rest..=10).map(bench::event).collect();
    restarted.tell(Input::Read { events, next: Position(11), caught_up: true });
    restarted.pass_answering(MINUTE, |_| Outcome::Delivered);
    let mut sent = restarted.positions_sent();
    sent.sort_unstable();
    assert_eq!(sent, (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_hold_in_trouble_keeps_everything() {
    let mut bench = endpoint();
    bench.offer(1..=5);
    bench.pass_answering(2 * MINUTE, |_| OURS);
    bench.tell(Input::Held);
    bench.pass(10 * MINUTE);
    bench.tell(Input::Released);
    if let Some(from) = bench.reads.pop() {
        let events = (from.0..=5).map(bench::event).collect();
        bench.tell(Input::Read { events, next: Position(6), caught_up: true });
    }
    bench.pass_answering(MINUTE, |_| Outcome::Delivered);
    let mut delivered = bench.positions_sent();
    delivered.sort_unstable();
    delivered.dedup();
    assert_eq!(delivered, [1, 2, 3, 4, 5]);
    assert_eq!(bench.lane.status(bench.now).backlog, 0);
}

#[test]
fn the_successors_of_an_entity_stay_behind_it() {
    let options = LaneOptions { entity_of: Some(|_| 1), ..LaneOptions::default() };
    let mut bench = Bench::with(Settings::default(), options);
    bench.offer(1..=4);
    bench.pass_answering(5 * MINUTE, |_| OURS);
    bench.log.clear();
    bench.pass_answering(3 * MINUTE, |_| Outcome::Delivered);
    assert_eq!(bench.positions_sent(), [1, 2, 3, 4]);
}

#[test]
fn unprocessed_events_are_resent_in_turn() {
    let mut bench = endpoint();
    bench.offer(1..=3);
    let not_processed = || Outcome::NotProcessed(failure(ErrorReason::ServerGoaway));
    bench.pass_answering(5 * MINUTE, |position| if position == 1 { not_processed() } else { Outcome::Delivered });
    let tries: Vec<u64> =
        bench.log.iter().filter(|(_, sent)| sent == &[1]).map(|(at, _)| at.since(START).as_secs()).collect();
    assert_eq!(tries, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
    let status = bench.lane.status(bench.now);
    assert_eq!((status.failed_in_window, status.delivered_in_window), (0, 2));
    assert_eq!(bench.save().failures, []);
}

#[test]
fn an_attempt_without_an_outcome_counts_nothing() {
    let mut bench = endpoint();
    bench.offer(1..=1);
    bench.answer_with(vec![]);
    assert_eq!((bench.lane.status(bench.now).failed_in_window, bench.save().failures.len()), (0, 0));
    bench.pass_answering(2 * SECOND, |_| Outcome::Delivered);
    assert_eq!(bench.positions_sent(), [1, 1]);
}

#[test]
fn silence_that_turns_out_to_be_the_destinations_counts_once_and_the_five_minutes_begin() {
    let mut bench = endpoint();
    bench.offer(1..=1);
    bench.answer_judged(vec![silent()], UNDECIDED);
    for _ in 0..3 {
        bench.pass(MINUTE);
        bench.answer_judged(vec![silent()], UNDECIDED);
    }
    assert_eq!(bench.save().failures, []);
    assert_eq!(bench.lane.status(bench.now).failed_in_window, 0);
    bench.tell(Input::TryNow);
    bench.answer_judged(vec![silent()], Silence::THEIRS);
    let saved = bench.save();
    assert_eq!((saved.failures.len(), saved.failures[0].count), (1, 1));
    assert_eq!((saved.changed[0].failures, saved.changed[0].due_at), (1, bench.now + 5 * MINUTE));
    assert_eq!(bench.lane.lack(), None);
}

#[test]
fn a_sign_of_life_from_elsewhere_ends_the_pause() {
    let mut bench = endpoint();
    bench.offer(1..=1);
    for _ in 0..8 {
        bench.answer_judged(vec![silent()], UNDECIDED);
        bench.pass(2 * MINUTE);
    }
    bench.answer_judged(vec![silent()], UNDECIDED);
    bench.pass(SECOND);
    assert!(bench.sent.is_empty());
    bench.tell(Input::TryNow);
    assert_eq!(bench.sent.len(), 1);
}

#[test]
fn silence_that_proves_to_be_the_platforms_is_taken_out_of_the_window() {
    let mut bench = endpoint();
    bench.offer(1..=30);
    bench.pass_answering(MINUTE, |position| if position <= 5 { failed() } else { silent() });
    assert_eq!(bench.lane.status(bench.now).failed_in_window, 30);
    bench.pass(5 * MINUTE);
    bench.answer_judged(vec![silent()], Silence::Undecided { since: Some(START) });
    assert_eq!(bench.lane.status(bench.now).failed_in_window, 5, "what was no silence stays");
    assert!(bench.save().memory.is_some());
    bench.pass_answering(30 * MINUTE, |_| OURS);
    assert_eq!(bench.suspended, None);
}

#[test]
fn silence_suspends_only_after_its_grace_period() {
    let settings = Settings { suspend_after: Duration::ZERO, ..Settings::default() };
    let mut bench = Bench::with(settings, LaneOptions::default());
    bench.offer(1..=30);
    let theirs = Silence::Theirs { suspends_from: START + MINUTE };
    for _ in 0..25 {
        bench.pass(Duration::from_millis(100));
        bench.answer_judged(vec![silent()], theirs);
    }
    bench.sent.clear();
    bench.pass_to(START + MINUTE - Duration::from_micros(1));
    assert_eq!(bench.suspended, None);
    bench.pass(Duration::from_micros(1));
    assert_eq!(bench.suspended, Some(SuspensionReason::SuccessRate));
}

#[test]
fn trouble_postpones_suspensions() {
    let mut bench = endpoint();
    bench.offer(1..=30);
    bench.pass_answering(MINUTE, |_| failed());
    bench.offer(31..=31);
    bench.answer_with(vec![OURS]);
    bench.pass_answering(20 * MINUTE, |_| OURS);
    assert_eq!(bench.suspended, None);
    bench.pass_answering(2 * MINUTE, |_| failed());
    assert_eq!(bench.suspended, Some(SuspensionReason::SuccessRate));
}

#[test]
fn a_topics_batch_is_resent_unchanged_without_writes() {
    let mut bench = Bench::with(Settings::default(), TOPIC);
    bench.offer(1..=5);
    bench.answer_with(vec![Outcome::Delivered]);
    bench.log.remove(0);
    let from = bench.now;
    let end = from + 5 * MINUTE;
    bench.save();
    while bench.now < end {
        let events = bench.sent[0].0.len();
        bench.answer_with(vec![OURS; events]);
        assert!(!bench.lane.is_urgent(), "nothing is saved for a try");
        let next = bench.lane.poll_timeout().expect("it is tried again");
        bench.pass_to(next);
    }
    let gaps: Vec<u64> = bench.log.iter().map(|(at, _)| at.since(from).as_secs()).collect();
    assert_eq!(gaps, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303]);
    assert!(bench.log.iter().all(|(_, sent)| sent == &[2, 3, 4, 5]));
    assert_eq!(bench.lane.status(bench.now).taking_nothing_since, None);
    bench.answer_with(vec![Outcome::Delivered; 4]);
    assert_eq!((bench.save().cursor, bench.lane.lack()), (None, None));
}

#[test]
fn a_topics_silence_counts_once_it_is_the_topics() {
    let mut bench = Bench::with(Settings::default(), TOPIC);
    bench.offer(1..=1);
    bench.answer_judged(vec![silent()], UNDECIDED);
    bench.pass(2 * SECOND);
    assert_eq!(bench.lane.status(bench.now).taking_nothing_since, None);
    bench.answer_judged(vec![silent()], Silence::THEIRS);
    assert_eq!(bench.lane.status(bench.now).taking_nothing_since, Some(bench.now));
    assert_eq!(bench.save().failures.len(), 1);
}

impl Bench {
    /// Advances time until something is sent, and answers it.
    fn pass_until_answered(&mut self, outcome: Outcome) {
        while self.sent.is_empty() {
            let timer: Timestamp = self.lane.poll_timeout().expect("nothing is sent, and nothing is waited for");
            self.pass_to(timer);
        }
        self.answer_with(vec![outcome]);
    }
}
