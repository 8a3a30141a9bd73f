//! The shell of the driver: carries out its requests on tokio, and passes the replies. It makes no decisions.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::backlog;
use domain::fate::{OutcomeCounts, Whereabouts};
use domain::outcome::Lack;
use domain::replay::ReplayProgress;
use domain::subscription::Subscription;
use domain::traffic::{Traffic, Trouble};
use domain::{Clock, LoggedEvent, PimId, Position, ReplayId, SubscriptionId};
use futures_util::FutureExt;
use sinks::heard::Heard;
use sinks::{Answers, Delivery, Sink, TraceParents};
use store::{Scope, Store, Tail, Tenure};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use crate::attempts::{Attempt, Attempts, Made};
use crate::core::{AttemptId, Reply, Survey};
use crate::driver::{Driver, End, Input, Request, Seen, Standing};
use crate::meters::{Accepted, Meters};
use crate::trace::DeliveryTracer;
use crate::{suspension, warning, work};

/// Replies handled before the driver is polled again.
const ANSWERS_AT_ONCE: usize = 512;

/// A query from outside the loop.
pub(crate) enum Question {
    /// Status of a lane, and start of the uncounted part of its backlog.
    Status(SubscriptionId, oneshot::Sender<Option<Standing>>),
    /// Where an event of a subscription is.
    Whereabouts(SubscriptionId, Position, oneshot::Sender<Option<Whereabouts>>),
    /// The same of several, in their order.
    Statuses(Vec<SubscriptionId>, oneshot::Sender<Vec<Option<Standing>>>),
    /// Unsaved outcomes of subscriptions, together.
    OutcomeCounts(Vec<SubscriptionId>, oneshot::Sender<Vec<OutcomeCounts>>),
    /// Backlogs over time, together.
    Backlog(backlog::Of, oneshot::Sender<Vec<backlog::Step>>),
    /// Progress of a subscription's replay.
    Replay(SubscriptionId, ReplayId, oneshot::Sender<Option<ReplayProgress>>),
    /// What came in and went out, of the platform or of one PIM.
    Traffic(Option<PimId>, oneshot::Sender<Traffic>),
    /// At most this many subscriptions that are behind or failing.
    Troubled(usize, oneshot::Sender<Vec<Trouble>>),
    /// Survey of all lanes, with the figures of at most this many subscriptions.
    Survey(usize, oneshot::Sender<Survey>),
}

/// Reply of a task.
struct Answer {
    /// Its place in [`Tasks`], if it has one.
    task: Option<usize>,
    input: Input,
    /// Records of an attempt that has ended.
    ended: Option<(SubscriptionId, Vec<Attempt>)>,
}

impl From<Input> for Answer {
    fn from(input: Input) -> Answer {
        Answer { task: None, input, ended: None }
    }
}

/// Reason of a wake-up.
enum Woken {
    /// Replies of tasks.
    Answers,
    /// New events or changes.
    News,
    /// A timer is due.
    Timer,
    /// A query.
    Question(Question),
    /// The platform stops.
    Stop,
}

/// Environment of a driver.
pub(crate) struct Surroundings {
    pub(crate) clock: Clock,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) tenure: Tenure,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) frequent: store::transition::Frequent,
    pub(crate) meters: Arc<Meters>,
    pub(crate) attempts: Arc<Attempts>,
    pub(crate) tracer: Option<Arc<dyn DeliveryTracer>>,
    pub(crate) heard: Heard,
    pub(crate) lacks: watch::Sender<Vec<Lack>>,
}

/// Runs a driver until it ends, and returns its end. Tasks in flight end with it, because their results would be
/// ignored.
pub(crate) async fn run(
    mut driver: Driver,
    around: Surroundings,
    questions: mpsc::Receiver<Question>,
    stopped: watch::Receiver<bool>,
) -> End {
    if around.tracer.is_some() {
        driver.follow();
    }
    let (answers, answered) = mpsc::unbounded_channel();
    let (tail, committed) = (around.store.tail(around.tenure.shard), around.store.committed(around.tenure.shard));
    let shell = Shell { driver, around, answers, tasks: Tasks::default(), tail, committed };
    shell.run(answered, questions, stopped).await
}

struct Shell {
    driver: Driver,
    around: Surroundings,
    answers: mpsc::UnboundedSender<Answer>,
    tasks: Tasks,
    tail: Arc<Tail>,
    committed: watch::Receiver<u64>,
}

/// Tasks under way. They are cancelled when the driver is gone: an attempt that waits for its turn is not sent then.
#[derive(Default)]
struct Tasks {
    running: Vec<Option<AbortHandle>>,
    free: Vec<usize>,
}

