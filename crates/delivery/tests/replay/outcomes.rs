//! What each outcome of an attempt leads to.

use delivery::Input;
use delivery::lane::{LaneOptions, Silence};
use domain::outcome::{ErrorReason, Lack, Outcome};
use domain::replay::ReplayStatus;

use crate::bench::{self, Bench, MINUTE, failed, failure};
use crate::{LIVE, SECOND, seconds};

#[test]
fn an_event_is_tried_four_times() {
    let mut bench = Bench::replaying(1..=3);
    bench.pass_answering(3 * MINUTE, |position| if position == 2 { failed() } else { Outcome::Delivered });
    assert_eq!((bench.counts(), bench.status()), ((2, 1), Some(ReplayStatus::Done)));
    assert_eq!(seconds(&bench.tries()[&2]), [0, 1, 11, 71]);
}

#[test]
fn other_4xx_are_not_tried_again() {
    let mut bench = Bench::replaying(1..=3);
    let refused = || Outcome::Refused(failure(ErrorReason::DestinationFailure));
    bench.pass_answering(MINUTE, |position| if position == 2 { refused() } else { Outcome::Delivered });
    assert_eq!((bench.counts(), bench.status()), ((2, 1), Some(ReplayStatus::Done)));
    assert_eq!(bench.replayed.len(), 3);
}

#[test]
fn a_broken_destination_ends_it_and_suspends_nobody() {
    for reason in
        [ErrorReason::DestinationNotFound, ErrorReason::DestinationRedirected, ErrorReason::DestinationForbidden]
    {
        let mut bench = Bench::replaying(1..=100);
        bench.pass_answering(2 * SECOND, |position| match position {
            5 => Outcome::Broken(failure(reason)),
            _ => Outcome::Delivered,
        });
        assert_eq!((bench.replayed.len(), bench.counts()), (5, (4, 1)));
        let end = Some((ReplayStatus::Failed, Some(reason.sentence().to_owned())));
        assert_eq!((bench.state().end, bench.suspended), (end, None));
        bench.offer(LIVE..=LIVE);
        bench.pass(SECOND);
        assert_eq!(bench.log.len(), 1, "live events go on");
    }
}

#[test]
fn twenty_failures_in_a_row_end_it() {
    let mut bench = Bench::replaying(1..=100);
    bench.pass_answering(MINUTE, |_| failed());
    assert_eq!(bench.replayed.len(), 20);
    let end = bench.state().end.unwrap_or((ReplayStatus::Done, None));
    assert_eq!(end.0, ReplayStatus::Failed);
    assert!(end.1.is_some_and(|reason| reason.contains("20 attempts in a row") && reason.contains("503")));
}

#[test]
fn a_delivery_breaks_the_row() {
    let mut bench = Bench::replaying(1..=100);
    bench.pass_answering(10 * MINUTE, |position| if position % 20 == 0 { Outcome::Delivered } else { failed() });
    assert_eq!(bench.status(), Some(ReplayStatus::Failed), "the retries are in a row");
    let mut bench = Bench::replaying(1..=100);
    let mut number = 0;
    bench.pass_answering(10 * MINUTE, |_| {
        number += 1;
        if number % 15 == 0 { Outcome::Delivered } else { failed() }
    });
    assert_eq!(bench.status(), Some(ReplayStatus::Done));
}

#[test]
fn a_429_slows_the_common_pace_and_is_no_failure() {
    let mut bench = Bench::replaying(1..=300);
    bench.pass_answering(5 * SECOND, |_| Outcome::Delivered);
    let rate = bench.lane.rate();
    let mut throttled = 0;
    bench.pass_answering(2 * SECOND, |_| {
        throttled += 1;
        Outcome::Throttled { retry_after: None }
    });
    assert!(throttled > 20, "more than the failures that end it");
    assert!(bench.lane.rate() < rate, "{:?} after {rate:?}", bench.lane.rate());
    bench.pass_answering(5 * MINUTE, |_| Outcome::Delivered);
    assert_eq!((bench.counts(), bench.status()), ((300, 0), Some(ReplayStatus::Done)));
}

#[test]
fn retry_after_is_respected_where_the_subscription_asks_for_it() {
    let mut bench =
        Bench::with(Default::default(), LaneOptions { respect_retry_after: true, ..LaneOptions::default() });
    bench.begin(1..=10, None);
    bench.answer_with(vec![Outcome::Throttled { retry_after: Some(30 * SECOND) }]);
    bench.offer(LIVE..=LIVE);
    bench.pass(29 * SECOND);
    assert_eq!((bench.replayed.len(), bench.log.len()), (1, 0), "live events wait, too");
    bench.pass_answering(10 * SECOND, |_| Outcome::Delivered);
    assert_eq!((bench.counts(), bench.log.len()), ((10, 0), 1));
}

#[test]
fn an_event_throttled_for_more_than_an_hour_is_given_up() {
    let mut bench = Bench::replaying(1..=1);
    bench.pass_answering(59 * MINUTE, |_| Outcome::Throttled { retry_after: None });
    assert_eq!((bench.counts(), bench.status()), ((0, 0), None));
    bench.pass_answering(5 * MINUTE, |_| Outcome::Throttled { retry_after: None });
    assert_eq!((bench.counts(), bench.status()), ((0, 1), Some(ReplayStatus::Done)));
}

