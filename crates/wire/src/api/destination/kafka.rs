//! `config` of a Kafka topic.

use domain::address::is_broken_address;
use domain::destination::{Broker, CustomHeaders, Destination, KafkaDestination, KafkaTls, SaslAuth, SaslMechanism};
use rustls::pki_types::ServerName;

use super::super::Rules;
use super::super::answer::{Shown, object};
use super::super::endpoint::permitted;
use super::super::reader::Reader;
use super::super::shape::{Field, Form, InAnswers, Object, Shape};
use super::{Config, HEADERS, headers, pem};
use crate::fault::code;
use crate::json::Value;

/// Credentials are short texts, sent on every connection; longer ones are invalid.
const CREDENTIAL: Form = Form::of_length((1, 1024)).pattern("^[^\\u0000]*$");
/// A private key in PEM, RSA of 16,384 bits included.
const KEY_PEM: (usize, usize) = (1, 32 * 1024);

pub(super) const CONFIG: Config = Config {
    fields: &FIELDS,
    read: |fields, rules| read(fields, rules).map(Destination::Kafka),
    outdate: forget_variant,
};

/// The fields of `config` (contract page 1).
const FIELDS: Object = Object::new(&[
    Field::required(
        "broker",
        Shape::Text(
            Form::of_format("kafka-brokers")
                .examples(&["broker.example.com:9093", "a.example.com:9092,b.example.com:9092"]),
        ),
        "Bootstrap addresses, `host:port`, separated by commas; IPv6 addresses in brackets.",
    ),
    Field::required(
        "topic",
        Shape::Text(Form::of_pattern(KafkaDestination::TOPIC_PATTERN).examples(&["pim.events"])),
        "The topic.",
    ),
    Field::required("sasl_auth", Shape::Object(&SASL_AUTH), "How the platform authenticates."),
    Field::optional("tls", Shape::Object(&TLS), "TLS with a client certificate; absent: no TLS.")
        .shown(InAnswers::Sometimes),
    HEADERS,
]);

const SASL_AUTH: Object = Object::new(&[
    Field::required("mechanism", Shape::Name(&["plain", "scram"]), "The SASL mechanism."),
    Field::optional(
        "scram_variant",
        Shape::Name(&["sha-256", "sha-512"]),
        "Required with `scram`, not allowed with `plain`.",
    )
    .shown(InAnswers::Sometimes),
    Field::required("username", Shape::Text(CREDENTIAL.examples(&["postrider"])), "User name."),
    Field::required("password", Shape::Secret(CREDENTIAL.examples(&["a password"])), "Password."),
])
.one_of(
    r#"[{"title":"Plain","properties":{"mechanism":{"const":"plain"},"scram_variant":{"type":"null"}}},
        {"title":"SCRAM","required":["scram_variant"],
         "properties":{"mechanism":{"const":"scram"},"scram_variant":{"type":"string"}}}]"#,
);

const TLS: Object = Object::new(&[
    Field::required(
        "server_name",
        Shape::Text(Form::of_format("server-name").examples(&["broker.example.com"])),
        "Name required in the broker's certificate.",
    ),
    Field::required(
        "ca_pem",
        Shape::Pem(Form::of_format("pem-certificates")),
        "Root certificates for the broker's certificate, PEM.",
    ),
    Field::required(
        "client_cert_pem",
        Shape::Pem(Form::of_format("pem-certificates")),
        "Client certificate and its chain, PEM.",
    ),
    Field::required(
        "client_key_pem",
        Shape::Secret(Form::of_format("pem-private-key").length(KEY_PEM)),
        "Private key of the client certificate, PEM without a passphrase.",
    ),
]);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mechanism {
    Plain,
    Scram,
}

const VARIANTS: [(&str, SaslMechanism); 2] =
    [("sha-256", SaslMechanism::ScramSha256), ("sha-512", SaslMechanism::ScramSha512)];

fn read(fields: &mut Reader<'_, '_>, rules: &Rules<'_>) -> Option<KafkaDestination> {
    let brokers = fields.required_string("broker").and_then(|text| brokers(fields, text, rules));
    let topic = fields.required_string("topic");
    if let Some(Err(error)) = topic.map(KafkaDestination::check_topic) {
        fields.fault("topic", code::INVALID_TOPIC, format_args!("is invalid: {error}"));
    }
    let sasl = fields.required_object("sasl_auth").and_then(sasl_auth);
    let tls = fields.object("tls").and_then(tls);
    let headers = headers::read(fields, CustomHeaders::check_attribute);
    Some(KafkaDestination { brokers: brokers?, topic: topic?.to_owned(), sasl: sasl?, tls, headers })
}

fn brokers(fields: &mut Reader<'_, '_>, text: &str, rules: &Rules<'_>) -> Option<Vec<String>> {
    match Broker::parse_list(text) {
        Err(error) => {
            fields.fault("broker", code::INVALID_BROKER, format_args!("is invalid: {error}"));
            None
        }
        Ok(brokers) => {
            for broker in &brokers {
                permitted(fields, "broker", &broker.host, rules);
            }
            Some(brokers.iter().map(Broker::to_string).collect())
        }
    }
}

