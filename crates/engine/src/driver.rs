//! The driver: the one loop that tells the core what happened, does what it asks, and waits. It decides nothing.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::lane_status::LaneStatus;
use domain::outcome::{Lack, Outcome};
use domain::subscription::Subscription;
use domain::{Clock, LoggedEvent, PimId, Position, SubscriptionId};
use futures_util::FutureExt;
use sinks::heard::Heard;
use sinks::{Delivery, Sink, TraceParents};
use store::{Chunk, ReadLimit, Store, Tail};
use tokio::sync::{mpsc, oneshot, watch};

use crate::core::{AttemptId, Core, Floors, Input, Output, ReadId, Survey};
use crate::lacks::Lacks;
use crate::meters::{Accepted, Meters};
use crate::settings::{STORE_AGAIN, Settings};
use crate::suspension;
use crate::trace::DeliveryTracer;

/// Events that are routed before the loop looks at what else has happened.
const ROUTE_AT_ONCE: usize = 256;

/// Answers that are taken in before events are routed again.
const ANSWERS_AT_ONCE: usize = 512;

/// While a destination is silent, the driver looks this often whether anybody else has answered.
const LISTEN_EVERY: Duration = Duration::from_secs(1);

/// A stop waits this long for attempts under way (5 s each) and for the last save.
const STOP_AT_MOST: Duration = Duration::from_secs(15);

/// What the tasks that the driver started tell it.
enum Answer {
    Outcomes(AttemptId, Vec<Outcome>),
    Read(ReadId, Option<Chunk>),
    Loaded(ReadId, Vec<Position>, Option<Vec<Arc<LoggedEvent>>>),
    Saved(bool),
    /// Events from [`Core::routed`] on that are no longer in the tail.
    Missed(Option<Chunk>),
    Expired(Position),
    /// The log's bound is near.
    Pressed(PimId, Position),
    Trimmed,
}

/// How a lane stands, and where the uncounted part of its backlog begins.
pub(crate) type Standing = (LaneStatus, Option<Position>, Arc<Subscription>);

/// What others ask of the driver.
pub(crate) enum Question {
    /// How a lane stands, and where the uncounted part of its backlog begins.
    Status(SubscriptionId, oneshot::Sender<Option<Standing>>),
    /// How all lanes stand, with the figures of at most so many subscriptions.
    Survey(usize, oneshot::Sender<Survey>),
}

/// Why the loop goes on.
enum Woken {
    /// Tasks have answered.
    Answers,
    /// There are events or changes.
    News,
    /// It is time.
    Timer,
    /// Somebody asks.
    Question(Question),
    /// The log is to be trimmed.
    Trim,
    /// The platform stops.
    Stop,
}

/// What a driver is made of.
pub(crate) struct Parts {
    pub(crate) core: Core,
    pub(crate) clock: Clock,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) settings: Settings,
    pub(crate) meters: Arc<Meters>,
    pub(crate) tracer: Option<Arc<dyn DeliveryTracer>>,
    pub(crate) heard: Heard,
    pub(crate) lacks: watch::Sender<Vec<Lack>>,
}

/// Runs until it is stopped.
pub(crate) async fn run(parts: Parts, questions: mpsc::Receiver<Question>, stopped: watch::Receiver<bool>) {
    let Parts { mut core, clock, store, sink, settings, meters, tracer, heard, lacks } = parts;
    if tracer.is_some() {
        core.follow();
    }
    let (answers, answered) = mpsc::unbounded_channel();
    let driver = Driver {
        core,
        clock,
        store,
        sink,
        settings,
        meters,
        tracer,
        heard,
        heard_at: None,
        lacks: Lacks::new(lacks),
        answers,
        missed_under_way: false,
        trimming: false,
        catalog_failed: false,
    };
    driver.run(answered, questions, stopped).await;
}

struct Driver {
    core: Core,
    clock: Clock,
    store: Arc<dyn Store>,
    sink: Arc<dyn Sink>,
    settings: Settings,
    meters: Arc<Meters>,
    tracer: Option<Arc<dyn DeliveryTracer>>,
    heard: Heard,
    /// The last sign of life that the core was told of.
    heard_at: Option<Instant>,
    lacks: Lacks,
    answers: mpsc::UnboundedSender<Answer>,
    missed_under_way: bool,
    trimming: bool,
    catalog_failed: bool,
}

