//! Which node owns which shard, as the store says, and which nodes show signs of life.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::Beats;
use cluster::call::Peer;
use parking_lot::Mutex;
use store::{Backend, NodeId, Roll, Shard, StoreError};
use tokio::sync::Mutex as AsyncMutex;

/// Age up to which a roll is used without another read.
const FRESH: Duration = Duration::from_millis(500);

/// The owner of a shard, from a node's point of view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// This node, or no node at the moment.
    HereOrNobody,
    /// Another node.
    Peer(Peer),
    /// Another node that no other can call.
    WithoutAddress(NodeId),
}

/// Rolls, read when they are needed.
pub(crate) struct Owners {
    store: Arc<dyn Backend>,
    latest: AsyncMutex<Option<(Instant, Arc<Roll>)>>,
    beats: Mutex<Beats>,
}

impl Owners {
    /// Nodes live for this time without a beat.
    pub(crate) fn new(store: Arc<dyn Backend>, valid: Duration) -> Owners {
        Owners { store, latest: AsyncMutex::default(), beats: Mutex::new(Beats::new(valid)) }
    }

    /// This node.
    pub(crate) fn node(&self) -> NodeId {
        self.store.node()
    }

    /// Nodes and leases, read at most half a second ago.
    pub(crate) async fn roll(&self) -> Result<Arc<Roll>, StoreError> {
        self.read(Some(FRESH)).await
    }

    /// Nodes and leases as they are now. Callers at the same time share a read that began after they asked.
    pub(crate) async fn roll_now(&self) -> Result<Arc<Roll>, StoreError> {
        self.read(None).await
    }

    async fn read(&self, fresh: Option<Duration>) -> Result<Arc<Roll>, StoreError> {
        let asked = Instant::now();
        let mut latest = self.latest.lock().await;
        if let Some((at, roll)) = latest.as_ref()
            && (*at >= asked || fresh.is_some_and(|fresh| at.elapsed() < fresh))
        {
            return Ok(Arc::clone(roll));
        }
        let (began, now) = (Instant::now(), cluster::uptime());
        let roll = Arc::new(self.store.roll().await?);
        self.beats.lock().hear(now, &roll);
        *latest = Some((began, Arc::clone(&roll)));
        Ok(roll)
    }

    /// Whether a node has shown a sign of life within the time of a lease. At first sight it has.
    pub(crate) fn is_live(&self, node: NodeId) -> bool {
        node == self.node() || self.beats.lock().is_live(cluster::uptime(), node)
    }

    /// The owner of a shard by a roll.
    pub(crate) fn of(&self, roll: &Roll, shard: Shard) -> Owner {
        let owner = roll.leases.iter().find(|lease| lease.shard == shard).and_then(|lease| lease.owner);
        let Some(owner) = owner.filter(|owner| *owner != self.node()) else { return Owner::HereOrNobody };
        let address = roll.nodes.iter().find(|node| node.id == owner).and_then(|node| node.profile.address.clone());
        match address {
            Some(address) => Owner::Peer(Peer { node: owner, address }),
            None => Owner::WithoutAddress(owner),
        }
    }
}
