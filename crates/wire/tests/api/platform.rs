//! A platform with its rules, a subscriber and a subscription of each type, and a common check of rejections.

#![expect(clippy::unwrap_used, reason = "what is made here is the test's own and valid")]

use std::sync::OnceLock;

use domain::address::AddressPolicy;
use domain::destination::DestinationType;
use domain::event_type::EventTypes;
use domain::id::{ClientId, PimId, Position, SubscriberId, SubscriptionId};
use domain::subscriber::{Confirmation, Owner, Subscriber, SubscriberStatus};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::time::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use wire::api::{Rules, subscriber, subscription};
use wire::fault::Fault;
use wire::json::{Value, parse};

pub(crate) const SUBJECT: &str = "https://my.pim.example";
pub(crate) const SUBSCRIBER_ID: &str = "0190c5a0-0000-7000-8000-000000000001";
pub(crate) const SUBSCRIPTION_ID: &str = "0190c5a0-0000-7000-8000-000000000002";

pub(crate) fn with_rules<T>(check: impl FnOnce(&Rules<'_>) -> T) -> T {
    static CATALOGUE: OnceLock<EventTypes> = OnceLock::new();
    check(&Rules {
        event_types: CATALOGUE.get_or_init(EventTypes::new),
        addresses: &AddressPolicy::default(),
        allow_http: false,
        destination_types: &DestinationType::ALL,
        subject: SUBJECT,
    })
}

pub(crate) fn json(text: &str) -> Value {
    parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

pub(crate) fn created_at() -> Timestamp {
    Timestamp::parse("2026-11-02T08:00:00.5Z").unwrap()
}

pub(crate) fn subscriber(body: &str) -> Subscriber {
    let new = with_rules(|rules| subscriber::parse_create(&json(body), rules)).unwrap();
    Subscriber {
        id: SubscriberId::parse(SUBSCRIBER_ID).unwrap(),
        owner: Owner { pim: PimId(1), client_id: ClientId("client".to_owned()) },
        name: new.name,
        contact: new.contact,
        confirmation: Confirmation::default(),
        status: SubscriberStatus::Active,
        revision: 1,
        created_at: created_at(),
        updated_at: created_at(),
    }
}

pub(crate) fn subscription(body: &str) -> Subscription {
    let new = with_rules(|rules| subscription::parse_create(&json(body), rules)).unwrap();
    Subscription {
        id: SubscriptionId::parse(SUBSCRIPTION_ID).unwrap(),
        subscriber_id: SubscriberId::parse(SUBSCRIBER_ID).unwrap(),
        pim: PimId(1),
        client_id: ClientId("client".to_owned()),
        selection: new.selection,
        past_selections: Vec::new(),
        lane_since: Position::FIRST,
        destination: new.destination,
        send_product_identifier: new.send_product_identifier,
        options: new.options,
        status: SubscriptionStatus::Active,
        status_since: Position::FIRST,
        generation: 1,
        revision: 1,
        created_at: created_at(),
        updated_at: created_at(),
    }
}

pub(crate) const HTTPS: &str = r#"{"type":"https","events":["com.akeneo.pim.v1.product.updated"],"config":{"url":"https://example.com/in","secret":{"primary":"one","secondary":"two"},"headers":{"X-Key":"k1","X-Empty":""}}}"#;
pub(crate) const PUBSUB: &str = r#"{"type":"pubsub","events":["com.akeneo.pim.v1.product.updated"],"config":{"project_id":"my-project","topic_id":"my-topic"}}"#;
pub(crate) const KAFKA: &str = r#"{"type":"kafka","events":["com.akeneo.pim.v1.product.updated"],"config":{"broker":"b1.example.com:9092,b2.example.com:9092","topic":"products","sasl_auth":{"mechanism":"scram","scram_variant":"sha-512","username":"u","password":"p"}}}"#;

/// A certificate and its key in PEM, generated once.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

pub(crate) fn pairs() -> &'static [Pair; 2] {
    static PAIRS: OnceLock<[Pair; 2]> = OnceLock::new();
    PAIRS.get_or_init(|| {
        let pair = |algorithm| {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate =
                CertificateParams::new(vec!["client.example".to_owned()]).unwrap().self_signed(&key).unwrap();
            Pair { certificate: certificate.pem(), key: key.serialize_pem() }
        };
        [pair(&rcgen::PKCS_ECDSA_P256_SHA256), pair(&rcgen::PKCS_RSA_SHA256)]
    })
}

/// A Kafka subscription with TLS; the parts of `tls` as JSON values.
pub(crate) fn kafka_with_tls(server_name: &str, ca: &str, certificate: &str, key: &str) -> String {
    let text = |text: &str| Value::from(text).to_canonical();
    format!(
        r#"{{"type":"kafka","events":["com.akeneo.pim.v1.product.updated"],"config":{{"broker":"b.example.com:9092","topic":"t","sasl_auth":{{"mechanism":"plain","username":"u","password":"p"}},"tls":{{"server_name":{},"ca_pem":{},"client_cert_pem":{},"client_key_pem":{}}}}}}}"#,
        text(server_name),
        text(ca),
        text(certificate),
        text(key)
    )
}

/// Checks for exactly these faults: field (empty for none), code, and a part of the message.
#[track_caller]
pub(crate) fn check_faults<T: std::fmt::Debug>(
    what: &str,
    result: Result<T, Vec<Fault>>,
    expect: &[(&str, &str, &str)],
) {
    let faults = result.expect_err(what);
    let seen: Vec<_> = faults.iter().map(|fault| (fault.field.as_deref().unwrap_or(""), fault.code)).collect();
    let expected: Vec<_> = expect.iter().map(|(field, code, _)| (*field, *code)).collect();
    assert_eq!(seen, expected, "{what}\n{faults:#?}");
    for (fault, (_, _, fragment)) in faults.iter().zip(expect) {
        assert!(fault.message.contains(fragment), "{what}\n`{}` lacks `{fragment}`", fault.message);
        assert!(
            fault.message.starts_with(fault.field.as_deref().unwrap_or("")) || fault.detail.is_some(),
            "{}",
            fault.message
        );
        assert!(wire::fault::code::ALL.iter().any(|(code, _)| *code == fault.code), "{}", fault.code);
    }
}

#[track_caller]
pub(crate) fn check_subscriber(body: &str, expect: &[(&str, &str, &str)]) {
    check_faults(body, with_rules(|rules| subscriber::parse_create(&json(body), rules)), expect);
}

#[track_caller]
pub(crate) fn check_subscription(body: &str, expect: &[(&str, &str, &str)]) {
    check_faults(body, with_rules(|rules| subscription::parse_create(&json(body), rules)), expect);
}
