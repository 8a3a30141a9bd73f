//! Byte stability, checked with JavaScript itself: delivered bodies survive parsing and re-serialising there.
//!
//! Needs `node` on the PATH, and for real events `shared/realdata` beside the checkout; without them a test reports the
//! omission, and fails if `CI=true`.

#[path = "javascript/node.rs"]
mod node;
#[path = "javascript/texts.rs"]
mod texts;

use std::cell::RefCell;
use std::path::Path;

use domain::{SubscriptionId, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use wire::cloudevents::{self, Request};
use wire::envelope::{self, EnvelopeStyle};
use wire::json;

use node::Node;

/// `CI=true` turns omissions into failures.
#[expect(clippy::print_stdout, reason = "whoever runs the tests must see what they did not show")]
fn left_out(what: &str) {
    println!("left out: {what}");
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "left out: {what}");
}

fn canonical(text: &str) -> String {
    let mut out = String::new();
    json::canonicalize(text.as_bytes(), &mut out).unwrap_or_else(|error| panic!("{text}: {error}"));
    let tree = json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(tree.to_canonical(), out, "the tree and the one pass agree on {text}");
    out
}

#[test]
fn any_text_is_written_like_json_stringify() {
    let Some(node) = Node::start() else { return left_out("byte stability of generated texts (no node)") };
    let node = RefCell::new(node);
    let mut runner = TestRunner::new(ProptestConfig { cases: 1_000, failure_persistence: None, ..Default::default() });
    let result = runner.run(&texts::texts(), |text| {
        let ours = canonical(&text);
        let mut node = node.borrow_mut();
        prop_assert_eq!(node.stringified(&text), ours.as_str(), "of {}", text);
        prop_assert_eq!(node.stringified(&ours), ours.as_str(), "again, of {}", text);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn any_number_keeps_its_value_and_is_shortest_where_it_can_be() {
    let Some(node) = Node::start() else { return left_out("exactness of generated numbers (no node)") };
    let node = RefCell::new(node);
    let mut runner = TestRunner::new(ProptestConfig { cases: 4_000, failure_persistence: None, ..Default::default() });
    let result = runner.run(&texts::numbers(), |text| {
        let mut node = node.borrow_mut();
        prop_assert_eq!(node.number(&text), canonical(&text), "of {}", text);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn real_events_are_delivered_as_javascript_writes_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/realdata/events.jsonl");
    let Ok(lines) = std::fs::read_to_string(path) else { return left_out("real events (no shared/realdata)") };
    let Some(mut node) = Node::start() else { return left_out("byte stability of real events (no node)") };
    let style = EnvelopeStyle::new("akeneo-event-platform", "https://events.example.com");
    let subject = SubscriptionId::parse("01904b51-8d5c-7c3a-9b6f-1f2e3d4c5b6a").unwrap();
    let (mut count, mut cuts) = (0, 0);
    for line in lines.lines() {
        let events = cloudevents::parse(Request {
            content_type: Some(b"application/cloudevents+json"),
            content_encoding: None,
            headers: [],
            body: line.as_bytes(),
            received_at: Timestamp::EPOCH,
        });
        let events = events.unwrap_or_else(|refusal| panic!("{line}: {refusal:?}"));
        let [event] = events.as_slice() else { panic!("{} events", events.len()) };
        for send_product_identifier in [true, false] {
            let body = envelope::body(&style, event, &subject, send_product_identifier);
            let body = std::str::from_utf8(&body).unwrap();
            assert_eq!(node.stringified(body), body);
            let delivered = json::parse(body.as_bytes()).unwrap();
            let sent = json::parse(line.as_bytes()).unwrap();
            for key in ["specversion", "id", "type", "time", "datacontenttype"] {
                assert_eq!(delivered.get(key), sent.get(key), "{key} of {line}");
            }
            let optional = event.product_identifier().is_some() && !send_product_identifier;
            let delivered = delivered.get("data").unwrap().clone();
            let mut expect = sent.get("data").unwrap().clone();
            if optional {
                remove(remove_from(&mut expect, "product"), "identifier");
                cuts += 1;
            }
            assert_eq!(delivered.to_canonical(), expect.to_canonical(), "data of {line}");
        }
        count += 1;
    }
    println!("{count} real events, {cuts} without their product's identifier");
    assert!(cuts > 0 || count < 1_000, "product events were among them");
}

fn remove_from<'a>(object: &'a mut json::Value, key: &str) -> &'a mut json::Value {
    let json::Value::Object(members) = object else { panic!("no object") };
    members.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value).expect("a member")
}

fn remove(object: &mut json::Value, key: &str) {
    let json::Value::Object(members) = object else { panic!("no object") };
    members.retain(|(name, _)| name != key);
}
