//! Messages made of events, and the limits of the real service, which an emulator doesn't have.

use domain::destination::PubsubDestination;
use domain::entity::entity_of;
use domain::event::PRODUCER_SOURCE;
use domain::outcome::{ErrorReason, Failure};
use domain::replay::REPLAY_MARK;
use domain::subscription::{Ordering, Subscription};
use domain::{Event, ReplayId, SubscriptionId};
use google_cloud_pubsub::model::Message;
use wire::envelope::{self, EnvelopeStyle};

// https://cloud.google.com/pubsub/quotas#resource_limits
/// Maximum number of messages per request.
pub(super) const MAX_MESSAGES: usize = 1_000;
/// Maximum size of a whole request in bytes: 10 MB. A single message has no limit of its own.
const MAX_REQUEST: usize = 10_000_000;
/// Maximum number of attributes per message.
const MAX_ATTRIBUTES: usize = 100;
/// Maximum size of an attribute's name in bytes.
const MAX_NAME: usize = 256;
/// Maximum size of an attribute's value in bytes.
const MAX_VALUE: usize = 1_024;
/// Maximum size of an ordering key in bytes.
const MAX_ORDERING_KEY: usize = 1_024;

/// Generous allowance for field numbers and lengths around a message, the ids and times added by the server, and around
/// an attribute.
const AROUND_MESSAGE: usize = 64;
const AROUND_ATTRIBUTE: usize = 16;

/// Constant parts of all messages of a subscription, at one revision.
pub(super) struct Prepared {
    /// The topic's full name.
    pub(super) topic: String,
    subscription: SubscriptionId,
    send_product_identifier: bool,
    by_entity: bool,
    attributes: Vec<(String, String)>,
}

/// A request: messages with the same ordering key.
pub(super) struct Request {
    pub(super) messages: Vec<Message>,
}

impl Prepared {
    pub(super) fn new(subscription: &Subscription, destination: &PubsubDestination, style: &EnvelopeStyle) -> Prepared {
        let fixed = [
            ("source", style.source()),
            ("subject", &subscription.id.to_string()),
            ("specversion", "1.0"),
            // The type of the data; only HTTPS endpoints get a less specific one by default, for compatibility with
            // existing receivers.
            ("content-type", "application/cloudevents+json"),
        ];
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let custom = destination.headers.0.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        Prepared {
            topic: format!("projects/{}/topics/{}", destination.project_id, destination.topic_id),
            subscription: subscription.id,
            send_product_identifier: subscription.send_product_identifier,
            by_entity: subscription.options.ordering == Ordering::PerEntity,
            attributes: fixed.into_iter().chain(custom).collect(),
        }
    }

    /// The event's ordering key; empty: unordered.
    pub(super) fn ordering_key(&self, event: &Event) -> String {
        let entity = if self.by_entity { entity_of(event.event_type(), event.data()) } else { None };
        entity.map_or_else(String::new, |entity| entity.as_str().to_owned())
    }

