//! The Pub/Sub server and its consumer start and work as tests expect.

use std::time::Duration;

use parts::pubsub::{Emulator, Fault};

#[test]
fn starts_takes_orders_and_counts() {
    let emulator = match Emulator::start() {
        Ok(emulator) => emulator,
        Err(error) => return parts::left_out("the Pub/Sub test server", &error),
    };
    let topic = emulator.create_topic("events").expect("a topic");
    assert_eq!(topic, "projects/postrider-tests/topics/events");
    let again = emulator.create_topic("events").expect_err("it is there");
    assert!(again.to_string().contains("AlreadyExists"), "{again:#}");
    emulator.fault(&topic, &Fault { code: "UNAVAILABLE", times: 1, ..Fault::default() }).expect("a fault");
    emulator.heal(&topic).expect("healed");
    assert_eq!(emulator.counts(&topic).expect("counts").calls, 0);
    emulator.go_down().expect("down");
    emulator.come_up().expect("up");
    parts::port::accepts(emulator.port(), Duration::from_secs(5)).expect("it listens again");
    match emulator.consume(&topic) {
        Ok(consumer) => assert!(consumer.received().expect("readable").is_empty()),
        Err(error) => parts::left_out("Google's Pub/Sub client for Python", &error),
    }
}
