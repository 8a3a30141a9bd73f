//! Lookup of list items by key, at a cost that is linear in the input.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// Up to this many keys are compared one by one: most lists have a single item, and need no table of their own.
const FEW: usize = 8;

/// Values of a list by key; the first one of each key counts. Each lookup takes a few steps, whatever the length of the
/// list and its keys.
pub(crate) enum Index<K, V> {
    Few(Vec<(K, V)>),
    Many(HashMap<K, V>),
}

impl<K: Hash + Eq, V> FromIterator<(K, V)> for Index<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(list: I) -> Index<K, V> {
        let list = list.into_iter();
        // A lower bound that is not exact costs only speed.
        let (least, _) = list.size_hint();
        if least <= FEW {
            let few: Vec<(K, V)> = list.collect();
            return if few.len() <= FEW { Index::Few(few) } else { Index::Many(first_of_each(few.into_iter())) };
        }
        Index::Many(first_of_each(list))
    }
}

impl<K: Hash + Eq, V: Copy> Index<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        match self {
            Index::Few(list) => list.iter().find(|(one, _)| one == key).map(|(_, value)| *value),
            Index::Many(first) => first.get(key).copied(),
        }
    }

    pub(crate) fn has(&self, key: &K) -> bool {
        self.get(key).is_some()
    }
}

fn first_of_each<K: Hash + Eq, V>(list: impl Iterator<Item = (K, V)>) -> HashMap<K, V> {
    let mut first = HashMap::with_capacity(list.size_hint().0);
    for (key, value) in list {
        first.entry(key).or_insert(value);
    }
    first
}

/// Items in `these` but not in `those`, each once, in the order of `these`.
pub(crate) fn beyond<'t, T: Hash + Eq>(these: &'t [T], those: &[T]) -> Vec<&'t T> {
    if these.len() <= FEW && those.len() <= FEW {
        let is_new = |(place, one): &(usize, &T)| !those.contains(one) && !these[..*place].contains(one);
        return these.iter().enumerate().filter(is_new).map(|(_, one)| one).collect();
    }
    let those: HashSet<&T> = those.iter().collect();
    let mut found = HashSet::new();
    these.iter().filter(|one| !those.contains(one) && found.insert(*one)).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::Hasher;

    use super::*;

    thread_local! {
        static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    /// A key that counts its comparisons.
    #[derive(Debug)]
    struct Counted(usize);

    impl PartialEq for Counted {
        fn eq(&self, other: &Counted) -> bool {
            COMPARED.set(COMPARED.get() + 1);
            self.0 == other.0
        }
    }

    impl Eq for Counted {}

    impl Hash for Counted {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    fn keys(from: usize, to: usize) -> Vec<Counted> {
        (from..to).map(Counted).collect()
    }

    #[test]
    fn the_first_of_a_key_counts() {
        let index: Index<&str, usize> = [("a", 1), ("b", 2), ("a", 3)].into_iter().collect();
        assert_eq!((index.get(&"a"), index.get(&"b"), index.get(&"c")), (Some(1), Some(2), None));
        assert!(index.has(&"a") && !index.has(&"c"));
    }

    #[test]
    fn later_entries_come_once_and_in_order() {
        assert_eq!(beyond(&["c", "a", "b", "c"], &["a"]), [&"c", &"b"]);
        assert_eq!(beyond::<u8>(&[], &[1]), Vec::<&u8>::new());
    }

    /// A few comparisons per key at any size; comparing each with each would take half the number of keys.
    #[test]
    fn steps_grow_with_the_list_and_not_with_its_square() {
        let compared = |size: usize| {
            COMPARED.set(0);
            assert_eq!(beyond(&keys(size / 2, size * 2), &keys(0, size)).len(), size);
            let index: Index<Counted, usize> = keys(0, size).into_iter().map(|key| (Counted(key.0), key.0)).collect();
            assert_eq!(keys(0, size * 2).iter().filter(|key| index.has(key)).count(), size);
            COMPARED.get()
        };
        for size in [1_000, 10_000, 100_000] {
            let steps = compared(size);
            assert!(steps < 5 * size, "{steps} comparisons for {size} keys");
        }
    }
}
