//! Public interface of the engine: start, status of a lane, stop.

use std::sync::Arc;
use std::time::Duration;

use domain::backlog;
use domain::fate::{OutcomeCounts, Whereabouts};
use domain::lane_status::LaneStatus;
use domain::outcome::Lack;
use domain::replay::ReplayProgress;
use domain::subscription::Subscription;
use domain::traffic::{Traffic, Trouble};
use domain::{Clock, PimId, Position, ReplayId, SubscriptionId};
use sinks::Sink;
use sinks::heard::Heard;
use store::{ReadLimit, Scope, Shard, Store, StoreError, Tenure};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::attempts::{self, Attempts};
use crate::core::Survey;
use crate::driver::{Driver, End, Found, Standing};
use crate::meters::Meters;
use crate::settings::Settings;
use crate::shell::{self, Question, Surroundings};
use crate::trace::DeliveryTracer;

const UNGRACEFUL: &str = "the engine did not stop gracefully; events since the last save will be delivered again";

/// Events of a lane's backlog that are read for its status.
const COUNT_AT_MOST: usize = 50_000;

/// A running engine.
pub struct Engine {
    store: Arc<dyn Store>,
    tenure: Tenure,
    questions: mpsc::Sender<Question>,
    meters: Arc<Meters>,
    attempts: Arc<Attempts>,
    lacks: watch::Receiver<Vec<Lack>>,
    stop: watch::Sender<bool>,
    ended: watch::Receiver<Option<End>>,
    running: JoinHandle<()>,
}

/// What all engines of a process share: counters, and the memory of attempts.
#[derive(Clone)]
pub struct Common {
    /// Counters.
    pub meters: Arc<Meters>,
    /// The latest attempts of each subscription.
    pub attempts: Arc<Attempts>,
}

impl Common {
    /// With empty counters, from now on.
    pub fn new(clock: &Clock) -> Common {
        let attempts = Arc::new(Attempts::new(attempts::MEMORY, clock.wall()));
        Common { meters: Arc::default(), attempts }
    }
}

/// How an engine ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It was asked to stop.
    Stopped,
    /// Its shard was taken over: it has left everything as it was, and the new owner continues from the saved state.
    Fenced,
    /// By an internal fault.
    Failed,
}

impl Engine {
    /// Takes over a shard, restores all of its lanes from their saved state, and runs. `tracer` traces deliveries;
    /// `heard` knows when hosts other than destinations last answered.
    pub async fn start(
        store: Arc<dyn Store>,
        shard: Shard,
        sink: Arc<dyn Sink>,
        settings: Settings,
        clock: Clock,
        tracer: Option<Arc<dyn DeliveryTracer>>,
        heard: Heard,
    ) -> Result<Engine, StoreError> {
        let tenure = store.take(shard).await?;
        let common = Common::new(&clock);
        Engine::start_beside(store, tenure, sink, settings, clock, tracer, heard, common).await
    }

    /// The same for one of several engines of a process, with a shard that it has taken over.
    #[expect(clippy::too_many_arguments, reason = "one more than `start`")]
    pub async fn start_beside(
        store: Arc<dyn Store>,
        tenure: Tenure,
        sink: Arc<dyn Sink>,
        settings: Settings,
        clock: Clock,
        tracer: Option<Arc<dyn DeliveryTracer>>,
        heard: Heard,
        common: Common,
    ) -> Result<Engine, StoreError> {
        // The wall clock may have been set since the process started; saved times are those of the steady one.
        let now = clock.now().steady;
        let shard = tenure.shard;
        let ledger = store.load(&tenure).await?;
        let (version, subscriptions) = store.changed_since(shard, None).await?;
        let Common { meters, attempts } = common;
        let frequent = settings.frequent;
        let found = Found { shard, ledger, version, subscriptions, head: store.tail(shard).head() };
        let driver = Driver::new(settings, meters.clone(), now, found);
        let (questions, asked) = mpsc::channel(64);
        let (stop, stopped) = watch::channel(false);
        let (reported, lacks) = watch::channel(Vec::new());
        let (log, counted) = (store.clone(), meters.clone());
        let around = Surroundings {
            clock,
            store: log,
            tenure,
            sink,
            frequent,
            meters: counted,
            attempts: attempts.clone(),
            tracer,
            heard,
            lacks: reported,
        };
        let (tell, ended) = watch::channel(None);
        let running = tokio::spawn(async move {
            let end = shell::run(driver, around, asked, stopped).await;
            tell.send_replace(Some(end));
        });
        Ok(Engine { store, tenure, questions, meters, attempts, lacks, stop, ended, running })
    }

