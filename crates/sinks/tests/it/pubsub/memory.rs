//! Memory does not grow with the number of entities.

use super::{check_all, deliver, emulator, event, in_order, sink};

/// The library keeps a task of 9 KB for each ordering key that a publisher has seen.
const ENTITIES: u64 = 100_000;
const MAY_GROW_BY: u64 = 60 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn entities_leave_nothing_behind() {
    let Some(emulator) = emulator() else { return };
    let topic = emulator.create_topic("entities").unwrap();
    let (sink, subscription) = (sink(emulator), in_order(&topic));
    let begun = std::time::Instant::now();
    let mut before = None;
    for batch in 0..ENTITIES / 1_000 {
        let events: Vec<_> = (0..1_000).map(|n| event(n, &format!("p-{batch}-{n}"), &"x".repeat(500))).collect();
        check_all(&deliver(&sink, &subscription, &events).await, "delivered");
        before.get_or_insert_with(resident);
    }
    let grown = resident().saturating_sub(before.expect("a batch"));
    eprintln!("{ENTITIES} entities: {} KiB more, {:?}", grown >> 10, begun.elapsed());
    assert!(grown < MAY_GROW_BY, "{} MiB more", grown >> 20);
}

/// Bytes of memory in use.
fn resident() -> u64 {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}
