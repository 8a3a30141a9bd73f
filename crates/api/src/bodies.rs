//! Memory for bodies: bounded over all requests and shared fairly, so that nobody's uploads cost the others their room.
//!
//! A body has its room before it is read, and keeps it until its request is answered. Whoever is known by a key shares
//! by PIM. A request of the Events API proves itself only once its body is there; until then it shares a smaller part,
//! by where it comes from.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use domain::ClientId;
use domain::pim::Pim;
use fair::{Holder, Permit, Places};
use tokio::time::timeout;

use crate::origin::Origin;
use crate::refusal::{Refusal, because};

/// How long a request waits for room.
const WAIT: Duration = Duration::from_secs(5);
/// When to come back if there was none.
const RETRY: Duration = Duration::from_secs(2);
/// Room for a body whose length is not announced; it grows with what comes.
const UNANNOUNCED: usize = 64 * 1024;
/// Unproven bodies up to this size have a share of their own: almost all genuine ones are smaller.
const SMALL: usize = 256 * 1024;

/// The memory.
pub(crate) struct Bodies {
    proven: Places,
    unproven: Places,
}

/// Whose body it is.
pub(crate) struct Room<'a> {
    places: &'a Places,
    holder: Holder,
    /// Whether small bodies have a share of their own.
    by_size: bool,
}

/// Memory that a body may take; it is free again when this is dropped.
#[derive(Default)]
pub(crate) struct Held {
    permits: Vec<Permit>,
    bytes: usize,
}

impl Bodies {
    /// At most `bytes`, an eighth of it for what is not proven.
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

    /// For somebody who is yet to be known.
    pub(crate) fn of_stranger(&self, origin: Origin) -> Room<'_> {
        Room { places: &self.unproven, holder: Holder { pim: origin.number(), part: 0 }, by_size: true }
    }

    /// Bytes that bodies may take now: of those that are proven, and of the others.
    pub(crate) fn used(&self) -> (u64, u64) {
        (self.proven.used(), self.unproven.used())
    }
}

impl Room<'_> {
    /// Makes room for a body of this length, or for the beginning of one whose length is not known. Never more than
    /// `limit`.
    pub(crate) async fn begin(&self, announced: Option<u64>, limit: usize) -> Result<Held, Refusal> {
        let bytes = announced.map_or(UNANNOUNCED, |length| usize::try_from(length).unwrap_or(usize::MAX)).min(limit);
        let mut held = Held::default();
        self.grow(&mut held, bytes).await?;
        Ok(held)
    }

    /// Makes room for a body that has become `bytes` long.
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
        let asked = self.places.some(Holder { part, ..self.holder }, more as u64);
        let Ok(permit) = timeout(WAIT, asked).await else {
            return Err(Refusal::new(
                because::BUSY,
                "other requests have all the memory that there is for bodies; send the request again",
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
        assert_eq!(held.len(), 1, "the others were told to come back");
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
    async fn who_waits_in_vain_is_told_when_to_come_back() {
        let bodies = Bodies::new(8 << 20);
        let room = bodies.of_stranger(origin(1));
        let _all = room.begin(Some(1 << 20), LIMIT).await.unwrap();
        let refused = room.begin(Some(1000), LIMIT).await.err().unwrap();
        assert_eq!((refused.said().status, refused.said().reason()), (503, "busy"));
    }
}