fn sasl_auth(mut fields: Reader<'_, '_>) -> Option<SaslAuth> {
    let mechanism = fields.required_name("mechanism", &[("plain", Mechanism::Plain), ("scram", Mechanism::Scram)]);
    let mechanism = match mechanism {
        Some(Mechanism::Scram) => fields.required_name("scram_variant", &VARIANTS),
        other => {
            // With an unknown mechanism, the variant may be right or wrong: only the mechanism is reported.
            if fields.optional("scram_variant").is_some() && other == Some(Mechanism::Plain) {
                fields.fault(
                    "scram_variant",
                    code::INVALID_VALUE,
                    "is only for mechanism `scram`; omit it with `plain`",
                );
            }
            other.map(|_| SaslMechanism::Plain)
        }
    };
    let username = fields.required_text("username");
    let password = fields.required_secret("password");
    // RFC 4616: in SASL PLAIN a NUL separates user name and password.
    if username.is_some_and(|username| username.contains('\0')) {
        fields.fault("username", code::INVALID_CHARACTER, "must not contain the character NUL");
    }
    if password.as_ref().is_some_and(|password| password.expose().contains('\0')) {
        fields.fault("password", code::INVALID_CHARACTER, "must not contain the character NUL");
    }
    fields.finish();
    Some(SaslAuth { mechanism: mechanism?, username: username?.to_owned(), password: password? })
}

fn tls(mut fields: Reader<'_, '_>) -> Option<KafkaTls> {
    let server_name = fields.required_string("server_name");
    if server_name.is_some_and(|name| ServerName::try_from(name).is_err() || is_broken_address(name)) {
        fields.fault("server_name", code::INVALID_SERVER_NAME, "must be a DNS name or an IP address, without a port");
    }
    let ca_pem = fields.required_string("ca_pem");
    if let Some(Err(error)) = ca_pem.map(pem::certificates) {
        fields.fault("ca_pem", code::INVALID_CERTIFICATE, format_args!("cannot be used: {error}"));
    }
    let client_cert_pem = fields.required_string("client_cert_pem");
    let certificate = client_cert_pem.and_then(|text| match pem::certificates(text) {
        Ok(certificates) => certificates.into_iter().next(),
        Err(error) => {
            fields.fault("client_cert_pem", code::INVALID_CERTIFICATE, format_args!("cannot be used: {error}"));
            None
        }
    });
    let client_key_pem = fields.required_secret("client_key_pem");
    let key = client_key_pem.as_ref().and_then(|secret| match pem::private_key(secret.expose()) {
        Ok(key) => Some(key),
        Err(error) => {
            fields.fault("client_key_pem", code::INVALID_KEY, format_args!("cannot be used: {error}"));
            None
        }
    });
    if let (Some(certificate), Some(key)) = (certificate, key)
        && !pem::belongs(&key, &certificate)
    {
        let message = "does not belong to the first certificate of client_cert_pem";
        fields.fault("client_key_pem", code::KEY_MISMATCH, message);
    }
    fields.finish();
    Some(KafkaTls {
        server_name: server_name?.to_owned(),
        ca_pem: ca_pem?.to_owned(),
        client_cert_pem: client_cert_pem?.to_owned(),
        client_key_pem: client_key_pem?,
    })
}

pub(super) fn members(kafka: &KafkaDestination, shown: Shown) -> Vec<(String, Value)> {
    let variant = VARIANTS.iter().find(|(_, variant)| *variant == kafka.sasl.mechanism).map(|(name, _)| *name);
    let mut sasl_auth = vec![(
        "mechanism".to_owned(),
        Value::from(if kafka.sasl.mechanism == SaslMechanism::Plain { "plain" } else { "scram" }),
    )];
    if let Some(variant) = variant {
        sasl_auth.push(("scram_variant".to_owned(), variant.into()));
    }
    sasl_auth.push(("username".to_owned(), kafka.sasl.username.as_str().into()));
    sasl_auth.push(("password".to_owned(), shown.secret(&kafka.sasl.password)));
    let mut members = vec![
        ("broker".to_owned(), kafka.brokers.join(",").into()),
        ("topic".to_owned(), kafka.topic.as_str().into()),
        ("sasl_auth".to_owned(), Value::Object(sasl_auth)),
    ];
    if let Some(tls) = &kafka.tls {
        let tls = object([
            ("server_name", tls.server_name.as_str().into()),
            ("ca_pem", tls.ca_pem.as_str().into()),
            ("client_cert_pem", tls.client_cert_pem.as_str().into()),
            ("client_key_pem", shown.secret(&tls.client_key_pem)),
        ]);
        members.push(("tls".to_owned(), tls));
    }
    members
}

/// A patch to mechanism `plain` without a variant removes the stored variant.
fn forget_variant(stored: &mut Value, patch: &Value) {
    let Some(patch) = patch.get("sasl_auth") else { return };
    if patch.get("mechanism").and_then(Value::as_str) != Some("plain") || patch.get("scram_variant").is_some() {
        return;
    }
    if let Value::Object(config) = stored
        && let Some((_, Value::Object(sasl_auth))) = config.iter_mut().find(|(name, _)| name == "sasl_auth")
    {
        sasl_auth.retain(|(name, _)| name != "scram_variant");
    }
}
