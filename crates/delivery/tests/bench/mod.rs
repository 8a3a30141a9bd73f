//! Test bench for lanes: a lane, a clock, and the lane's requests.

use std::collections::{BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use delivery::lane::{LaneOptions, LaneState, Silence};
use delivery::replay::{self, LeftOut, Part};
use delivery::{Input, Lane, Output, Settings, Ticket};
use domain::outcome::{ErrorReason, Failure, Outcome, SuspensionReason};
use domain::{LoggedEvent, Position, Timestamp, testing};

pub(crate) const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn event(position: u64) -> Arc<LoggedEvent> {
    event_with(position, r#"{"product":{"uuid":"u"}}"#)
}

pub(crate) fn event_with(position: u64, data: &str) -> Arc<LoggedEvent> {
    let event = testing::event("id", testing::UPDATED, data);
    Arc::new(LoggedEvent { accepted_at: START, ..testing::logged(position, event) })
}

pub(crate) fn failure(reason: ErrorReason) -> Failure {
    Failure { reason, code: 503, message: "The endpoint answered 503.".into(), answer: None }
}

pub(crate) fn failed() -> Outcome {
    Outcome::Failed(failure(ErrorReason::DestinationFailure))
}

/// A lane, a clock, and the lane's requests.
pub(crate) struct Bench {
    pub(crate) lane: Lane,
    pub(crate) now: Timestamp,
    /// Sent and unanswered: positions and ticket.
    pub(crate) sent: VecDeque<(Vec<u64>, Ticket)>,
    /// All attempts, with their times.
    pub(crate) log: Vec<(Timestamp, Vec<u64>)>,
    pub(crate) reads: Vec<Position>,
    pub(crate) suspended: Option<SuspensionReason>,
    /// Events that a replay finds, by position.
    pub(crate) kept: BTreeSet<u64>,
    /// Attempts of the replay, with their times.
    pub(crate) replayed: Vec<(Timestamp, Vec<u64>)>,
}

impl Bench {
    pub(crate) fn with(settings: Settings, options: LaneOptions) -> Bench {
        Bench::of(Lane::new(Arc::new(settings), options))
    }

    pub(crate) fn of(lane: Lane) -> Bench {
        Bench {
            lane,
            now: START,
            sent: VecDeque::new(),
            log: Vec::new(),
            reads: Vec::new(),
            suspended: None,
            kept: BTreeSet::new(),
            replayed: Vec::new(),
        }
    }

    pub(crate) fn tell(&mut self, input: Input) {
        self.lane.handle(self.now, input);
        while let Some(output) = self.lane.poll() {
            match output {
                Output::Send { ticket, events } => {
                    let positions: Vec<u64> = events.iter().map(|event| event.position.0).collect();
                    self.log.push((self.now, positions.clone()));
                    self.sent.push_back((positions, ticket));
                }
                Output::Read { from, .. } => self.reads.push(from),
                Output::Load(positions) => {
                    let events = positions.into_iter().map(|position| event(position.0)).collect();
                    self.lane.handle(self.now, Input::Loaded { events, gone: Vec::new() });
                }
                Output::Suspend(reason) => self.suspended = Some(reason),
                Output::Replay(output) => self.replay(output),
                // The tests of the engine check warnings.
                Output::Warn(_) => {}
            }
        }
    }

    fn replay(&mut self, output: replay::Output) {
        let answer = match output {
            replay::Output::Send { ticket, events, .. } => {
                let positions: Vec<u64> = events.iter().map(|event| event.position.0).collect();
                self.replayed.push((self.now, positions.clone()));
                self.sent.push_back((positions, ticket));
                return;
            }
            replay::Output::Read { from, events, .. } => {
                let kept: Vec<u64> = self.kept.range(from.0..).take(events).copied().collect();
                let next =
                    kept.last().filter(|_| kept.len() == events).map_or(Position(u64::MAX), |last| Position(last + 1));
                let events = kept.into_iter().map(|position| (LeftOut::default(), event(position))).collect();
                replay::Input::Read(Part { events, rest: LeftOut::default(), next, at: None })
            }
            replay::Output::Load(positions) => {
                let (found, gone): (Vec<_>, Vec<_>) = positions.into_iter().partition(|one| self.kept.contains(&one.0));
                let events = found.into_iter().map(|position| event(position.0)).collect();
                replay::Input::Loaded { events, gone, excluded: Vec::new() }
            }
        };
        self.lane.handle(self.now, Input::Replay(answer));
    }

    pub(crate) fn offer(&mut self, positions: RangeInclusive<u64>) {
        for position in positions {
            self.tell(Input::Offered(event(position)));
        }
    }

    /// Advances time to `at`, firing the lane's timers on the way.
    pub(crate) fn pass_to(&mut self, at: Timestamp) {
        while let Some(timer) = self.lane.poll_timeout().filter(|timer| *timer <= at) {
            self.now = timer.max(self.now);
            let attempts = |bench: &Bench| bench.log.len() + bench.replayed.len();
            let before = (attempts(self), self.lane.poll_timeout());
            self.tell(Input::Timeout);
            assert_ne!(
                before,
                (attempts(self), self.lane.poll_timeout()),
                "a timer fired for nothing, again and again"
            );
        }
        self.now = at;
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.pass_to(self.now + time);
    }

    /// Answers the oldest attempt in flight; returns its positions.
    pub(crate) fn answer_with(&mut self, outcomes: Vec<Outcome>) -> Vec<u64> {
        self.answer_judged(outcomes, Silence::THEIRS)
    }

    /// The same, with the cause of a silence among the outcomes.
    pub(crate) fn answer_judged(&mut self, outcomes: Vec<Outcome>, silence: Silence) -> Vec<u64> {
        let (positions, ticket) = self.sent.pop_front().expect("nothing is under way");
        self.tell(Input::Outcomes(ticket, outcomes, silence));
        positions
    }

    /// Advances time, answering every event of every attempt at once.
    pub(crate) fn pass_answering(&mut self, time: Duration, mut outcome: impl FnMut(u64) -> Outcome) {
        let end = self.now + time;
        loop {
            while let Some((positions, _)) = self.sent.front() {
                let outcomes = positions.iter().map(|position| outcome(*position)).collect();
                self.answer_with(outcomes);
            }
            let Some(timer) = self.lane.poll_timeout().filter(|timer| *timer <= end) else { break };
            self.now = timer.max(self.now);
            self.tell(Input::Timeout);
        }
        self.now = end;
    }

    /// Positions sent, event by event.
    pub(crate) fn positions_sent(&self) -> Vec<u64> {
        self.log.iter().flat_map(|(_, positions)| positions.clone()).collect()
    }

    pub(crate) fn save(&mut self) -> LaneState {
        self.lane.save(self.now)
    }
}
