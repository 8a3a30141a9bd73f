//! Connections by address: one address cannot hold all slots.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::origin::Origin;

/// Number of connections of each address.
#[derive(Debug)]
pub(super) struct Crowd {
    most: usize,
    by_origin: Mutex<HashMap<Origin, usize>>,
}

impl Crowd {
    /// Limits an address to three quarters of the slots, at least one.
    pub(super) fn new(places: usize) -> Arc<Crowd> {
        Arc::new(Crowd { most: (places - places / 4).max(1), by_origin: Mutex::default() })
    }

    /// Adds a connection unless its address has too many.
    pub(super) fn enter(self: &Arc<Crowd>, origin: Origin) -> Option<Member> {
        let mut by_origin = self.by_origin.lock();
        let connections = by_origin.entry(origin).or_default();
        if *connections >= self.most {
            return None;
        }
        *connections += 1;
        Some(Member { crowd: Arc::clone(self), origin })
    }
}

/// A connection; removed when dropped.
#[derive(Debug)]
pub(super) struct Member {
    crowd: Arc<Crowd>,
    origin: Origin,
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut by_origin = self.crowd.by_origin.lock();
        if let Some(connections) = by_origin.get_mut(&self.origin) {
            *connections -= 1;
            if *connections == 0 {
                by_origin.remove(&self.origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_three_quarters_of_the_places() {
        let crowd = Crowd::new(8);
        let (one, other) = (Origin::of([192, 0, 2, 1].into()), Origin::of([192, 0, 2, 2].into()));
        let mut members: Vec<_> = (0..6).map(|_| crowd.enter(one).unwrap()).collect();
        assert!(crowd.enter(one).is_none());
        let two: Vec<_> = (0..2).map(|_| crowd.enter(other).unwrap()).collect();
        members.pop();
        members.push(crowd.enter(one).unwrap());
        assert!(crowd.enter(one).is_none());
        drop((members, two));
        assert!(crowd.by_origin.lock().is_empty(), "closed connections leave nothing behind");
        assert!(Crowd::new(1).enter(one).is_some());
    }
}