impl Tasks {
    /// Starts a task, which is told its place.
    fn begin<F>(&mut self, task: impl FnOnce(usize) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let place = self.free.pop().unwrap_or_else(|| {
            self.running.push(None);
            self.running.len() - 1
        });
        self.running[place] = Some(tokio::spawn(task(place)).abort_handle());
    }

    fn ended(&mut self, place: usize) {
        self.running[place] = None;
        self.free.push(place);
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.running.iter().flatten().for_each(AbortHandle::abort);
    }
}

impl Shell {
    async fn run(
        mut self,
        mut answered: mpsc::UnboundedReceiver<Answer>,
        mut questions: mpsc::Receiver<Question>,
        mut stopped: watch::Receiver<bool>,
    ) -> End {
        let mut head = self.tail.watch();
        let mut answers = Vec::with_capacity(ANSWERS_AT_ONCE);
        let mut stopping = false;
        let timer = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(timer);
        let mut turn = Instant::now();
        loop {
            head.borrow_and_update();
            self.committed.borrow_and_update();
            self.carry_out_requests();
            if let Some(end) = self.driver.end() {
                return end;
            }
            let now = self.around.clock.now().steady;
            let wait = self.driver.poll_timeout().map_or(Duration::from_secs(3600), |at| at.since(now));
            timer.as_mut().reset(tokio::time::Instant::now() + wait);
            self.around.meters.turn.observe(turn.elapsed());
            let woken = tokio::select! {
                biased;
                // The shell itself holds a sender: the channel is never closed.
                _ = answered.recv_many(&mut answers, ANSWERS_AT_ONCE) => Woken::Answers,
                _ = head.changed(), if !stopping => Woken::News,
                _ = self.committed.changed() => Woken::News,
                () = timer.as_mut() => Woken::Timer,
                Some(question) = questions.recv() => Woken::Question(question),
                _ = stopped.wait_for(|stop| *stop), if !stopping => Woken::Stop,
            };
            turn = Instant::now();
            match woken {
                Woken::Answers => answers.drain(..).for_each(|answer| self.answered(answer)),
                Woken::News => self.tell(Input::News),
                Woken::Timer => self.tell(Input::Timeout),
                Woken::Question(question) => self.answer(question),
                Woken::Stop => {
                    stopping = true;
                    self.tell(Input::Stop);
                }
            }
        }
    }

    fn tell(&mut self, input: Input) {
        self.driver.handle(self.around.clock.now(), input);
    }

    fn answered(&mut self, Answer { task, input, ended }: Answer) {
        if let Some(place) = task {
            self.tasks.ended(place);
        }
        self.tell(input);
        let Some((of, mut attempts)) = ended else { return };
        if self.driver.was_undecided() {
            attempts.iter_mut().for_each(Attempt::undecided);
        }
        self.around.attempts.add(of, attempts);
    }

    fn answer(&mut self, question: Question) {
        // The caller may be gone.
        match question {
            Question::Status(id, answer) => _ = answer.send(self.driver.status(id, self.around.clock.now())),
            Question::Statuses(ids, answer) => {
                let now = self.around.clock.now();
                let statuses = ids.into_iter().map(|id| self.driver.status(id, now)).collect();
                _ = answer.send(statuses);
            }
            Question::Backlog(of, answer) => {
                _ = answer.send(self.driver.backlog(&of, self.around.clock.wall()));
            }
            Question::Whereabouts(id, position, answer) => _ = answer.send(self.driver.whereabouts(id, position)),
            Question::OutcomeCounts(of, answer) => _ = answer.send(self.driver.outcome_counts(&of)),
            Question::Replay(of, id, answer) => _ = answer.send(self.driver.replay_progress(of, id)),
            Question::Traffic(pim, answer) => _ = answer.send(self.driver.traffic(pim)),
            Question::Troubled(at_most, answer) => _ = answer.send(self.driver.troubled(at_most)),
            Question::Survey(at_most, answer) => _ = answer.send(self.driver.survey(at_most)),
        }
    }

    fn carry_out_requests(&mut self) {
        while let Some(request) = self.driver.poll() {
            self.carry_out(request);
        }
    }