impl Driver {
    async fn run(
        mut self,
        mut answered: mpsc::UnboundedReceiver<Answer>,
        mut questions: mpsc::Receiver<Question>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut head = self.store.tail().watch();
        let mut committed = self.store.changes().committed();
        let mut trim = tokio::time::interval(self.settings.trim_every);
        trim.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut answers = Vec::with_capacity(ANSWERS_AT_ONCE);
        let mut stopping = false;
        let mut stop_by = None;
        let timer = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(timer);
        self.do_what_is_asked();
        let mut turn = Instant::now();
        loop {
            head.borrow_and_update();
            committed.borrow_and_update();
            self.listen();
            let more = !stopping && self.route().await;
            if stopping && self.core.is_quiet() {
                return;
            }
            if stop_by.is_some_and(|by| by <= tokio::time::Instant::now()) {
                tracing::error!("could not save progress in time; events since the last save will be delivered again");
                return;
            }
            let wait = match self.core.poll_timeout() {
                _ if more => Duration::ZERO,
                Some(at) => at.since(self.clock.now().steady),
                None => Duration::from_secs(3600),
            };
            let wait = if self.catalog_failed || stopping { wait.min(STORE_AGAIN) } else { wait };
            self.lacks.are(&self.core.lacks());
            let watches = self.core.listens() || self.lacks.any();
            let wait = if watches { wait.min(LISTEN_EVERY) } else { wait };
            timer.as_mut().reset(tokio::time::Instant::now() + wait);
            self.meters.turn.observe(turn.elapsed());
            let woken = tokio::select! {
                biased;
                // The driver itself holds a sender: there is always at least one.
                _ = answered.recv_many(&mut answers, ANSWERS_AT_ONCE) => Woken::Answers,
                _ = head.changed(), if !stopping => Woken::News,
                _ = committed.changed() => Woken::News,
                () = timer.as_mut() => Woken::Timer,
                Some(question) = questions.recv() => Woken::Question(question),
                _ = trim.tick(), if !stopping => Woken::Trim,
                _ = stopped.wait_for(|stop| *stop), if !stopping => Woken::Stop,
            };
            turn = Instant::now();
            match woken {
                Woken::Answers => {
                    for answer in answers.drain(..) {
                        self.take(answer);
                    }
                }
                Woken::News => {}
                Woken::Timer => self.tell(Input::Timeout),
                Woken::Question(question) => self.answer(question),
                Woken::Trim => self.trim(),
                Woken::Stop => {
                    stopping = true;
                    stop_by = Some(tokio::time::Instant::now() + STOP_AT_MOST);
                    self.tell(Input::Stop);
                }
            }
        }
    }

    /// Tells the core when somebody answered who is not asked by its attempts, while that matters.
    fn listen(&mut self) {
        if !self.core.listens() {
            return;
        }
        let Some(ago) = self.heard.ago() else { return };
        let at = Instant::now().checked_sub(ago);
        // The same moment, computed twice, differs a little.
        let known = |last: Instant| at.is_none_or(|at| at <= last + Duration::from_millis(1));
        if !self.heard_at.is_some_and(known) {
            self.heard_at = at;
            self.tell(Input::Heard(ago));
        }
    }

    fn answer(&mut self, question: Question) {
        // Whoever asked may have gone away.
        match question {
            Question::Status(id, answer) => _ = answer.send(self.core.status(id, self.clock.now())),
            Question::Survey(at_most, answer) => _ = answer.send(self.core.survey(at_most)),
        }
    }

    /// Routes a batch of events, and takes in changes before events that were accepted after them. Whether there is
    /// more to route.
    async fn route(&mut self) -> bool {
        let from = self.core.routed();
        let head = self.store.tail().head();
        let events =
            if self.missed_under_way { Some(Vec::new()) } else { self.store.tail().since(from, ROUTE_AT_ONCE) };
        // After the look at the tail: what is in the tail was committed after the changes that it is judged by were
        // announced.
        self.take_changes().await;
        if self.catalog_failed {
            return false;
        }
        match events {
            None => {
                self.missed_under_way = true;
                let (store, answers) = (self.store.clone(), self.answers.clone());
                tokio::spawn(async move {
                    let limit = ReadLimit { events: ROUTE_AT_ONCE, bytes: 4 * 1024 * 1024, until: head };
                    let chunk = read(&*store, None, from, limit).await;
                    if chunk.is_none() {
                        tokio::time::sleep(STORE_AGAIN).await;
                    }
                    let _ = answers.send(Answer::Missed(chunk));
                });
                false
            }
            Some(events) => {
                let Some(last) = events.last() else { return false };
                let next = last.position.next();
                if let Some(first) = events.first() {
                    self.meters.routing_lag.observe(self.clock.now().wall.since(first.accepted_at));
                }
                let more = events.len() == ROUTE_AT_ONCE;
                self.route_events(Input::Events(events, next));
                more
            }
        }
    }

