//! Keys of events: what they are found by, as hashes that preselect.
//!
//! 16 bytes per event, little endian: `position − first u32 | type u16 | author u16 | entity u32 | id u32`.

use domain::{Event, LoggedEvent, PimId, Position, Timestamp};
use store::KeptQuery;

/// Bytes per event.
const KEY: usize = 16;
/// Maximum number of events per segment.
const SEGMENT_EVENTS: usize = 2_048;
/// Bytes of events that complete a segment.
const SEGMENT_BYTES: usize = 2 << 20;

/// Keys of consecutive events of a PIM.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) pim: PimId,
    pub(super) first: Position,
    /// Exclusive end.
    pub(super) until: Position,
    /// Times of acceptance, both inclusive.
    pub(super) earliest: Timestamp,
    pub(super) latest: Timestamp,
    pub(super) keys: Vec<u8>,
    /// Bytes of its events.
    bytes: usize,
}

impl Segment {
    /// A segment of one event.
    pub(super) fn new(logged: &LoggedEvent) -> Segment {
        let mut segment = Segment {
            pim: logged.pim,
            first: logged.position,
            until: logged.position,
            earliest: logged.accepted_at,
            latest: logged.accepted_at,
            keys: Vec::new(),
            bytes: 0,
        };
        segment.push(logged, 0);
        segment
    }

    /// Adds the next event. `false` if it is too far from the first.
    pub(super) fn add(&mut self, logged: &LoggedEvent) -> bool {
        let Ok(offset) = u32::try_from(logged.position.0 - self.first.0) else { return false };
        self.push(logged, offset);
        true
    }

    fn push(&mut self, logged: &LoggedEvent, offset: u32) {
        self.until = logged.position.next();
        self.earliest = self.earliest.min(logged.accepted_at);
        self.latest = self.latest.max(logged.accepted_at);
        self.keys.extend_from_slice(&key(offset, &logged.event));
        self.bytes += logged.event.size();
    }

    /// Number of events.
    pub(super) fn events(&self) -> usize {
        self.keys.len() / KEY
    }

    pub(super) fn is_full(&self) -> bool {
        self.keys.len() >= SEGMENT_EVENTS * KEY || self.bytes >= SEGMENT_BYTES
    }
}

fn key(offset: u32, event: &Event) -> [u8; KEY] {
    let author = event.author().map_or(0, |author| hash(&author));
    let entity = event.entity().map_or(0, |entity| hash(entity.key()));
    let mut key = [0; KEY];
    key[..4].copy_from_slice(&offset.to_le_bytes());
    key[4..6].copy_from_slice(&(hash(event.event_type()) as u16).to_le_bytes());
    key[6..8].copy_from_slice(&(author as u16).to_le_bytes());
    key[8..12].copy_from_slice(&(entity as u32).to_le_bytes());
    key[12..].copy_from_slice(&(hash(event.id()) as u32).to_le_bytes());
    key
}

/// FNV-1a, mixed at the end so that all bits count. Stored, so it never changes.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step);
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 32)
}

/// The hashes of a query.
#[derive(Debug)]
pub(super) struct Wanted {
    types: Vec<u16>,
    author: Option<u16>,
    entity: Option<u32>,
    ids: Vec<u32>,
}

impl Wanted {
    /// `None` if every key would be a hit.
    pub(super) fn of(query: &KeptQuery) -> Option<Wanted> {
        let wanted = Wanted {
            types: query.types.iter().map(|name| hash(name) as u16).collect(),
            author: query.author.as_deref().map(|author| hash(author) as u16),
            entity: query.entity.as_deref().map(|entity| hash(entity) as u32),
            ids: query.ids.iter().map(|id| hash(id) as u32).collect(),
        };
        let any = !wanted.types.is_empty() || !wanted.ids.is_empty();
        (any || wanted.author.is_some() || wanted.entity.is_some()).then_some(wanted)
    }

    /// Positions of events that may match, ascending.
    pub(super) fn hits(&self, first: Position, keys: &[u8]) -> Vec<Position> {
        let (keys, _) = keys.as_chunks::<KEY>();
        let hits = keys.iter().filter(|key| self.is_hit(key));
        hits.map(|[a, b, c, d, ..]| Position(first.0 + u64::from(u32::from_le_bytes([*a, *b, *c, *d])))).collect()
    }

    fn is_hit(&self, key: &[u8; KEY]) -> bool {
        let [_, _, _, _, t0, t1, a0, a1, e0, e1, e2, e3, i0, i1, i2, i3] = *key;
        self.entity.is_none_or(|entity| entity == u32::from_le_bytes([e0, e1, e2, e3]))
            && self.author.is_none_or(|author| author == u16::from_le_bytes([a0, a1]))
            && (self.types.is_empty() || self.types.contains(&u16::from_le_bytes([t0, t1])))
            && (self.ids.is_empty() || self.ids.contains(&u32::from_le_bytes([i0, i1, i2, i3])))
    }
}

#[cfg(test)]
mod tests {
    use domain::event::EventParts;

    use super::*;

    #[test]
    fn hashes_are_stored_and_stay_the_same() {
        let data = r#"{"product":{"uuid":"6a9f"},"author":{"identifier":"julia","type":"user"}}"#;
        let parts = EventParts {
            id: "event-1",
            event_type: "com.akeneo.pim.v1.product.updated",
            time: "2026-11-02T08:00:00Z",
            extensions: "",
            data,
            product_identifier: None,
        };
        let key = key(258, &Event::new(parts));
        assert_eq!(key[..4], [2, 1, 0, 0]);
        assert_eq!(key[4..], [99, 84, 103, 58, 45, 116, 74, 44, 118, 66, 82, 186]);
    }
}
