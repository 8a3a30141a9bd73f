//! Sent messages, as received by Google's client.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Secret;
use domain::destination::{CustomHeaders, Destination};
use domain::outcome::Outcome;
use parts::pubsub::{Consumer, Emulator, Fault, Message};
use wire::envelope;

use super::{check_all, deliver, emulator, event, event_with_id, in_order, short, sink, style, subscription};

/// Covers the client's start and its first messages.
const SOON: Duration = Duration::from_secs(60);

fn consumer(emulator: &Emulator, topic: &str) -> Option<Consumer> {
    emulator.consume(topic).inspect_err(|error| parts::left_out("Google's Pub/Sub client for Python", error)).ok()
}

/// Messages by their ordering key, in the order of arrival.
fn by_key(received: &[Message]) -> BTreeMap<&str, Vec<&str>> {
    let mut keys: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for message in received {
        keys.entry(&message.ordering_key).or_default().push(&message.attributes["id"]);
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_the_event_with_its_attributes_and_the_custom_headers() {
    let Some(emulator) = emulator() else { return };
    let topic = emulator.create_topic("attributes").unwrap();
    let Some(consumer) = consumer(emulator, &topic) else { return };
    let mut subscription = subscription(&topic);
    let Destination::Pubsub(pubsub) = &mut subscription.destination else { unreachable!() };
    pubsub.headers = CustomHeaders(vec![("X-Channel".to_owned(), Secret::new("spring é"))]);

    let sent = event(1, "4c9e5b1e", "größer");
    assert_eq!(deliver(&sink(emulator), &subscription, std::slice::from_ref(&sent)).await, [Outcome::Delivered]);
    let received = consumer.wait_for(1, SOON).unwrap();
    let body = envelope::body(&style(), &sent.event, &subscription.id, false);
    assert_eq!(received[0].data.as_bytes(), &body[..]);
    assert_eq!(received[0].ordering_key, "");
    let expect = [
        ("X-Channel", "spring é"),
        ("content-type", "application/cloudevents+json"),
        ("id", "event-000001"),
        ("source", "akeneo-event-platform"),
        ("specversion", "1.0"),
        ("subject", &subscription.id.to_string()),
        ("time", "2026-11-02T08:00:00Z"),
        ("type", "com.akeneo.pim.v1.product.updated"),
    ];
    let expect: BTreeMap<_, _> = expect.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(received[0].attributes, expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_request() {
    let Some(emulator) = emulator() else { return };
    let topic = emulator.create_topic("one-request").unwrap();
    let events: Vec<_> = (0..1_000).map(|number| event(number, "p", "")).collect();
    check_all(&deliver(&sink(emulator), &subscription(&topic), &events).await, "delivered");
    let counts = emulator.counts(&topic).unwrap();
    assert_eq!((counts.calls, counts.messages), (1, 1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_an_entity_arrive_in_order_also_after_failures() {
    let Some(emulator) = emulator() else { return };
    let topic = emulator.create_topic("ordered").unwrap();
    let Some(consumer) = consumer(emulator, &topic) else { return };
    let (sink, subscription) = (sink(emulator), in_order(&topic));
    let events: Vec<_> = (0..200).map(|number| event(number, &format!("p{}", number % 7), "")).collect();

    // One entity's request fails: its events, and the unsent ones, are returned; none of them is lost when they are
    // sent again.
    emulator
        .fault(&topic, &Fault { holding: r#""uuid":"p3""#.into(), code: "UNAVAILABLE", times: 1, ..Fault::default() })
        .unwrap();
    let mut left = events.clone();
    for _ in 0..3 {
        let outcomes = deliver(&sink, &subscription, &left).await;
        let back = left.iter().zip(&outcomes).filter(|(_, outcome)| **outcome != Outcome::Delivered);
        left = back.map(|(event, _)| event.clone()).collect();
    }
    assert_eq!(left, [], "a key that failed is not paused for ever");

    let received = consumer.wait_for(200, SOON).unwrap();
    let keys = by_key(&received);
    assert_eq!(keys.keys().copied().collect::<Vec<_>>(), (0..7).map(|n| format!("product p{n}")).collect::<Vec<_>>());
    for (key, ids) in keys {
        assert!(ids.is_sorted(), "{key}: {ids:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_messages_rejected_by_the_service_are_rejected() {
    let Some(emulator) = emulator() else { return };
    for (name, ordered) in [("picky", false), ("picky-in-order", true)] {
        let topic = emulator.create_topic(name).unwrap();
        let Some(consumer) = consumer(emulator, &topic) else { return };
        for bad in ["event-000077", "event-000500"] {
            emulator
                .fault(&topic, &Fault { holding: bad.into(), code: "INVALID_ARGUMENT", ..Fault::default() })
                .unwrap();
        }
        let subscription = if ordered { in_order(&topic) } else { subscription(&topic) };
        let events: Vec<_> = (0..1_000).map(|number| event(number, "the-same", "")).collect();
        let outcomes = deliver(&sink(emulator), &subscription, &events).await;
        for (index, outcome) in outcomes.iter().enumerate() {
            let expect = if matches!(index, 77 | 500) { "refused publish_rejected" } else { "delivered" };
            assert_eq!(short(outcome), expect, "event {index}");
        }
        assert_eq!(outcomes[77], outcomes[500], "equal failures say the same");
        let calls = emulator.counts(&topic).unwrap().calls;
        assert!(calls < 60, "{calls} requests to find two events of a thousand");

        let received = consumer.wait_for(998, SOON).unwrap();
        let mut ids: Vec<_> = received.iter().map(|message| &message.attributes["id"]).collect();
        if !ordered {
            ids.sort();
        }
        assert!(ids.is_sorted() && ids.len() == 998, "{} in order, none twice", ids.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_messages_are_rejected_locally_and_the_rest_is_sent() {
    let Some(emulator) = emulator() else { return };
    let topic = emulator.create_topic("large").unwrap();
    let (sink, subscription) = (sink(emulator), in_order(&topic));
    let events = [
        event(1, "p", ""),
        // 342 characters, but 1,026 bytes.
        event_with_id(2, &"あ".repeat(342), "p", ""),
        event(3, &"k".repeat(1_024), ""),
        event(4, "p", &"x".repeat(10_000_000)),
        event(5, "p", &"x".repeat(9_900_000)),
        event(6, "p", ""),
    ];
    let outcomes = deliver(&sink, &subscription, &events).await;
    let texts = outcomes.iter().map(|outcome| match outcome {
        Outcome::Refused(failure) => failure.message.as_str(),
        Outcome::Delivered => "delivered",
        other => panic!("{other:?}"),
    });
    let texts: Vec<_> = texts.collect();
    let refused = |what: &str| format!("the event is not a valid Pub/Sub message: {what}");
    assert_eq!(
        texts,
        [
            "delivered",
            &refused("the attribute `id` may have at most 1024 bytes"),
            &refused("an ordering key (the entity's name) may have at most 1024 bytes"),
            &refused("a publish request may have at most 10 MB"),
            "delivered",
            "delivered",
        ]
    );
    // The emulator refuses the same as the real service.
    let many: Vec<_> = (0..25).map(|number| event(number, "p", &"x".repeat(1_000_000))).collect();
    check_all(&deliver(&sink, &subscription, &many).await, "delivered");
    assert_eq!(emulator.counts(&topic).unwrap().messages, 3 + 25);
}
