//! The lane's rules, one by one, under virtual time, against contract page 4.

#[path = "../bench/mod.rs"]
mod bench;

mod reading;
mod retries;

mod suspensions;

mod restarts;

use std::collections::HashMap;
use std::time::Duration;

use bench::{Bench, MINUTE, failed};
use delivery::lane::{LaneOptions, Silence};
use delivery::{Input, Settings};
use domain::outcome::Outcome;
use domain::{LoggedEvent, Position};

impl Bench {
    fn new() -> Bench {
        Bench::with(Settings::default(), LaneOptions::default())
    }

    /// Answers the oldest attempt in flight.
    fn answer(&mut self, outcome: Outcome) -> u64 {
        self.answer_with(vec![outcome])[0]
    }
}

#[test]
fn success_leaves_nothing_to_save_but_the_cursor() {
    let mut bench = Bench::new();
    bench.offer(1..=3);
    assert_eq!(bench.save().cursor, Some(Position(1)));
    bench.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!(bench.positions_sent(), [1, 2, 3]);
    let state = bench.save();
    assert_eq!((state.cursor, state.changed, state.settled, state.failures), (None, vec![], vec![], vec![]));
    assert!(!bench.lane.is_unsaved());
}

#[test]
fn a_new_subscription_starts_at_ten_a_second_evenly_spread() {
    let mut bench = Bench::new();
    bench.offer(1..=20);
    assert_eq!(bench.log.len(), 1, "a burst");
    bench.pass(Duration::from_secs(1));
    let gaps: Vec<_> = bench.log.windows(2).map(|pair| pair[1].0.since(pair[0].0)).collect();
    assert_eq!(bench.log.len(), 11);
    assert!(gaps.iter().all(|gap| (95..=105).contains(&gap.as_millis())), "{gaps:?}");
}

#[test]
fn attempts_under_way_are_bounded() {
    let mut bench = Bench::with(Settings { max_in_flight: 5, ..Settings::default() }, LaneOptions::default());
    bench.offer(1..=20);
    bench.pass(MINUTE);
    assert_eq!(bench.sent.len(), 5);
    bench.answer(Outcome::Delivered);
    assert_eq!(bench.sent.len(), 5, "the next one goes when there is room");
}

#[test]
fn the_cursor_waits_for_the_slowest_attempt() {
    let mut bench = Bench::new();
    bench.offer(1..=3);
    bench.pass(MINUTE);
    let slow = bench.sent.pop_front().unwrap();
    bench.answer(Outcome::Delivered);
    bench.answer(Outcome::Delivered);
    assert_eq!(bench.save().cursor, Some(Position(1)));
    bench.tell(Input::Outcomes(slow.1, vec![Outcome::Delivered], Silence::THEIRS));
    assert_eq!(bench.save().cursor, None);
}

/// Positions of the same ten share an entity.
fn tens(event: &LoggedEvent) -> u64 {
    event.position.0 / 10 + 1
}

#[test]
fn events_of_one_entity_go_one_after_another_also_across_retries() {
    let options = LaneOptions { entity_of: Some(tens), ..LaneOptions::default() };
    let mut bench = Bench::with(Settings { judged_from: 1000, ..Settings::default() }, options);
    bench.offer(11..=13);
    bench.offer(21..=22);
    let mut first = true;
    bench.pass_answering(4 * MINUTE, |position| match position {
        11 if std::mem::take(&mut first) => failed(),
        _ => Outcome::Delivered,
    });
    assert_eq!(bench.positions_sent(), [11, 21, 22], "others are not held up, successors are");
    assert_eq!(bench.save().cursor, None, "those that wait for their predecessor are recorded");
    bench.pass_answering(2 * MINUTE, |_| Outcome::Delivered);
    assert_eq!(bench.positions_sent(), [11, 21, 22, 11, 12, 13]);
}

#[test]
fn a_late_or_repeated_answer_changes_nothing() {
    let mut bench = Bench::new();
    bench.offer(1..=1);
    let (_, ticket) = bench.sent[0];
    bench.answer(failed());
    bench.save();
    bench.tell(Input::Outcomes(ticket, vec![Outcome::Delivered], Silence::THEIRS));
    bench.tell(Input::Outcomes(ticket, vec![failed()], Silence::THEIRS));
    assert!(!bench.lane.is_unsaved());
    bench.pass(5 * MINUTE);
    assert_eq!(bench.log.len(), 2, "the retry still comes");
}

#[test]
fn an_abandoned_attempt_counts_nothing() {
    let mut bench = Bench::new();
    bench.offer(1..=1);
    bench.answer(Outcome::Abandoned);
    let status = bench.lane.status(bench.now);
    assert_eq!((status.failed_in_window, status.backlog), (0, 1));
    bench.pass_answering(Duration::from_secs(1), |_| Outcome::Delivered);
    assert_eq!(bench.positions_sent(), [1, 1]);
}

#[test]
fn expired_events_are_given_up() {
    let mut bench = Bench::new();
    bench.offer(1..=3);
    bench.pass_answering(MINUTE, |_| failed());
    bench.save();
    bench.tell(Input::Expired(Position(3)));
    let mut settled: HashMap<u64, ()> = HashMap::new();
    for position in bench.save().settled {
        settled.insert(position.0, ());
    }
    assert_eq!(settled.len(), 2);
    assert_eq!(bench.lane.first_waiting(), Some(Position(3)));
}

#[test]
fn by_turns_each_attempt_needs_a_turn_which_is_good_for_one() {
    let mut bench = Bench::with(Settings::default(), LaneOptions { by_turns: true, ..LaneOptions::default() });
    bench.tell(Input::Turn);
    bench.offer(1..=9);
    assert_eq!(bench.positions_sent(), [0; 0], "a turn that came when there was nothing to send is lost");
    assert!(bench.lane.wants_turn());
    assert_eq!(bench.lane.poll_timeout(), None, "time alone gives no turn");
    bench.tell(Input::Turn);
    bench.tell(Input::Timeout);
    assert_eq!(bench.positions_sent(), [1]);
    assert!(!bench.lane.wants_turn(), "it has a pace of its own as well");
    bench.pass(Duration::from_millis(100));
    assert!(bench.lane.wants_turn());
    bench.tell(Input::Held);
    assert!(!bench.lane.wants_turn());
    bench.tell(Input::Turn);
    bench.tell(Input::Released);
    assert_eq!(bench.positions_sent(), [1]);
}
