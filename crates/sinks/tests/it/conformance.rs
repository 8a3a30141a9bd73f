//! Behaviour common to all sinks: one suite, and a module per destination type that makes subscriptions, reads the
//! received events, and fails in each way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::outcome::{ErrorReason, Failure, Outcome};
use domain::subscription::Subscription;
use domain::{Clock, Event, LoggedEvent, PimId, Position, ReplayId, event::EventParts};
use sinks::{Delivery, Sink};
use wire::envelope;

use crate::endpoint::style;

mod https;
mod kafka;
mod pubsub;

/// A destination type under test.
pub(crate) trait Destination {
    /// The sink, which may connect to [`Destination::subscription`].
    fn sink(&self) -> Arc<dyn Sink>;

    /// A new subscription to its own target, which accepts everything, with the custom header `X-Channel: spring`.
    async fn subscription(&self) -> Subscription;

    /// Events received for a subscription, in order, once there are at least `at_least`.
    async fn arrived(&self, subscription: &Subscription, at_least: usize) -> Vec<Arrived>;

    /// The possible misconfigurations and failures of a destination of this type.
    async fn ways_to_fail(&self) -> Vec<Way>;

    /// An event refused by a new subscription's target, which accepts others, with the subscription to use; none if
    /// this cannot happen.
    async fn picky(&self) -> Option<(Subscription, Arc<LoggedEvent>)>;

    /// Connections or clients kept open by the sink.
    fn kept(&self) -> usize;
}

/// An event as seen by its receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Arrived {
    /// The body of the request, the record, or the message.
    pub(crate) body: String,
    /// Its headers or attributes.
    pub(crate) headers: Vec<(String, String)>,
}

impl Arrived {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A way to fail, and the expected outcome.
pub(crate) struct Way {
    /// Description of the fault.
    pub(crate) what: &'static str,
    /// A subscription to a destination with this fault, every time.
    pub(crate) subscription: Subscription,
    /// The expected outcome.
    pub(crate) expect: Expect,
    /// Time limit for it.
    pub(crate) within: Duration,
}

/// Expected outcome of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expect {
    /// Temporary failure.
    Failed(ErrorReason),
    /// No response: the responsible side is determined elsewhere.
    Silent(ErrorReason),
    /// This event is refused permanently.
    Refused(ErrorReason),
    /// The destination is misconfigured.
    Broken(ErrorReason),
}

/// Secret of sinks that have one: it must not appear in any message.
pub(crate) const SECRET: &str = "correct-horse";

/// Generates the suite's tests for one destination type; `$make` returns it, or none if it is unavailable here.
macro_rules! conformance {
    ($name:ident, $make:path) => {
        mod $name {
            use $crate::conformance;

            macro_rules! check {
                ($check:ident) => {
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $check() {
                        if let Some(destination) = $make().await {
                            conformance::$check(&destination).await;
                        }
                    }
                };
            }

            check!(the_envelope_is_delivered_with_custom_headers);
            check!(events_of_a_replay_are_marked_with_it);
            check!(a_batch_arrives_in_order_with_an_outcome_for_each_event);
            check!(the_product_identifier_is_sent_on_request);
            check!(each_way_to_fail_has_its_reason_and_says_the_same_each_time);
            check!(only_the_event_that_is_refused_is_refused);
            check!(an_abandoned_attempt_affects_no_other);
            check!(forgotten_connections_are_closed);
        }
    };
}

conformance!(https_conforms, crate::conformance::https::make);
conformance!(kafka_conforms, crate::conformance::kafka::make);
conformance!(pubsub_conforms, crate::conformance::pubsub::make);

/// An event of one of many products.
pub(crate) fn event(number: u64) -> Arc<LoggedEvent> {
    event_of_size(number, &format!("{number:04}"), 0)
}

