//! Where events go: an HTTPS endpoint, a Google Pub/Sub topic or a Kafka topic.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

mod endpoint_url;
mod headers;
mod kafka;
mod place;
mod pubsub;

pub use endpoint_url::{EndpointUrl, UrlError};
pub use headers::{CustomHeaders, HeaderError};
pub use kafka::{Broker, BrokerError, TopicError};
pub use place::{Place, number_of};
pub use pubsub::{ProjectIdError, TopicIdError};

/// A destination; the closed set of its types.
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

impl Destination {
    /// `https`, `pubsub` or `kafka`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Destination::Https(_) => "https",
            Destination::Pubsub(_) => "pubsub",
            Destination::Kafka(_) => "kafka",
        }
    }

    /// The custom headers.
    pub fn headers(&self) -> &CustomHeaders {
        match self {
            Destination::Https(https) => &https.headers,
            Destination::Pubsub(pubsub) => &pubsub.headers,
            Destination::Kafka(kafka) => &kafka.headers,
        }
    }
}

/// How notifications and logs name it: the URL; the topic's full name; brokers and topic.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Https(https) => f.write_str(https.url.as_str()),
            Destination::Pubsub(pubsub) => write!(f, "projects/{}/topics/{}", pubsub.project_id, pubsub.topic_id),
            Destination::Kafka(kafka) => write!(f, "{}/{}", kafka.brokers.join(","), kafka.topic),
        }
    }
}

/// An HTTPS endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HttpsDestination {
    /// Where to POST, kept byte for byte as it was given.
    pub url: EndpointUrl,
    /// Signs `X-AKENEO-SIGNATURE-PRIMARY`.
    pub primary: Secret,
    /// Signs `X-AKENEO-SIGNATURE-SECONDARY`, where there is one.
    pub secondary: Option<Secret>,
    /// Added after signing.
    #[serde(default)]
    pub headers: CustomHeaders,
}

/// A Google Pub/Sub topic.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PubsubDestination {
    /// The project.
    pub project_id: String,
    /// The topic in it.
    pub topic_id: String,
    /// Sent as attributes.
    #[serde(default)]
    pub headers: CustomHeaders,
}

/// A Kafka topic.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KafkaDestination {
    /// Bootstrap addresses, `host:port`, at least one.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// Credentials.
    pub sasl: SaslAuth,
    /// TLS with a client certificate; none = plain.
    pub tls: Option<KafkaTls>,
    /// Sent as record headers.
    #[serde(default)]
    pub headers: CustomHeaders,
}

/// SASL credentials of a Kafka client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SaslAuth {
    /// The mechanism.
    pub mechanism: SaslMechanism,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
}

/// SASL mechanisms that the contract names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SaslMechanism {
    /// `plain`.
    Plain,
    /// `scram` with `sha-256`.
    ScramSha256,
    /// `scram` with `sha-512`.
    ScramSha512,
}

/// TLS settings of a Kafka client, all four given.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KafkaTls {
    /// The name that the broker's certificate must carry.
    pub server_name: String,
    /// Roots, PEM.
    pub ca_pem: String,
    /// Client certificate chain, PEM.
    pub client_cert_pem: String,
    /// Its key, PEM.
    pub client_key_pem: Secret,
}
