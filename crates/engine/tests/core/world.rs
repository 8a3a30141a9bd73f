//! Harness of the core's tests: a core, a log, a ledger and a clock, without tasks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use delivery::lane::Counts;
use domain::exception::Exception;
use domain::fate::Whereabouts;
use domain::lane_status::LaneStatus;
use domain::outcome::{ErrorReason, Failure, Outcome, SuspensionReason};
use domain::subscriber::Owner;
use domain::subscription::Subscription;
use domain::traffic::Trouble;
use domain::{LoggedEvent, Now, PimId, Position, SubscriptionId, Timestamp, testing};
use engine::core::{AttemptId, Core, Input, Output, ReplayChunk, ReplayRead, Reply, Wanted};
use store::{Chunk, Facts, History, LaneRecord, LedgerRecord, ReadLimit, Save};

pub(crate) const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

const PIM: PimId = PimId(1);

fn failure(reason: ErrorReason) -> Failure {
    Failure { reason, code: 500, message: "It failed.".into(), answer: None }
}

pub(crate) fn failed() -> Outcome {
    Outcome::Failed(failure(ErrorReason::ConnectionRefused))
}

/// A subscription to an endpoint.
pub(crate) fn https(url: &str) -> Subscription {
    testing::subscription(testing::https(url))
}

