//! Tells the owners of shards that this node has committed something in them. Best effort: they also look by
//! themselves. At most one call per owner is in progress, and what is committed meanwhile is told by the next one, once
//! the owner no longer looks by itself.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use cluster::call::{CallError, Caller, Peer};
use store::{ATTENTIVE, Elsewhere, NodeId, Shard};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::owners::{Owner, Owners};

/// Nudges owners. Never returns.
pub(crate) async fn nudge(elsewhere: Arc<Elsewhere>, owners: Arc<Owners>, caller: Arc<Caller>) {
    let mut calls: JoinSet<(NodeId, bool)> = JoinSet::new();
    let mut state = Pending::default();
    loop {
        tokio::select! {
            shards = elsewhere.take(), if state.can_call() => state.add(&owners, shards).await,
            Some(ended) = calls.join_next() => {
                let Ok((node, is_owner)) = ended else { continue };
                state.ended(node);
                if !is_owner {
                    // The next one goes to the new owner; this one's events wait for its own look.
                    _ = owners.roll_now().await;
                }
            }
        }
        for peer in state.due() {
            let caller = Arc::clone(&caller);
            calls.spawn(async move {
                let until = Instant::now() + ATTENTIVE;
                let nudged = caller.nudge(&peer).await;
                if let Err(error) = &nudged {
                    tracing::debug!(node = %peer.node, %error, "could not nudge the owner of a shard");
                }
                sleep_until(until).await;
                (peer.node, !matches!(nudged, Err(CallError::NotOwner)))
            });
        }
    }
}

/// Owners to nudge.
#[derive(Default)]
struct Pending {
    waiting: HashMap<NodeId, Peer>,
    /// Those with a call in progress.
    called: HashSet<NodeId>,
    /// Number of other nodes that own shards, when the roll was last read.
    owners: usize,
}

impl Pending {
    async fn add(&mut self, owners: &Owners, shards: BTreeSet<Shard>) {
        let Ok(roll) = owners.roll().await else { return };
        let others = roll.leases.iter().filter_map(|lease| lease.owner).filter(|owner| *owner != owners.node());
        self.owners = others.collect::<HashSet<_>>().len();
        for shard in shards {
            if let Owner::Peer(peer) = owners.of(&roll, shard) {
                self.waiting.insert(peer.node, peer);
            }
        }
    }

    /// Whether an owner is not being called. If all are, what is committed waits where it was noted: under load, this
    /// task would otherwise wake for each event.
    fn can_call(&self) -> bool {
        self.called.is_empty() || self.called.len() < self.owners
    }

    /// Takes the owners to call now.
    fn due(&mut self) -> Vec<Peer> {
        let (due, waiting): (HashMap<_, _>, HashMap<_, _>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(node, _)| !self.called.contains(node));
        self.waiting = waiting;
        self.called.extend(due.keys());
        due.into_values().collect()
    }

    fn ended(&mut self, node: NodeId) {
        self.called.remove(&node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_called_once_at_a_time() {
        let peer = |node| Peer { node, address: "127.0.0.1:1".to_owned() };
        let (one, other) = (NodeId::generate(), NodeId::generate());
        let mut pending = Pending::default();
        pending.waiting.insert(one, peer(one));
        assert_eq!(pending.due(), [peer(one)]);
        pending.waiting.extend([(one, peer(one)), (other, peer(other))]);
        assert_eq!(pending.due(), [peer(other)], "the first is being called");
        assert_eq!(pending.due(), []);
        pending.ended(one);
        assert_eq!(pending.due(), [peer(one)], "what was committed meanwhile");
        pending.ended(one);
        assert_eq!(pending.due(), []);
    }

    #[test]
    fn nothing_is_taken_while_all_owners_are_called() {
        let peer = |node| Peer { node, address: "127.0.0.1:1".to_owned() };
        let (one, other) = (NodeId::generate(), NodeId::generate());
        let mut pending = Pending { owners: 2, ..Pending::default() };
        for node in [one, other] {
            assert!(pending.can_call());
            pending.waiting.insert(node, peer(node));
            pending.due();
        }
        assert!(!pending.can_call());
        pending.ended(one);
        assert!(pending.can_call());
    }
}
