//! Identity of a destination.

use super::DestinationType;

/// The receiver of events, without connection details: knowledge about a destination (its pace, its outcomes) belongs
/// to this.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity<'a> {
    pub(super) of_type: DestinationType,
    pub(super) fields: Vec<&'a str>,
}

impl Identity<'_> {
    /// A number for it, never 0, stable across runs of the platform: it is stored.
    pub fn number(&self) -> u64 {
        // Each field with its length, so that distinct identities never share a text.
        let fields = std::iter::once(self.of_type.name()).chain(self.fields.iter().copied());
        number_of(&fields.map(|field| format!("{}:{field}", field.len())).collect::<String>())
    }
}

/// A number for a text, never 0, stable across runs of the platform: FNV-1a.
pub fn number_of(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, step).max(1)
}

#[cfg(test)]
mod tests {
    use crate::destination::{
        CustomHeaders, Destination, EndpointUrl, HttpsDestination, KafkaDestination, PubsubDestination, SaslAuth,
        SaslMechanism, Target,
    };
    use crate::secret::Secret;

    fn https(url: &str) -> Destination {
        Destination::Https(HttpsDestination {
            url: EndpointUrl::parse(url, false).unwrap(),
            primary: Secret::new("primary"),
            secondary: None,
            headers: CustomHeaders::default(),
        })
    }

    fn pubsub(project_id: &str, topic_id: &str) -> Destination {
        Destination::Pubsub(PubsubDestination {
            project_id: project_id.to_owned(),
            topic_id: topic_id.to_owned(),
            headers: CustomHeaders::default(),
        })
    }

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
    fn another_password_is_the_same_destination_and_another_topic_is_not() {
        let number = |destination: &Destination| destination.identity().number();
        let one = kafka(&["a:9092"], "topic", "old");
        assert_eq!(number(&one), number(&kafka(&["a:9092"], "topic", "new")));
        assert_ne!(number(&one), number(&kafka(&["a:9092"], "other", "old")));
        // These two share a display name: "a:9092,b:9092/topic".
        let (two, odd) = (kafka(&["a:9092", "b:9092"], "topic", ""), kafka(&["a:9092,b:9092"], "topic", ""));
        assert_eq!(two.to_string(), odd.to_string());
        assert_ne!(number(&two), number(&odd));
    }

    #[test]
    fn numbers_stay_as_they_were_saved() {
        let check = |destination: Destination, expect| assert_eq!(destination.identity().number(), expect);
        check(https("https://a.example/x"), 0xb21e6de0b7056336);
        check(pubsub("project", "topic"), 0x560f3763b35cf996);
        check(kafka(&["a:9092"], "topic", "old"), 0xcb541f2d4424b827);
    }

    #[test]
    fn the_host_is_the_one_connected_to() {
        assert_eq!(kafka(&["broker.example:9092", "b:1"], "t", "").host(), "broker.example");
        assert_eq!(kafka(&["[2001:db8::1]:9092"], "t", "").host(), "2001:db8::1");
        assert_eq!(pubsub("p", "t").host(), "pubsub.googleapis.com");
        let https = https("https://Shop.example:8443/x");
        assert_eq!(https.host(), "Shop.example");
        assert_eq!(https.target(), Target::Server { host: "Shop.example", port: 8443 });
    }
}
