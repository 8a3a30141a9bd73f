//! Signs of life.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use store::{NodeId, Roll};

/// Beats of all nodes, by the clock of the observer.
#[derive(Debug)]
pub struct Beats {
    valid: Duration,
    nodes: HashMap<NodeId, Seen<u64>>,
}

impl Beats {
    /// Nodes count as live for this time after a beat.
    pub fn new(valid: Duration) -> Beats {
        Beats { valid, nodes: HashMap::new() }
    }

    /// Notes the beats of a roll that was read at this time, and forgets nodes that are no longer on it.
    pub fn hear(&mut self, now: Duration, roll: &Roll) {
        see(&mut self.nodes, now, roll.nodes.iter().map(|node| (node.id, node.beat)));
    }

    /// Whether a node lives. At first sight it does.
    pub fn is_live(&self, now: Duration, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|seen| now.saturating_sub(seen.since) < self.valid)
    }
}

/// A value, and since when it has been seen unchanged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<T> {
    pub(crate) value: T,
    pub(crate) since: Duration,
}

/// Notes what has changed, and forgets what is gone.
pub(crate) fn see<K: Copy + Eq + Hash, V: PartialEq>(
    seen: &mut HashMap<K, Seen<V>>,
    now: Duration,
    current: impl Iterator<Item = (K, V)>,
) {
    let mut before = std::mem::take(seen);
    for (key, value) in current {
        let since = before.remove(&key).filter(|last| last.value == value).map_or(now, |last| last.since);
        seen.insert(key, Seen { value, since });
    }
}
