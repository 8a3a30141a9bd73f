//! The rules of a replay, one by one, under virtual time, against contract pages 8 and 9.

#[path = "../bench/mod.rs"]
mod bench;

mod outcomes;
mod restarts;
mod topics;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use bench::{Bench, MINUTE, START};
use delivery::lane::LaneOptions;
use delivery::replay::{self, Begin, LeftOut, Part, State};
use delivery::{Input, Output, Settings};
use domain::outcome::Outcome;
use domain::replay::{ReplayProgress, ReplayStatus};
use domain::{Position, ReplayId, Timestamp};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Position of the first live event: those before it are replayed.
pub(crate) const LIVE: u64 = 1_000_000;

impl Bench {
    /// A lane with a replay of these events.
    fn replaying(positions: RangeInclusive<u64>) -> Bench {
        let mut bench = Bench::with(Settings::default(), LaneOptions::default());
        bench.begin(positions, None);
        bench
    }

    fn begin(&mut self, positions: RangeInclusive<u64>, rate: Option<f64>) {
        let end = Position(positions.end() + 1);
        self.kept.extend(positions);
        self.go_on(end, rate, ReplayProgress::default());
    }

    fn go_on(&mut self, end: Position, rate: Option<f64>, progress: ReplayProgress) {
        let begin = Begin { id: ReplayId::generate(), end, rate, progress };
        self.tell(Input::Replay(replay::Input::Begin(begin)));
    }

    fn state(&self) -> State {
        self.lane.replay_state().expect("there is no replay")
    }

    fn progress(&self) -> ReplayProgress {
        self.state().progress
    }

    /// Delivered and failed events.
    fn counts(&self) -> (u64, u64) {
        let progress = self.progress();
        (progress.delivered, progress.failed)
    }

    fn status(&self) -> Option<ReplayStatus> {
        self.state().end.map(|(status, _)| status)
    }

    fn replayed_positions(&self) -> Vec<u64> {
        self.replayed.iter().flat_map(|(_, positions)| positions.clone()).collect()
    }

    /// Times of the attempts at each replayed event.
    fn tries(&self) -> BTreeMap<u64, Vec<Timestamp>> {
        let mut tries: BTreeMap<u64, Vec<Timestamp>> = BTreeMap::new();
        for (at, positions) in &self.replayed {
            positions.iter().for_each(|position| tries.entry(*position).or_default().push(*at));
        }
        tries
    }
}

/// Seconds from the first attempt to each of them.
pub(crate) fn seconds(tries: &[Timestamp]) -> Vec<u64> {
    tries.iter().map(|at| at.since(tries[0]).as_secs()).collect()
}

#[test]
fn events_go_in_order_at_the_lanes_pace_until_the_end() {
    let mut bench = Bench::replaying(1..=200);
    assert_eq!(bench.replayed.len(), 1, "a burst");
    bench.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!(bench.replayed_positions(), (1..=200).collect::<Vec<_>>());
    assert_eq!((bench.counts(), bench.status()), ((200, 0), Some(ReplayStatus::Done)));
    assert!(bench.progress().open.is_empty());
    assert!(bench.lane.rate() > Some(20.0), "the pace doesn't learn: {:?}", bench.lane.rate());
    assert!(bench.lane.has_replay_ended());
}

#[test]
fn a_replay_of_nothing_is_done_at_once() {
    let mut bench = Bench::with(Settings::default(), LaneOptions::default());
    bench.go_on(Position(1), None, ReplayProgress::default());
    assert_eq!((bench.counts(), bench.status()), ((0, 0), Some(ReplayStatus::Done)));
}

#[test]
fn while_live_events_wait_every_second_slot_is_theirs() {
    let mut bench = Bench::replaying(1..=1000);
    bench.pass_answering(2 * SECOND, |_| Outcome::Delivered);
    let before = bench.replayed.len();
    bench.offer(LIVE..=LIVE + 49);
    while bench.log.len() < 50 {
        let (live, of_replay) = (bench.log.len(), bench.replayed.len() - before);
        assert!(of_replay <= live + 1, "{of_replay} of the replay beside {live} live ones");
        bench.pass_answering(Duration::from_millis(1), |_| Outcome::Delivered);
    }
    let of_replay = bench.replayed.len() - before;
    assert!((45..=51).contains(&of_replay), "{of_replay} of the replay beside 50 live ones");
    let mut times: Vec<Timestamp> = bench.log.iter().chain(&bench.replayed).map(|(at, _)| *at).collect();
    times.sort_unstable();
    let gaps = times.windows(2).map(|pair| pair[1].since(pair[0]));
    assert!(gaps.min() >= Some(Duration::from_millis(20)), "the pace is shared");
}

