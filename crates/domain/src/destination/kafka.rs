//! Kafka topics: Kafka's naming rules, and the list of bootstrap addresses.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::descriptor::Traits;
use super::endpoint_url::host_of;
use super::{BatchLimits, CustomHeaders, Descriptor, DestinationType, Manner, Target};
use crate::secret::Secret;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "kafka",
    format: 1,
    manner: Manner::InBatches(BatchLimits { events: 1_000, bytes: 1024 * 1024 }),
    carries_traces: false,
    guide: "integrators/subscriptions.md#kafka",
};

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

/// SASL mechanisms named in the contract.
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
    /// Name required in the broker's certificate.
    pub server_name: String,
    /// Roots, PEM.
    pub ca_pem: String,
    /// Client certificate chain, PEM.
    pub client_cert_pem: String,
    /// Private key, PEM.
    pub client_key_pem: Secret,
}

/// Brokers and topic.
impl fmt::Display for KafkaDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.brokers.join(","), self.topic)
    }
}

impl Traits for KafkaDestination {
    fn of_type(&self) -> DestinationType {
        DestinationType::Kafka
    }

    fn headers(&self) -> &CustomHeaders {
        &self.headers
    }

    fn identity(&self) -> Vec<&str> {
        std::iter::once(&self.topic).chain(&self.brokers).map(String::as_str).collect()
    }

    /// The host of the first bootstrap address.
    fn host(&self) -> &str {
        let first = self.brokers.first().map_or("", String::as_str);
        first.rsplit_once(':').map_or(first, |(host, _)| host).trim_matches(['[', ']'])
    }

    fn target(&self) -> Target<'_> {
        Target::Topic { system: "kafka", name: &self.topic }
    }
}

/// A bootstrap address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broker {
    /// An ASCII name or an address; IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Why a text is not a valid list of brokers.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BrokerError {
    /// Empty entry.
    #[error("entry {entry} of the list is empty; expected host:port, separated by commas")]
    Empty {
        /// Number of the entry, from 1.
        entry: usize,
    },
    /// An entry without a port.
    #[error("entry {entry} of the list has no port; expected host:port, such as broker.example.com:9092")]
    NoPort {
        /// Number of the entry, from 1.
        entry: usize,
    },
    /// The port is not between 1 and 65535.
    #[error("the port of entry {entry} of the list must be a number between 1 and 65535")]
    Port {
        /// Number of the entry, from 1.
        entry: usize,
    },
    /// The host is neither a DNS name nor an address.
    #[error("the host of entry {entry} of the list is neither a DNS name nor an IP address (IPv6 in brackets)")]
    Host {
        /// Number of the entry, from 1.
        entry: usize,
    },
}

/// A topic name violates Kafka's rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a Kafka topic name must have 1 to 249 characters from A-Z, a-z, 0-9, . _ and -, and must not be \".\" nor \"..\""
)]
pub struct TopicError;

impl Broker {
    /// Parses `host:port`, or several separated by commas; spaces around an entry are ignored.
    pub fn parse_list(text: &str) -> Result<Vec<Broker>, BrokerError> {
        text.split(',').enumerate().map(|(index, entry)| Broker::parse(entry.trim_matches(' '), index + 1)).collect()
    }

    fn parse(text: &str, entry: usize) -> Result<Broker, BrokerError> {
        if text.is_empty() {
            return Err(BrokerError::Empty { entry });
        }
        let after_host = text.find(']').map_or(0, |bracket| bracket + 1);
        let Some(colon) = text[after_host..].find(':').map(|colon| colon + after_host) else {
            return Err(BrokerError::NoPort { entry });
        };
        let (host, port) = (&text[..colon], &text[colon + 1..]);
        let host = host_of(host).map_err(|_| BrokerError::Host { entry })?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port: &u16| digits && *port != 0).ok_or(BrokerError::Port { entry })?;
        Ok(Broker { host: host.to_owned(), port })
    }
}

/// `host:port`, the form in [`KafkaDestination::brokers`].
impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl KafkaDestination {
    /// [`KafkaDestination::check_topic`] as a regular expression.
    pub const TOPIC_PATTERN: &str = "^(?!\\.{1,2}$)[A-Za-z0-9._-]{1,249}$";

    /// Whether `name` is a valid topic name.
    pub fn check_topic(name: &str) -> Result<(), TopicError> {
        let valid = (1..=249).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            && name != "."
            && name != "..";
        if valid { Ok(()) } else { Err(TopicError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broker_lists() {
        let check = |text: &str, expect: Result<&str, BrokerError>| {
            let seen = Broker::parse_list(text)
                .map(|brokers| brokers.iter().map(Broker::to_string).collect::<Vec<_>>().join(" "));
            assert_eq!(seen, expect.map(str::to_owned), "{text}");
        };
        check("broker.example.com:9092", Ok("broker.example.com:9092"));
        check("a:1,b:65535, 192.0.2.1:9 ,[2001:db8::1]:9092", Ok("a:1 b:65535 192.0.2.1:9 [2001:db8::1]:9092"));
        check("", Err(BrokerError::Empty { entry: 1 }));
        check("a:1,", Err(BrokerError::Empty { entry: 2 }));
        check("a", Err(BrokerError::NoPort { entry: 1 }));
        check("a:", Err(BrokerError::Port { entry: 1 }));
        check("a:0", Err(BrokerError::Port { entry: 1 }));
        check("a:+9", Err(BrokerError::Port { entry: 1 }));
        check("a:1,b:65536", Err(BrokerError::Port { entry: 2 }));
        check("a:1:2", Err(BrokerError::Port { entry: 1 }));
        check("SASL_SSL://a:9092", Err(BrokerError::Port { entry: 1 }));
        check("2001:db8::1:9092", Err(BrokerError::Port { entry: 1 }));
        check("[zz]:9092", Err(BrokerError::Host { entry: 1 }));
        check("a b:9092", Err(BrokerError::Host { entry: 1 }));
        check(":9092", Err(BrokerError::Host { entry: 1 }));
        check("a:1,256.256.256.256:9092", Err(BrokerError::Host { entry: 2 }));
        check("broker.1:9092", Err(BrokerError::Host { entry: 1 }));
    }

    #[test]
    fn topics() {
        let check = |name: &str, valid| assert_eq!(KafkaDestination::check_topic(name).is_ok(), valid, "{name}");
        check("product.updates_v1-a", true);
        check(&"a".repeat(249), true);
        check(&"a".repeat(250), false);
        check("", false);
        check(".", false);
        check("..", false);
        check("a/b", false);
        check("ä", false);
    }
}
