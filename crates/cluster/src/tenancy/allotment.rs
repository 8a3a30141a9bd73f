//! The division of all shards among nodes.

use std::collections::HashMap;

use store::{Lease, NodeId, Shard};

/// The node of each shard; none if there are no candidates. Quotas differ by one at most, and the first candidates have
/// the larger ones. `is_open`: the shard has no owner any more.
pub(super) fn allot(
    candidates: &[NodeId],
    leases: &[Lease],
    is_open: impl Fn(&Lease) -> bool,
) -> HashMap<Shard, NodeId> {
    let mut allotted = HashMap::new();
    if candidates.is_empty() {
        return allotted;
    }
    let (quota, larger) = (leases.len() / candidates.len(), leases.len() % candidates.len());
    let mut room: Vec<(NodeId, usize)> =
        candidates.iter().enumerate().map(|(place, node)| (*node, quota + usize::from(place < larger))).collect();
    let mut rest = Vec::new();
    for lease in leases {
        let owner = lease.owner.filter(|_| !is_open(lease));
        match room.iter_mut().find(|(node, left)| owner == Some(*node) && *left > 0) {
            Some((node, left)) => {
                *left -= 1;
                allotted.insert(lease.shard, *node);
            }
            None => rest.push(lease.shard),
        }
    }
    let takers = room.into_iter().flat_map(|(node, left)| std::iter::repeat_n(node, left));
    allotted.extend(rest.into_iter().zip(takers));
    allotted
}
