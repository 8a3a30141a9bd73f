//! The Pub/Sub sink against Google's emulator, with Google's Python client as the receiver.

mod failures;
mod memory;
mod messages;
mod silence;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::destination::{CustomHeaders, Destination, PubsubDestination};
use domain::outcome::{Failure, Outcome};
use domain::subscription::{Options, Ordering, Subscription};
use domain::{Clock, LoggedEvent, testing};
use parts::pubsub::{Emulator, PROJECT};
use sinks::pubsub::{Access, PubsubSettings, PubsubSink};
use sinks::{Delivery, Sink};
use wire::envelope::EnvelopeStyle;

use crate::endpoint;

/// The emulator shared by tests that do not disrupt it.
pub(crate) fn emulator() -> Option<&'static Emulator> {
    static EMULATOR: OnceLock<Option<Emulator>> = OnceLock::new();
    EMULATOR.get_or_init(start).as_ref()
}

/// An emulator that a test may disrupt.
fn start() -> Option<Emulator> {
    Emulator::start().inspect_err(|error| parts::left_out("Google's Pub/Sub emulator", error)).ok()
}

fn style() -> EnvelopeStyle {
    EnvelopeStyle::new("akeneo-event-platform", "https://events.example")
}

/// Time limit of 1 s per request: the real 10 s would only make the tests slow.
pub(crate) fn sink_to(endpoint: &str) -> PubsubSink {
    let settings = PubsubSettings {
        principal: Arc::new("serviceAccount:publisher@postrider-tests.iam.gserviceaccount.com".to_owned().into()),
        request_timeout: Duration::from_secs(1),
        ..PubsubSettings::new(Access::Anonymous { endpoint: endpoint.to_owned() })
    };
    PubsubSink::new(style(), settings)
}

pub(crate) fn sink(emulator: &Emulator) -> PubsubSink {
    sink_to(&format!("http://{}", emulator.host()))
}

/// A subscription to a topic by its full name.
pub(crate) fn subscription(topic: &str) -> Subscription {
    let (_, id) = topic.split_once("/topics/").expect("a full name");
    let destination = PubsubDestination {
        project_id: PROJECT.to_owned(),
        topic_id: id.to_owned(),
        headers: CustomHeaders(Vec::new()),
    };
    Subscription { destination: Destination::Pubsub(destination), ..endpoint::subscription("https://unused.example/") }
}

/// The same, ordered by entity.
fn in_order(topic: &str) -> Subscription {
    let options = Options { ordering: Ordering::PerEntity, ..Options::default() };
    Subscription { options, ..subscription(topic) }
}

/// An event about one of many products, with its own text.
fn event(number: u64, product: &str, text: &str) -> Arc<LoggedEvent> {
    event_with_id(number, &format!("event-{number:06}"), product, text)
}

fn event_with_id(number: u64, id: &str, product: &str, text: &str) -> Arc<LoggedEvent> {
    let data = format!(r#"{{"product":{{"uuid":"{product}"}},"text":"{text}"}}"#);
    let event = testing::event(id, testing::UPDATED, &data);
    Arc::new(LoggedEvent { accepted_at: Clock::system().wall(), ..testing::logged(number, event) })
}

async fn deliver(sink: &PubsubSink, subscription: &Subscription, events: &[Arc<LoggedEvent>]) -> Vec<Outcome> {
    let delivery = Delivery {
        subscription: Arc::new(subscription.clone()),
        events: events.to_vec(),
        replay: None,
        traces: Vec::new(),
        answers: Default::default(),
    };
    let outcomes = sink.deliver(delivery).await;
    assert_eq!(outcomes.len(), events.len());
    outcomes
}

/// Short form of an outcome, for comparisons: `failed destination_timeout`.
fn short(outcome: &Outcome) -> String {
    let with = |what: &str, failure: &Failure| format!("{what} {}", failure.reason);
    match outcome {
        Outcome::Delivered => "delivered".to_owned(),
        Outcome::Throttled { .. } => "throttled".to_owned(),
        Outcome::Failed(failure) => with("failed", failure),
        Outcome::Refused(failure) => with("refused", failure),
        Outcome::Broken(failure) => with("broken", failure),
        Outcome::Silent(failure) => with("silent", failure),
        Outcome::NotProcessed(failure) => with("not processed", failure),
        Outcome::Ours(lack) => format!("ours {lack}"),
        Outcome::Abandoned => "abandoned".to_owned(),
    }
}

/// Checks that all events of a batch ended in the same way.
fn check_all(outcomes: &[Outcome], expect: &str) {
    for outcome in outcomes {
        assert_eq!(short(outcome), expect, "{outcome:?}");
    }
}
