//! Allocation of slots: max-min fair by PIM, and within a PIM by subscription.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// Holder of a slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Holder {
    /// The PIM, as any number that identifies it.
    pub pim: u64,
    /// The subscription, client or address within the PIM.
    pub part: u64,
}

/// Identifies a waiting request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Waiter(u64);

/// Result of [`Queue::ask`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// The slots belong to the holder until [`Queue::give_back`].
    Granted,
    /// [`Queue::serve`] will return it.
    Waits(Waiter),
}

/// A number of slots, divided among those who want some.
///
/// A free slot goes to the PIM that holds the fewest, within it to the part that holds the fewest, within that to the
/// earliest request. A quarter of all slots is always reserved for PIMs that hold less than a quarter, even while there
/// is only one PIM: so a newcomer never waits for a slot of a PIM that already has its share, however long it holds its
/// slots. With fewer than four slots, none is reserved.
#[derive(Debug)]
pub struct Queue {
    capacity: u64,
    used: u64,
    pims: HashMap<u64, Pim>,
    waiting: HashMap<Waiter, (Holder, u64)>,
    next_waiter: u64,
}

#[derive(Debug, Default)]
struct Pim {
    used: u64,
    parts: BTreeMap<u64, Part>,
}

#[derive(Debug, Default)]
struct Part {
    used: u64,
    waiting: VecDeque<(Waiter, u64)>,
}

impl Pim {
    /// The part to be served next, with its first request.
    fn next(&self) -> Option<(u64, Waiter, u64)> {
        let first =
            |(id, part): (&u64, &Part)| part.waiting.front().map(|(waiter, places)| (part.used, *waiter, *id, *places));
        let (_, waiter, part, places) = self.parts.iter().filter_map(first).min()?;
        Some((part, waiter, places))
    }
}

impl Queue {
    /// A queue for `capacity` slots, at least one.
    pub fn new(capacity: u64) -> Queue {
        Queue { capacity: capacity.max(1), used: 0, pims: HashMap::new(), waiting: HashMap::new(), next_waiter: 0 }
    }

    /// Number of held slots.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Number of free slots.
    pub fn free(&self) -> u64 {
        self.capacity - self.used
    }

    /// Number of waiting requests.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Number of slots held by a PIM.
    pub fn used_by(&self, pim: u64) -> u64 {
        self.pims.get(&pim).map_or(0, |pim| pim.used)
    }

    /// Requests `places` slots at once; a larger number than the capacity means all of them.
    pub fn ask(&mut self, holder: Holder, places: u64) -> Asked {
        let places = places.clamp(1, self.capacity);
        if !self.another_is_first(holder.pim) && self.may_have(holder.pim, places) {
            self.hold(holder, places);
            return Asked::Granted;
        }
        let waiter = Waiter(self.next_waiter);
        self.next_waiter += 1;
        self.waiting.insert(waiter, (holder, places));
        let pim = self.pims.entry(holder.pim).or_default();
        pim.parts.entry(holder.part).or_default().waiting.push_back((waiter, places));
        Asked::Waits(waiter)
    }

    /// The next request that gets its slots, until there is none. To be called after [`Queue::give_back`] and
    /// [`Queue::withdraw`].
    pub fn serve(&mut self) -> Option<Waiter> {
        let mut wanting: Vec<(u64, Waiter, u64, u64, u64)> = self
            .pims
            .iter()
            .filter_map(|(id, pim)| pim.next().map(|(part, waiter, places)| (pim.used, waiter, *id, part, places)))
            .collect();
        wanting.sort_unstable();
        let (_, waiter, pim, part, places) =
            wanting.into_iter().find(|(_, _, pim, _, places)| self.may_have(*pim, *places))?;
        self.waiting.remove(&waiter);
        if let Some(part) = self.pims.get_mut(&pim).and_then(|pim| pim.parts.get_mut(&part)) {
            part.waiting.pop_front();
        }
        self.hold(Holder { pim, part }, places);
        Some(waiter)
    }

    /// Releases slots of a holder.
    pub fn give_back(&mut self, holder: Holder, places: u64) {
        let places = places.clamp(1, self.capacity);
        self.used = self.used.saturating_sub(places);
        if let Some(pim) = self.pims.get_mut(&holder.pim) {
            pim.used = pim.used.saturating_sub(places);
            if let Some(part) = pim.parts.get_mut(&holder.part) {
                part.used = part.used.saturating_sub(places);
            }
        }
        self.forget_idle(holder);
    }

    /// Withdraws a waiting request. A request that is already granted is unknown here: give its slots back instead.
    pub fn withdraw(&mut self, waiter: Waiter) -> bool {
        let Some((holder, _)) = self.waiting.remove(&waiter) else { return false };
        if let Some(part) = self.pims.get_mut(&holder.pim).and_then(|pim| pim.parts.get_mut(&holder.part)) {
            part.waiting.retain(|(other, _)| *other != waiter);
        }
        self.forget_idle(holder);
        true
    }

    /// A PIM's share in slots while others want some: a quarter.
    pub fn share(&self) -> u64 {
        self.capacity.div_ceil(4)
    }

    /// Whether there is a free slot, reserving a quarter for those that have less than a quarter.
    fn may_have(&self, pim: u64, places: u64) -> bool {
        let free = self.free();
        let over = self.used_by(pim) + places > self.share();
        let kept = if over { self.capacity / 4 } else { 0 };
        // A holder without slots that requests more than its share at least gets it when all slots are free.
        places + kept <= free || self.used == 0
    }

    /// Whether another PIM that holds no more than this one waits for the free slots.
    fn another_is_first(&self, pim: u64) -> bool {
        let used = self.used_by(pim);
        self.pims.iter().any(|(id, other)| {
            *id != pim && other.used <= used && other.next().is_some_and(|(_, _, places)| self.may_have(*id, places))
        }) || self.pims.get(&pim).is_some_and(|pim| pim.next().is_some())
    }

    fn hold(&mut self, holder: Holder, places: u64) {
        self.used += places;
        let pim = self.pims.entry(holder.pim).or_default();
        pim.used += places;
        pim.parts.entry(holder.part).or_default().used += places;
    }

    fn forget_idle(&mut self, holder: Holder) {
        let Some(pim) = self.pims.get_mut(&holder.pim) else { return };
        if pim.parts.get(&holder.part).is_some_and(|part| part.used == 0 && part.waiting.is_empty()) {
            pim.parts.remove(&holder.part);
        }
        if pim.used == 0 && pim.parts.is_empty() {
            self.pims.remove(&holder.pim);
        }
    }
}
