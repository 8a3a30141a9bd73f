//! Restarts: a replay goes on at its saved progress, and each event counts once.

use delivery::Settings;
use delivery::lane::LaneOptions;
use domain::Position;
use domain::outcome::Outcome;
use domain::replay::ReplayStatus;

use crate::bench::{Bench, MINUTE, failed};
use crate::{SECOND, seconds};

/// A new process with the replay of events up to `last` at the saved progress.
fn restarted(before: &Bench, last: u64, options: LaneOptions) -> Bench {
    let mut bench = Bench::with(Settings::default(), options);
    bench.now = before.now;
    bench.kept.clone_from(&before.kept);
    bench.go_on(Position(last + 1), None, before.progress());
    bench
}

#[test]
fn events_in_flight_are_sent_again_and_no_others() {
    let mut bench = Bench::replaying(1..=100);
    bench.pass_answering(2 * SECOND, |_| Outcome::Delivered);
    bench.pass(SECOND);
    let in_flight: Vec<u64> = bench.sent.iter().flat_map(|(positions, _)| positions.clone()).collect();
    // They end out of order.
    let third = bench.sent.remove(2).map(|(_, ticket)| ticket);
    let outcome = vec![Outcome::Delivered];
    bench.tell(delivery::Input::Outcomes(
        third.unwrap_or(delivery::Ticket(0)),
        outcome,
        delivery::lane::Silence::THEIRS,
    ));
    let progress = bench.progress();
    let open: Vec<u64> = progress.open.iter().map(|(position, _)| position.0).collect();
    let expected: Vec<u64> = in_flight.iter().copied().filter(|position| *position != in_flight[2]).collect();
    assert_eq!(open, expected);
    assert_eq!(progress.delivered + open.len() as u64, progress.next.0 - 1);
    let mut again = restarted(&bench, 100, LaneOptions::default());
    again.pass_answering(2 * MINUTE, |_| Outcome::Delivered);
    let rest: Vec<u64> = expected.into_iter().chain(progress.next.0..=100).collect();
    assert_eq!(again.replayed_positions(), rest);
    assert_eq!((again.counts(), again.status()), ((100, 0), Some(ReplayStatus::Done)));
}

#[test]
fn retries_go_on_where_they_were() {
    let mut bench = Bench::replaying(1..=3);
    bench.pass_answering(5 * SECOND, |position| if position == 2 { failed() } else { Outcome::Delivered });
    assert_eq!((bench.counts(), bench.progress().open), ((2, 0), vec![(Position(2), 2)]));
    let mut again = restarted(&bench, 3, LaneOptions::default());
    again.pass(10 * SECOND - SECOND / 1000);
    assert!(again.replayed.is_empty(), "the pause begins anew");
    again.pass_answering(2 * MINUTE, |_| failed());
    assert_eq!((again.counts(), again.status()), ((2, 1), Some(ReplayStatus::Done)));
    assert_eq!(seconds(&again.tries()[&2]), [0, 60]);
}

#[test]
fn the_order_of_an_entity_survives() {
    let options = LaneOptions { entity_of: Some(|event| event.position.0 % 2 + 1), ..LaneOptions::default() };
    let mut bench = Bench::with(Settings::default(), options);
    bench.begin(1..=40, None);
    bench.pass_answering(2 * SECOND, |position| if position == 4 { failed() } else { Outcome::Delivered });
    assert!(bench.progress().open.len() > 3, "{:?}", bench.progress());
    let mut again = restarted(&bench, 40, options);
    again.pass_answering(3 * MINUTE, |_| Outcome::Delivered);
    let sent = again.replayed_positions();
    for parity in [0, 1] {
        let of_it: Vec<u64> = sent.iter().copied().filter(|position| position % 2 == parity).collect();
        assert!(of_it.is_sorted(), "{of_it:?}");
    }
    assert_eq!((again.counts(), again.status()), ((40, 0), Some(ReplayStatus::Done)));
}

#[test]
fn a_stop_of_the_platform_keeps_it_running() {
    let mut bench = Bench::replaying(1..=100);
    bench.pass(SECOND);
    bench.tell(delivery::Input::Replay(delivery::replay::Input::Paused));
    let sent = bench.replayed.len();
    bench.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!((bench.replayed.len(), bench.counts(), bench.state().end), (sent, (sent as u64, 0), None));
    assert!(!bench.lane.has_replay_ended());
    let mut again = restarted(&bench, 100, LaneOptions::default());
    again.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!((again.replayed.len(), again.counts()), (100 - sent, (100, 0)));
}