    async fn take_changes(&mut self) {
        let committed = *self.store.changes().committed().borrow();
        if committed <= self.core.version() && !self.catalog_failed {
            return;
        }
        match self.store.changed_since(Some(self.core.version())).await {
            Ok((version, subscriptions)) => {
                self.catalog_failed = false;
                self.tell(Input::Changed(version, subscriptions));
                self.store.changes().apply(version);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.catalog_failed, true) {
                    tracing::error!(%error, "cannot read subscriptions; nothing new is delivered until they are \
                                             readable");
                }
            }
        }
    }

    fn take(&mut self, answer: Answer) {
        match answer {
            Answer::Outcomes(attempt, outcomes) => self.tell(Input::Outcomes(attempt, outcomes)),
            Answer::Read(id, chunk) => self.tell(Input::Read(id, chunk)),
            Answer::Loaded(id, positions, events) => self.tell(Input::Loaded(id, positions, events)),
            Answer::Saved(done) => self.tell(Input::Saved(done)),
            Answer::Missed(chunk) => {
                self.missed_under_way = false;
                if let Some(chunk) = chunk {
                    self.route_events(Input::Events(chunk.events, chunk.next));
                }
            }
            Answer::Expired(before) => self.tell(Input::Expired(before)),
            Answer::Pressed(pim, before) => self.tell(Input::MakeRoom(pim, before)),
            Answer::Trimmed => self.trimming = false,
        }
    }

    fn tell(&mut self, input: Input) {
        self.core.handle(self.clock.now(), input);
        self.do_what_is_asked();
    }

    /// Tells the core of events, and whoever follows them what became of them.
    fn route_events(&mut self, input: Input) {
        let since = self.clock.wall();
        self.tell(input);
        if let Some(tracer) = &self.tracer {
            tracer.routed(&self.core.take_routed(), since);
        }
    }

    fn do_what_is_asked(&mut self) {
        while let Some(output) = self.core.poll() {
            match output {
                Output::Deliver(attempt, subscription, events) => {
                    let of = subscription.destination.of_type();
                    let accepted = Accepted::of(&events);
                    let tracer = self.tracer.as_ref();
                    let trace = tracer.and_then(|tracer| tracer.attempt(&subscription, &events, attempt.number()));
                    let traces = trace.as_ref().map_or_else(TraceParents::new, |trace| trace.parents());
                    let delivery = self.sink.deliver(Delivery { subscription, events, traces });
                    let (answers, meters, clock) = (self.answers.clone(), self.meters.clone(), self.clock.clone());
                    tokio::spawn(async move {
                        let started = Instant::now();
                        // A fault in a sink must not leave its lane waiting. Without outcomes, the events are sent
                        // again and nothing counts.
                        let outcomes = AssertUnwindSafe(delivery).catch_unwind().await.unwrap_or_else(|_| {
                            tracing::error!("a delivery attempt panicked; its events are sent again");
                            Vec::new()
                        });
                        meters.attempted(of, &accepted, &outcomes, started.elapsed(), clock.wall());
                        if let Some(trace) = trace {
                            trace.ended(&outcomes);
                        }
                        let _ = answers.send(Answer::Outcomes(attempt, outcomes));
                    });
                }
                Output::Read(id, pim, from, limit) => self.read(id, pim, from, limit),
                Output::Load(id, pim, positions) => self.load(id, pim, positions),
                Output::Save(save) => {
                    let (store, answers, meters) = (self.store.clone(), self.answers.clone(), self.meters.clone());
                    tokio::spawn(async move {
                        let started = Instant::now();
                        let saved = store.save(save).await;
                        meters.save_duration.observe(started.elapsed());
                        if let Err(error) = &saved {
                            meters.failed_saves.one();
                            tracing::error!(%error, "cannot save progress; retrying");
                        }
                        let _ = answers.send(Answer::Saved(saved.is_ok()));
                    });
                }
                Output::Suspend(subscription, reason, last) => {
                    let (store, clock, frequent) = (self.store.clone(), self.clock.clone(), self.settings.frequent);
                    tokio::spawn(suspension::carry_out(store, clock, subscription, (reason, last), frequent));
                }
                Output::Forget(id) => self.sink.forget(id),
            }
        }
    }

    fn read(&mut self, id: ReadId, pim: PimId, from: Position, limit: ReadLimit) {
        if let Some(chunk) = read_tail(self.store.tail(), pim, from, limit) {
            let _ = self.answers.send(Answer::Read(id, Some(chunk)));
            return;
        }
        let (store, answers) = (self.store.clone(), self.answers.clone());
        tokio::spawn(async move {
            let chunk = read(&*store, Some(pim), from, limit).await;
            let _ = answers.send(Answer::Read(id, chunk));
        });
    }

    fn load(&mut self, id: ReadId, pim: PimId, positions: Vec<Position>) {
        let (store, answers) = (self.store.clone(), self.answers.clone());
        tokio::spawn(async move {
            let mut events = Vec::with_capacity(positions.len());
            for position in &positions {
                let limit = ReadLimit { events: 1, bytes: 1, until: position.next() };
                let Some(chunk) = read(&*store, Some(pim), *position, limit).await else {
                    let _ = answers.send(Answer::Loaded(id, positions, None));
                    return;
                };
                events.extend(chunk.events);
            }
            let _ = answers.send(Answer::Loaded(id, positions, Some(events)));
        });
    }

    /// Deletes what no lane needs, and lets lanes drop what is older than the platform keeps events.
    fn trim(&mut self) {
        if std::mem::replace(&mut self.trimming, true) {
            return;
        }
        let Floors { pims, rest } = self.core.floors();
        let (store, answers) = (self.store.clone(), self.answers.clone());
        let oldest = store.hour().ago(self.settings.retention);
        tokio::spawn(async move {
            loop {
                match store.trim(&pims, rest).await {
                    Ok(0) => break,
                    Ok(deleted) => tracing::debug!(deleted, "deleted events that no lane needs"),
                    Err(error) => {
                        tracing::warn!(%error, "cannot delete old events; retrying");
                        break;
                    }
                }
            }
            if let Ok(before) = store.first_since(oldest).await {
                let _ = answers.send(Answer::Expired(before));
            }
            if let Some(pressed) = store.backlog().pressed()
                && let Ok(before) = store.position_after(pressed.pim, pressed.bytes).await
            {
                let _ = answers.send(Answer::Pressed(pressed.pim, before));
            }
            let _ = answers.send(Answer::Trimmed);
        });
    }
}

