//! The shards that this process owns: an engine for each, with the maintenance that only an owner may do. If a shard is
//! lost, because somebody else took it over or the store was interrupted, it is taken up anew from what is stored.

use std::sync::Arc;
use std::time::Duration;

use domain::outcome::{Lack, Outcome};
use domain::{Clock, SubscriptionId};
use engine::trace::DeliveryTracer;
use engine::{Common, Ending, Engine};
use sinks::heard::Heard;
use sinks::{BoxFuture, Delivery, Sink};
use store::{Backend, Shard, Store, StoreError, Tenure};
use supervise::restart_on_panic;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::running::Running;
use crate::upkeep;

/// Pause between attempts to take up a shard.
const PAUSE: Duration = Duration::from_millis(500);

/// What all engines are made of.
#[derive(Clone)]
pub(crate) struct Shards {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) running: Arc<Running>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) settings: engine::Settings,
    pub(crate) clock: Clock,
    pub(crate) tracer: Option<Arc<dyn DeliveryTracer>>,
    pub(crate) heard: Heard,
    pub(crate) common: Common,
    /// How long log entries are kept.
    pub(crate) keep_logs: Duration,
    pub(crate) stopping: watch::Receiver<bool>,
}

/// A shard that was taken up.
struct Taken {
    ended: std::pin::Pin<Box<dyn Future<Output = Ending> + Send>>,
    interrupted: watch::Receiver<u64>,
    upkeep: JoinSet<()>,
}

impl Shards {
    /// Takes up all shards; an error if the first attempt fails. The returned task keeps them, and ends when the
    /// platform stops, or if an engine fails.
    pub(crate) async fn start(self) -> Result<impl Future<Output = ()> + Send + 'static, StoreError> {
        let shards: Vec<Shard> = self.backend.spread().shards().collect();
        let mut starting = JoinSet::new();
        for shard in shards {
            let this = self.clone();
            starting.spawn(async move { (shard, this.take(shard).await) });
        }
        let mut keeping = JoinSet::new();
        while let Some(started) = starting.join_next().await {
            let (shard, taken) = started.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            let (this, taken) = (self.clone(), taken?);
            keeping.spawn(async move { this.keep(shard, taken).await });
        }
        Ok(async move {
            // The first that ends is a fault, or the stop.
            _ = keeping.join_next().await;
            let mut stopping = self.stopping.clone();
            if *stopping.borrow_and_update() {
                while keeping.join_next().await.is_some() {}
            }
        })
    }

    async fn take(&self, shard: Shard) -> Result<Taken, StoreError> {
        // Before the takeover: what is interrupted later makes it void.
        let mut interrupted = self.backend.interruptions();
        interrupted.borrow_and_update();
        let sink = Owned { sink: Arc::clone(&self.sink), backend: Arc::clone(&self.backend), shard };
        let engine = Engine::start_beside(
            Arc::clone(&self.backend) as Arc<dyn Store>,
            shard,
            Arc::new(sink),
            self.settings.clone(),
            self.clock.clone(),
            self.tracer.clone(),
            self.heard.clone(),
            self.common.clone(),
        )
        .await?;
        let (ended, tenure) = (Box::pin(engine.ended()), engine.tenure());
        if let Err(engine) = self.running.add(shard, engine).await {
            engine.stop().await;
        }
        Ok(Taken { ended, interrupted, upkeep: self.upkeep(tenure) })
    }

    /// Maintenance by the owner.
    fn upkeep(&self, tenure: Tenure) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let (store, keep) = (Arc::clone(&self.backend) as Arc<dyn Store>, self.keep_logs);
        tasks.spawn(async move {
            restart_on_panic("pruning", || upkeep::prune(Arc::clone(&store), tenure, keep)).await;
        });
        if tenure.shard == Shard::FIRST {
            let store = Arc::clone(&self.backend) as Arc<dyn Store>;
            tasks.spawn(upkeep::age(store, tenure, self.stopping.clone()));
        }
        tasks
    }

    /// Takes a shard up again whenever it is lost.
    async fn keep(self, shard: Shard, mut taken: Taken) {
        let mut stopping = self.stopping.clone();
        loop {
            let ending = tokio::select! {
                ending = &mut taken.ended => Some(ending),
                Ok(()) = taken.interrupted.changed() => None,
            };
            if *stopping.borrow() {
                // Pruning never ends; the running time is counted to the end.
                while taken.upkeep.len() > 1 && taken.upkeep.join_next().await.is_some() {}
                return;
            }
            if matches!(ending, Some(Ending::Failed | Ending::Stopped)) {
                return;
            }
            taken.upkeep.shutdown().await;
            if let Some(engine) = self.running.remove(shard).await {
                engine.abandon().await;
            }
            tracing::debug!(%shard, "the shard is lost; taking it up anew");
            taken = loop {
                if *stopping.borrow() {
                    return;
                }
                let retaken = match self.backend.claim().await {
                    Ok(true) => self.take(shard).await,
                    Ok(false) => {
                        tracing::error!("another process took the deliveries over");
                        return;
                    }
                    Err(error) => Err(error),
                };
                match retaken {
                    Ok(taken) => break taken,
                    Err(error) => tracing::debug!(%shard, %error, "could not take the shard up"),
                }
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    _ = stopping.changed() => {}
                }
            };
        }
    }
}

/// A sink that sends nothing for a shard that is not owned any more.
struct Owned {
    sink: Arc<dyn Sink>,
    backend: Arc<dyn Backend>,
    shard: Shard,
}

impl Sink for Owned {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'static, Vec<Outcome>> {
        if self.backend.owns(self.shard) {
            return self.sink.deliver(delivery);
        }
        let outcomes = delivery.events.iter().map(|_| Outcome::Ours(Lack::Store)).collect();
        Box::pin(async move { outcomes })
    }

    fn forget(&self, id: SubscriptionId) {
        self.sink.forget(id);
    }

    fn open_connections(&self) -> usize {
        self.sink.open_connections()
    }
}
