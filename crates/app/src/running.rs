//! The engine as seen by the API and the metrics.

use api::{LaneStatuses, Readiness};
use async_trait::async_trait;
use domain::SubscriptionId;
use domain::lane_status::LaneStatus;
use domain::outcome::Lack;
use engine::Engine;
use engine::core::Survey;
use tokio::sync::RwLock;

/// The engine; empty once stopped.
pub(crate) struct Running(RwLock<Option<Engine>>);

impl Running {
    /// A running engine.
    pub(crate) fn new(engine: Engine) -> Running {
        Running(RwLock::new(Some(engine)))
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
impl Readiness for Running {
    async fn ready(&self) -> Result<Vec<Lack>, String> {
        match self.0.read().await.as_ref() {
            Some(engine) if engine.is_running() => Ok(engine.lacks()),
            Some(_) => Err("deliveries have stopped because of an internal error; see the platform's log".to_owned()),
            None => Err("the platform is stopping".to_owned()),
        }
    }
}