    /// Whether the loop runs.
    pub fn is_running(&self) -> bool {
        !self.running.is_finished()
    }

    /// Ownership of its shard, for other writers of the same shard.
    pub fn tenure(&self) -> Tenure {
        self.tenure
    }

    /// Resolves when the engine has ended.
    pub fn ended(&self) -> impl Future<Output = Ending> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            match ended.wait_for(Option::is_some).await.map(|end| *end) {
                Ok(Some(End::Fenced)) => Ending::Fenced,
                Ok(Some(End::InOrder | End::TooLate)) => Ending::Stopped,
                // It ended without a report.
                Ok(None) | Err(_) => Ending::Failed,
            }
        }
    }

    /// Lacks of the platform that prevent deliveries, in the order of the contract.
    pub fn lacks(&self) -> Vec<Lack> {
        self.lacks.borrow().clone()
    }

    /// Delivery status of a subscription; `None` if it is unknown to the engine.
    pub async fn status(&self, id: SubscriptionId) -> Option<LaneStatus> {
        let (answer, answered) = oneshot::channel();
        self.questions.send(Question::Status(id, answer)).await.ok()?;
        let (mut status, reach, subscription) = answered.await.ok()??;
        if let Some(reach) = reach {
            self.count_backlog(&mut status, reach, &subscription).await;
        }
        Some(status)
    }

    /// Delivery statuses of several subscriptions at one moment, in their order; `None` for those that are unknown. Of
    /// lanes that are behind, the backlog is what is in hand, and marked as more: no event is read.
    pub async fn statuses(&self, of: Vec<SubscriptionId>) -> Vec<Option<LaneStatus>> {
        let (answer, answered) = oneshot::channel();
        let unknown = vec![None; of.len()];
        if self.questions.send(Question::Statuses(of, answer)).await.is_err() {
            return unknown;
        }
        let Ok(all) = answered.await else { return unknown };
        let status = |standing: Standing| {
            let (status, reach, _) = standing;
            LaneStatus { backlog_at_least: status.backlog_at_least || reach.is_some(), ..status }
        };
        all.into_iter().map(|standing| standing.map(status)).collect()
    }

    /// The backlogs of these subscriptions over the last 24 hours, together.
    pub async fn backlog(&self, of: backlog::Of) -> Vec<backlog::Step> {
        let (answer, answered) = oneshot::channel();
        match self.questions.send(Question::Backlog(of, answer)).await {
            Ok(()) => answered.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// Where an event of a subscription is, provided its selection includes the event; `None` if the subscription has
    /// no lane here or the loop has ended. Ask before reading the store's records ([`store::fate::judge`]).
    pub async fn whereabouts(&self, id: SubscriptionId, position: Position) -> Option<Whereabouts> {
        let (answer, answered) = oneshot::channel();
        self.questions.send(Question::Whereabouts(id, position, answer)).await.ok()?;
        answered.await.ok()?
    }

    /// Outcomes of these subscriptions that are not saved yet, together, by step; to be added to those of the store.
    pub async fn outcome_counts(&self, of: Vec<SubscriptionId>) -> Vec<OutcomeCounts> {
        let (answer, answered) = oneshot::channel();
        match self.questions.send(Question::OutcomeCounts(of, answer)).await {
            Ok(()) => answered.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// What came in and went out since the start, of the platform or of one PIM; `None` if the loop has ended.
    pub async fn traffic(&self, pim: Option<PimId>) -> Option<Traffic> {
        let (answer, answered) = oneshot::channel();
        self.questions.send(Question::Traffic(pim, answer)).await.ok()?;
        answered.await.ok()
    }

    /// At most this many active subscriptions that are behind or failing, the worst first.
    pub async fn troubled(&self, at_most: usize) -> Vec<Trouble> {
        let (answer, answered) = oneshot::channel();
        match self.questions.send(Question::Troubled(at_most, answer)).await {
            Ok(()) => answered.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// The latest attempts of each subscription.
    pub fn attempts(&self) -> &Arc<Attempts> {
        &self.attempts
    }

    /// Progress of a subscription's replay, newer than what is stored; `None` if it isn't running.
    pub async fn replay_progress(&self, subscription: SubscriptionId, id: ReplayId) -> Option<ReplayProgress> {
        let (answer, answered) = oneshot::channel();
        self.questions.send(Question::Replay(subscription, id, answer)).await.ok()?;
        answered.await.ok()?
    }

    /// Counters of the running engine.
    pub fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// Survey of all lanes, with the figures of the `at_most` oldest subscriptions; `None` if the loop has ended.
    ///
    /// Lanes that are behind don't know the age of the events they have yet to read. One event per destination type is
    /// therefore read from the log: the next one of the lane that is furthest behind.
    pub async fn survey(&self, at_most: usize) -> Option<Survey> {
        let (answer, answered) = oneshot::channel();
        self.questions.send(Question::Survey(at_most, answer)).await.ok()?;
        let mut survey = answered.await.ok()?;
        let until = self.store.tail(self.tenure.shard).head();
        survey.measure(until);
        for lanes in &mut survey.lanes {
            let Some((from, pim)) = lanes.furthest else { continue };
            let limit = ReadLimit { events: 1, bytes: 1, until };
            if let Ok(chunk) = self.store.read(Scope::Pim(pim), from, limit).await {
                let first = chunk.events.first().map(|event| event.accepted_at);
                lanes.oldest = lanes.oldest.into_iter().chain(first).min();
            }
        }
        Some(survey)
    }

    /// Adds the unread backlog of a lane that is behind.
    async fn count_backlog(&self, status: &mut LaneStatus, reach: Position, subscription: &Subscription) {
        let head = self.store.tail(self.tenure.shard).head();
        let mut from = reach;
        let mut seen = 0;
        while from < head {
            if seen >= COUNT_AT_MOST {
                status.backlog_at_least = true;
                return;
            }
            let limit = ReadLimit { events: 1024, bytes: 4 * 1024 * 1024, until: head };
            let Ok(chunk) = self.store.read(Scope::Pim(subscription.pim), from, limit).await else {
                status.backlog_at_least = true;
                return;
            };
            seen += chunk.events.len();
            for event in chunk.events.iter().filter(|event| crate::core::is_for(subscription, event)) {
                status.backlog += 1;
                let oldest = status.oldest_accepted_at.get_or_insert(event.accepted_at);
                *oldest = event.accepted_at.min(*oldest);
            }
            from = chunk.next;
        }
    }

    /// Ends at once, as if the shard had been taken over: nothing is saved, and what is in flight ends unheard.
    pub async fn abandon(self) {
        self.running.abort();
        // It was cancelled, or had ended before.
        _ = self.running.await;
    }

    /// Stops like [`Engine::stop`], but waits at most this long; attempts that are still in flight end unheard, and the
    /// next owner repeats them.
    pub async fn hand_over(mut self, at_most: Duration) {
        self.stop.send_replace(true);
        match tokio::time::timeout(at_most, &mut self.running).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "{UNGRACEFUL}"),
            Err(_) => self.abandon().await,
        }
    }

    /// Stops: sends nothing more, waits for attempts in flight, saves all cursors.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.running.await {
            tracing::error!(%error, "{UNGRACEFUL}");
        }
    }
}