fn event_of(pim: PimId, position: Position, accepted_at: Timestamp) -> Arc<LoggedEvent> {
    let event = testing::event("id", testing::UPDATED, r#"{"product":{"uuid":"u"}}"#);
    Arc::new(LoggedEvent { position, pim, accepted_at, event })
}

/// An event of the usual PIM.
pub(crate) fn event_at(position: Position, accepted_at: Timestamp) -> Arc<LoggedEvent> {
    event_of(PIM, position, accepted_at)
}

/// A core with its environment.
pub(crate) struct World {
    core: Core,
    settings: engine::Settings,
    subscriptions: Vec<Subscription>,
    log: Vec<Arc<LoggedEvent>>,
    steady: Timestamp,
    /// Offset of the wall clock in microseconds.
    ahead: i64,
    attempts: Vec<(usize, AttemptId, usize)>,
    ledger: BTreeMap<SubscriptionId, (LaneRecord, BTreeMap<Position, Exception>)>,
    mark: Position,
    /// Attempts so far: time and subscription.
    pub(crate) sent: Vec<(Timestamp, usize)>,
    pub(crate) saved: Vec<Save>,
    pub(crate) suspended: Vec<SuspensionReason>,
    /// Positions sent by replays.
    pub(crate) replayed: Vec<u64>,
    /// Histories of all owners' subscriptions.
    pub(crate) histories: Vec<(Owner, History)>,
    /// Events before it are deleted.
    pub(crate) kept_from: Position,
    /// Warnings about the success rate.
    pub(crate) warned: Vec<(Timestamp, Counts)>,
}

impl World {
    pub(crate) fn new(subscriptions: impl IntoIterator<Item = Subscription>) -> World {
        World::with(engine::Settings::default(), subscriptions)
    }

    pub(crate) fn with(settings: engine::Settings, subscriptions: impl IntoIterator<Item = Subscription>) -> World {
        let subscriptions: Vec<_> = subscriptions.into_iter().collect();
        let mut core = Core::new(settings.clone(), Position::FIRST, START);
        core.restore(START, 1, subscriptions.clone(), LedgerRecord::default());
        World {
            core,
            settings,
            subscriptions,
            log: Vec::new(),
            steady: START,
            ahead: 0,
            attempts: Vec::new(),
            ledger: BTreeMap::new(),
            mark: Position::FIRST,
            sent: Vec::new(),
            saved: Vec::new(),
            suspended: Vec::new(),
            replayed: Vec::new(),
            histories: Vec::new(),
            kept_from: Position::FIRST,
            warned: Vec::new(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now { steady: self.steady, wall: Timestamp::from_micros(self.steady.as_micros() + self.ahead) }
    }

    /// Sets the wall clock.
    pub(crate) fn set_clock(&mut self, by: i64) {
        self.ahead += by;
        self.tell(Input::Timeout);
    }

    /// Adds an event for all subscriptions of the usual PIM.
    pub(crate) fn event(&mut self) {
        self.event_of(PIM);
    }

    /// Adds an event of this type and author.
    pub(crate) fn event_with(&mut self, event_type: &str, author: &str) {
        let data = format!(r#"{{"product":{{"uuid":"u"}},"author":{{"identifier":"{author}","type":"user"}}}}"#);
        let event = testing::event("id", event_type, &data);
        let (position, accepted_at) = (Position(self.log.len() as u64 + 1), self.now().wall);
        self.append(Arc::new(LoggedEvent { position, pim: PIM, accepted_at, event }));
    }

    /// Adds an event for all subscriptions of a PIM.
    pub(crate) fn event_of(&mut self, pim: PimId) {
        let position = Position(self.log.len() as u64 + 1);
        self.append(event_of(pim, position, self.now().wall));
    }

    fn append(&mut self, event: Arc<LoggedEvent>) {
        let position = event.position;
        self.log.push(event);
        let events = self.log.last().cloned().into_iter().collect();
        self.tell(Input::Events { events, next: position.next() });
    }

    pub(crate) fn tell(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = self.now();
            self.core.handle(now, input);
            while let Some(output) = self.core.poll() {
                inputs.extend(self.obey(output));
            }
        }
    }

    fn obey(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Deliver { attempt: id, subscription, events, replay } => {
                if replay.is_some() {
                    self.replayed.extend(events.iter().map(|event| event.position.0));
                }
                let index = self.subscriptions.iter().position(|one| one.id == subscription.id)?;
                self.sent.push((self.steady, index));
                self.attempts.push((index, id, events.len()));
                None
            }
            Output::Read(read) => {
                Some(Reply::Read { id: read.id, chunk: Ok(self.read(read.pim, read.from, read.limit)) }.into())
            }
            Output::Load { id, positions, .. } => {
                let events = positions.iter().map(|position| self.log[position.0 as usize - 1].clone()).collect();
                Some(Reply::Loaded { id, positions, events: Ok(events) }.into())
            }
            Output::Save { save } => {
                self.keep(&save);
                self.saved.push(save);
                Some(Input::Saved { result: Ok(()) })
            }
            Output::Suspend(wanted) => {
                self.suspended.push(wanted.reason);
                None
            }
            Output::ReplayRead(read) => {
                let result = Ok(Box::new(self.read_for_replay(&read)));
                Some(Reply::ReplayRead { read, result }.into())
            }
            Output::Warn(wanted) => {
                self.warned.push((self.steady, wanted.counts));
                None
            }
            Output::Forget { .. } => None,
        }
    }

    fn read(&self, pim: PimId, from: Position, limit: ReadLimit) -> Chunk {
        let of_pim = self.log.iter().filter(|event| event.pim == pim);
        let events = of_pim.filter(|event| event.position >= from && event.position < limit.until);
        Chunk { events: events.cloned().collect(), next: limit.until }
    }

    fn read_for_replay(&self, read: &ReplayRead) -> ReplayChunk {
        let mut chunk = ReplayChunk { kept_from: self.kept_from, ..ReplayChunk::default() };
        let kept = self.log.iter().filter(|event| event.pim == read.pim && event.position >= self.kept_from);
        match &read.wanted {
            Wanted::Range { from, limit } => {
                let events = kept.filter(|event| (*from..limit.until).contains(&event.position)).take(limit.events);
                chunk.events = events.cloned().collect();
                let last = chunk.events.last().filter(|_| chunk.events.len() == limit.events);
                chunk.next = last.map_or(limit.until, |last| last.position.next());
            }
            Wanted::Listed(positions) | Wanted::Again(positions) => {
                chunk.events = kept.filter(|event| positions.contains(&event.position)).cloned().collect();
            }
        }
        chunk.histories = read.histories_of.as_ref().map(|owner| {
            let of_owner = self.histories.iter().filter(|(of, _)| of == owner);
            of_owner.map(|(_, history)| history.clone()).collect()
        });
        chunk
    }

    fn keep(&mut self, save: &Save) {
        self.mark = save.mark;
        for lane in &save.lanes {
            let (record, exceptions) = self.ledger.entry(lane.subscription).or_insert_with(|| {
                let record = LaneRecord {
                    subscription: lane.subscription,
                    generation: lane.generation,
                    cursor: None,
                    memory: None,
                    exceptions: Vec::new(),
                };
                (record, BTreeMap::new())
            });
            record.cursor = lane.cursor;
            record.memory = lane.memory.clone().or(record.memory.take());
            exceptions.extend(lane.exceptions.iter().map(|one| (one.position, one.clone())));
            lane.settled.iter().for_each(|position| _ = exceptions.remove(position));
        }
    }

    /// Kills the process and restarts it after this time, with the wall clock set meanwhile.
    pub(crate) fn restart_after(&mut self, time: Duration, ahead: i64) {
        self.pass(time);
        self.ahead += ahead;
        let lanes = self.ledger.values().map(|(record, exceptions)| LaneRecord {
            exceptions: exceptions.values().cloned().collect(),
            ..record.clone()
        });
        let ledger = LedgerRecord { mark: self.mark, lanes: lanes.collect() };
        // The steady clock of a process starts at the wall clock's time.
        self.steady = self.now().wall;
        self.ahead = 0;
        self.attempts.clear();
        self.core = Core::new(self.settings.clone(), self.mark, self.steady);
        self.core.restore(self.steady, 1, self.subscriptions.clone(), ledger);
        self.tell(Input::Timeout);
    }

    /// Changes a subscription.
    pub(crate) fn change(&mut self, index: usize, change: impl FnOnce(&mut Subscription)) {
        let subscription = &mut self.subscriptions[index];
        change(subscription);
        subscription.revision += 1;
        let changed = subscription.clone();
        self.tell(Input::Changed { version: self.core.version() + 1, subscriptions: vec![changed] });
    }

    /// Position of the next event.
    pub(crate) fn head(&self) -> Position {
        Position(self.log.len() as u64 + 1)
    }

    /// Advances time, firing the core's timers.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.steady + time;
        while let Some(at) = self.core.poll_timeout().filter(|at| *at <= end) {
            self.steady = at.max(self.steady);
            self.tell(Input::Timeout);
        }
        self.steady = end;
        self.tell(Input::Timeout);
    }

    pub(crate) fn under_way(&self) -> usize {
        self.attempts.len()
    }

    /// Answers the oldest attempt for a subscription.
    pub(crate) fn answer(&mut self, index: usize, outcome: Outcome) {
        let Some(place) = self.attempts.iter().position(|(of, ..)| *of == index) else {
            panic!("nothing is under way for subscription {index}")
        };
        let (_, id, events) = self.attempts.remove(place);
        self.tell(Reply::Outcomes { attempt: id, outcomes: vec![outcome; events] }.into());
    }

    /// Answers the latest attempt.
    pub(crate) fn answer_latest(&mut self, outcome: Outcome) {
        let Some((_, id, events)) = self.attempts.pop() else { panic!("nothing is under way") };
        self.tell(Reply::Outcomes { attempt: id, outcomes: vec![outcome; events] }.into());
    }

    /// Where the event at a position is for a subscription.
    pub(crate) fn whereabouts(&self, index: usize, position: u64) -> Option<Whereabouts> {
        self.core.whereabouts(self.subscriptions[index].id, Position(position))
    }

    /// All records saved for a subscription, oldest first.
    pub(crate) fn facts(&self, index: usize) -> Vec<&Facts> {
        let lanes = self.saved.iter().flat_map(|save| &save.lanes);
        lanes.filter(|lane| lane.subscription == self.subscriptions[index].id).map(|lane| &lane.facts).collect()
    }

    /// Advances time, answering each attempt at once.
    pub(crate) fn pass_answering(&mut self, time: Duration, outcome: impl Fn(usize) -> Outcome) {
        let end = self.steady + time;
        loop {
            while let Some((index, ..)) = self.attempts.first() {
                let index = *index;
                self.answer(index, outcome(index));
            }
            let Some(at) = self.core.poll_timeout().filter(|at| *at <= end) else { break };
            self.steady = at.max(self.steady);
            self.tell(Input::Timeout);
        }
        self.steady = end;
    }

    pub(crate) fn status(&mut self, index: usize) -> LaneStatus {
        let (id, now) = (self.subscriptions[index].id, self.now());
        match self.core.status(id, now) {
            Some((status, ..)) => status,
            None => panic!("subscription {index} is not known"),
        }
    }

    /// All subscriptions in trouble.
    pub(crate) fn troubled(&mut self) -> Vec<Trouble> {
        self.core.troubled(100)
    }

    pub(crate) fn subscription(&self, index: usize) -> &Subscription {
        &self.subscriptions[index]
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }
}

/// No sign of life.
pub(crate) fn silent() -> Outcome {
    Outcome::Silent(failure(ErrorReason::NetworkUnreachable))
}
