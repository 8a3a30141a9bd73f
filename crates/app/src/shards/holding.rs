//! A shard that this process owns: the engine, and what else concerns its PIMs, from the takeover to the end.

use std::sync::Arc;
use std::time::Duration;

use engine::{Ending, Engine};
use notify::Notifier;
use store::{Lease, Shard, Store, StoreError, Tenure};
use supervise::restart_on_panic;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::parts::{Owned, Parts};
use crate::upkeep;

/// Longest wait at a handover to another node for attempts in flight; the next owner repeats those that remain. With
/// the last save, a handover takes less than a second.
pub(crate) const HANDOVER: Duration = Duration::from_millis(700);

/// The work on a shard. Its engine is with the other engines of the process.
pub(super) struct Holding {
    pub(super) tenure: Tenure,
    ended: Option<Ended>,
    notifier: Notifier,
    /// Tasks that never return.
    endless: JoinSet<()>,
    /// Counts hours of service, up to the end.
    ageing: Option<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

type Ended = std::pin::Pin<Box<dyn Future<Output = Ending> + Send>>;

impl Holding {
    /// Resolves when the work ends by itself.
    pub(super) fn ended(&mut self) -> Ended {
        self.ended.take().unwrap_or_else(|| Box::pin(std::future::pending()))
    }
}

impl Parts {
    /// Takes over a shard if its lease is still as it was seen, and begins the work on it.
    pub(super) async fn take(&self, seen: &Lease) -> Result<Option<Holding>, StoreError> {
        let Some(tenure) = self.backend.take_if(seen).await? else { return Ok(None) };
        tracing::debug!(%tenure, "the shard is owned by this process");
        let sink = Owned { sink: Arc::clone(&self.sink), backend: Arc::clone(&self.backend), shard: tenure.shard };
        let engine = Engine::start_beside(
            Arc::clone(&self.backend) as Arc<dyn Store>,
            tenure,
            Arc::new(sink),
            self.settings.clone(),
            self.clock.clone(),
            self.tracer.clone(),
            self.heard.clone(),
            self.common.clone(),
        )
        .await?;
        let notifier = self.notifications.start(tenure.shard);
        let (engine_ended, notifier_ended) = (engine.ended(), notifier.ended());
        let ended: Ended = Box::pin(async move {
            tokio::select! {
                ending = engine_ended => ending,
                () = notifier_ended => Ending::Failed,
            }
        });
        self.running.add(tenure.shard, engine).await;
        let (stop, stopped) = watch::channel(false);
        // The former owner may have lost what it had in memory, or what came in while the store was away.
        let was_away = *self.backend.interruptions().borrow() > 0;
        let was_lost = seen.owner.is_some_and(|owner| owner != tenure.node || was_away);
        let endless = self.endless(tenure, was_lost);
        let ageing = (tenure.shard == Shard::FIRST).then(|| {
            let store = Arc::clone(&self.backend) as Arc<dyn Store>;
            tokio::spawn(upkeep::age(store, tenure, stopped))
        });
        Ok(Some(Holding { tenure, ended: Some(ended), notifier, endless, ageing, stop }))
    }

    /// Maintenance by the owner.
    fn endless(&self, tenure: Tenure, was_lost: bool) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let store = Arc::clone(&self.backend) as Arc<dyn Store>;
        let keep = self.keep_logs;
        tasks.spawn(async move {
            restart_on_panic("pruning", || upkeep::prune(Arc::clone(&store), tenure, keep)).await;
        });
        if let Some(checks) = self.rechecking.clone() {
            let store = Arc::clone(&self.backend) as Arc<dyn Store>;
            tasks.spawn(async move {
                restart_on_panic("permission checks", || checks.run(Arc::clone(&store), tenure.shard)).await;
            });
        }
        if let Some(reconciling) = &self.reconciling {
            let (reconciler, every) = (reconciling.of(&self.backend, tenure.shard, was_lost), reconciling.every);
            tasks.spawn(async move {
                restart_on_panic("reconciliation", || Arc::clone(&reconciler).run(every)).await;
            });
        }
        if tenure.shard == Shard::FIRST {
            let looked = Arc::clone(&self.backend);
            tasks.spawn(async move {
                restart_on_panic("durability checks", || upkeep::durability(Arc::clone(&looked))).await;
            });
        }
        tasks
    }

    /// Ends the work in order: what is in flight may finish, the engine for at most this long, everything is saved, and
    /// the shard is free.
    pub(super) async fn give(&self, holding: Holding, at_most: Duration) {
        let Holding { tenure, notifier, mut endless, ageing, stop, .. } = holding;
        stop.send_replace(true);
        let engine = self.running.remove(tenure.shard).await;
        let deliveries = async {
            if let Some(engine) = engine {
                engine.hand_over(at_most).await;
            }
        };
        let counted = async {
            if let Some(ageing) = ageing
                && let Err(error) = ageing.await
            {
                tracing::error!(%error, "the hours of service were not counted to the end");
            }
        };
        tokio::join!(deliveries, notifier.stop(), endless.shutdown(), counted);
        if let Err(error) = self.backend.give(&tenure).await {
            tracing::warn!(%tenure, %error, "could not give the shard back; others wait until its lease has run out");
        }
    }

    /// Ends the work at once: nothing is saved, and what is in flight ends unheard. Notifications in flight are sent.
    pub(super) async fn abandon(&self, holding: Holding) {
        let Holding { tenure, mut endless, ageing, .. } = holding;
        if let Some(engine) = self.running.remove(tenure.shard).await {
            engine.abandon().await;
        }
        endless.shutdown().await;
        if let Some(ageing) = ageing {
            ageing.abort();
        }
    }
}
