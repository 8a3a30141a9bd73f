//! Keys of events: what they are found by, as hashes that preselect.
//!
//! Four columns of four bytes per event, little endian: `position − first`, `type u16 | author u16`, `entity`, `id`.

use domain::{Event, LoggedEvent, PimId, Position, Timestamp};
use store::KeptQuery;

/// Bytes per event in a column.
const KEY: usize = 4;
/// Keys compared at once.
const BLOCK: usize = 64;
/// Columns, as numbered in storage.
pub(super) const COLUMNS: [Column; 4] = [Column::Position, Column::TypeAndAuthor, Column::Entity, Column::Id];
/// Bytes of keys per event.
pub(super) const EVENT_BYTES: u64 = (KEY * COLUMNS.len()) as u64;
/// Maximum number of events per segment.
const SEGMENT_EVENTS: usize = 2_048;
/// Bytes of events that complete a segment.
const SEGMENT_BYTES: usize = 2 << 20;

/// A column of keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Column {
    Position,
    TypeAndAuthor,
    Entity,
    Id,
}

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
    /// By column.
    pub(super) keys: [Vec<u8>; 4],
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
            keys: Default::default(),
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
        for (column, key) in self.keys.iter_mut().zip(keys(offset, &logged.event)) {
            column.extend_from_slice(&key);
        }
        self.bytes += logged.event.size();
    }

    /// Number of events.
    pub(super) fn events(&self) -> usize {
        self.keys[0].len() / KEY
    }

    pub(super) fn is_full(&self) -> bool {
        self.events() >= SEGMENT_EVENTS || self.bytes >= SEGMENT_BYTES
    }
}

/// The keys of an event, by column.
fn keys(offset: u32, event: &Event) -> [[u8; KEY]; 4] {
    let author = event.author().map_or(0, |author| hash(&author));
    let entity = event.entity().map_or(0, |entity| hash(entity.key()));
    let type_and_author = type_and_author(event.event_type(), author);
    let columns = [offset, type_and_author, entity as u32, hash(event.id()) as u32];
    columns.map(u32::to_le_bytes)
}

fn type_and_author(event_type: &str, author: u64) -> u32 {
    u32::from(hash(event_type) as u16) | u32::from(author as u16) << 16
}

/// FNV-1a, mixed at the end so that all bits count. Stored, so it never changes.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step);
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 32)
}

/// The hashes of a query that preselect most: those of one column.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) column: Column,
    /// The bits that are compared.
    mask: u32,
    hashes: Vec<u32>,
}

impl Wanted {
    /// `None` if every key would be a hit.
    pub(super) fn of(query: &KeptQuery) -> Option<Wanted> {
        let all = |column, hashes| Some(Wanted { column, mask: u32::MAX, hashes });
        if !query.ids.is_empty() {
            return all(Column::Id, query.ids.iter().map(|id| hash(id) as u32).collect());
        }
        if let Some(entity) = &query.entity {
            return all(Column::Entity, vec![hash(entity) as u32]);
        }
        let author = query.author.as_deref().map(hash);
        let (of_type, of_author) = (u32::from(u16::MAX), u32::from(u16::MAX) << 16);
        let mask = if query.types.is_empty() { 0 } else { of_type } | if author.is_some() { of_author } else { 0 };
        let any = [String::new()];
        let types = if query.types.is_empty() { &any[..] } else { &query.types };
        let hashes = types.iter().map(|name| type_and_author(name, author.unwrap_or_default()) & mask).collect();
        (mask != 0).then_some(Wanted { column: Column::TypeAndAuthor, mask, hashes })
    }

    /// Places of events that may match, ascending.
    pub(super) fn hits(&self, column: &[u8]) -> Vec<usize> {
        let (keys, _) = column.as_chunks::<KEY>();
        let is = |key: &[u8; KEY], hash: u32| u32::from_le_bytes(*key) & self.mask == hash;
        let mut places = Vec::new();
        for (number, block) in keys.chunks(BLOCK).enumerate() {
            // Hits are rare. Without an early exit, the keys of a block are compared at once.
            let has = |hash: &u32| block.iter().fold(false, |any, key| any | is(key, *hash));
            if self.hashes.iter().any(has) {
                let hits = block.iter().enumerate().filter(|(_, key)| self.hashes.iter().any(|hash| is(key, *hash)));
                places.extend(hits.map(|(place, _)| number * BLOCK + place));
            }
        }
        places
    }
}

/// Positions of these places in a segment.
pub(super) fn positions(first: Position, column: &[u8], places: &[usize]) -> Vec<Position> {
    let (offsets, _) = column.as_chunks::<KEY>();
    let offset = |place: &usize| offsets.get(*place).map(|offset| u64::from(u32::from_le_bytes(*offset)));
    places.iter().filter_map(offset).map(|offset| Position(first.0 + offset)).collect()
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
        let key = keys(258, &Event::new(parts)).concat();
        assert_eq!(key[..4], [2, 1, 0, 0]);
        assert_eq!(key[4..], [99, 84, 103, 58, 45, 116, 74, 44, 118, 66, 82, 186]);
    }

    #[test]
    fn hits_are_the_places_of_equal_keys() {
        let keys: Vec<u32> =
            (0..1_000).map(|number| if number % 333 == 0 { 7 << 16 | number } else { number }).collect();
        let column: Vec<u8> = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
        let check = |mask, hashes: &[u32], expect: &[usize]| {
            let wanted = Wanted { column: Column::TypeAndAuthor, mask, hashes: hashes.to_vec() };
            assert_eq!(wanted.hits(&column), expect);
        };
        check(u32::MAX, &[5, 999], &[5]);
        check(u32::from(u16::MAX) << 16, &[7 << 16], &[0, 333, 666, 999]);
        check(u32::from(u16::MAX), &[64, 128, 999], &[64, 128, 999]);
        check(u32::MAX, &[2_000], &[]);
    }
}
