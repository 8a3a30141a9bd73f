//! Rejected bodies of `POST /subscribers`.

use crate::platform::check_subscriber;

#[track_caller]
fn check_contact(contact: &str, expect: &[(&str, &str, &str)]) {
    check_subscriber(&format!(r#"{{"name":"n","contact":{contact}}}"#), expect);
}

#[test]
fn bodies() {
    check_subscriber("[]", &[("", "wrong_type", "must be an object, not an array")]);
    check_subscriber("null", &[("", "wrong_type", "not null")]);
    check_subscriber("{}", &[("name", "required", "is required"), ("contact", "required", "is required")]);
    check_subscriber(
        r#"{"name":null,"contact":null}"#,
        &[("name", "required", "cannot be null"), ("contact", "required", "cannot be null")],
    );
    check_subscriber(
        r#"{"name":7,"contact":"me"}"#,
        &[("name", "wrong_type", "a string, not a number"), ("contact", "wrong_type", "an object, not a string")],
    );
}

#[test]
fn names_and_fields() {
    let with = |member: &str| format!(r#"{{"contact":{{"technical_email":"a@b.example"}},{member}}}"#);
    check_subscriber(&with(r#""name":"""#), &[("name", "too_short", "must not be empty")]);
    let long = format!(r#""name":"{}""#, "é".repeat(256));
    check_subscriber(&with(&long), &[("name", "too_long", "256 characters, at most 255")]);
    for (member, field) in [
        (r#""id":"0190c5a0-0000-7000-8000-000000000001""#, "id"),
        (r#""status":"active""#, "status"),
        (r#""created_at":null"#, "created_at"),
        (r#""updated_at":"2026-11-02T08:00:00Z""#, "updated_at"),
    ] {
        check_subscriber(&with(&format!(r#""name":"n",{member}"#)), &[(field, "read_only", "set by the platform")]);
    }
    check_subscriber(
        &with(r#""name":"n","subject":"https://other.pim.example""#),
        &[("subject", "subject_mismatch", "https://my.pim.example")],
    );
    check_subscriber(&with(r#""name":"n","subject":7"#), &[("subject", "wrong_type", "a string")]);
    check_subscriber(
        &with(r#""nam":"n""#),
        &[("name", "required", ""), ("nam", "unknown_field", "did you mean `name`?")],
    );
    check_subscriber(&with(r#""name":"n","foo":1"#), &[("foo", "unknown_field", "is an unknown field")]);
    check_subscriber(&with(r#""name":"n","source":"pim""#), &[("source", "unknown_field", "")]);
}

#[test]
fn emails() {
    for address in
        ["", "team", "team@localhost", "a@b.example,c@d.example", "a b@c.example", "A <a@b.example>", "a@b.example\\n"]
    {
        let contact = format!(r#"{{"technical_email":"{address}"}}"#);
        check_contact(&contact, &[("contact.technical_email", "invalid_email", "a single email address")]);
    }
    check_contact("{}", &[("contact.technical_email", "required", "")]);
    check_contact(
        r#"{"technical_email":["a@b.example"]}"#,
        &[("contact.technical_email", "wrong_type", "not an array")],
    );
    check_contact(
        r#"{"technical_email":"a@b.example","email":"x"}"#,
        &[("contact.email", "unknown_field", "is an unknown field")],
    );
    check_contact(
        r#"{"technical_email":"a@b.example","notification_channel":[]}"#,
        &[("contact.notification_channel", "unknown_field", "did you mean `notification_channels`?")],
    );
}

#[test]
fn channels() {
    let check = |members: &str, expect: &[(&str, &str, &str)]| {
        check_contact(&format!(r#"{{"technical_email":"a@b.example",{members}}}"#), expect);
    };
    check(r#""notification_channels":"email""#, &[("contact.notification_channels", "wrong_type", "an array")]);
    check(
        r#""notification_channels":["email","sms"]"#,
        &[("contact.notification_channels[1]", "invalid_value", "`email` or `webhook`, not `sms`")],
    );
    check(r#""notification_channels":[7]"#, &[("contact.notification_channels[0]", "wrong_type", "a string")]);
    check(
        r#""notification_channels":["email","email"]"#,
        &[("contact.notification_channels[1]", "duplicate_value", "duplicate")],
    );
    check(
        r#""notification_channels":["webhook"]"#,
        &[
            ("contact.notification_webhook_url", "required", ""),
            ("contact.notification_webhook_secret", "required", ""),
        ],
    );
    let secret = r#""notification_webhook_secret":"0123456789abcdef""#;
    let url = |url: &str| format!(r#""notification_channels":["webhook"],{secret},"notification_webhook_url":{url}"#);
    for (text, code, fragment) in [
        (r#""http://example.com""#, "https_required", "does not allow http://"),
        (r#""example.com""#, "invalid_url", "absolute URL"),
        (r#""https://localhost/""#, "destination_forbidden", "allow_networks"),
        (r#""https://[::1]/""#, "destination_forbidden", ""),
        ("7", "wrong_type", "a string"),
        ("null", "required", "cannot be null"),
    ] {
        check(&url(text), &[("contact.notification_webhook_url", code, fragment)]);
    }
    // Even if the channel is off: stored values are always valid.
    check(r#""notification_webhook_url":"ftp://x""#, &[("contact.notification_webhook_url", "https_required", "")]);
    let secret = |secret: &str| format!(r#""notification_webhook_secret":"{secret}""#);
    let field = "contact.notification_webhook_secret";
    check(&secret("too short"), &[(field, "too_short", "9 characters, at least 16")]);
    check(&secret(""), &[(field, "too_short", "")]);
    check(&secret(&"s".repeat(257)), &[(field, "too_long", "at most 256")]);
    check(&secret("***redacted***"), &[(field, "mask_not_allowed", "send the value itself")]);
}

#[test]
fn all_faults_at_once() {
    check_subscriber(
        r#"{"id":"x","name":"","contact":{"technical_email":"x","notification_channels":["fax"],"foo":1},"bar":2}"#,
        &[
            ("id", "read_only", ""),
            ("name", "too_short", ""),
            ("contact.technical_email", "invalid_email", ""),
            ("contact.notification_channels[0]", "invalid_value", ""),
            ("contact.foo", "unknown_field", ""),
            ("bar", "unknown_field", ""),
        ],
    );
}
