//! Clients are shared for equal brokers, credentials and TLS, limited in number, and closed when unused.

use std::time::Instant;

use domain::outcome::Outcome;
use parts::kafka::{Listener, PASSWORD, USER};
use sinks::Sink;

use super::*;
use crate::conformance::{deliver, event};

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let by = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < by, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_with_the_same_credentials_share_a_client_until_the_last_is_gone() {
    let Some(broker) = blocking(broker) else { return };
    let (first, second) = (topic(broker, 1, &[]), topic(broker, 1, &[]));
    let sink = sink(KafkaSettings::default());
    let (one, other) = (on_sasl(broker, &first), on_sasl(broker, &second));
    let bulk = with(&broker.bootstrap(Listener::Sasl), &first, plain("bulk-1", PASSWORD), None);
    let encrypted = with(&broker.bootstrap(Listener::Tls), &first, plain(USER, PASSWORD), Some(tls(broker.tls())));

    for (subscription, clients) in [(&one, 1), (&other, 1), (&bulk, 2), (&encrypted, 3), (&one, 3)] {
        assert_eq!(deliver(&*sink, subscription, vec![event(1)]).await, [Outcome::Delivered]);
        assert_eq!(sink.open_clients(), clients);
        assert_eq!(sink.open_connections(), clients, "the broker is one, and each client has one connection to it");
    }
    sink.forget(one.id);
    assert_eq!(sink.open_clients(), 3, "the other still uses it");
    assert_eq!(deliver(&*sink, &other, vec![event(2)]).await, [Outcome::Delivered]);
    for id in [other.id, bulk.id, encrypted.id] {
        sink.forget(id);
    }
    assert_eq!(sink.open_clients(), 0);
    until("connections are closed", || sink.open_connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_configuration_replaces_the_kept_client() {
    let Some(broker) = blocking(broker) else { return };
    let topic = topic(broker, 1, &[]);
    let sink = sink(KafkaSettings::default());
    let before = on_sasl(broker, &topic);
    assert_eq!(deliver(&*sink, &before, vec![event(1)]).await, [Outcome::Delivered]);
    let mut after = with(&broker.bootstrap(Listener::Sasl), &topic, plain("bulk-2", PASSWORD), None);
    (after.id, after.revision) = (before.id, before.revision + 1);
    assert_eq!(deliver(&*sink, &after, vec![event(2)]).await, [Outcome::Delivered]);
    assert_eq!(sink.open_clients(), 1);
    until("the old connection is closed", || sink.open_connections() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_clients_are_closed() {
    let Some(broker) = blocking(broker) else { return };
    let topic = topic(broker, 1, &[]);
    let sink = sink(KafkaSettings { idle_timeout: Duration::from_millis(500), ..KafkaSettings::default() });
    let subscription = on_sasl(broker, &topic);
    assert_eq!(deliver(&*sink, &subscription, vec![event(1)]).await, [Outcome::Delivered]);
    until("the client is closed", || sink.open_clients() == 0 && sink.open_connections() == 0).await;
    assert_eq!(deliver(&*sink, &subscription, vec![event(2)]).await, [Outcome::Delivered]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_clients_are_open_than_are_allowed_and_all_get_their_turn() {
    let Some(broker) = blocking(broker) else { return };
    let topic = topic(broker, 1, &[]);
    let sink = sink(KafkaSettings { clients: 2, ..KafkaSettings::default() });
    let attempts = (0..8).map(|number| {
        let sink = sink.clone();
        let user = format!("bulk-{number}");
        let subscription = with(&broker.bootstrap(Listener::Sasl), &topic, plain(&user, PASSWORD), None);
        async move {
            assert_eq!(deliver(&*sink, &subscription, vec![event(number)]).await, [Outcome::Delivered]);
            assert!(sink.open_clients() <= 2);
        }
    });
    futures_util::future::join_all(attempts).await;
    assert_eq!(consumed(broker, &topic, 8).len(), 8);
}
