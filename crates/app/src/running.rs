//! The engine as seen by the API and the metrics.

use api::{Deliveries, LaneStatuses, Readiness};
use async_trait::async_trait;
use domain::attempt::PastAttempts;
use domain::fate::{OutcomeCounts, Whereabouts};
use domain::lane_status::LaneStatus;
use domain::outcome::Lack;
use domain::traffic::{Traffic, Trouble};
use domain::{Clock, PimId, Position, SubscriptionId};
use engine::Engine;
use engine::attempts::Remembered;
use engine::core::Survey;
use tokio::sync::RwLock;

/// The engine; empty once stopped.
pub(crate) struct Running(RwLock<Option<Engine>>, Clock);

impl Running {
    /// A running engine.
    pub(crate) fn new(engine: Engine, clock: Clock) -> Running {
        Running(RwLock::new(Some(engine)), clock)
    }

    /// All lanes, with figures for at most `at_most` subscriptions; `None` once the engine has stopped.
    pub(crate) async fn survey(&self, at_most: usize) -> Option<Survey> {
        self.0.read().await.as_ref()?.survey(at_most).await
    }

    /// Stops the engine gracefully: work in progress may finish.
    pub(crate) async fn stop(&self) {
        if let Some(engine) = self.0.write().await.take() {
            engine.stop().await;
        }
    }
}

#[async_trait]
impl LaneStatuses for Running {
    async fn status(&self, subscription: SubscriptionId) -> Option<LaneStatus> {
        self.0.read().await.as_ref()?.status(subscription).await
    }
}

#[async_trait]
impl Deliveries for Running {
    async fn whereabouts(&self, subscription: SubscriptionId, position: Position) -> Option<Whereabouts> {
        self.0.read().await.as_ref()?.whereabouts(subscription, position).await
    }

    async fn outcome_counts(&self, subscription: SubscriptionId) -> Vec<OutcomeCounts> {
        match self.0.read().await.as_ref() {
            Some(engine) => engine.outcome_counts(subscription).await,
            None => Vec::new(),
        }
    }

    async fn traffic(&self, pim: Option<PimId>) -> Option<Traffic> {
        self.0.read().await.as_ref()?.traffic(pim).await
    }

    async fn troubled(&self, at_most: usize) -> Vec<Trouble> {
        match self.0.read().await.as_ref() {
            Some(engine) => engine.troubled(at_most).await,
            None => Vec::new(),
        }
    }

    async fn attempts(&self, subscription: SubscriptionId) -> PastAttempts {
        match self.0.read().await.as_ref() {
            Some(engine) => {
                let Remembered { attempts, since } = engine.attempts().of(subscription);
                PastAttempts { since, attempts: attempts.iter().map(|attempt| (&**attempt).into()).collect() }
            }
            None => PastAttempts { since: self.1.wall(), attempts: Vec::new() },
        }
    }
}

#[async_trait]
impl Readiness for Running {
    async fn ready(&self) -> Result<Vec<Lack>, String> {
        match self.0.read().await.as_ref() {
            Some(engine) if engine.is_running() => Ok(engine.lacks()),
            Some(_) => Err("deliveries have stopped because of an internal error; see the platform's log".to_owned()),
            None => Err("the platform is stopping".to_owned()),
        }
    }
}
