//! Kafka's naming rules, and the list of bootstrap addresses.

use std::fmt;

use super::KafkaDestination;
use super::endpoint_url::host_of;

/// A bootstrap address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broker {
    /// A name in ASCII or an address; IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Why a text is no list of brokers.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BrokerError {
    /// An entry is empty.
    #[error("entry {entry} of the list is empty; host:port is expected, several are separated by commas")]
    Empty {
        /// Which one, from 1.
        entry: usize,
    },
    /// An entry without a port.
    #[error("entry {entry} of the list has no port; host:port is expected, such as broker.example.com:9092")]
    NoPort {
        /// Which one, from 1.
        entry: usize,
    },
    /// The port is not between 1 and 65535.
    #[error("the port of entry {entry} of the list must be a number between 1 and 65535")]
    Port {
        /// Which one, from 1.
        entry: usize,
    },
    /// The host is neither a DNS name nor an address.
    #[error("the host of entry {entry} of the list is neither a DNS name nor an IP address (IPv6 stands in brackets)")]
    Host {
        /// Which one, from 1.
        entry: usize,
    },
}

/// A topic's name breaks Kafka's rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a Kafka topic's name has 1 to 249 characters out of A-Z, a-z, 0-9, . _ and -, and is neither \".\" nor \"..\""
)]
pub struct TopicError;

impl Broker {
    /// Reads `host:port`, or several of them separated by commas; blanks around an entry do not count.
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

/// `host:port`, as [`KafkaDestination::brokers`] keeps it.
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

    /// Whether `name` is a topic's name.
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
