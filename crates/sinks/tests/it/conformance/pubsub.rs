//! Google Pub/Sub topics in the suite.

use std::sync::Arc;
use std::time::Duration;

use domain::destination::{CustomHeaders, Destination};
use domain::outcome::ErrorReason;
use domain::subscription::{Options, Ordering, Subscription};
use domain::{LoggedEvent, Secret};
use parts::pubsub::{Consumer, Emulator, Fault};
use sinks::Sink;
use sinks::pubsub::PubsubSink;

use super::{Arrived, Expect, Way, event_of_size};
use crate::pubsub;

pub(crate) struct Pubsub {
    emulator: &'static Emulator,
    sink: Arc<PubsubSink>,
    /// Google's client receives from each topic, starting at its creation.
    consumers: parking_lot::Mutex<Vec<(String, Consumer)>>,
}

pub(crate) async fn make() -> Option<Pubsub> {
    let emulator = pubsub::emulator()?;
    Some(Pubsub { emulator, sink: Arc::new(pubsub::sink(emulator)), consumers: parking_lot::Mutex::default() })
}

impl Pubsub {
    /// A topic of its own, and an ordered subscription to it.
    fn topic(&self) -> (String, Subscription) {
        let topic = self.emulator.create_topic(&format!("t-{}", uuid::Uuid::new_v4())).unwrap();
        let mut subscription = pubsub::subscription(&topic);
        subscription.options = Options { ordering: Ordering::PerEntity, ..Options::default() };
        let Destination::Pubsub(destination) = &mut subscription.destination else { unreachable!() };
        destination.headers = CustomHeaders(vec![("X-Channel".to_owned(), Secret::new("spring"))]);
        (topic, subscription)
    }

    fn failing(&self, fault: &Fault) -> Subscription {
        let (topic, subscription) = self.topic();
        self.emulator.fault(&topic, fault).unwrap();
        subscription
    }
}

impl super::Destination for Pubsub {
    fn sink(&self) -> Arc<dyn Sink> {
        self.sink.clone()
    }

    async fn subscription(&self) -> Subscription {
        let (topic, subscription) = self.topic();
        let consumer = self.emulator.consume(&topic).unwrap();
        self.consumers.lock().push((subscription.destination.to_string(), consumer));
        subscription
    }

    async fn arrived(&self, subscription: &Subscription, at_least: usize) -> Vec<Arrived> {
        let topic = subscription.destination.to_string();
        let consumers = self.consumers.lock();
        let (_, consumer) = consumers.iter().find(|(known, _)| *known == topic).expect("a topic of the suite");
        let received = consumer.wait_for(at_least, Duration::from_secs(60)).unwrap().into_iter();
        received
            .map(|message| Arrived { body: message.data, headers: message.attributes.into_iter().collect() })
            .collect()
    }

    async fn ways_to_fail(&self) -> Vec<Way> {
        let within = Duration::from_secs(5);
        let way = |what, subscription, expect| Way { what, subscription, expect, within };
        let code = |code| self.failing(&Fault { code, message: "in shard 7", ..Fault::default() });
        vec![
            way(
                "unknown topic",
                pubsub::subscription("projects/postrider-tests/topics/never-made"),
                Expect::Broken(ErrorReason::TopicNotFound),
            ),
            way("no right", code("PERMISSION_DENIED"), Expect::Broken(ErrorReason::AuthenticationFailed)),
            way("unavailable", code("UNAVAILABLE"), Expect::Failed(ErrorReason::DestinationFailure)),
            way("too late", code("DEADLINE_EXCEEDED"), Expect::Failed(ErrorReason::DestinationTimeout)),
            way("not as the topic wants it", code("INVALID_ARGUMENT"), Expect::Refused(ErrorReason::PublishRejected)),
            way(
                "no answer",
                self.failing(&Fault { hang: true, ..Fault::default() }),
                Expect::Silent(ErrorReason::DestinationTimeout),
            ),
        ]
    }

    async fn picky(&self) -> Option<(Subscription, Arc<LoggedEvent>)> {
        let subscription = self.subscription().await;
        let fault = Fault { holding: "odd-one".to_owned(), code: "INVALID_ARGUMENT", ..Fault::default() };
        self.emulator.fault(&subscription.destination.to_string(), &fault).unwrap();
        Some((subscription, event_of_size(5, "odd-one", 0)))
    }

    fn kept(&self) -> usize {
        usize::from(self.sink.is_open())
    }
}
