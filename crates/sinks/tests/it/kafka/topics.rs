//! Refusals by topics, and changes of topics and permissions.

use domain::event::EventParts;
use domain::outcome::{ErrorReason, Outcome};
use domain::{Clock, Event, LoggedEvent, PimId, Position};
use parts::kafka::{Listener, OUTSIDER, PASSWORD};

use super::*;
use crate::conformance::{body, deliver, event, event_of_size};

fn reason(outcome: &Outcome) -> (&'static str, ErrorReason) {
    match outcome {
        Outcome::Failed(failure) => ("failed", failure.reason),
        Outcome::Refused(failure) => ("refused", failure.reason),
        Outcome::Broken(failure) => ("broken", failure.reason),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_takes_small_batches_only_gets_all_events_in_the_order_of_their_entities() {
    let Some(broker) = blocking(broker) else { return };
    let topic = topic(broker, 1, &[("max.message.bytes", "9000")]);
    let subscription = on_sasl(broker, &topic);
    let sink = sink(KafkaSettings::default());
    let mut sent = Vec::new();
    for round in 0..2 {
        // 200 events of 5 entities, some 300 KB: a quarter of it would still be far too large.
        let events: Vec<_> =
            (1..=200).map(|number| event_of_size(round * 1000 + number, &format!("e{}", number % 5), 1_200)).collect();
        assert_eq!(deliver(&*sink, &subscription, events.clone()).await, vec![Outcome::Delivered; 200]);
        sent.extend(events);
    }
    let records = consumed(broker, &topic, 400);
    for entity in 0..5 {
        let key = format!("product e{entity}");
        let arrived: Vec<&str> = records
            .iter()
            .filter(|record| record.key.as_ref() == Some(&key))
            .filter_map(|record| record.value.as_deref())
            .collect();
        let expect: Vec<_> = sent
            .iter()
            .filter(|event| event.event.data().contains(&format!(r#""uuid":"e{entity}""#)))
            .map(|event| body(&subscription, event))
            .collect();
        // An entity's events from the refused one on may be repeated; the last time they are complete and in order.
        let last_time: Vec<&str> = arrived
            .iter()
            .enumerate()
            .filter(|(index, value)| !arrived[index + 1..].contains(value))
            .map(|(_, value)| *value)
            .collect();
        assert_eq!(last_time, expect, "{key}");
    }
    // The second time the topic's limit was known.
    let second = sent[200..].iter().map(|event| body(&subscription, event));
    for value in second {
        let times = records.iter().filter(|record| record.value.as_ref() == Some(&value)).count();
        assert_eq!(times, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compacted_topic_refuses_only_events_without_a_key() {
    let Some(broker) = blocking(broker) else { return };
    let topic = topic(broker, 1, &[("cleanup.policy", "compact")]);
    let subscription = on_sasl(broker, &topic);
    let about_nothing = Event::new(EventParts {
        id: "018e32e0-5c1e-7f4b-9a3b-0000000000ff",
        event_type: "com.example.invoice.paid",
        time: "2026-01-02T03:04:05Z",
        extensions: "",
        data: "{}",
        product_identifier: None,
    });
    let about_nothing = Arc::new(LoggedEvent {
        position: Position(3),
        pim: PimId(1),
        accepted_at: Clock::system().wall(),
        event: about_nothing,
    });
    let outcomes =
        deliver(&*sink(KafkaSettings::default()), &subscription, vec![event(1), event(2), about_nothing, event(4)])
            .await;
    assert_eq!(reason(&outcomes[2]), ("refused", ErrorReason::PublishRejected));
    assert_eq!([&outcomes[0], &outcomes[1], &outcomes[3]], [&Outcome::Delivered; 3]);
    let keys: Vec<_> = consumed(broker, &topic, 3).into_iter().filter_map(|record| record.key).collect();
    assert_eq!(keys, ["product 0001", "product 0002", "product 0004"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_deleted_is_noticed_and_one_that_comes_back_is_used_again() {
    let Some(broker) = blocking(broker) else { return };
    let topic = topic(broker, 1, &[]);
    let subscription = on_sasl(broker, &topic);
    let sink = sink(KafkaSettings::default());
    assert_eq!(deliver(&*sink, &subscription, vec![event(1)]).await, [Outcome::Delivered]);
    blocking(|| broker.delete_topic(&topic)).unwrap();
    let started = std::time::Instant::now();
    let outcomes = deliver(&*sink, &subscription, vec![event(2), event(3)]).await;
    for outcome in &outcomes {
        assert_eq!(reason(outcome), ("broken", ErrorReason::TopicNotFound));
    }
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    blocking(|| broker.create_topic(&topic, 1, &[])).unwrap();
    assert_eq!(deliver(&*sink, &subscription, vec![event(4)]).await, [Outcome::Delivered]);
    assert_eq!(consumed(broker, &topic, 1)[0].value, Some(body(&subscription, &event(4))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_is_granted_later_is_enough() {
    let Some(broker) = blocking(broker) else { return };
    let topic = topic(broker, 1, &[]);
    let subscription = with(&broker.bootstrap(Listener::Sasl), &topic, plain(OUTSIDER, PASSWORD), None);
    let sink = sink(KafkaSettings::default());
    // It may describe the topic, so the broker refuses the write itself.
    blocking(|| broker.allow(OUTSIDER, "DESCRIBE", &topic)).unwrap();
    let outcomes = deliver(&*sink, &subscription, vec![event(1)]).await;
    assert_eq!(reason(&outcomes[0]), ("failed", ErrorReason::PublishRejected));
    blocking(|| broker.allow(OUTSIDER, "WRITE", &topic)).unwrap();
    assert_eq!(deliver(&*sink, &subscription, vec![event(2)]).await, [Outcome::Delivered]);
}
