//! Revisions replace each other, whatever the order of their attempts.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[derive(Default)]
struct Thing {
    name: &'static str,
    retired: AtomicBool,
}

impl Keep for Thing {
    fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }
}

impl Thing {
    fn new(name: &'static str) -> Thing {
        Thing { name, ..Thing::default() }
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }
}

#[test]
fn a_newer_revision_replaces_an_older_one_and_an_older_one_is_not_kept() {
    let (all, id) = (Kept::default(), SubscriptionId::generate());
    let second = all.put(id, 2, Thing::new("second"));
    assert!(all.get(id, 1).is_none() && all.get(id, 3).is_none());
    assert_eq!(all.put(id, 2, Thing::new("second again")).name, "second", "another attempt came first");
    let third = all.put(id, 3, Thing::new("third"));
    assert!(second.is_retired() && !third.is_retired());
    let late = all.put(id, 2, Thing::new("late"));
    assert_eq!((late.name, late.is_retired()), ("late", true), "it is for one attempt only");
    assert_eq!(all.get(id, 3).map(|kept| kept.name), Some("third"));
}

#[test]
fn forgotten_entries_are_retired() {
    let (all, one, other) = (Kept::default(), SubscriptionId::generate(), SubscriptionId::generate());
    let kept = all.put(one, 1, Thing::new("one"));
    all.put(other, 1, Thing::new("other"));
    assert!(!all.forget(one), "the other is left");
    assert!(kept.is_retired() && all.get(one, 1).is_none());
    assert!(all.forget(other));
}

#[test]
fn entries_in_use_are_neither_swept_nor_reused() {
    let (all, one, other) = (Kept::default(), SubscriptionId::generate(), SubscriptionId::generate());
    let used = all.put(one, 1, Thing::new("b"));
    all.put(other, 1, Thing::new("a"));
    all.sweep(|thing| thing.name == "b");
    assert!(all.get(one, 1).is_some());
    drop(used);
    let used = all.get(other, 1);
    assert_eq!(all.take_unused(|thing| thing.name).map(|taken| taken.name), Some("b"));
    assert!(all.take_unused(|thing| thing.name).is_none());
    drop(used);
    all.sweep(|thing| thing.name == "b");
    assert!(all.get(other, 1).is_some(), "it may not go");
    all.sweep(|_| true);
    assert!(all.get(other, 1).is_none());
}
