//! The rules of a topic's lane, one by one, under virtual time: batches, one at a time and in order.

#[path = "../bench/mod.rs"]
mod bench;

mod batches;
mod pauses;

mod suspensions;

mod changes;

use std::sync::Arc;
use std::time::Duration;

use bench::{Bench, MINUTE, START, event, event_with, failed, failure};
use delivery::lane::{LaneOptions, LaneState, Silence};
use delivery::{Input, Lane, Settings};
use domain::destination::{BatchLimits, Manner};
use domain::outcome::{ErrorReason, Outcome, SuspensionReason};
use domain::{LoggedEvent, Position};

const SECOND: Duration = Duration::from_secs(1);
const DELIVERED: Outcome = Outcome::Delivered;
const THROTTLED: Outcome = Outcome::Throttled { retry_after: None };

const TOPIC: LaneOptions = LaneOptions {
    manner: Manner::InBatches(BatchLimits { events: 1_000, bytes: 1024 * 1024 }),
    entity_of: None,
    respect_retry_after: false,
    by_turns: false,
    destination: 7,
};
const OTHER_TOPIC: LaneOptions = LaneOptions { destination: 8, ..TOPIC };
const ENDPOINT: LaneOptions = LaneOptions { manner: Manner::OneByOne, destination: 9, ..TOPIC };

/// Rules under which no success rate leads to a suspension.
fn patient() -> Settings {
    Settings { judged_from: u64::MAX, ..Settings::default() }
}

fn refused() -> Outcome {
    Outcome::Refused(failure(ErrorReason::PublishRejected))
}

fn broken(reason: ErrorReason) -> Outcome {
    Outcome::Broken(failure(reason))
}

impl Bench {
    fn topic(settings: Settings) -> Bench {
        Bench::with(settings, TOPIC)
    }

    /// A lane with a batch of this many events in flight; one earlier event was sent alone and delivered.
    fn with_batch(settings: Settings, events: u64) -> Bench {
        let mut bench = Bench::topic(settings);
        bench.offer(0..=events);
        bench.answer_all(DELIVERED);
        bench.log.remove(0);
        assert_eq!(bench.sent[0].0, (1..=events).collect::<Vec<_>>());
        bench
    }

    /// Answers the batch in flight with the same outcome for all of its events.
    fn answer_all(&mut self, outcome: Outcome) -> Vec<u64> {
        let events = self.sent[0].0.len();
        self.answer_with(vec![outcome; events])
    }

    fn batches(&self) -> Vec<Vec<u64>> {
        self.log.iter().map(|(_, positions)| positions.clone()).collect()
    }

    fn failed_in_window(&mut self) -> u64 {
        self.lane.status(self.now).failed_in_window
    }

    fn configure(&mut self, options: LaneOptions) {
        self.tell(Input::Configured { options, new_destination: true });
    }

    /// The log's response to the lane's read.
    fn read(&mut self, positions: impl IntoIterator<Item = u64>, caught_up: bool) {
        let events: Vec<_> = positions.into_iter().map(event).collect();
        let next = events.last().map_or(Position(1), |event| event.position.next());
        self.tell(Input::Read { events, next, caught_up });
    }

    /// Restarts the process `later` from the saved state.
    fn restart(&mut self, settings: Settings, options: LaneOptions, saved: LaneState, later: Duration) {
        let now = self.now + later;
        let lane =
            Lane::restore(Arc::new(settings), options, saved.cursor, saved.memory.as_deref(), saved.changed, now);
        *self = Bench { now, ..Bench::of(lane) };
        self.tell(Input::Timeout);
    }

    /// Advances time until something is sent; returns the elapsed time.
    fn pass_until_sent(&mut self, at_most: Duration) -> Duration {
        let (from, sent) = (self.now, self.log.len());
        while self.log.len() == sent {
            let timer = self.lane.poll_timeout().expect("nothing is sent, and nothing is waited for");
            assert!(timer <= from + at_most, "nothing was sent within {at_most:?}");
            self.pass_to(timer);
        }
        self.now.since(from)
    }
}

/// Asserts the length of a pause, within its jitter.
fn assert_about(took: Duration, seconds: f64) {
    let share = took.as_secs_f64() / seconds;
    assert!((0.8..=1.2).contains(&share), "{took:?}, not about {seconds} s");
}
