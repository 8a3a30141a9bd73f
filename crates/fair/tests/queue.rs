//! Shares are fair, nothing is granted twice, and no request is forgotten.

use std::collections::HashMap;

use fair::{Asked, Holder, Places, Queue, Waiter};
use proptest::prelude::*;

fn holder(pim: u64, part: u64) -> Holder {
    Holder { pim, part }
}

/// How many places a PIM gets that asks for one after another.
fn taken(queue: &mut Queue, pim: u64) -> usize {
    (0..100).take_while(|_| queue.ask(holder(pim, 1), 1) == Asked::Granted).count()
}

#[test]
fn a_single_tenant_may_have_all_but_a_quarter() {
    for (capacity, most) in [(1, 1), (2, 2), (3, 3), (4, 3), (8, 6), (100, 75)] {
        assert_eq!(taken(&mut Queue::new(capacity), 1), most, "of {capacity}");
    }
}

#[test]
fn newcomers_find_places_however_long_the_first_comer_holds_its_own() {
    let mut queue = Queue::new(16);
    assert_eq!(taken(&mut queue, 1), 12);
    // Nothing is ever given back.
    for newcomer in 2..6 {
        assert_eq!(queue.ask(holder(newcomer, 1), 1), Asked::Granted, "PIM {newcomer}");
    }
}

#[test]
fn a_quarter_is_reserved_for_small_shares() {
    let mut queue = Queue::new(8);
    assert_eq!(taken(&mut queue, 1), 6);
    assert_eq!(taken(&mut queue, 2), 2);
}

#[test]
fn a_place_that_becomes_free_goes_to_the_one_that_has_least() {
    let mut queue = Queue::new(4);
    assert_eq!(taken(&mut queue, 1), 3);
    assert_eq!(queue.ask(holder(3, 1), 1), Asked::Granted);
    let Asked::Waits(greedy) = queue.ask(holder(1, 2), 1) else { panic!("granted beyond the capacity") };
    let Asked::Waits(modest) = queue.ask(holder(2, 1), 1) else { panic!("granted beyond the capacity") };
    queue.give_back(holder(1, 1), 1);
    assert_eq!(queue.serve(), Some(modest));
    assert_eq!(queue.serve(), None);
    queue.give_back(holder(3, 1), 1);
    // One place is free, and it is the quarter that is kept.
    assert_eq!(queue.serve(), None);
    queue.give_back(holder(2, 1), 1);
    assert_eq!(queue.serve(), Some(greedy));
}

#[test]
fn within_a_pim_the_subscription_with_fewest_is_next() {
    let mut queue = Queue::new(3);
    for _ in 0..3 {
        assert_eq!(queue.ask(holder(1, 1), 1), Asked::Granted);
    }
    let Asked::Waits(_) = queue.ask(holder(1, 1), 1) else { panic!("granted beyond the capacity") };
    let Asked::Waits(other) = queue.ask(holder(1, 2), 1) else { panic!("granted beyond the capacity") };
    queue.give_back(holder(1, 1), 1);
    assert_eq!(queue.serve(), Some(other));
}

proptest! {
    #[test]
    fn the_books_balance(steps in prop::collection::vec((0_u64..4, 0_u64..3, 1_u64..4, 0_u8..3), 1..300)) {
        let mut queue = Queue::new(10);
        let mut held: Vec<(Holder, u64)> = Vec::new();
        let mut waiting: HashMap<Waiter, (Holder, u64)> = HashMap::new();
        for (pim, part, places, step) in steps {
            match step {
                0 => match queue.ask(holder(pim, part), places) {
                    Asked::Granted => held.push((holder(pim, part), places)),
                    Asked::Waits(waiter) => _ = waiting.insert(waiter, (holder(pim, part), places)),
                },
                1 if !held.is_empty() => {
                    let (holder, places) = held.swap_remove((pim * 7 + part) as usize % held.len());
                    queue.give_back(holder, places);
                }
                _ => {
                    if let Some(waiter) = waiting.keys().min().copied() {
                        waiting.remove(&waiter);
                        prop_assert!(queue.withdraw(waiter));
                    }
                }
            }
            while let Some(waiter) = queue.serve() {
                held.push(waiting.remove(&waiter).expect("a request that waits"));
            }
            let sum: u64 = held.iter().map(|(_, places)| places).sum();
            prop_assert_eq!(queue.used(), sum);
            prop_assert!(sum <= 10);
            prop_assert_eq!(queue.waiting(), waiting.len());
        }
        // All waiting requests are served once the others have given back.
        while !waiting.is_empty() {
            let (holder, places) = held.pop().expect("somebody waits although nothing is held");
            queue.give_back(holder, places);
            while let Some(waiter) = queue.serve() {
                held.push(waiting.remove(&waiter).expect("a request that waits"));
            }
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_task_that_gives_up_leaves_nothing_behind() {
    let places = Places::new(1);
    let first = places.one(holder(1, 1)).await;
    {
        let mut second = std::pin::pin!(places.one(holder(1, 2)));
        let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(second.as_mut().poll(cx).is_pending())).await;
        assert!(poll, "granted beyond the capacity");
        assert_eq!(places.waiting(), 1);
    }
    assert_eq!(places.waiting(), 0);
    drop(first);
    drop(places.one(holder(1, 3)).await);
    assert_eq!(places.used(), 0);
}