#[test]
fn due_retries_of_live_events_count_as_waiting() {
    let mut bench = Bench::with(Settings::default(), LaneOptions::default());
    bench.offer(LIVE..=LIVE + 39);
    // They fail during ten seconds, and are due after five minutes.
    bench.pass_answering(10 * SECOND, |_| bench::failed());
    bench.begin(1..=10_000, Some(1.0));
    bench.pass_answering(5 * MINUTE - 10 * SECOND, |_| Outcome::Delivered);
    let (live, of_replay) = (bench.log.len(), bench.replayed.len());
    bench.pass_answering(10 * SECOND, |_| Outcome::Delivered);
    assert!(bench.log.len() - live >= 38, "{} retries", bench.log.len() - live);
    assert!(bench.replayed.len() - of_replay <= 11);
}

#[test]
fn half_of_the_attempts_in_flight_are_left_to_live_events() {
    let mut bench = Bench::replaying(1..=1000);
    bench.pass(20 * MINUTE);
    assert_eq!(bench.replayed.len(), 32, "nothing answers");
    bench.offer(LIVE..=LIVE + 49);
    bench.pass(MINUTE);
    assert_eq!(bench.positions_sent(), (LIVE..LIVE + 32).collect::<Vec<_>>());
}

#[test]
fn a_rate_of_its_own_is_kept() {
    let mut bench = Bench::with(Settings::default(), LaneOptions::default());
    bench.begin(1..=1000, Some(2.0));
    bench.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert!((119..=122).contains(&bench.replayed.len()), "{} in a minute", bench.replayed.len());
    bench.offer(LIVE..=LIVE + 9);
    bench.pass_answering(SECOND, |_| Outcome::Delivered);
    assert_eq!(bench.log.len(), 10, "it doesn't slow live events");
}

#[test]
fn each_attempt_needs_a_turn_at_the_host() {
    let mut bench = Bench::with(Settings::default(), LaneOptions { by_turns: true, ..LaneOptions::default() });
    bench.begin(1..=10, None);
    bench.pass(SECOND);
    assert!(bench.replayed.is_empty() && bench.lane.wants_turn());
    bench.tell(Input::Turn);
    assert_eq!((bench.replayed.len(), bench.lane.wants_turn()), (1, false));
}

/// Positions of the same ten share an entity.
fn tens(event: &domain::LoggedEvent) -> u64 {
    event.position.0 / 10 + 1
}

#[test]
fn events_of_an_entity_go_one_after_another_across_retries() {
    let options = LaneOptions { entity_of: Some(tens), ..LaneOptions::default() };
    let mut bench = Bench::with(Settings::default(), options);
    bench.begin(1..=59, None);
    let mut failures = 0;
    let mut taken = Vec::new();
    bench.pass_answering(2 * MINUTE, |position| {
        if position == 11 && failures < 2 {
            failures += 1;
            return bench::failed();
        }
        taken.push(position);
        Outcome::Delivered
    });
    assert_eq!((bench.counts(), bench.status()), ((59, 0), Some(ReplayStatus::Done)));
    for entity in 0..6 {
        let of_it: Vec<u64> = taken.iter().copied().filter(|position| position / 10 == entity).collect();
        assert!(of_it.is_sorted(), "{of_it:?}");
    }
    let last = taken.iter().position(|position| *position == 59).unwrap_or_default();
    let first = taken.iter().position(|position| *position == 11).unwrap_or_default();
    assert!(last < first, "other entities don't wait: {taken:?}");
}

