//! Sample events of every known type, with changes by path: used by `emit` and `demo`.

use std::collections::VecDeque;

use domain::event_type::{EventTypes, PIM_PREFIX, known};
use domain::{Clock, EventType};
use uuid::Uuid;
use wire::json::{self, Value};

/// Reason why a sample cannot be created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SampleError {
    /// Unknown type.
    #[error("unknown event type {name:?}{}", suggestion(nearest.as_deref()))]
    UnknownType { name: String, nearest: Option<String> },
    /// An impossible change.
    #[error("cannot set {change:?}: {reason}")]
    BadChange { change: String, reason: String },
    /// Invalid example in the catalogue.
    #[error("the example of {0} is not JSON: {1}")]
    BadExample(String, json::JsonError),
}

/// Suggestion of a similar name.
fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

/// Full name of a known type; `com.akeneo.pim.v1.` is optional.
pub(crate) fn event_type(name: &str) -> Result<EventType, SampleError> {
    let known = EventTypes::new();
    let full = if known.contains(name) { name.to_owned() } else { format!("{PIM_PREFIX}{name}") };
    if known.contains(&full) {
        return Ok(EventType::new(&full));
    }
    Err(SampleError::UnknownType { name: name.to_owned(), nearest: known.nearest(name).map(str::to_owned) })
}

/// An event with the example `data` of its type, a new id and the current time.
pub(crate) fn event(event_type: &EventType) -> Result<Value, SampleError> {
    let data = known::example(event_type.as_str()).unwrap_or("{}");
    let data = json::parse(data.as_bytes()).map_err(|error| SampleError::BadExample(event_type.to_string(), error))?;
    let member = |name: &str, text: String| (name.to_owned(), Value::String(text));
    Ok(Value::Object(vec![
        member("specversion", "1.0".into()),
        member("id", Uuid::now_v7().to_string()),
        member("source", "pim".into()),
        member("type", event_type.to_string()),
        member("time", Clock::system().wall().to_string()),
        member("datacontenttype", "application/json".into()),
        ("data".to_owned(), data),
    ]))
}

/// Applies a change `path=value`: the parts of the path are separated by dots (`\.` is a literal dot), numbers index
/// lists; the value is JSON, or else text. Missing members on the path are created.
pub(crate) fn set(event: &mut Value, change: &str) -> Result<(), SampleError> {
    let bad = |reason: &str| SampleError::BadChange { change: change.to_owned(), reason: reason.to_owned() };
    let (path, text) =
        change.split_once('=').ok_or_else(|| bad("expected path=value, such as data.author.type=api"))?;
    let mut parts = path_parts(path);
    if parts.iter().any(String::is_empty) {
        return Err(bad("a part of the path is empty"));
    }
    let value = json::parse(text.as_bytes()).unwrap_or_else(|_| Value::String(text.to_owned()));
    put(event, &mut parts, value).map_err(|reason| bad(&reason))
}

fn path_parts(path: &str) -> VecDeque<String> {
    let mut parts = VecDeque::new();
    let mut part = String::new();
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'.') => part.extend(chars.next()),
            '.' => parts.push_back(std::mem::take(&mut part)),
            _ => part.push(c),
        }
    }
    parts.push_back(part);
    parts
}

fn put(at: &mut Value, path: &mut VecDeque<String>, value: Value) -> Result<(), String> {
    let Some(part) = path.pop_front() else {
        *at = value;
        return Ok(());
    };
    match at {
        Value::Object(members) => {
            let index = members.iter().position(|(name, _)| *name == part).unwrap_or_else(|| {
                members.push((part, Value::Object(Vec::new())));
                members.len() - 1
            });
            members.get_mut(index).map_or(Ok(()), |(_, inner)| put(inner, path, value))
        }
        Value::Array(items) => {
            let length = items.len();
            let item = part.parse::<usize>().ok().and_then(|index| items.get_mut(index));
            let item = item.ok_or_else(|| format!("{part:?} is not an index of a list of length {length}"))?;
            put(item, path, value)
        }
        Value::Null => {
            *at = Value::Object(Vec::new());
            path.push_front(part);
            put(at, path, value)
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(format!("{part:?} cannot be set inside {}", at.type_name()))
        }
    }
}

#[cfg(test)]
mod reference_page;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(start: &str, change: &str, expect: Result<&str, &str>) {
        let mut event = json::parse(start.as_bytes()).unwrap();
        match (set(&mut event, change), expect) {
            (Ok(()), Ok(text)) => assert_eq!(event.to_canonical(), text, "{change}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{change}: {error}"),
            (got, _) => panic!("{change}: {got:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn changes_by_path() {
        check(r#"{"a":1}"#, "a=2", Ok(r#"{"a":2}"#));
        check(r#"{"a":1}"#, "a=two", Ok(r#"{"a":"two"}"#));
        check(r#"{"a":1}"#, r#"a="2""#, Ok(r#"{"a":"2"}"#));
        check(r#"{"a":1}"#, "a=", Ok(r#"{"a":""}"#));
        check(r#"{}"#, "a.b.c=true", Ok(r#"{"a":{"b":{"c":true}}}"#));
        check(r#"{"a":null}"#, "a.b=[1]", Ok(r#"{"a":{"b":[1]}}"#));
        check(r#"{"a":[{"b":1},{"b":2}]}"#, "a.1.b=x=y", Ok(r#"{"a":[{"b":1},{"b":"x=y"}]}"#));
        check(r#"{}"#, r"a\.b=1", Ok(r#"{"a.b":1}"#));
        check(r#"{"a":[1]}"#, "a.3=1", Err("is not an index of a list of length 1"));
        check(r#"{"a":"x"}"#, "a.b=1", Err("inside a string"));
        check(r#"{}"#, "a", Err("expected path=value"));
        check(r#"{}"#, "a..b=1", Err("a part of the path is empty"));
    }

    #[test]
    fn types_may_be_named_without_their_prefix() {
        assert_eq!(event_type("product.created").unwrap().as_str(), "com.akeneo.pim.v1.product.created");
        assert_eq!(
            event_type("com.akeneo.pim.v1.product.created").unwrap().as_str(),
            "com.akeneo.pim.v1.product.created"
        );
        let error = event_type("product.creatd").unwrap_err().to_string();
        assert!(error.contains("did you mean \"com.akeneo.pim.v1.product.created\""), "{error}");
    }

    #[test]
    fn every_known_type_has_a_sample() {
        for known in EventTypes::new().iter() {
            let sample = event(known).unwrap();
            assert!(sample.get("data").and_then(Value::as_object).is_some_and(|data| !data.is_empty()), "{known}");
        }
    }
}
