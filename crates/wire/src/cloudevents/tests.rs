//! Accepted requests in each form, and rejected ones with their faults.

mod binary;

use super::*;

const STRUCTURED: &str = "application/cloudevents+json";
const BATCHED: &str = "application/cloudevents-batch+json";
const NOW: Timestamp = Timestamp::from_micros(1_793_606_400_700_000);

fn send(content_type: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Vec<Event>, Refusal> {
    parse(Request {
        content_type: Some(content_type.as_bytes()),
        content_encoding: None,
        headers: headers.iter().map(|(name, value)| (*name, value.as_bytes())),
        body,
        received_at: NOW,
    })
}

/// Id, type, time, extensions and data of the only event.
fn accepted(sent: Result<Vec<Event>, Refusal>, expect: [&str; 5]) -> Event {
    let events = sent.unwrap();
    let [event] = events.as_slice() else { panic!("{} events", events.len()) };
    assert_eq!([event.id(), event.event_type(), event.time(), event.extensions(), event.data()], expect);
    event.clone()
}

/// Status, and code and field of each fault.
fn refused(sent: Result<Vec<Event>, Refusal>, status: u16, expect: &[(&str, &str)]) -> Vec<String> {
    let refusal = sent.expect_err("refused");
    let faults: Vec<_> =
        refusal.faults.iter().map(|fault| (fault.code, fault.field.as_deref().unwrap_or_default())).collect();
    assert_eq!((refusal.status, faults.as_slice()), (status, expect), "{:#?}", refusal.faults);
    refusal.faults.into_iter().map(|fault| fault.message).collect()
}

/// A structured event with `members` before `data`.
fn event(members: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"e1","source":"pim","type":"t"{members},"data":{{}}}}"#)
}

fn structured(body: &str) -> Result<Vec<Event>, Refusal> {
    send(STRUCTURED, &[], body.as_bytes())
}

const HEADERS: [(&str, &str); 4] =
    [("ce-specversion", "1.0"), ("ce-id", "e%20%25%C3%A91"), ("CE-Source", "\"pi\\m\""), ("ce-type", "t")];

fn binary(headers: &[(&str, &str)], body: &str) -> Result<Vec<Event>, Refusal> {
    send("application/json", headers, body.as_bytes())
}