/// An event about the product `uuid`, with a description of `bytes` bytes.
pub(crate) fn event_of_size(number: u64, uuid: &str, bytes: usize) -> Arc<LoggedEvent> {
    let head = format!(r#"{{"product":{{"uuid":"{uuid}","#);
    let identifier = r#""identifier":"A-1""#;
    let data = format!(r#"{head}{identifier}}},"description":"{}"}}"#, noise(number, bytes));
    let event = Event::new(EventParts {
        id: &format!("018e32e0-5c1e-7f4b-9a3b-{number:012}"),
        event_type: "com.akeneo.pim.v1.product.updated",
        time: "2026-01-02T03:04:05Z",
        extensions: "",
        data: &data,
        // With the preceding comma.
        product_identifier: Some(head.len() - 1..head.len() + identifier.len()),
    });
    Arc::new(LoggedEvent { position: Position(number), pim: PimId(1), accepted_at: Clock::system().wall(), event })
}

/// Incompressible text.
fn noise(seed: u64, bytes: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[(state >> 58) as usize])
    };
    (0..bytes).map(|_| next()).collect()
}

pub(crate) fn body(subscription: &Subscription, event: &LoggedEvent) -> String {
    let body = envelope::body(&style(), &event.event, &subscription.id, subscription.send_product_identifier);
    String::from_utf8(body.to_vec()).unwrap()
}

pub(crate) async fn deliver(
    sink: &dyn Sink,
    subscription: &Subscription,
    events: Vec<Arc<LoggedEvent>>,
) -> Vec<Outcome> {
    deliver_for(sink, subscription, events, None).await
}

async fn deliver_for(
    sink: &dyn Sink,
    subscription: &Subscription,
    events: Vec<Arc<LoggedEvent>>,
    replay: Option<ReplayId>,
) -> Vec<Outcome> {
    sink.deliver(Delivery {
        subscription: Arc::new(subscription.clone()),
        events,
        replay,
        traces: Vec::new(),
        answers: Default::default(),
    })
    .await
}

pub(crate) async fn the_envelope_is_delivered_with_custom_headers(destination: &impl Destination) {
    let subscription = destination.subscription().await;
    let sent = event(7);
    assert_eq!(deliver(&*destination.sink(), &subscription, vec![sent.clone()]).await, [Outcome::Delivered]);
    let arrived = destination.arrived(&subscription, 1).await;
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].body, body(&subscription, &sent));
    assert_eq!(arrived[0].header("X-Channel"), Some("spring"), "{:?}", arrived[0].headers);
    assert!(arrived[0].header("content-type").is_some(), "{:?}", arrived[0].headers);
}

pub(crate) async fn events_of_a_replay_are_marked_with_it(destination: &impl Destination) {
    let (sink, replay) = (destination.sink(), ReplayId::generate());
    for replay in [Some(replay), None] {
        let subscription = destination.subscription().await;
        let sent = vec![event(7), event(8)];
        let outcomes = deliver_for(&*sink, &subscription, sent.clone(), replay).await;
        assert_eq!(outcomes, [Outcome::Delivered, Outcome::Delivered]);
        let arrived = destination.arrived(&subscription, 2).await;
        assert_eq!(arrived.len(), 2);
        let mark = replay.map(|id| id.to_string());
        for arrived in arrived {
            assert_eq!(arrived.header("X-Postrider-Replay"), mark.as_deref(), "{:?}", arrived.headers);
        }
    }
}

pub(crate) async fn a_batch_arrives_in_order_with_an_outcome_for_each_event(destination: &impl Destination) {
    let subscription = destination.subscription().await;
    // Of one entity, so that topics keep their order; endpoints are sent one at a time.
    let events: Vec<_> = (1..=50).map(|number| event_of_size(number, "the-same", 100)).collect();
    let outcomes = deliver(&*destination.sink(), &subscription, events.clone()).await;
    assert_eq!(outcomes, vec![Outcome::Delivered; events.len()]);
    let mut arrived: Vec<_> =
        destination.arrived(&subscription, events.len()).await.into_iter().map(|arrived| arrived.body).collect();
    let mut expect: Vec<_> = events.iter().map(|event| body(&subscription, event)).collect();
    if matches!(subscription.destination, domain::destination::Destination::Https(_)) {
        arrived.sort();
        expect.sort();
    }
    assert_eq!(arrived, expect);
}

