//! Hashes of what events are found by: type, author, entity and id. They preselect frames; the events themselves
//! decide.

use std::collections::BTreeSet;

use domain::Event;
use store::KeptQuery;

/// What a hash is of: the same text as an id and as an author has two hashes.
#[derive(Clone, Copy)]
enum Kind {
    Type = 1,
    Author = 2,
    Entity = 3,
    Id = 4,
}

/// All hashes of a frame's events, as an array in SQL.
pub(crate) fn of<'a>(events: impl Iterator<Item = &'a Event>) -> String {
    let mut hashes = BTreeSet::new();
    for event in events {
        hashes.insert(hash(Kind::Type, event.event_type()));
        hashes.insert(hash(Kind::Id, event.id()));
        if let Some(author) = event.author() {
            hashes.insert(hash(Kind::Author, &author));
        }
        if let Some(entity) = event.entity() {
            hashes.insert(hash(Kind::Entity, entity.key()));
        }
    }
    let hashes: Vec<String> = hashes.iter().map(ToString::to_string).collect();
    format!("{{{}}}", hashes.join(","))
}

/// A frame has one hash of each of these sets if it has an event of the query.
pub(crate) fn wanted(query: &KeptQuery) -> [Vec<i32>; 4] {
    let all = |kind, texts: &[String]| texts.iter().map(|text| hash(kind, text)).collect();
    [
        all(Kind::Type, &query.types),
        all(Kind::Id, &query.ids),
        all(Kind::Author, query.author.as_slice()),
        all(Kind::Entity, query.entity.as_slice()),
    ]
}

/// FNV-1a, mixed at the end so that all bits count. Stored, so it never changes.
fn hash(kind: Kind, text: &str) -> i32 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let begin = step(0xcbf2_9ce4_8422_2325, &(kind as u8));
    let hash = text.as_bytes().iter().fold(begin, step);
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((hash >> 32) as u32).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_stored_and_stay_the_same() {
        let event = domain::testing::event("event-1", "com.akeneo.pim.v1.product.updated", "{}");
        let first = of([&event].into_iter());
        let query = KeptQuery { ids: vec!["event-1".to_owned()], ..KeptQuery::default() };
        let [types, ids, authors, entities] = wanted(&query);
        assert_eq!((types.len(), ids.len(), authors.len(), entities.len()), (0, 1, 0, 0));
        assert!(first.contains(&ids[0].to_string()), "{first}");
        assert_eq!(hash(Kind::Id, "event-1"), 501_366_766);
    }
}
