//! What the work on all shards is made of.

use std::sync::Arc;
use std::time::Duration;

use api::PimGateway;
use domain::outcome::{Lack, Outcome};
use domain::{Clock, SubscriptionId};
use engine::Common;
use engine::trace::DeliveryTracer;
use intake::{Bridge, EntitySource, Reconciler};
use sinks::heard::Heard;
use sinks::{BoxFuture, Delivery, Sink};
use store::{Backend, Profile, Shard, Store};

use crate::config::settings::Settings;
use crate::notifications::Notifications;
use crate::running::Running;
use crate::upkeep;

/// What the work on all shards is made of.
pub(crate) struct Parts {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) running: Arc<Running>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) settings: engine::Settings,
    pub(crate) clock: Clock,
    pub(crate) tracer: Option<Arc<dyn DeliveryTracer>>,
    pub(crate) heard: Heard,
    pub(crate) common: Common,
    pub(crate) notifications: Notifications,
    /// `None`: disabled.
    pub(crate) rechecking: Option<Rechecking>,
    /// `None`: disabled.
    pub(crate) reconciling: Option<Reconciling>,
    /// How long log entries are kept.
    pub(crate) keep_logs: Duration,
    /// What this process says about itself.
    pub(crate) profile: Profile,
}

/// Checks of permissions.
#[derive(Clone)]
pub(crate) struct Rechecking {
    pub(crate) gateway: Arc<dyn PimGateway>,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
}

impl Rechecking {
    /// Checks those of a shard's PIMs. Never returns.
    pub(super) fn run(&self, store: Arc<dyn Store>, shard: Shard) -> impl Future<Output = ()> + Send + use<> {
        let Rechecking { gateway, clock, settings } = self.clone();
        upkeep::recheck(store, shard, gateway, clock, settings)
    }
}

/// Reconciliation of PIMs with an Events API.
pub(crate) struct Reconciling {
    pub(crate) bridge: Arc<Bridge>,
    pub(crate) source: Arc<dyn EntitySource>,
    pub(crate) every: Duration,
    pub(crate) overlap: Duration,
    pub(crate) clock: Clock,
}

impl Reconciling {
    /// Of a shard's PIMs. `was_lost`: what they sent last may not have been stored, so there is a further round.
    pub(super) fn of(&self, backend: &Arc<dyn Backend>, shard: Shard, was_lost: bool) -> Arc<Reconciler> {
        let mut interrupted = backend.interruptions();
        interrupted.mark_unchanged();
        if was_lost {
            interrupted.mark_changed();
        }
        let (bridge, source) = (Arc::clone(&self.bridge), Arc::clone(&self.source));
        let store = Arc::clone(backend) as Arc<dyn Store>;
        let reconciler = Reconciler::new(bridge, store, shard, source, self.overlap, self.clock.clone(), interrupted);
        Arc::new(reconciler)
    }
}

/// A sink that sends nothing for a shard that is not owned any more.
pub(super) struct Owned {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) shard: Shard,
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
