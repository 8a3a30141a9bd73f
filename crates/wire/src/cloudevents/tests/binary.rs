//! Events with their attributes in headers.

use super::*;

#[test]
fn binary_events_have_their_attributes_in_headers() {
    let more = [("host", "x"), ("ce-zeta", "1"), ("ce-Alpha", "a\"%22"), ("ce-time", "2026-11-02T08:00:00Z")];
    let sent = binary(&[HEADERS.as_slice(), &more].concat(), " { \"a\" : 1.0 } ");
    accepted(sent, ["e %é1", "t", "2026-11-02T08:00:00Z", r#""zeta":"1","alpha":"a\"\"""#, r#"{"a":1}"#]);
}

#[test]
fn binary_events_are_refused_like_others() {
    refused(binary(&HEADERS, "{\"a\":1,\"a\":2}"), 400, &[("malformed_json", "data")]);
    refused(binary(&HEADERS, ""), 422, &[("required", "data")]);
    refused(binary(&HEADERS, "null"), 422, &[("required", "data")]);
    refused(binary(&HEADERS, "[]"), 422, &[("wrong_type", "data")]);
    let with = |more: &[(&'static str, &'static str)]| binary(&[HEADERS.as_slice(), more].concat(), "{}");
    refused(
        with(&[("ce-type", "u"), ("ce-x", "%ED%A0%80")]),
        400,
        &[("duplicate_header", "type"), ("malformed_header", "x")],
    );
    refused(with(&[("ce-source", "x")]), 400, &[("duplicate_header", "source")]);
    refused(
        with(&[("ce-x-y", "1"), ("ce-data", "1"), ("ce-", "")]),
        422,
        &[("invalid_name", "x-y"), ("invalid_name", "data"), ("invalid_name", "")],
    );
    let missing = [("required", "specversion"), ("required", "id"), ("required", "source"), ("required", "type")];
    let none: Vec<_> =
        missing.iter().copied().take(1).chain([("required", "")]).chain(missing[1..].iter().copied()).collect();
    refused(binary(&[], &event("")), 422, &none);
    refused(with(&[("ce-datacontenttype", "text/xml")]), 422, &[("invalid_value", "datacontenttype")]);
    let control = [("ce-specversion", "1.0"), ("ce-id", "%0A"), ("ce-source", "pim"), ("ce-type", "t")];
    refused(binary(&control, "{}"), 422, &[("invalid_value", "id")]);
}

#[test]
fn unencoded_headers_of_sdks_are_taken_literally() {
    let sent = |headers: &[(&'static str, &'static [u8])], body: &'static [u8]| {
        let fixed = [("ce-specversion", &b"1.0"[..]), ("ce-type", b"t")];
        let headers: Vec<_> = fixed.iter().chain(headers).copied().collect();
        let request = Request { content_type: None, content_encoding: None, headers, body, received_at: NOW };
        parse(request).map(|events| {
            let source = events[0].producer_source().map(|source| source.into_owned());
            (events[0].id().to_owned(), source.unwrap_or_default())
        })
    };
    let check = |id: &'static [u8], source: &'static [u8], expect: (&str, &str)| {
        let found = sent(&[("ce-id", id), ("ce-source", source)], b" {\"a\":1}").unwrap();
        assert_eq!((found.0.as_str(), found.1.as_str()), expect);
    };
    check(b"1", b"/shop/a%20b", ("1", "/shop/a b"));
    check(b"100%", b"pim", ("100%", ""));
    check(b"%%41%4%zz", b"%", ("%A%4%zz", "%"));
    check("é".as_bytes(), "\u{1f600}".as_bytes(), ("é", "\u{1f600}"));
    // As sent by JavaScript and Java: ISO 8859-1.
    check(b"\xe9", b"\xe9", ("é", "é"));
    // A present source is never a reason for rejection.
    check(b"1", b"%ED%A0%80", ("1", "%ED%A0%80"));
    check(b"1", b"a b\"<>", ("1", "a b\"<>"));
    let ignored = [("ce-subject", &b"100%"[..]), ("ce-subject", b"%FF"), ("ce-dataschema", b"\xff")];
    sent(&[&[("ce-id", &b"1"[..]), ("ce-source", b"pim")], &ignored[..]].concat(), b"{}").unwrap();
    for without in [&[("ce-id", &b"1"[..])][..], &[("ce-id", b"1"), ("ce-source", b" ")]] {
        refused(binary_like(sent(without, b"{}")), 422, &[("required", "source")]);
    }
    // Without a type it must be a JSON object, and well-formed.
    refused(binary_like(sent(&[("ce-id", b"1"), ("ce-source", b"pim")], b"{")), 400, &[("malformed_json", "data")]);
}

fn binary_like<T>(sent: Result<T, Refusal>) -> Result<Vec<Event>, Refusal> {
    sent.map(|_| Vec::new())
}