#[test]
fn structured_events_become_canonical() {
    accepted(
        structured(
            " { \"data\" : {\"b\": 1.0, \"7\":\"\\/\"}, \"id\":\"e \\\"\\u00e9\", \"source\":\"pim\", \
             \"specversion\":\"1.0\",\n
              \"type\":\"t\", \"time\":\"2026-11-02T09:00:00.70+01:00\", \"subject\":\"s\", \"dataschema\":\"x\" } ",
        ),
        ["e \"é", "t", "2026-11-02T08:00:00.70Z", "", r#"{"7":"/","b":1}"#],
    );
    accepted(
        send("Application/CloudEvents+JSON; charset=UTF-8", &[], event("").as_bytes()),
        ["e1", "t", "2026-11-02T08:00:00.700000Z", "", "{}"],
    );
}

#[test]
fn the_producers_source_is_kept_unless_it_is_the_pim() {
    let of = |source: &str| event(r#","n":1"#).replace("\"pim\"", source);
    let check = |source: &str, expect: &str| {
        let event = accepted(structured(&of(source)), ["e1", "t", "2026-11-02T08:00:00.700000Z", expect, "{}"]);
        event.identity().into_owned()
    };
    assert_eq!(check(r#""p\u0069m""#, r#""n":1"#), "e1");
    assert_eq!(check(r#""\/shop a""#, r#""n":1,"producersource":"/shop a""#), "/shop a\0e1");
    assert_eq!(check(r#""http://[\"""#, r#""n":1,"producersource":"http://[\"""#), "http://[\"\0e1");
    // It does not count towards the producer's own extensions.
    let many: String = (0..20).map(|n| format!(",\"e{n}\":1")).collect();
    structured(&event(&many).replace("\"pim\"", &format!("\"{}\"", "s".repeat(5000)))).unwrap();
}

#[test]
fn null_is_absent() {
    let body = event(r#","time":null,"subject":null,"data_base64":null,"ext":null"#);
    accepted(structured(&body), ["e1", "t", "2026-11-02T08:00:00.700000Z", "", "{}"]);
    let body = r#"{"specversion":null,"id":null,"source":null,"type":null,"data":null}"#;
    let missing = [("required", "specversion"), ("required", "id"), ("required", "source"), ("required", "type")];
    refused(structured(body), 422, &[missing.as_slice(), &[("required", "data")]].concat());
}

#[test]
fn extensions_are_kept_in_their_order() {
    let body = event(r#","zeta":"a\/\u00e9","n1":-5.0,"flag":true,"big":2.147483647e9,"z":null"#);
    let expect = r#""zeta":"a/é","n1":-5,"flag":true,"big":2147483647"#;
    accepted(structured(&body), ["e1", "t", "2026-11-02T08:00:00.700000Z", expect, "{}"]);
}

#[test]
fn extensions_have_names_types_and_limits() {
    let body = event(
        r#","Id":"x","a_b":1,"1a":1,"\u00e9":1,"a":1.5,"b":{},"c":[],"d":1e30,"e":1E400,"f":2147483648,"g":-2147483649,"producersource":"x""#,
    );
    let messages = refused(
        structured(&body),
        422,
        &[
            ("invalid_name", "Id"),
            ("invalid_name", "a_b"),
            ("invalid_name", "1a"),
            ("invalid_name", "é"),
            ("wrong_type", "a"),
            ("wrong_type", "b"),
            ("wrong_type", "c"),
            ("wrong_type", "d"),
            ("wrong_type", "e"),
            ("invalid_value", "f"),
            ("invalid_value", "g"),
            ("invalid_name", "producersource"),
        ],
    );
    assert!(messages[0].ends_with("did you mean `id`?"), "{}", messages[0]);
    assert_eq!(messages[5], "b must be a string, a boolean or an integer, found an object");

    let many = |count: usize| event(&(0..count).map(|n| format!(",\"e{n}\":1")).collect::<String>());
    structured(&many(20)).unwrap();
    refused(structured(&many(21)), 422, &[("too_many", "")]);
    // `"x":"…"` has six bytes in addition to its text.
    let long = |count: usize| event(&format!(",\"x\":\"{}\"", "y".repeat(count - 6)));
    structured(&long(4096)).unwrap();
    refused(structured(&long(4097)), 422, &[("too_long", "")]);
}

#[test]
fn attributes_have_their_rules() {
    let sent = |id: &str, source: &str, event_type: &str| {
        structured(&format!(r#"{{"specversion":"1.0","id":{id},"source":{source},"type":{event_type},"data":{{}}}}"#))
    };
    let long = |count: usize| format!("\"{}\"", "é".repeat(count));
    sent(&long(256), "\"/a/b?c#d\"", &long(256)).unwrap();
    sent("\"\\u0020\"", "\"urn:x:y\"", "\"t\"").unwrap();
    refused(sent(&long(257), "\"pim\"", &long(257)), 422, &[("too_long", "id"), ("too_long", "type")]);
    let empty = [("invalid_value", "id"), ("invalid_value", "source"), ("invalid_value", "type")];
    refused(sent("\"\"", "\"\"", "\"\""), 422, &empty);
    refused(sent(r#""a\nb""#, "\"\"", r#""a\u0085""#), 422, &empty);
    refused(sent("\"\u{7f}\"", "\"http://[\"", "\"t\""), 422, &empty[..1]);
    refused(sent("1", "true", "{}"), 422, &[("wrong_type", "id"), ("wrong_type", "source"), ("wrong_type", "type")]);

    refused(structured(&event(r#","time":"2026-11-02""#)), 422, &[("invalid_value", "time")]);
    refused(structured(&event(r#","time":5"#)), 422, &[("wrong_type", "time")]);
    refused(
        structured(&event(r#","subject":1,"dataschema":[],"datacontenttype":false"#)),
        422,
        &[("wrong_type", "subject"), ("wrong_type", "dataschema"), ("wrong_type", "datacontenttype")],
    );
    refused(structured(&event(r#","datacontenttype":"text/xml""#)), 422, &[("invalid_value", "datacontenttype")]);
    for json in ["application/json", "text/json", "application/vnd.akeneo+json; charset=utf-8", "Application/JSON"] {
        structured(&event(&format!(r#","datacontenttype":"{json}""#))).unwrap();
    }
    let old = event("").replace("\"1.0\"", "\"0.3\"");
    let messages = refused(structured(&old), 422, &[("invalid_value", "specversion")]);
    assert_eq!(messages, ["specversion must be \"1.0\", found \"0.3\""]);
}

#[test]
fn data_is_an_object_of_json() {
    for data in ["[]", "\"x\"", "1", "true"] {
        let body = event("").replace("{}", data);
        refused(structured(&body), 422, &[("wrong_type", "data")]);
    }
    let body = event(r#","data_base64":"eA==""#);
    refused(structured(&body), 422, &[("not_supported", "data_base64")]);
    let body = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"eA=="}"#;
    refused(structured(body), 422, &[("not_supported", "data_base64")]);
}

#[test]
fn malformed_json_comes_before_wrong_values() {
    let messages = refused(structured("{\"id\":1,\"id\":2}"), 400, &[("malformed_json", "")]);
    assert_eq!(messages, ["invalid JSON at line 1, column 9: duplicate key \"id\""]);
    refused(structured(&event(r#","data_base64":1,"Bad":"\ud800""#)), 400, &[("malformed_json", "Bad")]);
    refused(structured(&format!("{}x", event(""))), 400, &[("malformed_json", "")]);
    refused(structured(""), 400, &[("malformed_json", "")]);
    let body = format!("[{},{}]", event(""), event("").replace("{}", r#"{"a":{"b":1,"b":2}}"#));
    refused(send(BATCHED, &[], body.as_bytes()), 400, &[("malformed_json", "[1].data.a")]);
    // More keys than are compared pairwise.
    let keys: String = (0..50).map(|n| format!("\"K{}\":1,", n % 49)).collect();
    refused(structured(&format!("{{{keys}\"z\":1}}")), 400, &[("malformed_json", "")]);
}

#[test]
fn a_batch_is_taken_whole_or_refused_with_every_fault() {
    let batch = |events: &[String]| send(BATCHED, &[], format!(" [ {} ] ", events.join(" , ")).as_bytes());
    let second = event(r#","n":1"#).replace("e1", "e2");
    let events = batch(&[event(""), second.clone()]).unwrap();
    assert_eq!(events.iter().map(Event::id).collect::<Vec<_>>(), ["e1", "e2"]);
    assert_eq!(events[1].extensions(), "\"n\":1");
    let wrong = event(r#","time":"noon""#).replace("\"id\":\"e1\",", "");
    refused(
        batch(&[event(""), wrong, "7".to_owned(), second, "[]".to_owned()]),
        422,
        &[("required", "[1].id"), ("invalid_value", "[1].time"), ("wrong_type", "[2]"), ("wrong_type", "[4]")],
    );
    refused(batch(&[]), 422, &[("empty_batch", "")]);
    refused(send(BATCHED, &[], event("").as_bytes()), 422, &[("wrong_type", "")]);
    refused(structured(&format!("[{}]", event(""))), 422, &[("wrong_type", "")]);
    for broken in ["[", "[]x", "[{}", "[{},]", "[{} {}]", ""] {
        assert_eq!(send(BATCHED, &[], broken.as_bytes()).expect_err(broken).status, 400, "{broken}");
    }
}

#[test]
fn faults_beyond_a_hundred_are_counted() {
    let events = vec!["{}"; 30].join(",");
    let refusal = send(BATCHED, &[], format!("[{events}]").as_bytes()).expect_err("refused");
    assert_eq!(refusal.faults.len(), 101);
    assert_eq!(refusal.faults[100].message, "50 further faults are not listed");
}

#[test]
fn too_much_is_413_before_anything_else() {
    let batch = |count: usize| format!("[{}]", vec![event(""); count].join(","));
    assert_eq!(send(BATCHED, &[], batch(1000).as_bytes()).unwrap().len(), 1000);
    refused(send(BATCHED, &[], batch(1001).as_bytes()), 413, &[("too_many_events", "")]);

    let sized = |size: usize| {
        let empty = event(r#","x":1"#).replace("{}", r#"{"a":""}"#);
        empty.replace("\"a\":\"\"", &format!("\"a\":\"{}\"", "y".repeat(size - empty.len())))
    };
    let (fits, large) = (sized(EVENT_LIMIT), sized(EVENT_LIMIT + 1));
    structured(&format!("  {fits}\n")).unwrap();
    refused(structured(&large), 413, &[("event_too_large", "")]);
    refused(structured(&large.replace("1.0", "2.0")), 413, &[("event_too_large", "")]);
    send(BATCHED, &[], format!("[{fits}, {fits}]").as_bytes()).unwrap();
    refused(send(BATCHED, &[], format!("[{fits},{large}]").as_bytes()), 413, &[("event_too_large", "[1]")]);
    refused(send("text/plain", &[], large.as_bytes()), 413, &[("event_too_large", "")]);
    refused(send(BATCHED, &[], &vec![b' '; REQUEST_LIMIT + 1]), 413, &[("request_too_large", "")]);
}

#[test]
fn limits_also_apply_to_the_stored_form() {
    let numbers = |number: &str, count: usize| {
        event("").replace("{}", &format!("{{\"n\":[{number}{}]}}", format!(",{number}").repeat(count - 1)))
    };
    // `1e20` is delivered as 21 digits, `1e-6` as 0.000001.
    for (number, written) in [("1e20", 21), ("1e-6", 8)] {
        let around = r#"{"id":"e1","type":"t","data":{"n":[]}}"#.len();
        let most = (EVENT_LIMIT - around + 1) / (written + 1);
        let kept = structured(&numbers(number, most)).unwrap();
        assert!(kept[0].data().len() <= EVENT_LIMIT && kept[0].data().len() > EVENT_LIMIT - 100);
        refused(structured(&numbers(number, most + 1)), 413, &[("event_too_large", "")]);
        let batch = format!("[{},{}]", event(""), numbers(number, most + 1));
        refused(send(BATCHED, &[], batch.as_bytes()), 413, &[("event_too_large", "[1]")]);
        let data = numbers(number, most + 1);
        let data = data.split_once("\"data\":").unwrap().1.strip_suffix('}').unwrap();
        refused(binary(&HEADERS, data), 413, &[("event_too_large", "")]);
    }
    // Six events of 900 KB are 5.4 MB; as sent they are 1.2 MB.
    let batch = |count: usize| format!("[{}]", vec![numbers("1e20", 900_000 / 22); count].join(","));
    assert_eq!(send(BATCHED, &[], batch(5).as_bytes()).unwrap().len(), 5);
    refused(send(BATCHED, &[], batch(6).as_bytes()), 413, &[("request_too_large", "")]);
    // A batch of one event may be larger than an event.
    let empty = event("").replace("{}", r#"{"a":""}"#);
    let fits = empty.replace("\"a\":\"\"", &format!("\"a\":\"{}\"", "y".repeat(EVENT_LIMIT - empty.len())));
    assert_eq!(send(BATCHED, &[], format!("[{fits}]").as_bytes()).unwrap().len(), 1);
}

#[test]
fn nesting_is_counted_within_each_event() {
    let nested = |levels: usize| {
        event("").replace("{}", &format!("{{\"a\":{}{}}}", "[".repeat(levels - 2), "]".repeat(levels - 2)))
    };
    structured(&nested(128)).unwrap();
    send(BATCHED, &[], format!("[{}]", nested(128)).as_bytes()).unwrap();
    assert_eq!(structured(&nested(129)).expect_err("too deep").status, 400);
    let fault = send(BATCHED, &[], format!("[{}]", nested(129)).as_bytes()).expect_err("too deep");
    assert_eq!(fault.status, 400);
}

#[test]
fn other_media_types_and_encodings_are_415() {
    for content_type in ["text/plain", "application/cloudevents+xml", "application/json; charset=latin1", "", "json"] {
        refused(send(content_type, &[], event("").as_bytes()), 415, &[("unsupported_media_type", "")]);
    }
    let encoded = |content_type: Option<&'static [u8]>, encoding: Option<&'static [u8]>| {
        parse(Request { content_type, content_encoding: encoding, headers: [], body: b"{", received_at: NOW })
    };
    for body in [&b"[]"[..], b"", b" \"{\"", b"x"] {
        let untyped =
            parse(Request { content_type: None, content_encoding: None, headers: [], body, received_at: NOW });
        refused(untyped, 415, &[("unsupported_media_type", "")]);
    }
    for encoding in ["gzip", "identity"] {
        let sent = encoded(Some(STRUCTURED.as_bytes()), Some(encoding.as_bytes()));
        refused(sent, 415, &[("unsupported_encoding", "")]);
    }
}

#[test]
fn the_product_identifier_is_found_with_its_comma() {
    let cut = |event_type: &str, data: &str| {
        let body = event("").replace("\"t\"", &format!("\"{event_type}\"")).replace("{}", data);
        let events = structured(&body).unwrap();
        let mut data = events[0].data().to_owned();
        let range = events[0].product_identifier()?;
        data.replace_range(range, "");
        Some(data)
    };
    let created = "com.akeneo.pim.v1.product.created";
    let cases = [
        (r#"{"product":{"uuid":"u","identifier":"i"}}"#, r#"{"product":{"uuid":"u"}}"#),
        (r#"{"product":{"identifier":"i\",","uuid":"u"}}"#, r#"{"product":{"uuid":"u"}}"#),
        (r#"{"product":{"identifier":{"a":[1]}}}"#, r#"{"product":{}}"#),
        (r#"{"product":{"a":[],"identifier":null,"z":{}}}"#, r#"{"product":{"a":[],"z":{}}}"#),
        (
            r#"{"z":[{"product":{"identifier":1}},"]"],"product":{"b":{"identifier":2},"identifier":3,"9":1}}"#,
            r#"{"z":[{"product":{"identifier":1}},"]"],"product":{"9":1,"b":{"identifier":2}}}"#,
        ),
        (r#"{ "pr\u006fduct" : { "\u0069dentifier" : "i" , "9" : 1 } }"#, r#"{"product":{"9":1}}"#),
    ];
    for (data, expect) in cases {
        assert_eq!(cut(created, data).as_deref(), Some(expect), "{data}");
    }
    for data in ["{\"product\":[]}", "{\"product\":{\"a\":{\"identifier\":1}}}", "{\"a\":1}", "{\"product\":{}}", "{}"]
    {
        assert_eq!(cut(created, data), None, "{data}");
    }
    for name in ["updated", "updated.delta", "deleted", "became-complete", "became-incomplete"] {
        assert!(cut(&format!("com.akeneo.pim.v1.product.{name}"), cases[0].0).is_some(), "{name}");
    }
    for name in ["product-model.created", "product.removed", "product"] {
        assert_eq!(cut(&format!("com.akeneo.pim.v1.{name}"), cases[0].0), None, "{name}");
    }
}
