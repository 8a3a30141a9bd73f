//! The events of a request as the PIM sends them, read one by one: a bad one does not take the others with it.

use store::SnapshotKind;
use wire::cloudevents::in_utc;
use wire::json::Value;

use crate::state::State;
use crate::subject::Subject;

/// What happened to an entity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// It was made.
    Created,
    /// It was changed.
    Updated,
    /// It is gone.
    Removed,
}

/// An event that is understood.
#[derive(Clone, PartialEq, Debug)]
pub struct Notice {
    /// `event_id`, the id of the event that comes of it.
    pub id: String,
    /// What happened.
    pub action: Action,
    /// To what.
    pub subject: Subject,
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// User name, as the PIM knows it.
    pub author: Option<String>,
    /// What kind of author: `api`, `user`, `system`, or whatever a newer PIM says.
    pub author_type: Option<String>,
    /// The entity after it happened; empty for what was removed.
    pub state: State,
}

/// An event of a request.
#[derive(Clone, PartialEq, Debug)]
pub enum Received {
    /// One that is understood.
    Notice(Box<Notice>),
    /// One with an action that this version does not know.
    UnknownAction(String),
    /// One that is not as it should be.
    Bad {
        /// `event_id`, where there is one.
        id: Option<String>,
        /// What is wrong, for the operator.
        why: String,
    },
}

/// A body that has no events in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BodyError {
    /// It is no JSON.
    NoJson(String),
    /// It is JSON, but not `{"events":[…]}`.
    NoEvents(String),
}

/// Longer names and ids are cut in what is logged.
const SHOWN: usize = 100;

/// Reads a body of the PIM that is registered as `source`.
pub fn read(source: &str, body: &[u8]) -> Result<Vec<Received>, BodyError> {
    let body = wire::json::parse(body).map_err(|error| BodyError::NoJson(error.to_string()))?;
    match body.get("events") {
        Some(Value::Array(events)) => Ok(events.iter().map(|event| one(source, event)).collect()),
        Some(other) => Err(BodyError::NoEvents(format!("`events` is {}, expected an array", other.type_name()))),
        None => Err(BodyError::NoEvents(format!("the body is {} without `events`", body.type_name()))),
    }
}

fn one(source: &str, event: &Value) -> Received {
    let action = match event.get("action") {
        Some(Value::String(action)) => action.as_str(),
        _ => return bad(event, "it has no `action`".to_owned()),
    };
    let (kind, action) = match action {
        "product.created" => (SnapshotKind::Product, Action::Created),
        "product.updated" => (SnapshotKind::Product, Action::Updated),
        "product.removed" => (SnapshotKind::Product, Action::Removed),
        "product_model.created" => (SnapshotKind::ProductModel, Action::Created),
        "product_model.updated" => (SnapshotKind::ProductModel, Action::Updated),
        "product_model.removed" => (SnapshotKind::ProductModel, Action::Removed),
        other => return Received::UnknownAction(cut(other)),
    };
    match notice(source, event, kind, action) {
        Ok(notice) => Received::Notice(Box::new(notice)),
        Err(why) => bad(event, why),
    }
}

fn bad(event: &Value, why: String) -> Received {
    Received::Bad { id: event.get("event_id").and_then(Value::as_str).map(cut), why }
}

fn cut(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(SHOWN).collect()
}

