//! Destinations. This file lists their types; each type has a file of its own. See ARCHITECTURE.md, "Adding a
//! destination type".

use std::fmt;

use serde::{Deserialize, Serialize};

use self::descriptor::Traits;

mod descriptor;
mod endpoint_url;
mod headers;
mod https;
mod identity;
mod kafka;
mod pubsub;

pub use descriptor::{BatchLimits, Descriptor, Manner, Target};
pub use endpoint_url::{EndpointUrl, UrlError};
pub use headers::{CustomHeaders, HeaderError};
pub use https::HttpsDestination;
pub use identity::{Identity, number_of};
pub use kafka::{Broker, BrokerError, KafkaDestination, KafkaTls, SaslAuth, SaslMechanism, TopicError};
pub use pubsub::{ProjectIdError, PubsubDestination, TopicIdError};

/// A destination of any type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Destination {
    /// An HTTPS endpoint.
    Https(HttpsDestination),
    /// A Google Pub/Sub topic.
    Pubsub(PubsubDestination),
    /// A Kafka topic.
    Kafka(KafkaDestination),
}

/// A type of destination.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DestinationType {
    /// HTTPS endpoints.
    Https,
    /// Google Pub/Sub topics.
    Pubsub,
    /// Kafka topics.
    Kafka,
}

impl DestinationType {
    /// All types, in the order of all listings.
    pub const ALL: [DestinationType; 3] = [DestinationType::Https, DestinationType::Pubsub, DestinationType::Kafka];

    /// Their names, in the same order.
    pub const NAMES: [&'static str; DestinationType::ALL.len()] = {
        let mut names = [""; DestinationType::ALL.len()];
        let mut index = 0;
        while index < names.len() {
            names[index] = DestinationType::ALL[index].name();
            index += 1;
        }
        names
    };

    /// Properties shared by all destinations of this type.
    pub const fn descriptor(self) -> &'static Descriptor {
        match self {
            DestinationType::Https => &https::DESCRIPTOR,
            DestinationType::Pubsub => &pubsub::DESCRIPTOR,
            DestinationType::Kafka => &kafka::DESCRIPTOR,
        }
    }

    /// Name of the type: `type` in bodies, metrics, traces and stored subscriptions.
    pub const fn name(self) -> &'static str {
        self.descriptor().name
    }

    /// The type with this name.
    pub fn named(name: &str) -> Option<DestinationType> {
        DestinationType::ALL.into_iter().find(|of_type| of_type.name() == name)
    }

    /// Index in [`DestinationType::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl Destination {
    fn traits(&self) -> &dyn Traits {
        match self {
            Destination::Https(https) => https,
            Destination::Pubsub(pubsub) => pubsub,
            Destination::Kafka(kafka) => kafka,
        }
    }

    /// Type of the destination.
    pub fn of_type(&self) -> DestinationType {
        self.traits().of_type()
    }

    /// Properties shared by all destinations of its type.
    pub fn descriptor(&self) -> &'static Descriptor {
        self.of_type().descriptor()
    }

    /// The custom headers.
    pub fn headers(&self) -> &CustomHeaders {
        self.traits().headers()
    }

    /// Identity of the destination.
    pub fn identity(&self) -> Identity<'_> {
        Identity { of_type: self.of_type(), fields: self.traits().identity() }
    }

    /// Host that attempts connect to, without a port.
    pub fn host(&self) -> &str {
        self.traits().host()
    }

    /// Target of attempts.
    pub fn target(&self) -> Target<'_> {
        self.traits().target()
    }
}

/// Name in notifications and logs.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.traits().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_place_and_the_name_that_is_stored() {
        for (index, of_type) in DestinationType::ALL.into_iter().enumerate() {
            assert_eq!(of_type.index(), index, "{of_type:?}");
            assert_eq!(DestinationType::named(of_type.name()), Some(of_type));
        }
        // serde lists all variants in its message.
        let unknown = serde_json::from_str::<Destination>(r#"{"type":"?"}"#).unwrap_err().to_string();
        let names = DestinationType::NAMES.map(|name| format!("`{name}`")).join(", ");
        assert!(unknown.contains(&format!("expected one of {names}")), "{unknown}");
    }
}