pub(crate) async fn the_product_identifier_is_sent_on_request(destination: &impl Destination) {
    let sink = destination.sink();
    for asked in [false, true] {
        let subscription = Subscription { send_product_identifier: asked, ..destination.subscription().await };
        assert_eq!(deliver(&*sink, &subscription, vec![event(1)]).await, [Outcome::Delivered]);
        let arrived = destination.arrived(&subscription, 1).await;
        assert_eq!(arrived[0].body.contains(r#""identifier":"A-1""#), asked, "{}", arrived[0].body);
    }
}

pub(crate) async fn each_way_to_fail_has_its_reason_and_says_the_same_each_time(destination: &impl Destination) {
    let sink = destination.sink();
    let good = destination.subscription().await;
    for Way { what, subscription, expect, within } in destination.ways_to_fail().await {
        let mut said: Vec<Failure> = Vec::new();
        for number in [1, 2] {
            let started = Instant::now();
            let outcomes = deliver(&*sink, &subscription, vec![event(number), event(number + 10)]).await;
            assert!(started.elapsed() < within, "{what}: it took {:?}", started.elapsed());
            assert_eq!(outcomes.len(), 2, "{what}");
            for outcome in outcomes {
                let (seen, failure) = match outcome {
                    Outcome::Failed(failure) => (Expect::Failed(failure.reason), failure),
                    Outcome::Silent(failure) => (Expect::Silent(failure.reason), failure),
                    Outcome::Refused(failure) => (Expect::Refused(failure.reason), failure),
                    Outcome::Broken(failure) => (Expect::Broken(failure.reason), failure),
                    other => panic!("{what}: {other:?}"),
                };
                assert_eq!(seen, expect, "{what}: {}", failure.message);
                said.push(failure);
            }
        }
        // Equal failures are merged in the log.
        said.dedup();
        let [failure] = said.as_slice() else { panic!("{what}: {said:?}") };
        for never in [SECRET, "018e32e0"] {
            assert!(!failure.message.contains(never), "{what}: {}", failure.message);
        }
        assert!(failure.message.len() > 10, "{what}: {}", failure.message);
        // The others are unaffected.
        assert_eq!(deliver(&*sink, &good, vec![event(1)]).await, [Outcome::Delivered], "after: {what}");
    }
}

pub(crate) async fn only_the_event_that_is_refused_is_refused(destination: &impl Destination) {
    let Some((subscription, bad)) = destination.picky().await else { return };
    let events: Vec<_> = (1..=9).map(|number| if number == 5 { bad.clone() } else { event(number) }).collect();
    let outcomes = deliver(&*destination.sink(), &subscription, events.clone()).await;
    for (index, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Outcome::Refused(failure) if index == 4 => {
                assert_eq!(failure.reason, ErrorReason::PublishRejected, "{}", failure.message);
            }
            outcome => assert_eq!(*outcome, Outcome::Delivered, "event {index}"),
        }
    }
    let mut arrived: Vec<_> =
        destination.arrived(&subscription, 8).await.into_iter().map(|arrived| arrived.body).collect();
    let mut expect: Vec<_> =
        events.iter().filter(|event| event.position != bad.position).map(|event| body(&subscription, event)).collect();
    arrived.sort();
    arrived.dedup();
    expect.sort();
    assert_eq!(arrived, expect);
}

pub(crate) async fn an_abandoned_attempt_affects_no_other(destination: &impl Destination) {
    let sink = destination.sink();
    let subscription = destination.subscription().await;
    for after in [0, 1, 5, 20] {
        let events: Vec<_> = (1..=20).map(event).collect();
        let attempt = deliver(&*sink, &subscription, events);
        // Whether it ends in time or not.
        _ = tokio::time::timeout(Duration::from_millis(after), attempt).await;
    }
    let last = event(99);
    assert_eq!(deliver(&*sink, &subscription, vec![last.clone()]).await, [Outcome::Delivered]);
    let expect = body(&subscription, &last);
    let by = Instant::now() + Duration::from_secs(30);
    // Others may arrive before it: events of an abandoned attempt may have been accepted, some or all.
    while !destination.arrived(&subscription, 1).await.iter().any(|arrived| arrived.body == expect) {
        assert!(Instant::now() < by, "it has not arrived");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn forgotten_connections_are_closed(destination: &impl Destination) {
    let sink = destination.sink();
    let subscription = destination.subscription().await;
    assert_eq!(deliver(&*sink, &subscription, vec![event(1)]).await, [Outcome::Delivered]);
    assert!(destination.kept() > 0);
    sink.forget(subscription.id);
    let by = Instant::now() + Duration::from_secs(10);
    while destination.kept() > 0 {
        assert!(Instant::now() < by, "{} are still open", destination.kept());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(deliver(&*sink, &subscription, vec![event(2)]).await, [Outcome::Delivered], "it is opened again");
}
