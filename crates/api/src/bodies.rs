//! Memory for bodies: limited over all requests and shared fairly, so that uploads don't take memory from others.
//!
//! Memory is reserved before a body is read and released when its request is answered. Requests with a key share by
//! PIM. A request of the Events API is only authenticated once its body is complete; until then it shares a smaller
//! part, by address.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use domain::ClientId;
use domain::pim::Pim;
use fair::{Holder, Permit, Places};
use tokio::time::timeout;

use crate::origin::Origin;
use crate::refusal::{Refusal, because};

/// How long a request waits for memory.
const WAIT: Duration = Duration::from_secs(5);
/// `Retry-After` if there is none.
const RETRY: Duration = Duration::from_secs(2);
/// Initial reservation for a body of unknown length; it grows with the data.
const UNANNOUNCED: usize = 64 * 1024;
/// Unauthenticated bodies up to this size have a share of their own: almost all genuine ones are smaller.
const SMALL: usize = 256 * 1024;

/// The memory.
pub(crate) struct Bodies {
    proven: Places,
    unproven: Places,
}

/// Owner of a body.
pub(crate) struct Room<'a> {
    places: &'a Places,
    holder: Holder,
    /// Whether small bodies have a share of their own.
    by_size: bool,
}

/// Reserved memory; released when dropped.
#[derive(Default)]
pub(crate) struct Held {
    permits: Vec<Permit>,
    bytes: usize,
}

impl Bodies {
    /// Limits the memory to `bytes`, an eighth of it for unauthenticated bodies.
    pub(crate) fn new(bytes: u64) -> Bodies {
        Bodies { proven: Places::new(bytes - bytes / 8), unproven: Places::new(bytes / 8) }
    }

    /// For producers of a PIM.
    pub(crate) fn of_pim(&self, pim: &Pim) -> Room<'_> {
        Room { places: &self.proven, holder: Holder { pim: pim.id.0.into(), part: 0 }, by_size: false }
    }

    /// For a client of a PIM.
    pub(crate) fn of_client(&self, pim: &Pim, client: &ClientId) -> Room<'_> {
        let mut part = DefaultHasher::new();
        client.0.hash(&mut part);
        Room { places: &self.proven, holder: Holder { pim: pim.id.0.into(), part: part.finish() }, by_size: false }
    }

    /// For the operator.
    pub(crate) fn of_operator(&self) -> Room<'_> {
        Room { places: &self.proven, holder: Holder { pim: u64::MAX, part: 0 }, by_size: false }
    }

    /// For unauthenticated callers.
    pub(crate) fn of_stranger(&self, origin: Origin) -> Room<'_> {
        Room { places: &self.unproven, holder: Holder { pim: origin.number(), part: 0 }, by_size: true }
    }

    /// Reserved bytes, of authenticated and of unauthenticated bodies.
    pub(crate) fn used(&self) -> (u64, u64) {
        (self.proven.used(), self.unproven.used())
    }
}

impl Room<'_> {
    /// Reserves memory for a body of this length, or for the beginning of one of unknown length. Never more than
    /// `limit`.
    pub(crate) async fn begin(&self, announced: Option<u64>, limit: usize) -> Result<Held, Refusal> {
        let bytes = announced.map_or(UNANNOUNCED, |length| usize::try_from(length).unwrap_or(usize::MAX)).min(limit);
        let mut held = Held::default();
        self.grow(&mut held, bytes).await?;
        Ok(held)
    }

    /// Extends the reservation for a body that has become `bytes` long.
    pub(crate) async fn hold(&self, held: &mut Held, bytes: usize, limit: usize) -> Result<(), Refusal> {
        if bytes <= held.bytes {
            return Ok(());
        }
        let wanted = bytes.max(2 * held.bytes).min(limit.max(bytes));
        self.grow(held, wanted - held.bytes).await
    }

    async fn grow(&self, held: &mut Held, more: usize) -> Result<(), Refusal> {
        if more == 0 {
            return Ok(());
        }
        let part = if self.by_size { u64::from(held.bytes + more > SMALL) } else { self.holder.part };
        let (holder, more_bytes) = (Holder { part, ..self.holder }, more as u64);
        // The usual case needs no timer.
        let permit = match self.places.try_some(holder, more_bytes) {
            Some(permit) => Ok(permit),
            None => timeout(WAIT, self.places.some(holder, more_bytes)).await,
        };
        let Ok(permit) = permit else {
            return Err(Refusal::new(
                because::BUSY,
                "other requests use all the memory for request bodies; retry the request",
            )
            .retry_after(RETRY));
        };
        held.permits.push(permit);
        held.bytes += more;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 5 << 20;

    fn origin(last: u8) -> Origin {
        Origin::of([192, 0, 2, last].into())
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_share_an_eighth() {
        let bodies = Bodies::new(64 << 20);
        let mut held = Vec::new();
        for _ in 0..60 {
            held.extend(bodies.of_stranger(origin(1)).begin(Some(LIMIT as u64), LIMIT).await.ok());
            assert!(bodies.used().1 <= 8 << 20);
        }
        assert_eq!(held.len(), 1, "the others were rejected");
        let genuine = bodies.of_stranger(origin(2)).begin(Some(40_000), LIMIT).await;
        assert!(genuine.is_ok(), "another address has its share");
        drop(held);
        drop(genuine);
        assert_eq!(bodies.used(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_without_a_length_gets_room_as_it_comes() {
        let bodies = Bodies::new(64 << 20);
        let room = bodies.of_stranger(origin(1));
        let mut held = room.begin(None, LIMIT).await.unwrap();
        assert_eq!(bodies.used().1, 64 << 10);
        room.hold(&mut held, 60_000, LIMIT).await.unwrap();
        assert_eq!(bodies.used().1, 64 << 10);
        room.hold(&mut held, 70_000, LIMIT).await.unwrap();
        assert_eq!(bodies.used().1, 128 << 10);
        room.hold(&mut held, LIMIT, LIMIT).await.unwrap();
        assert_eq!(bodies.used().1, LIMIT as u64);
        drop(held);
        assert_eq!(bodies.used().1, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timed_out_wait_suggests_when_to_retry() {
        let bodies = Bodies::new(8 << 20);
        let room = bodies.of_stranger(origin(1));
        let _all = room.begin(Some(1 << 20), LIMIT).await.unwrap();
        let refused = room.begin(Some(1000), LIMIT).await.err().unwrap();
        assert_eq!((refused.said().status, refused.said().reason()), (503, "busy"));
    }
}