fn notice(source: &str, event: &Value, kind: SnapshotKind, action: Action) -> Result<Notice, String> {
    let id = event.get("event_id").and_then(Value::as_str).ok_or("it has no `event_id`")?;
    // The rule for ids of events, whichever way they come in (contract page 7).
    if id.is_empty() || id.chars().count() > 256 || id.chars().any(char::is_control) {
        return Err("`event_id` must have 1 to 256 characters and no control characters".to_owned());
    }
    let time = event.get("event_datetime").and_then(Value::as_str).ok_or("it has no `event_datetime`")?;
    let time = in_utc(time).ok_or_else(|| format!("`event_datetime` is no RFC 3339: {:?}", cut(time)))?;
    let resource = event.get("data").and_then(|data| data.get("resource")).ok_or("it has no `data.resource`")?;
    if resource.as_object().is_none() {
        return Err(format!("`data.resource` is {}, expected an object", resource.type_name()));
    }
    let subject = match kind {
        SnapshotKind::Product => Subject::product(source, resource),
        SnapshotKind::ProductModel => Subject::product_model(resource),
    };
    let within = |why: String| format!("`data.resource`: {why}");
    let state = match action {
        Action::Removed => State::default(),
        Action::Created | Action::Updated => State::read(source, resource).map_err(within)?,
    };
    let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
    let author_type = text("author_type").map(|name| if name == "ui" { "user".to_owned() } else { name });
    Ok(Notice {
        id: id.to_owned(),
        action,
        subject: subject.map_err(within)?,
        time: time.into_owned(),
        author: text("author"),
        author_type,
        state,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(replaced: &str, by: &str) -> String {
        let event = r#"{"action":"product.removed","event_id":"e-1","event_datetime":"2026-11-03T09:00:13+01:00",
            "author":"julia","author_type":"ui","pim_source":"https:\/\/pim.example.com",
            "data":{"resource":{"identifier":"x"}}}"#;
        assert!(event.contains(replaced));
        event.replacen(replaced, by, 1)
    }

    #[track_caller]
    fn check(replaced: &str, by: &str, expect: &str) {
        let body = format!("{{\"events\":[{}]}}", event(replaced, by));
        let found = match read("main", body.as_bytes()).unwrap().remove(0) {
            Received::Notice(notice) => format!(
                "{:?} {} {} {} {}",
                notice.action,
                notice.id,
                notice.time,
                notice.author.unwrap_or_default(),
                notice.author_type.unwrap_or_default()
            ),
            Received::UnknownAction(name) => format!("unknown {name}"),
            Received::Bad { id, why } => format!("bad {}: {why}", id.unwrap_or_default()),
        };
        assert_eq!(found, expect);
    }

    #[test]
    fn an_event_is_understood_or_says_why_not() {
        check("", "", "Removed e-1 2026-11-03T08:00:13Z julia user");
        check("\"ui\"", "\"api\"", "Removed e-1 2026-11-03T08:00:13Z julia api");
        check("\"ui\"", "\"system\"", "Removed e-1 2026-11-03T08:00:13Z julia system");
        check("\"author\":\"julia\",\"author_type\":\"ui\",", "", "Removed e-1 2026-11-03T08:00:13Z  ");
        check("product.removed", "product.updated", "Updated e-1 2026-11-03T08:00:13Z julia user");
        check("product.removed", "category.updated", "unknown category.updated");
        check("\"product.removed\"", "7", "bad e-1: it has no `action`");
        check("\"e-1\"", "7", "bad : it has no `event_id`");
        check("\"e-1\"", "\"\"", "bad : `event_id` must have 1 to 256 characters and no control characters");
        check("+01:00", "", "bad e-1: `event_datetime` is no RFC 3339: \"2026-11-03T09:00:13\"");
        check("\"resource\"", "\"other\"", "bad e-1: it has no `data.resource`");
        check("{\"identifier\":\"x\"}", "[]", "bad e-1: `data.resource` is an array, expected an object");
        check("\"identifier\":\"x\"", "", "bad e-1: `data.resource`: the product has neither `uuid` nor `identifier`");
        check("product.removed", "product_model.created", "bad e-1: `data.resource`: the product model has no `code`");
    }

    #[test]
    fn a_body_has_events_or_is_refused() {
        assert_eq!(read("main", b"{\"events\":[]}"), Ok(Vec::new()));
        assert!(matches!(read("main", b"{\"events\":["), Err(BodyError::NoJson(_))));
        assert!(matches!(read("main", b"{\"events\":{}}"), Err(BodyError::NoEvents(_))));
        assert!(matches!(read("main", b"[]"), Err(BodyError::NoEvents(_))));
        assert!(matches!(&read("main", b"{\"events\":[1]}").unwrap()[..], [Received::Bad { id: None, .. }]));
    }
}
