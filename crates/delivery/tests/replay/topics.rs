//! A replay to a topic: batches that alternate with live ones, in order.

use delivery::Settings;
use delivery::lane::LaneOptions;
use domain::destination::{BatchLimits, Manner};
use domain::outcome::{ErrorReason, Lack, Outcome};
use domain::replay::ReplayStatus;

use crate::bench::{Bench, MINUTE, failed, failure};
use crate::{LIVE, SECOND, seconds};

impl Bench {
    /// A topic's lane with batches of ten and a replay of `last` events.
    fn topic(last: u64) -> Bench {
        let limits = BatchLimits { events: 10, bytes: 1 << 20 };
        let options = LaneOptions { manner: Manner::InBatches(limits), ..LaneOptions::default() };
        let mut bench = Bench::with(Settings::default(), options);
        bench.begin(1..=last, None);
        bench
    }

    /// Answers the batch in flight, event by event.
    fn answer_batch(&mut self, mut outcome: impl FnMut(u64) -> Outcome) -> Vec<u64> {
        let positions = self.sent[0].0.clone();
        self.answer_with(positions.into_iter().map(&mut outcome).collect())
    }
}

#[test]
fn one_batch_at_a_time_in_order() {
    let mut bench = Bench::topic(95);
    bench.pass(MINUTE);
    assert_eq!(bench.replayed.len(), 1);
    bench.pass_answering(SECOND, |_| Outcome::Delivered);
    assert_eq!(bench.replayed_positions(), (1..=95).collect::<Vec<_>>());
    assert_eq!((bench.replayed.len(), bench.counts(), bench.status()), (10, (95, 0), Some(ReplayStatus::Done)));
}

#[test]
fn batches_alternate_with_live_ones() {
    let mut bench = Bench::topic(100);
    let mut next = LIVE;
    let mut batches = Vec::new();
    while !bench.sent.is_empty() {
        // The next ones, once those in hand are in flight.
        if next < LIVE + 40 && batches.last() != Some(&false) {
            bench.offer(next..=next + 9);
            next += 10;
        }
        batches.push(bench.answer_batch(|_| Outcome::Delivered)[0] >= LIVE);
    }
    assert_eq!(batches[..8], [false, true, false, true, false, true, false, true]);
    assert_eq!((bench.log.len(), bench.counts()), (4, (100, 0)));
}

#[test]
fn what_failed_is_sent_again_in_its_place_and_given_up_after_four_attempts() {
    let mut bench = Bench::topic(30);
    bench.pass_answering(3 * MINUTE, |position| match position {
        4..=6 => failed(),
        _ => Outcome::Delivered,
    });
    assert_eq!(seconds(&bench.tries()[&5]), [0, 1, 11, 71]);
    assert_eq!(bench.replayed[1].1, [4, 5, 6]);
    assert_eq!(bench.replayed[4].1, (11..=20).collect::<Vec<_>>(), "nothing overtakes");
    assert_eq!((bench.counts(), bench.status()), ((27, 3), Some(ReplayStatus::Done)));
}

#[test]
fn twenty_failed_batches_in_a_row_end_it() {
    let mut bench = Bench::topic(1_000);
    bench.pass_answering(30 * MINUTE, |_| failed());
    assert_eq!((bench.replayed.len(), bench.counts().0), (20, 0));
    assert_eq!((bench.status(), bench.suspended), (Some(ReplayStatus::Failed), None));
    assert_eq!(bench.lane.status(bench.now).taking_nothing_since, None, "its patience isn't touched");
}

#[test]
fn a_missing_topic_ends_it_and_suspends_nobody() {
    let mut bench = Bench::topic(100);
    bench.answer_batch(|_| Outcome::Broken(failure(ErrorReason::TopicNotFound)));
    assert_eq!((bench.status(), bench.suspended), (Some(ReplayStatus::Failed), None));
}

#[test]
fn it_waits_with_the_live_events_while_the_topic_rejects_them() {
    let mut bench = Bench::topic(100);
    bench.offer(LIVE..=LIVE);
    bench.answer_batch(|_| Outcome::Delivered);
    let live = bench.answer_batch(|_| failed());
    assert_eq!(live, [LIVE]);
    assert!(bench.sent.is_empty(), "the topic has a pause");
    bench.pass(2 * SECOND);
    assert_eq!(bench.sent.len(), 1);
    assert_eq!(bench.lane.status(bench.now).failed_in_window, 1);
}

#[test]
fn a_quota_and_own_trouble_use_up_no_attempt() {
    for outcome in [Outcome::Throttled { retry_after: None }, Outcome::Ours(Lack::Credentials)] {
        let mut bench = Bench::topic(20);
        bench.pass_answering(20 * MINUTE, |_| outcome.clone());
        assert!(bench.replayed.len() > 20, "{}", bench.replayed.len());
        assert_eq!((bench.counts(), bench.status()), ((0, 0), None));
        assert!(bench.replayed.iter().all(|(_, positions)| *positions == (1..=10).collect::<Vec<_>>()));
        bench.pass_answering(2 * MINUTE, |_| Outcome::Delivered);
        assert_eq!((bench.counts(), bench.status()), ((20, 0), Some(ReplayStatus::Done)));
    }
}

#[test]
fn a_rate_of_its_own_makes_batches_smaller_and_rarer() {
    let mut bench = Bench::topic(0);
    bench.lane.end_replay();
    bench.begin(1..=1_000, Some(4.0));
    bench.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert!((236..=248).contains(&bench.replayed_positions().len()), "{}", bench.replayed_positions().len());
}

#[test]
fn a_batch_in_flight_at_a_crash_is_sent_again_in_order() {
    let mut bench = Bench::topic(30);
    bench.answer_batch(|position| if position < 5 { Outcome::Delivered } else { failed() });
    let progress = bench.progress();
    assert_eq!((progress.delivered, progress.open.len()), (4, 6));
    let limits = BatchLimits { events: 10, bytes: 1 << 20 };
    let options = LaneOptions { manner: Manner::InBatches(limits), ..LaneOptions::default() };
    let mut again = Bench::with(Settings::default(), options);
    again.kept.clone_from(&bench.kept);
    again.go_on(domain::Position(31), None, progress);
    again.pass_answering(MINUTE, |_| Outcome::Delivered);
    assert_eq!(again.replayed_positions(), (5..=30).collect::<Vec<_>>());
    assert_eq!((again.counts(), again.status()), ((30, 0), Some(ReplayStatus::Done)));
}