    /// A request of the first events, as many as fit into one; their indices, and those of events up to there that
    /// cannot be sent at all.
    pub(super) fn request<'a>(
        &self,
        key: &str,
        events: impl Iterator<Item = (usize, &'a Event)>,
        at_most: usize,
        (style, replay): (&EnvelopeStyle, Option<ReplayId>),
    ) -> (Request, Vec<usize>, Vec<(usize, Failure)>) {
        let (mut messages, mut sent, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        let mut size = self.topic.len();
        for (index, event) in events {
            if sent.len() == at_most {
                break;
            }
            let message = self.message(key, event, style, replay);
            match check(&message, self.topic.len()) {
                Ok(bytes) if size + bytes <= MAX_REQUEST => {
                    size += bytes;
                    messages.push(message);
                    sent.push(index);
                }
                Ok(_) => break,
                Err(what) => refused.push((index, rejected(what))),
            }
        }
        (Request { messages }, sent, refused)
    }

    fn message(&self, key: &str, event: &Event, style: &EnvelopeStyle, replay: Option<ReplayId>) -> Message {
        let body = envelope::body(style, event, &self.subscription, self.send_product_identifier);
        let own = [("id", event.id()), ("type", event.event_type()), ("time", event.time())];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        // A source has no limit of its own; a longer one is only in the event itself.
        let source = event.producer_source().filter(|source| source.len() <= MAX_VALUE);
        let source = source.map(|source| (PRODUCER_SOURCE.to_owned(), source.into_owned()));
        let mark = replay.map(|id| (REPLAY_MARK.to_owned(), id.to_string()));
        Message::new()
            .set_data(body)
            .set_attributes(own.into_iter().chain(source).chain(mark).chain(self.attributes.iter().cloned()))
            .set_ordering_key(key)
    }
}

/// Size of a message in a request in bytes, or the violated limit. The texts don't differ from event to event.
fn check(message: &Message, topic: usize) -> Result<usize, String> {
    if message.data.is_empty() && message.attributes.is_empty() {
        return Err("it has neither data nor attributes".to_owned());
    }
    if message.attributes.len() > MAX_ATTRIBUTES {
        return Err(format!("a message may have at most {MAX_ATTRIBUTES} attributes"));
    }
    let mut size = AROUND_MESSAGE + message.data.len() + message.ordering_key.len();
    for (name, value) in &message.attributes {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(format!("an attribute name must have 1 to {MAX_NAME} bytes"));
        }
        if value.len() > MAX_VALUE {
            return Err(format!("the attribute `{name}` may have at most {MAX_VALUE} bytes"));
        }
        size += AROUND_ATTRIBUTE + name.len() + value.len();
    }
    if message.ordering_key.len() > MAX_ORDERING_KEY {
        return Err(format!("an ordering key (the entity's name) may have at most {MAX_ORDERING_KEY} bytes"));
    }
    if topic + size > MAX_REQUEST {
        return Err("a publish request may have at most 10 MB".to_owned());
    }
    Ok(size)
}

fn rejected(what: String) -> Failure {
    let message = format!("the event is not a valid Pub/Sub message: {what}");
    Failure::without_status(ErrorReason::PublishRejected, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message::new().set_data("{}").set_attributes([("id", "1")])
    }

    fn check_refused(message: &Message, expect: &str) {
        let refused = check(message, 40).expect_err(expect);
        assert!(refused.contains(expect), "{refused}");
    }

    #[test]
    fn the_limits_of_the_service_are_ours_too() {
        assert!(check(&message(), 40).is_ok());
        assert!(check(&Message::new().set_data("{}"), 40).is_ok());
        assert!(check(&Message::new().set_attributes([("id", "1")]), 40).is_ok());
        check_refused(&Message::new(), "neither data nor attributes");

        let attributes = |count: usize| (0..count).map(|number| (format!("name-{number}"), "x"));
        assert!(check(&Message::new().set_attributes(attributes(100)), 40).is_ok());
        check_refused(&Message::new().set_attributes(attributes(101)), "at most 100 attributes");

        assert!(check(&message().set_attributes([("n".repeat(256), "v".repeat(1_024))]), 40).is_ok());
        check_refused(&message().set_attributes([("n".repeat(257), "v")]), "name must have 1 to 256 bytes");
        check_refused(&message().set_attributes([("", "v")]), "name must have 1 to 256 bytes");
        check_refused(&message().set_attributes([("id", "é".repeat(513))]), "`id` may have at most 1024 bytes");

        assert!(check(&message().set_ordering_key("k".repeat(1_024)), 40).is_ok());
        check_refused(&message().set_ordering_key("k".repeat(1_025)), "at most 1024 bytes");

        assert!(check(&message().set_data("d".repeat(9_999_000)), 40).is_ok());
        check_refused(&message().set_data("d".repeat(10_000_000)), "at most 10 MB");
    }
}
