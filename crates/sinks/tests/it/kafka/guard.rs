//! The guard on addresses advertised by a cluster: a broker that advertises a forbidden address is reached where
//! allowed, and never connected to otherwise.

use domain::outcome::{ErrorReason, Failure, Outcome};
use parts::kafka::Listener;

use super::*;
use crate::conformance::{deliver, event};

/// Whether this machine has a connection to `127.0.0.2:port`, or recently had one (Linux keeps them for a minute).
fn is_connected_to_the_trap(port: u16) -> bool {
    let connections = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let remote = format!("0200007F:{port:04X}");
    connections.lines().skip(1).any(|line| line.split_whitespace().nth(2) == Some(&remote))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_advertised_address_is_judged_like_any_other() {
    let Some(broker) = blocking(broker) else { return };
    let topic = topic(broker, 1, &[]);
    let port = broker.port(Listener::AdvertisesElsewhere);
    let subscription = subscription(&broker.bootstrap(Listener::AdvertisesElsewhere), &topic);

    let guarded = sink(KafkaSettings::default());
    let outcomes = deliver(&*guarded, &subscription, vec![event(1), event(2)]).await;
    let message = "127.0.0.2 is a loopback address (127.0.0.0/8), which is forbidden for destinations".to_owned();
    let failure = Failure { reason: ErrorReason::DestinationForbidden, code: 500, message, answer: None };
    assert_eq!(outcomes, vec![Outcome::Broken(failure); 2]);
    assert!(!is_connected_to_the_trap(port), "the guard let a connection through");

    // The trap works: an allowed connection arrives.
    let allowed = sink_allowing(&["127.0.0.0/8"], KafkaSettings::default());
    assert_eq!(deliver(&*allowed, &subscription, vec![event(3)]).await, [Outcome::Delivered]);
    assert!(is_connected_to_the_trap(port));
    assert_eq!(consumed(broker, &topic, 1).len(), 1);
}
