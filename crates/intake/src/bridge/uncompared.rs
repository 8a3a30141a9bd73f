//! Entities whose latest change was reported although they cannot be compared: reconciliation must not report it again.

use std::collections::HashMap;

use domain::PimId;
use parking_lot::Mutex;
use store::SnapshotKey;

/// Maximum number of remembered entities; beyond it the memory is cleared, and a change may be reported twice.
const AT_MOST: usize = 10_000;

/// Time of each change, as given by the PIM.
#[derive(Default)]
pub(super) struct Uncompared(Mutex<HashMap<(PimId, SnapshotKey), Option<String>>>);

impl Uncompared {
    /// Records reported changes.
    pub(super) fn remember(&self, pim: PimId, changes: &[(SnapshotKey, Option<String>)]) {
        if changes.is_empty() {
            return;
        }
        let mut all = self.0.lock();
        for (key, updated) in changes {
            if all.len() >= AT_MOST {
                all.clear();
            }
            all.insert((pim, key.clone()), updated.clone());
        }
    }

    /// Reported changes of a PIM's entities.
    pub(super) fn of(&self, pim: PimId) -> HashMap<SnapshotKey, Option<String>> {
        let all = self.0.lock();
        all.iter().filter(|((of, _), _)| *of == pim).map(|((_, key), updated)| (key.clone(), updated.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use store::SnapshotKind;

    use super::*;

    #[test]
    fn the_latest_change_is_remembered_and_memory_is_bounded() {
        let key = |name: usize| SnapshotKey { kind: SnapshotKind::ProductModel, key: name.to_string() };
        let uncompared = Uncompared::default();
        uncompared
            .remember(PimId(1), &[(key(1), Some("a".to_owned())), (key(1), Some("b".to_owned())), (key(2), None)]);
        uncompared.remember(PimId(2), &[(key(3), None)]);
        let reported = uncompared.of(PimId(1));
        assert_eq!((reported.len(), &reported[&key(1)], &reported[&key(2)]), (2, &Some("b".to_owned()), &None));
        let many: Vec<_> = (0..AT_MOST + 5).map(|name| (key(name), None)).collect();
        uncompared.remember(PimId(1), &many);
        assert!(uncompared.of(PimId(1)).len() <= AT_MOST);
        assert!(uncompared.of(PimId(1)).contains_key(&key(AT_MOST + 4)));
    }
}
