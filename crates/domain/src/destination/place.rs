//! Which destination it is: what tells one place that events go to from another.

use super::Destination;

/// Where events go, without how: secrets, credentials, TLS and headers are left out. What was learnt about a destination (its pace, its
/// outcomes) is about this.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Place<'a> {
    /// The URL, byte for byte.
    Https(&'a str),
    /// Project and topic.
    Pubsub(&'a str, &'a str),
    /// Bootstrap addresses in their order, and the topic.
    Kafka(&'a [String], &'a str),
}

impl Destination {
    /// Where events go.
    pub fn place(&self) -> Place<'_> {
        match self {
            Destination::Https(https) => Place::Https(https.url.as_str()),
            Destination::Pubsub(pubsub) => Place::Pubsub(&pubsub.project_id, &pubsub.topic_id),
            Destination::Kafka(kafka) => Place::Kafka(&kafka.brokers, &kafka.topic),
        }
    }

    /// The host that attempts talk to, without a port: one for all Google topics, the first bootstrap address of a Kafka cluster.
    pub fn host(&self) -> &str {
        match self {
            Destination::Https(https) => https.url.host(),
            Destination::Pubsub(_) => "pubsub.googleapis.com",
            Destination::Kafka(kafka) => {
                let first = kafka.brokers.first().map_or("", String::as_str);
                first.rsplit_once(':').map_or(first, |(host, _)| host).trim_matches(['[', ']'])
            }
        }
    }
}

impl Place<'_> {
    /// A number for it, never 0, the same in every run of the platform, for it is saved.
    pub fn number(&self) -> u64 {
        // Each field with its length, so that no two places are one text.
        let mut text = String::new();
        let mut field = |field: &str| text.push_str(&format!("{}:{field}", field.len()));
        match self {
            Place::Https(url) => {
                field("https");
                field(url);
            }
            Place::Pubsub(project, topic) => {
                field("pubsub");
                field(project);
                field(topic);
            }
            Place::Kafka(brokers, topic) => {
                field("kafka");
                field(topic);
                brokers.iter().for_each(|broker| field(broker));
            }
        }
        number_of(&text)
    }
}

/// A number for a text, never 0, the same in every run of the platform: FNV-1a.
pub fn number_of(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, step).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::{CustomHeaders, KafkaDestination, PubsubDestination, SaslAuth, SaslMechanism};
    use crate::secret::Secret;

    fn kafka(brokers: &[&str], topic: &str, password: &str) -> Destination {
        let sasl =
            SaslAuth { mechanism: SaslMechanism::Plain, username: "user".into(), password: Secret::new(password) };
        Destination::Kafka(KafkaDestination {
            brokers: brokers.iter().map(|broker| (*broker).to_owned()).collect(),
            topic: topic.to_owned(),
            sasl,
            tls: None,
            headers: CustomHeaders::default(),
        })
    }

    #[test]
    fn another_password_is_the_same_place_and_another_topic_is_not() {
        let number = |destination: &Destination| destination.place().number();
        let one = kafka(&["a:9092"], "topic", "old");
        assert_eq!(number(&one), number(&kafka(&["a:9092"], "topic", "new")));
        assert_ne!(number(&one), number(&kafka(&["a:9092"], "other", "old")));
        // These two have one text for people: "a:9092,b:9092/topic".
        let (two, odd) = (kafka(&["a:9092", "b:9092"], "topic", ""), kafka(&["a:9092,b:9092"], "topic", ""));
        assert_eq!(two.to_string(), odd.to_string());
        assert_ne!(number(&two), number(&odd));
    }

    #[test]
    fn the_host_is_what_attempts_talk_to() {
        assert_eq!(kafka(&["broker.example:9092", "b:1"], "t", "").host(), "broker.example");
        assert_eq!(kafka(&["[2001:db8::1]:9092"], "t", "").host(), "2001:db8::1");
        let topic =
            PubsubDestination { project_id: "p".into(), topic_id: "t".into(), headers: CustomHeaders::default() };
        assert_eq!(Destination::Pubsub(topic).host(), "pubsub.googleapis.com");
    }
}
