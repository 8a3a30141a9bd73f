//! The engines as seen by the API and the metrics: one per shard.

use std::collections::HashMap;
use std::sync::Arc;

use api::{Deliveries, LaneStatuses, Readiness};
use async_trait::async_trait;
use domain::Position;
use domain::attempt::PastAttempts;
use domain::fate::{OutcomeCounts, Whereabouts};
use domain::lane_status::LaneStatus;
use domain::outcome::Lack;
use domain::subscription::Subscription;
use engine::attempts::{Attempts, Remembered};
use engine::core::Survey;
use engine::{Common, Engine};
use store::{Shard, Spread};
use tokio::sync::RwLock;

/// The running engines.
pub(crate) struct Running {
    spread: Spread,
    engines: RwLock<Engines>,
    attempts: Arc<Attempts>,
}

#[derive(Default)]
struct Engines {
    by_shard: HashMap<Shard, Engine>,
    stopping: bool,
}

impl Running {
    /// Without engines.
    pub(crate) fn new(spread: Spread, common: &Common) -> Running {
        Running { spread, engines: RwLock::default(), attempts: Arc::clone(&common.attempts) }
    }

    /// Adds the engine of a shard. Gives it back if the platform stops.
    pub(crate) async fn add(&self, shard: Shard, engine: Engine) -> Result<(), Engine> {
        let mut engines = self.engines.write().await;
        if engines.stopping {
            return Err(engine);
        }
        engines.by_shard.insert(shard, engine);
        Ok(())
    }

    /// Takes the engine of a shard out.
    pub(crate) async fn remove(&self, shard: Shard) -> Option<Engine> {
        self.engines.write().await.by_shard.remove(&shard)
    }

    /// All lanes, with figures for at most `at_most` subscriptions; `None` if no engine runs.
    pub(crate) async fn survey(&self, at_most: usize) -> Option<Survey> {
        let engines = self.engines.read().await;
        let mut all: Option<Survey> = None;
        for engine in engines.by_shard.values() {
            let Some(survey) = engine.survey(at_most).await else { continue };
            match &mut all {
                Some(all) => all.absorb(survey, at_most),
                None => all = Some(survey),
            }
        }
        all
    }

    /// Stops the engines gracefully: work in progress may finish.
    pub(crate) async fn stop(&self) {
        let engines = {
            let mut engines = self.engines.write().await;
            engines.stopping = true;
            std::mem::take(&mut engines.by_shard)
        };
        let stopping: Vec<_> = engines.into_values().map(|engine| tokio::spawn(engine.stop())).collect();
        for engine in stopping {
            if let Err(error) = engine.await {
                tracing::error!(%error, "an engine did not stop gracefully");
            }
        }
    }
}

#[async_trait]
impl LaneStatuses for Running {
    async fn status(&self, of: &Subscription) -> Option<LaneStatus> {
        let engines = self.engines.read().await;
        engines.by_shard.get(&self.spread.shard_of(of.pim))?.status(of.id).await
    }
}

#[async_trait]
impl Deliveries for Running {
    async fn whereabouts(&self, of: &Subscription, position: Position) -> Option<Whereabouts> {
        let engines = self.engines.read().await;
        engines.by_shard.get(&self.spread.shard_of(of.pim))?.whereabouts(of.id, position).await
    }

    async fn outcome_counts(&self, of: &Subscription) -> Vec<OutcomeCounts> {
        let engines = self.engines.read().await;
        match engines.by_shard.get(&self.spread.shard_of(of.pim)) {
            Some(engine) => engine.outcome_counts(of.id).await,
            None => Vec::new(),
        }
    }

    async fn attempts(&self, of: &Subscription) -> PastAttempts {
        let Remembered { attempts, since } = self.attempts.of(of.id);
        PastAttempts { since, attempts: attempts.iter().map(|attempt| (&**attempt).into()).collect() }
    }
}

#[async_trait]
impl Readiness for Running {
    async fn ready(&self) -> Result<Vec<Lack>, String> {
        let engines = self.engines.read().await;
        if engines.stopping {
            return Err("the platform is stopping".to_owned());
        }
        if engines.by_shard.values().any(|engine| !engine.is_running()) {
            return Err("deliveries have stopped because of an internal error; see the platform's log".to_owned());
        }
        let mut lacks: Vec<Lack> = engines.by_shard.values().flat_map(Engine::lacks).collect();
        if engines.by_shard.len() < self.spread.shards().count() {
            // Shards are taken up anew, because the store could not be reached.
            lacks.push(Lack::Store);
        }
        lacks.sort_unstable();
        lacks.dedup();
        Ok(lacks)
    }
}