/// Contract page 8: nothing counts into the success window.
#[test]
fn nothing_of_it_counts_for_the_live_lane() {
    let mut bench = Bench::replaying(1..=500);
    let mut number = 0;
    bench.pass_answering(20 * MINUTE, |_| {
        number += 1;
        match number % 4 {
            0 => Outcome::Delivered,
            1 => Outcome::Refused(failure(ErrorReason::AuthenticationFailed)),
            2 => Outcome::NotProcessed(failure(ErrorReason::ServerGoaway)),
            _ => failed(),
        }
    });
    assert_eq!(bench.suspended, None);
    assert!(bench.progress().failed > 100 && bench.progress().delivered > 100, "{:?}", bench.progress());
    let status = bench.lane.status(bench.now);
    assert_eq!((status.delivered_in_window, status.failed_in_window), (0, 0));
    assert_eq!((status.last_failure, status.last_success_at, status.in_flight, status.backlog), (None, None, 0, 0));
    let saved = bench.save();
    assert_eq!((saved.cursor, saved.changed, saved.settled, saved.failures), (None, vec![], vec![], vec![]));
    assert_eq!(bench.lane.take_given_up(), 0);
}

#[test]
fn trouble_of_the_platforms_own_is_nobodys_failure() {
    let mut bench = Bench::replaying(1..=100);
    bench.pass_answering(SECOND, |_| Outcome::Delivered);
    let before = bench.counts();
    bench.pass(SECOND);
    while !bench.sent.is_empty() {
        bench.answer_with(vec![Outcome::Ours(Lack::FileDescriptors)]);
    }
    let sent = bench.replayed.len();
    bench.pass_answering(10 * MINUTE, |_| Outcome::Ours(Lack::FileDescriptors));
    let tries = bench.replayed.len() - sent;
    assert!((10..=18).contains(&tries), "{tries} attempts in ten minutes: one at a time, with growing pauses");
    assert_eq!((bench.counts(), bench.status()), (before, None));
    bench.pass_answering(3 * MINUTE, |_| Outcome::Delivered);
    assert_eq!((bench.counts(), bench.status()), ((100, 0), Some(ReplayStatus::Done)));
}

#[test]
fn a_silence_counts_once_it_is_the_destinations() {
    let mut bench = Bench::replaying(1..=1);
    let silent = || vec![Outcome::Silent(failure(ErrorReason::DestinationTimeout))];
    for _ in 0..10 {
        bench.answer_judged(silent(), Silence::Undecided { since: None });
        bench.pass(2 * MINUTE);
    }
    assert_eq!((bench.counts(), bench.status()), ((0, 0), None));
    for _ in 0..4 {
        bench.answer_judged(silent(), Silence::THEIRS);
        bench.pass(2 * MINUTE);
    }
    assert_eq!((bench.counts(), bench.status()), ((0, 1), Some(ReplayStatus::Done)));
    let status = bench.lane.status(bench.now);
    assert_eq!(status.failed_in_window, 0);
}

#[test]
fn an_attempt_at_the_old_destination_says_nothing_about_the_new_one() {
    let mut bench = Bench::replaying(1..=100);
    bench.pass(SECOND);
    let in_flight = bench.sent.len();
    let options = LaneOptions { destination: 7, ..LaneOptions::default() };
    bench.tell(Input::Configured { options, new_destination: true });
    for _ in 0..in_flight {
        bench.answer_with(vec![Outcome::Broken(failure(ErrorReason::DestinationNotFound))]);
    }
    assert_eq!((bench.counts(), bench.state().end), ((0, 0), None));
    bench.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!((bench.counts(), bench.status()), ((100, 0), Some(ReplayStatus::Done)));
}

#[test]
fn what_left_the_log_before_its_next_attempt_is_gone() {
    let mut bench = Bench::replaying(1..=2);
    bench.pass_answering(SECOND / 2, |position| if position == 1 { failed() } else { Outcome::Delivered });
    bench.kept.clear();
    bench.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!((bench.counts(), bench.progress().gone), ((1, 0), 1));
    assert_eq!(bench.status(), Some(ReplayStatus::Done));
}

#[test]
fn open_events_are_bounded() {
    let mut bench = Bench::with(bench_settings(), LaneOptions::default());
    bench.begin(1..=20_000, None);
    let mut number = 0;
    for _ in 0..600 {
        bench.pass_answering(SECOND, |_| {
            number += 1;
            if number % 3 == 0 { Outcome::Delivered } else { failed() }
        });
        assert!(bench.progress().open.len() <= 256, "{} open", bench.progress().open.len());
    }
    assert!(bench.progress().delivered > 5_000);
}

fn bench_settings() -> delivery::Settings {
    delivery::Settings { first_rate: 100.0, ..delivery::Settings::default() }
}

#[test]
fn a_missing_outcome_is_not_counted() {
    let mut bench = Bench::replaying(1..=1);
    bench.answer_with(Vec::new());
    bench.pass(2 * SECOND);
    assert_eq!(bench::event(1).position.0, 1);
    assert_eq!((bench.replayed.len(), bench.counts()), (2, (0, 0)));
}
