//! Requests that wait in memory while the store is away, because a PIM sends each of them once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::PimId;
use fair::{Holder, Permit, Places};
use store::{AppendError, StoreError};
use tokio::sync::watch;
use tokio::time::timeout;

/// Bytes of all waiting requests.
const ROOM: u64 = 64 << 20;
/// Pause before the first repetition; it doubles.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_AT_MOST: Duration = Duration::from_secs(2);

/// The room of all PIMs' waiting requests, shared fairly.
pub(super) struct Waiting {
    room: Places,
    count: Arc<AtomicUsize>,
    ended: watch::Sender<bool>,
}

/// A request's part of the room.
pub(super) struct Place {
    _room: Permit,
    count: Arc<AtomicUsize>,
    pause: Duration,
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting { room: Places::new(ROOM), count: Arc::default(), ended: watch::Sender::new(false) }
    }
}

impl Waiting {
    /// A place for a request of this size, unless the platform stops.
    pub(super) fn place(&self, pim: PimId, bytes: usize) -> Option<Place> {
        let holder = Holder { pim: pim.0.into(), part: 0 };
        let room = self.room.try_some(holder, bytes as u64).filter(|_| !*self.ended.borrow())?;
        if self.count.fetch_add(1, Ordering::SeqCst) == 0 {
            tracing::warn!("the store is away: Events API requests wait in memory");
        }
        Some(Place { _room: room, count: Arc::clone(&self.count), pause: PAUSE })
    }

    /// Whether any request waits.
    pub(super) fn any(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// Waits for the next attempt; `false` if it is the last one.
    pub(super) async fn pause(&self, place: &mut Place) -> bool {
        let mut ended = self.ended.subscribe();
        let ends = timeout(place.pause, ended.wait_for(|ended| *ended)).await.is_ok();
        place.pause = (place.pause * 2).min(PAUSE_AT_MOST);
        !ends
    }

    /// Lets each waiting request try once more, and no request wait any longer.
    pub(super) fn end(&self) {
        self.ended.send_replace(true);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            tracing::info!("no Events API request waits any more");
        }
    }
}

/// Whether a repetition may succeed.
pub(super) fn is_worth_waiting(error: &AppendError) -> bool {
    matches!(error, AppendError::Store(StoreError::Unavailable(_)))
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const PIM: PimId = PimId(1);
    const OTHER: PimId = PimId(2);

    #[test]
    fn the_room_is_bounded_and_returned() {
        let waiting = Waiting::default();
        let quarter = ROOM as usize / 4;
        let pims = [PIM, PIM, OTHER, PimId(3)];
        let places: Vec<_> = pims.iter().filter_map(|pim| waiting.place(*pim, quarter)).collect();
        assert!(places.len() == pims.len() && waiting.any());
        assert!(waiting.place(PimId(4), 1).is_none(), "it is full");
        drop(places);
        assert!(!waiting.any() && waiting.place(PIM, quarter).is_some());
    }

    #[test]
    fn a_pim_that_fills_its_part_leaves_room_for_others() {
        let waiting = Waiting::default();
        let size = 1 << 20;
        let flood: Vec<_> = std::iter::from_fn(|| waiting.place(PIM, size)).collect();
        assert_eq!(flood.len() as u64 * size as u64, ROOM / 4 * 3);
        assert!(waiting.place(OTHER, size).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end_with_the_platform() {
        let waiting = Waiting::default();
        let mut place = waiting.place(PIM, 1).unwrap();
        let start = Instant::now();
        for _ in 0..5 {
            assert!(waiting.pause(&mut place).await);
        }
        assert_eq!(start.elapsed(), Duration::from_millis(250 + 500 + 1000 + 2000 + 2000));
        waiting.end();
        assert!(!waiting.pause(&mut place).await, "the last attempt");
        assert_eq!(start.elapsed(), Duration::from_millis(5750));
        assert!(waiting.place(PIM, 1).is_none());
    }
}