/// Reads from the tail, if all that is asked for is there. A change is announced before events that were accepted
/// earlier are pushed: up to where it takes effect the log may be ahead of the tail.
fn read_tail(tail: &Tail, pim: PimId, from: Position, limit: ReadLimit) -> Option<Chunk> {
    // Before the look at the events: what comes in between only makes them more.
    if tail.head() < limit.until {
        return None;
    }
    let events = tail.since(from, limit.events)?;
    let full = events.len() == limit.events;
    let last = events.last().map(|event| event.position.next());
    let next = last.filter(|_| full).unwrap_or(limit.until).min(limit.until);
    let events = events.into_iter().filter(|event| event.pim == pim && event.position < limit.until).collect();
    Some(Chunk { events, next })
}

async fn read(store: &dyn Store, pim: Option<PimId>, from: Position, limit: ReadLimit) -> Option<Chunk> {
    match store.read(pim, from, limit).await {
        Ok(chunk) => Some(chunk),
        Err(error) => {
            tracing::error!(%error, position = from.0, "cannot read the event log; retrying");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::event::EventParts;
    use domain::{Event, Timestamp};

    use super::*;

    fn event(position: u64) -> Arc<LoggedEvent> {
        let parts = EventParts {
            id: "id",
            event_type: "com.akeneo.pim.v1.product.updated",
            time: "2026-11-02T08:00:00Z",
            extensions: "",
            data: "{}",
            product_identifier: None,
        };
        let (position, accepted_at) = (Position(position), Timestamp::EPOCH);
        Arc::new(LoggedEvent { position, pim: PimId(1), accepted_at, event: Event::new(parts) })
    }

    /// A suspension is announced before the events that were accepted just before it are in the tail: what it drops was
    /// counted from the tail, as nothing.
    #[test]
    fn the_tail_is_not_taken_for_the_log_where_the_log_is_ahead() {
        let tail = Tail::new(Position(1), 1 << 20);
        tail.push([event(1), event(2)]);
        let limit = |until| ReadLimit { events: 10, bytes: 1 << 20, until: Position(until) };
        assert!(read_tail(&tail, PimId(1), Position(1), limit(5)).is_none());
        let chunk = read_tail(&tail, PimId(1), Position(1), limit(3)).expect("it is all there");
        assert_eq!((chunk.events.len(), chunk.next), (2, Position(3)));
        let chunk = read_tail(&tail, PimId(1), Position(1), limit(2)).expect("it is all there");
        assert_eq!((chunk.events.len(), chunk.next), (1, Position(2)));
    }
}
