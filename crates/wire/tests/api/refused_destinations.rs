//! Rejected `config`s, type by type.

use crate::platform::{check_subscription, kafka_with_tls, pairs};

#[track_caller]
fn check(type_name: &str, config: &str, expect: &[(&str, &str, &str)]) {
    let body = format!(r#"{{"type":"{type_name}","events":["com.akeneo.pim.v1.product.updated"],"config":{config}}}"#);
    check_subscription(&body, expect);
}

#[track_caller]
fn check_url(url: &str, code: &str, fragment: &str) {
    check("https", &format!(r#"{{"url":"{url}","secret":{{"primary":"s"}}}}"#), &[("config.url", code, fragment)]);
}

#[test]
fn urls() {
    check_url("", "invalid_url", "absolute URL");
    check_url("example.com/in", "invalid_url", "absolute URL");
    check_url("https:///in", "invalid_url", "absolute URL");
    check_url("https:/example.com", "invalid_url", "absolute URL");
    check_url("https:\\\\\\\\example.com", "invalid_url", "");
    check_url("https://example.com\\\\in", "invalid_url", "character 20");
    check_url("https://example.com/a b", "invalid_url", "character 22");
    check_url("https://example.com/\\t", "invalid_url", "U+0009");
    check_url("https://example.com/ü", "invalid_url", "`ü`");
    check_url("https://user:pw@example.com/", "invalid_url", "user name or password");
    check_url("https://example.com/#a", "invalid_url", "fragment");
    check_url("https://example.com:99999/", "invalid_url", "port");
    check_url("https://example.com:port/", "invalid_url", "");
    check_url("https://exa!mple.com/", "invalid_url", "letters, digits");
    check_url("http://example.com/", "https_required", "does not allow http://");
    check_url("ftp://example.com/", "https_required", "begin with https://");
    check_url(&format!("https://example.com/{}", "a".repeat(2029)), "too_long", "2049 characters, at most 2048");
}

#[test]
fn forbidden_hosts() {
    for host in [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "api.localhost",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[fe80::1]",
        "[fd00::1]",
        "[64:ff9b::a00:1]",
        "１２７.0.0.1",
        "198.18.0.1",
    ] {
        check_url(&format!("https://{host}/"), "destination_forbidden", "is a forbidden address");
    }
}

#[test]
fn secrets() {
    let field = "config.secret.primary";
    let check = |secret: &str, expect: &[(&str, &str, &str)]| {
        check("https", &format!(r#"{{"url":"https://example.com","secret":{secret}}}"#), expect);
    };
    check("null", &[("config.secret", "required", "")]);
    check(r#""s""#, &[("config.secret", "wrong_type", "an object")]);
    check("{}", &[(field, "required", "")]);
    check(r#"{"primary":""}"#, &[(field, "too_short", "must not be empty")]);
    check(r#"{"primary":7}"#, &[(field, "wrong_type", "")]);
    check(&format!(r#"{{"primary":"{}"}}"#, "s".repeat(257)), &[(field, "too_long", "at most 256")]);
    check(r#"{"primary":"***redacted***"}"#, &[(field, "mask_not_allowed", "")]);
    check(r#"{"primary":"s","secondary":"***redacted***"}"#, &[("config.secret.secondary", "mask_not_allowed", "")]);
    check(r#"{"primary":"s","secondary":7}"#, &[("config.secret.secondary", "wrong_type", "")]);
    check(r#"{"primary":"s","tertiary":"t"}"#, &[("config.secret.tertiary", "unknown_field", "")]);
}

#[test]
fn headers() {
    let check = |headers: &str, expect: &[(&str, &str, &str)]| {
        check(
            "https",
            &format!(r#"{{"url":"https://example.com","secret":{{"primary":"s"}},"headers":{headers}}}"#),
            expect,
        );
    };
    check("[]", &[("config.headers", "wrong_type", "an object")]);
    for name in [
        "Content-Type",
        "user-agent",
        "X-Correlation-ID",
        "HOST",
        "authorization",
        "Cookie",
        "X-AKENEO-SIGNATURE-PRIMARY",
        "x-akeneo-signature-foo",
        "webhook-id",
        "Webhook-Timestamp",
        "webhook-signature",
        "Content-Length",
        "Connection",
        "Transfer-Encoding",
        "TE",
        "Trailer",
        "Upgrade",
        "Keep-Alive",
        "Proxy-Authorization",
    ] {
        let field = format!("config.headers.{name}");
        check(&format!(r#"{{"{name}":"v"}}"#), &[(&field, "reserved_header", "reserved")]);
    }
    check(r#"{"X_A":"v"}"#, &[("config.headers.X_A", "invalid_header_name", "A-Z, a-z, 0-9 and -")]);
    check(r#"{"":"v"}"#, &[("config.headers.", "invalid_header_name", "")]);
    check(r#"{"X A":"v"}"#, &[("config.headers.X A", "invalid_header_name", "")]);
    check(r#"{"X-A":null}"#, &[("config.headers.X-A", "wrong_type", "a string, not null")]);
    check(r#"{"X-A":"a\nb"}"#, &[("config.headers.X-A", "invalid_header_value", "printable ASCII")]);
    check(r#"{"X-A":"ü"}"#, &[("config.headers.X-A", "invalid_header_value", "printable ASCII")]);
    check(r#"{"X-A":" a"}"#, &[("config.headers.X-A", "invalid_header_value", "space")]);
    check(&format!(r#"{{"X-A":"{}"}}"#, "v".repeat(257)), &[("config.headers.X-A", "invalid_header_value", "256")]);
    check(r#"{"X-A":"***redacted***"}"#, &[("config.headers.X-A", "mask_not_allowed", "")]);
    check(r#"{"X-A":"1","x-a":"2"}"#, &[("config.headers.x-a", "duplicate_header", "case-insensitive")]);
    check(
        r#"{"A":"","B":"","C":"","D":"","E":"","F":""}"#,
        &[("config.headers", "too_many_headers", "6 headers, at most 5")],
    );
}

#[test]
fn pubsub() {
    check("pubsub", "{}", &[("config.project_id", "required", ""), ("config.topic_id", "required", "")]);
    check(
        "pubsub",
        r#"{"project_id":"My_Project","topic_id":"1"}"#,
        &[("config.project_id", "invalid_project_id", "6 to 30"), ("config.topic_id", "invalid_topic_id", "3 to 255")],
    );
    check(
        "pubsub",
        r#"{"project_id":"my-project","topic_id":"projects/my-project/topics/t"}"#,
        &[("config.topic_id", "invalid_topic_id", "")],
    );
    check(
        "pubsub",
        r#"{"project_id":"my-project","topic_id":"goog-topic","url":"https://example.com"}"#,
        &[("config.topic_id", "invalid_topic_id", "goog"), ("config.url", "unknown_field", "")],
    );
    check(
        "pubsub",
        r#"{"project_id":"my-project","topic_id":"topic","headers":{"subject":"x","Host":"y"}}"#,
        &[("config.headers.subject", "reserved_header", ""), ("config.headers.Host", "reserved_header", "")],
    );
}

#[track_caller]
fn check_kafka(broker: &str, topic: &str, sasl: &str, expect: &[(&str, &str, &str)]) {
    check("kafka", &format!(r#"{{"broker":"{broker}","topic":"{topic}","sasl_auth":{sasl}}}"#), expect);
}

#[test]
fn kafka() {
    let sasl = r#"{"mechanism":"plain","username":"u","password":"p"}"#;
    check(
        "kafka",
        "{}",
        &[("config.broker", "required", ""), ("config.topic", "required", ""), ("config.sasl_auth", "required", "")],
    );
    check_kafka("b.example.com", "t", sasl, &[("config.broker", "invalid_broker", "no port")]);
    check_kafka("b.example.com:0", "t", sasl, &[("config.broker", "invalid_broker", "between 1 and 65535")]);
    check_kafka("b:1,,c:2", "t", sasl, &[("config.broker", "invalid_broker", "entry 2")]);
    check_kafka("kafka://b:1", "t", sasl, &[("config.broker", "invalid_broker", "")]);
    check_kafka("b:1,127.0.0.1:9092", "t", sasl, &[("config.broker", "destination_forbidden", "127.0.0.1")]);
    check_kafka("256.256.256.256:9092", "t", sasl, &[("config.broker", "invalid_broker", "entry 1")]);
    check_kafka("b:1,broker.1:9092", "t", sasl, &[("config.broker", "invalid_broker", "entry 2")]);
    for name in ["content-type", "Type", "PRODUCERSOURCE", "x-postrider-replay"] {
        check(
            "kafka",
            &format!(r#"{{"broker":"b:1","topic":"t","sasl_auth":{sasl},"headers":{{"{name}":"v"}}}}"#),
            &[(&format!("config.headers.{name}"), "reserved_header", "")],
        );
    }
    check_kafka("localhost:9092", "t", sasl, &[("config.broker", "destination_forbidden", "")]);
    check_kafka("b:1", "..", sasl, &[("config.topic", "invalid_topic", "249")]);
    check_kafka("b:1", "a b", sasl, &[("config.topic", "invalid_topic", "")]);
    check_kafka("b:1", "", sasl, &[("config.topic", "invalid_topic", "")]);
    let check = |sasl: &str, expect: &[(&str, &str, &str)]| check_kafka("b:1", "t", sasl, expect);
    check(
        "{}",
        &[
            ("config.sasl_auth.mechanism", "required", ""),
            ("config.sasl_auth.username", "required", ""),
            ("config.sasl_auth.password", "required", ""),
        ],
    );
    check(
        r#"{"mechanism":"gssapi","username":"u","password":"p"}"#,
        &[("config.sasl_auth.mechanism", "invalid_value", "`plain` or `scram`, not `gssapi`")],
    );
    check(
        r#"{"mechanism":"scram","username":"u","password":"p"}"#,
        &[("config.sasl_auth.scram_variant", "required", "")],
    );
    check(
        r#"{"mechanism":"scram","scram_variant":"sha-1","username":"u","password":"p"}"#,
        &[("config.sasl_auth.scram_variant", "invalid_value", "`sha-256` or `sha-512`")],
    );
    check(
        r#"{"mechanism":"plain","scram_variant":"sha-256","username":"u","password":"p"}"#,
        &[("config.sasl_auth.scram_variant", "invalid_value", "omit it")],
    );
    check(
        r#"{"mechanism":"plain","username":"","password":"***redacted***"}"#,
        &[("config.sasl_auth.username", "too_short", ""), ("config.sasl_auth.password", "mask_not_allowed", "")],
    );
    check(
        r#"{"mechanism":"plain","username":"u\u0000","password":"p\u0000"}"#,
        &[
            ("config.sasl_auth.username", "invalid_character", "NUL"),
            ("config.sasl_auth.password", "invalid_character", "NUL"),
        ],
    );
}

#[test]
fn tls() {
    let [one, other] = pairs();
    let check = |body: String, expect: &[(&str, &str, &str)]| check_subscription(&body, expect);
    let (name, certificate, key) = ("b.example.com", one.certificate.as_str(), one.key.as_str());
    check(
        kafka_with_tls("b.example.com:9092", certificate, certificate, key),
        &[("config.tls.server_name", "invalid_server_name", "without a port")],
    );
    check(
        kafka_with_tls(name, "", certificate, key),
        &[("config.tls.ca_pem", "invalid_certificate", "contains no certificate")],
    );
    let broken = certificate.replacen("MI", "AA", 1);
    check(
        kafka_with_tls(name, &broken, certificate, key),
        &[("config.tls.ca_pem", "invalid_certificate", "certificate 1")],
    );
    let second_broken = format!("{certificate}{broken}");
    check(
        kafka_with_tls(name, certificate, &second_broken, key),
        &[("config.tls.client_cert_pem", "invalid_certificate", "certificate 2")],
    );
    check(
        kafka_with_tls(name, certificate, &format!("{certificate}{key}"), key),
        &[("config.tls.client_cert_pem", "invalid_certificate", "contains a private key")],
    );
    check(
        kafka_with_tls(name, certificate, certificate, certificate),
        &[("config.tls.client_key_pem", "invalid_key", "contains no private key")],
    );
    check(
        kafka_with_tls(name, certificate, certificate, &key.replace("PRIVATE", "ENCRYPTED PRIVATE")),
        &[("config.tls.client_key_pem", "invalid_key", "passphrase")],
    );
    check(
        kafka_with_tls(name, certificate, certificate, &format!("{key}{key}")),
        &[("config.tls.client_key_pem", "invalid_key", "more than one")],
    );
    check(
        kafka_with_tls(
            name,
            certificate,
            certificate,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ),
        &[("config.tls.client_key_pem", "invalid_key", "the key is unreadable")],
    );
    check(
        kafka_with_tls(name, certificate, certificate, &other.key),
        &[("config.tls.client_key_pem", "key_mismatch", "does not belong")],
    );
    check(
        kafka_with_tls(name, certificate, &other.certificate, key),
        &[("config.tls.client_key_pem", "key_mismatch", "does not belong")],
    );
    check(
        r#"{"type":"kafka","events":["com.akeneo.pim.v1.product.updated"],"config":{"broker":"b:1","topic":"t","sasl_auth":{"mechanism":"plain","username":"u","password":"p"},"tls":{"server_name":"b"}}}"#.to_owned(),
        &[
            ("config.tls.ca_pem", "required", ""),
            ("config.tls.client_cert_pem", "required", ""),
            ("config.tls.client_key_pem", "required", ""),
        ],
    );
}
