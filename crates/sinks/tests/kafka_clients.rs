//! Cost of many Kafka clients: threads, file descriptors and memory of this process, which does nothing else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::address::AddressPolicy;
use domain::destination::{CustomHeaders, Destination, KafkaDestination, SaslAuth, SaslMechanism};
use domain::outcome::Outcome;
use domain::subscription::Subscription;
use domain::{Clock, LoggedEvent, Secret, testing};
use futures_util::stream::{self, StreamExt};
use parts::kafka::{BULK_USERS, Broker, Listener, PASSWORD};
use sinks::connect::Connector;
use sinks::kafka::{KafkaSettings, KafkaSink};
use sinks::resolve::Resolver;
use sinks::tls::TlsClient;
use sinks::{Delivery, Sink};
use wire::envelope::EnvelopeStyle;

/// Threads, open files and resident kilobytes of this process.
fn usage() -> (usize, usize, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    };
    (field("Threads:"), std::fs::read_dir("/proc/self/fd").unwrap().count(), field("VmRSS:"))
}

fn subscription(broker: &Broker, user: usize) -> Subscription {
    testing::subscription(Destination::Kafka(KafkaDestination {
        brokers: vec![broker.bootstrap(Listener::Sasl)],
        topic: "many".to_owned(),
        sasl: SaslAuth {
            mechanism: SaslMechanism::Plain,
            username: format!("bulk-{user}"),
            password: Secret::new(PASSWORD),
        },
        tls: None,
        headers: CustomHeaders(Vec::new()),
    }))
}

fn event(number: u64) -> Arc<LoggedEvent> {
    let id = format!("018e32e0-5c1e-7f4b-9a3b-{number:012}");
    let event = testing::event(&id, testing::UPDATED, &format!(r#"{{"product":{{"uuid":"{number}"}}}}"#));
    Arc::new(LoggedEvent { accepted_at: Clock::system().wall(), ..testing::logged(number, event) })
}

#[test]
fn five_hundred_subscriptions_with_credentials_of_their_own_stay_within_bounds() {
    let broker = match Broker::start() {
        Ok(broker) => broker,
        Err(error) => return parts::left_out("Apache Kafka", &error),
    };
    broker.create_topic("many", 1, &[]).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let policy = AddressPolicy::allowing(vec!["127.0.0.0/8".parse().unwrap()]);
        let connector = Connector::new(Arc::new(Resolver::system()), policy, TlsClient::new(&[]).unwrap());
        let style = EnvelopeStyle::new("akeneo-event-platform", "https://events.example");
        let sink = KafkaSink::new(connector, style, KafkaSettings::default()).unwrap();
        let subscriptions: Vec<_> = (0..BULK_USERS).map(|user| Arc::new(subscription(&broker, user))).collect();
        let before = usage();
        for round in 0..2 {
            let attempts =
                stream::iter(subscriptions.iter().enumerate()).for_each_concurrent(50, |(number, subscription)| {
                    let events = (0..10).map(|event_number| event((number * 10 + event_number) as u64)).collect();
                    let delivered = sink.deliver(Delivery {
                        subscription: subscription.clone(),
                        events,
                        replay: None,
                        traces: Vec::new(),
                        answers: Default::default(),
                    });
                    async move { assert_eq!(delivered.await, vec![Outcome::Delivered; 10], "round {round}") }
                });
            attempts.await;
        }
        let after = usage();
        assert_eq!((sink.open_clients(), sink.open_connections()), (BULK_USERS, BULK_USERS));
        let (threads, files, kilobytes) = (after.0 - before.0, after.1 - before.1, after.2.saturating_sub(before.2));
        println!("{BULK_USERS} clients: {threads} threads, {files} file descriptors, {kilobytes} KB more than none");
        assert!(threads <= 8, "{threads} threads");
        // One of the client, two of the tunnel, and those opened by the test itself.
        assert!(files <= 3 * BULK_USERS + 50, "{files} file descriptors");
        assert!(kilobytes <= 200 * BULK_USERS, "{kilobytes} KB");

        for subscription in &subscriptions {
            sink.forget(subscription.id);
        }
        assert_eq!(sink.open_clients(), 0);
        let by = Instant::now() + Duration::from_secs(20);
        while usage().1 > before.1 + 50 {
            assert!(Instant::now() < by, "{} file descriptors are still open", usage().1 - before.1);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}
