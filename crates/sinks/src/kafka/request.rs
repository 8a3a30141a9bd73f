//! The record of an event, built from the constant parts of a subscription's records.

use bytes::Bytes;
use domain::destination::KafkaDestination;
use domain::entity::entity_of;
use domain::replay::REPLAY_MARK;
use domain::subscription::Subscription;
use domain::{Event, ReplayId};
use krafka::Record;
use wire::envelope::{self, EnvelopeStyle};

/// Type of a record's value (contract page 2; named so by the structured mode of CloudEvents' Kafka binding).
const CONTENT_TYPE: (&str, &[u8]) = ("content-type", b"application/cloudevents+json");

/// Constant parts of all records of a subscription, at one revision.
pub(crate) struct Prepared {
    topic: String,
    headers: Vec<(String, Option<Bytes>)>,
    send_product_identifier: bool,
}

impl Prepared {
    pub(crate) fn new(subscription: &Subscription, destination: &KafkaDestination) -> Prepared {
        let (name, value) = CONTENT_TYPE;
        let mut headers = vec![(name.to_owned(), Some(Bytes::from_static(value)))];
        for (name, value) in &destination.headers.0 {
            headers.push((name.clone(), Some(Bytes::copy_from_slice(value.expose().as_bytes()))));
        }
        Prepared {
            topic: destination.topic.clone(),
            headers,
            send_product_identifier: subscription.send_product_identifier,
        }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// The record of an event: its entity is the key, so that the events of one entity stay in order in one partition.
    /// That of a replay is marked with it.
    pub(crate) fn record(
        &self,
        style: &EnvelopeStyle,
        event: &Event,
        subscription: &Subscription,
        replay: Option<ReplayId>,
    ) -> Record {
        let value = envelope::body(style, event, &subscription.id, self.send_product_identifier);
        let mut record = Record::new(self.topic.clone(), value);
        record.key = entity_of(event.event_type(), event.data())
            .map(|entity| Bytes::copy_from_slice(entity.as_str().as_bytes()));
        record.headers.clone_from(&self.headers);
        record.headers.extend(replay.map(|id| (REPLAY_MARK.to_owned(), Some(Bytes::from(id.to_string())))));
        record
    }
}
