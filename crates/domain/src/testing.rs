//! Sample values for tests, benchmarks and the simulation; a caller sets the fields it is about. Not part of the
//! product: behind the feature `testing`.

use crate::destination::{CustomHeaders, Destination, EndpointUrl, HttpsDestination, PubsubDestination};
use crate::event::EventParts;
use crate::pim::{Pim, Provenance, TokenCheck};
use crate::subscriber::{Confirmation, Contact, Owner, Subscriber, SubscriberStatus};
use crate::subscription::{Options, Selection, Subscription, SubscriptionStatus};
use crate::{
    ClientId, Event, EventType, LoggedEvent, PimId, Position, Secret, SubscriberId, SubscriptionId, Timestamp,
};

/// Event type of the sample subscription.
pub const UPDATED: &str = "com.akeneo.pim.v1.product.updated";

/// An event without extensions.
pub fn event(id: &str, event_type: &str, data: &str) -> Event {
    Event::new(EventParts {
        id,
        event_type,
        time: "2026-11-02T08:00:00Z",
        extensions: "",
        data,
        product_identifier: None,
    })
}

/// An event in the log of the sample PIM.
pub fn logged(position: u64, event: Event) -> LoggedEvent {
    LoggedEvent { position: Position(position), pim: PimId(1), accepted_at: Timestamp::EPOCH, event }
}

/// A PIM without keys and tokens, to be registered.
pub fn pim(name: &str) -> Pim {
    let url = format!("https://{name}.example.com");
    Pim {
        id: PimId(0),
        name: name.to_owned(),
        url_key: url.clone(),
        url,
        keys: Vec::new(),
        token_check: TokenCheck::Static,
        static_tokens: Vec::new(),
        events_api_secret: None,
        provenance: Provenance::default(),
        created_at: Timestamp::EPOCH,
        revision: 0,
    }
}

/// An active subscriber, notified by email.
pub fn subscriber(owner: Owner) -> Subscriber {
    Subscriber {
        id: SubscriberId::generate(),
        owner,
        name: "A subscriber".to_owned(),
        contact: Contact {
            technical_email: "contact@example.com".to_owned(),
            email: true,
            webhook: false,
            webhook_url: None,
            webhook_secret: None,
            notify_failing: false,
        },
        confirmation: Confirmation::default(),
        status: SubscriberStatus::Active,
        revision: 0,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}

/// The subscriber of a subscription.
pub fn subscriber_of(subscription: &Subscription) -> Subscriber {
    Subscriber { id: subscription.subscriber_id, ..subscriber(subscription.owner()) }
}

/// An active subscription of the sample PIM to [`UPDATED`].
pub fn subscription(destination: Destination) -> Subscription {
    Subscription {
        id: SubscriptionId::generate(),
        subscriber_id: SubscriberId::generate(),
        pim: PimId(1),
        client_id: ClientId("client".to_owned()),
        selection: Selection { events: vec![EventType::new(UPDATED)], filter: None },
        past_selections: Vec::new(),
        lane_since: Position::FIRST,
        destination,
        send_product_identifier: false,
        options: Options::default(),
        status: SubscriptionStatus::Active,
        status_since: Position::FIRST,
        generation: 0,
        revision: 0,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}

/// An HTTPS endpoint; `http` is allowed.
pub fn https(url: &str) -> Destination {
    let url = EndpointUrl::parse(url, true).unwrap_or_else(|error| panic!("{url}: {error}"));
    let primary = Secret::new("secret");
    Destination::Https(HttpsDestination { url, primary, secondary: None, headers: CustomHeaders::default() })
}

/// A Pub/Sub topic.
pub fn pubsub(topic: &str) -> Destination {
    Destination::Pubsub(PubsubDestination {
        project_id: "project".to_owned(),
        topic_id: topic.to_owned(),
        headers: CustomHeaders::default(),
    })
}