#[test]
fn events_left_out_are_counted_when_the_replay_has_passed_them() {
    let mut bench = Bench::with(Settings::default(), LaneOptions::default());
    let begin = Begin { id: ReplayId::generate(), end: Position(10), rate: None, progress: ReplayProgress::default() };
    bench.lane.handle(START, Input::Replay(replay::Input::Begin(begin)));
    let output = bench.lane.poll();
    assert!(matches!(output, Some(Output::Replay(replay::Output::Read { from: Position(0), .. }))), "{output:?}");
    let left_out = |skipped, gone| LeftOut { skipped, gone };
    let events = vec![(left_out(1, 0), bench::event(3)), (left_out(2, 1), bench::event(7))];
    let part = Part { events, rest: left_out(1, 0), next: Position(10), at: Some(START) };
    bench.tell(Input::Replay(replay::Input::Read(part)));
    let passed = |bench: &Bench| {
        let progress = bench.progress();
        (progress.next.0, progress.skipped, progress.gone)
    };
    assert_eq!(passed(&bench), (4, 1, 0));
    bench.pass_answering(SECOND, |_| Outcome::Delivered);
    assert_eq!((passed(&bench), bench.counts()), ((10, 4, 1), (2, 0)));
    assert_eq!(bench.status(), Some(ReplayStatus::Done));
}

#[test]
fn events_in_hand_are_judged_again_after_a_change() {
    let mut bench = Bench::replaying(1..=100);
    bench.pass_answering(SECOND, |_| Outcome::Delivered);
    let sent = bench.replayed.len() as u64;
    // The next fifty are excluded from now on.
    bench.kept.retain(|position| *position <= sent || *position > sent + 50);
    bench.tell(Input::Configured { options: LaneOptions::default(), new_destination: false });
    bench.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!((bench.counts(), bench.status()), ((50, 0), Some(ReplayStatus::Done)));
}

#[test]
fn a_cancelled_replay_sends_nothing_more_and_counts_what_was_in_flight() {
    let mut bench = Bench::replaying(1..=100);
    bench.pass(SECOND);
    let sent = bench.replayed.len();
    bench.tell(Input::Replay(replay::Input::Ended));
    assert!(!bench.lane.has_replay_ended(), "attempts are in flight");
    bench.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!((bench.replayed.len(), bench.counts()), (sent, (sent as u64, 0)));
    assert_eq!((bench.lane.has_replay_ended(), bench.status()), (true, None), "its end isn't reported again");
    bench.lane.end_replay();
    assert_eq!(bench.lane.replay(), None);
    assert_eq!(bench.lane.poll_timeout(), None);
}

#[test]
fn a_suspended_lane_replays_nothing() {
    for input in [Input::Held, Input::Stopped] {
        let mut bench = Bench::replaying(1..=100);
        bench.pass_answering(SECOND, |_| Outcome::Delivered);
        let sent = bench.replayed.len();
        bench.tell(input);
        bench.pass_answering(MINUTE, |_| Outcome::Delivered);
        assert_eq!(bench.replayed.len(), sent);
    }
}

#[test]
fn a_lane_without_a_replay_stays_small() {
    assert!(size_of::<delivery::Lane>() <= 1024, "{} bytes", size_of::<delivery::Lane>());
}

/// Median and 99th percentile of the time from the offer of a live event to its attempt: 20 a second at a rate of 100,
/// beside a replay of this many events, until it has ended.
fn live_delays(replayed: u64) -> (Duration, Duration) {
    let mut bench = Bench::with(Settings { first_rate: 100.0, ..Settings::default() }, LaneOptions::default());
    bench.begin(1..=replayed, None);
    let mut offered = Vec::new();
    while bench.status().is_none() || offered.len() < 1_000 {
        offered.push(bench.now);
        bench.offer(LIVE + offered.len() as u64..=LIVE + offered.len() as u64);
        bench.pass_answering(Duration::from_micros(49_300), |_| Outcome::Delivered);
    }
    bench.pass_answering(SECOND, |_| Outcome::Delivered);
    assert_eq!((bench.counts(), bench.log.len()), ((replayed, 0), offered.len()));
    let mut delays: Vec<Duration> = bench.log.iter().zip(&offered).map(|((at, _), offer)| at.since(*offer)).collect();
    delays.sort_unstable();
    (delays[delays.len() / 2], delays[delays.len() * 99 / 100])
}

#[test]
fn a_replay_of_100_000_events_delays_live_ones_by_one_slot_of_the_pace() {
    let (alone, beside) = (live_delays(1), live_delays(100_000));
    assert!(alone.1 <= Duration::from_millis(1), "{alone:?}");
    assert!(beside.1 <= Duration::from_millis(11), "{beside:?}");
}