    fn carry_out(&mut self, request: Request) {
        let (store, tenure) = (self.around.store.clone(), self.around.tenure);
        match request {
            Request::Look { from, max } => self.tell(Input::Seen { seen: Seen::look(&self.tail, from, max) }),
            Request::Version => {
                let version = *self.committed.borrow();
                self.tell(Input::Announced { version });
            }
            Request::Listen => {
                if let Some(ago) = self.around.heard.ago() {
                    self.tell(Input::Heard { ago });
                }
            }
            Request::Changes { since } => {
                self.begin(
                    async move { Input::Changed { result: store.changed_since(tenure.shard, Some(since)).await } },
                );
            }
            Request::Replays { since } => {
                self.begin(async move { Input::Replays { result: store.replays_since(tenure.shard, since).await } });
            }
            Request::ReplayRead { read } => self.begin(async move {
                let result = work::read_for_replay(&*store, &read).await;
                Input::from(Reply::ReplayRead { read, result })
            }),
            Request::InEffect { version } => {
                self.begin(async move { Input::Applied { result: store.apply(&tenure, version).await } });
            }
            Request::Missed { from, limit } => {
                self.begin(async move {
                    Input::Missed { result: store.read(Scope::Shard(tenure.shard), from, limit).await }
                });
            }
            Request::LookFor { read } => {
                // In its turn: a lane that reads a lot delays no other.
                let seen = Seen::look(&self.tail, read.from, read.limit.events);
                let _ = self.answers.send(Input::SeenFor { read, seen }.into());
            }
            Request::Read { read } => self.begin(async move {
                let chunk = store.read(Scope::Pim(read.pim), read.from, read.limit).await;
                Input::from(Reply::Read { id: read.id, chunk })
            }),
            Request::Load { id, pim, positions } => self.begin(async move {
                let events = work::load(&*store, pim, &positions).await;
                Input::from(Reply::Loaded { id, positions, events })
            }),
            Request::Deliver { attempt, subscription, events, replay } => {
                self.deliver(attempt, subscription, events, replay);
            }
            Request::Save { save } => {
                let meters = self.around.meters.clone();
                self.begin(async move {
                    let started = Instant::now();
                    let result = store.save(&tenure, save).await;
                    meters.save_duration.observe(started.elapsed());
                    Input::Saved { result }
                });
            }
            Request::Suspend { number, wanted } => {
                let (now, frequent) = (self.around.clock.wall(), self.around.frequent);
                self.begin(async move {
                    let result = suspension::suspend(&*store, tenure, &wanted, now, frequent).await;
                    Input::Suspended { number, result }
                });
            }
            Request::Warn { number, wanted } => {
                let now = self.around.clock.wall();
                self.begin(async move {
                    Input::Warned { number, result: warning::warn(&*store, tenure, &wanted, now).await }
                });
            }
            Request::Trim { floors, retention } => {
                self.begin(
                    async move { Input::Trimmed { result: work::trim(&*store, &tenure, &floors, retention).await } },
                );
            }
            Request::Forget { subscription } => self.around.sink.forget(subscription),
            Request::Follow { routed, since } => {
                if let Some(tracer) = &self.around.tracer {
                    tracer.routed(&routed, since);
                }
            }
            Request::Show { lacks } => _ = self.around.lacks.send_replace(lacks),
        }
    }

    /// Starts a task whose result is passed to the driver.
    fn begin<A: Into<Answer>>(&mut self, task: impl Future<Output = A> + Send + 'static) {
        let answers = self.answers.clone();
        self.tasks.begin(|place| async move {
            let answer = task.await.into();
            // The driver is gone: nobody waits for it.
            let _ = answers.send(Answer { task: Some(place), ..answer });
        });
    }

    fn deliver(
        &mut self,
        attempt: AttemptId,
        subscription: Arc<Subscription>,
        events: Vec<Arc<LoggedEvent>>,
        replay: Option<ReplayId>,
    ) {
        let of = subscription.destination.of_type();
        let id = subscription.id;
        let accepted = Accepted::of(&events);
        let tracer = self.around.tracer.as_ref();
        let trace = tracer.and_then(|tracer| tracer.attempt(&subscription, &events, attempt.number()));
        let traces = trace.as_ref().map_or_else(TraceParents::new, |trace| trace.parents());
        let responses = Answers::default();
        let answers = responses.clone();
        let delivery = Delivery { subscription, events: events.clone(), replay, traces, answers };
        let delivery = self.around.sink.deliver(delivery);
        let (meters, clock) = (self.around.meters.clone(), self.around.clock.clone());
        self.begin(async move {
            let started = Instant::now();
            // A panic in a sink must not block its lane. Without outcomes, the events are sent again and nothing
            // counts.
            let started_at = clock.wall();
            let outcomes = AssertUnwindSafe(delivery).catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!("a delivery attempt panicked; its events are sent again");
                Vec::new()
            });
            if replay.is_some() {
                meters.replayed(&outcomes);
            } else {
                meters.attempted(of, &accepted, &outcomes, started.elapsed(), clock.wall());
            }
            if let Some(trace) = trace {
                trace.ended(&outcomes);
            }
            let made = Made { started_at, duration: started.elapsed(), replay_id: replay };
            let attempts = Attempt::of(&events, &outcomes, &responses.take(), made);
            Answer { task: None, input: Reply::Outcomes { attempt, outcomes }.into(), ended: Some((id, attempts)) }
        });
    }
}
