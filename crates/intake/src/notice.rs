//! The events of a PIM's request, parsed one by one. The PIM never retries: a malformed field only affects that field,
//! and a bad event does not affect the others.

use domain::Timestamp;
use store::SnapshotKind;
use uuid::Uuid;
use wire::cloudevents::in_utc;
use wire::json::{Value, parse, pieces};

use crate::entity::{NAMESPACE, PimEntity};
use crate::state::State;

/// Kind of change of an entity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Created.
    Created,
    /// Updated.
    Updated,
    /// Removed.
    Removed,
}

/// A valid event: the change and its entity.
#[derive(Clone, PartialEq, Debug)]
pub struct Notice {
    /// `event_id`, or its stand-in: the id of the resulting event.
    pub id: String,
    /// The change.
    pub action: Action,
    /// The entity.
    pub entity: PimEntity,
    /// Time, RFC 3339 in UTC.
    pub time: String,
    /// The PIM's user name.
    pub author: Option<String>,
    /// Type of the author, by its name in events.
    pub author_type: &'static str,
    /// The entity's time of change, as given by the PIM.
    pub updated: Option<String>,
    /// The entity after the change, or the reason why it cannot be compared; empty for a removed entity.
    pub state: Result<State, String>,
}

/// An event of a request.
#[derive(Clone, PartialEq, Debug)]
pub enum Received {
    /// A valid event.
    Notice(Box<Notice>),
    /// An event with an unknown action.
    UnknownAction(String),
    /// An unrecognisable event.
    Bad {
        /// `event_id`, if any.
        id: Option<String>,
        /// The error, for the operator.
        why: String,
    },
}

/// A body without events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BodyError {
    /// Not JSON.
    NoJson(String),
    /// JSON, but not `{"events":[…]}`.
    NoEvents(String),
}

/// Longer names and ids are truncated in logs.
const SHOWN: usize = 100;
/// Maximum length of an `event_id` in characters: the rule for all event ids.
const LONGEST_ID: usize = 256;
/// Maximum length of a user name in characters.
const LONGEST_AUTHOR: usize = 1024;

/// Parses a body of the PIM registered as `source`, received at `received_at`.
pub fn read(source: &str, body: &[u8], received_at: Timestamp) -> Result<Vec<Received>, BodyError> {
    let body = pieces(body, &["events"]).map_err(|error| BodyError::NoJson(error.to_string()))?;
    match (body.elements, body.rest.get("events")) {
        (Some(events), _) => Ok(events.into_iter().map(|event| one(source, event, received_at)).collect()),
        (None, Some(other)) => {
            Err(BodyError::NoEvents(format!("`events` is {}, expected an array", other.type_name())))
        }
        (None, None) => Err(BodyError::NoEvents(format!("the body is {} without `events`", body.rest.type_name()))),
    }
}

fn one(source: &str, sent: &str, received_at: Timestamp) -> Received {
    let event = match parse(sent.as_bytes()) {
        Ok(event) => event,
        Err(error) => return Received::Bad { id: None, why: error.to_string() },
    };
    let (kind, action) = match event.get("action").and_then(Value::as_str) {
        Some("product.created") => (SnapshotKind::Product, Action::Created),
        Some("product.updated") => (SnapshotKind::Product, Action::Updated),
        Some("product.removed") => (SnapshotKind::Product, Action::Removed),
        Some("product_model.created") => (SnapshotKind::ProductModel, Action::Created),
        Some("product_model.updated") => (SnapshotKind::ProductModel, Action::Updated),
        Some("product_model.removed") => (SnapshotKind::ProductModel, Action::Removed),
        Some(other) => return Received::UnknownAction(cut(other)),
        None => return bad(&event, "it has no `action`".to_owned()),
    };
    let resource = event.get("data").and_then(|data| data.get("resource")).unwrap_or(&Value::Null);
    let entity = match kind {
        SnapshotKind::Product => PimEntity::product(source, resource),
        SnapshotKind::ProductModel => PimEntity::product_model(resource),
    };
    let entity = match entity {
        Ok(entity) => entity,
        Err(_) if resource.as_object().is_none() => {
            return bad(&event, format!("`data.resource` is {}, expected an object", resource.type_name()));
        }
        Err(why) => return bad(&event, format!("`data.resource`: {why}")),
    };
    let state = match action {
        Action::Removed => Ok(State::default()),
        Action::Created | Action::Updated => State::read(source, resource),
    };
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    Received::Notice(Box::new(Notice {
        id: text("event_id").filter(|id| is_id(id)).map_or_else(|| stand_in_id(sent), str::to_owned),
        action,
        entity,
        time: text("event_datetime").and_then(in_utc).map_or_else(|| received_at.to_string(), |time| time.into_owned()),
        author: text("author").filter(|name| is_author(name)).map(str::to_owned),
        author_type: author_type(text("author_type")),
        updated: resource.get("updated").and_then(Value::as_str).map(str::to_owned),
        state,
    }))
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().count() <= LONGEST_ID && !id.chars().any(char::is_control)
}

fn is_author(name: &str) -> bool {
    !name.is_empty() && name.chars().count() <= LONGEST_AUTHOR
}

/// Id of an event without one, derived from its text, so that a repetition is recognised.
fn stand_in_id(sent: &str) -> String {
    Uuid::new_v5(&NAMESPACE, sent.as_bytes()).hyphenated().to_string()
}

/// Names of author types in events (contract page 3, `user_type`).
fn author_type(sent: Option<&str>) -> &'static str {
    match sent {
        Some("ui" | "user") => "user",
        Some("api") => "api",
        Some("system") => "system",
        Some("job") => "job",
        _ => "unknown-user-type",
    }
}

fn bad(event: &Value, why: String) -> Received {
    Received::Bad { id: event.get("event_id").and_then(Value::as_str).map(cut), why }
}

fn cut(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_793_606_400_700_000);

    fn event(replaced: &str, by: &str) -> String {
        let event = r#"{"action":"product.removed","event_id":"e-1","event_datetime":"2026-11-03T09:00:13+01:00",
            "author":"julia","author_type":"ui","pim_source":"https:\/\/pim.example.com",
            "data":{"resource":{"identifier":"x"}}}"#;
        assert!(event.contains(replaced));
        event.replacen(replaced, by, 1)
    }

    fn received(event: &str) -> Received {
        read("main", format!("{{\"events\":[{event}]}}").as_bytes(), NOW).unwrap().remove(0)
    }

    #[track_caller]
    fn check(replaced: &str, by: &str, expect: &str) {
        let event = event(replaced, by);
        let found = match received(&event) {
            Received::Notice(notice) => format!(
                "{:?} {} {} {} {}",
                notice.action,
                notice.id.replace(&stand_in_id(&event), "stand-in"),
                notice.time,
                notice.author.unwrap_or_default(),
                notice.author_type
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
        check("product.removed", "product.updated", "Updated e-1 2026-11-03T08:00:13Z julia user");
        check("product.removed", "category.updated", "unknown category.updated");
        check("\"product.removed\"", "7", "bad e-1: it has no `action`");
        check("\"resource\"", "\"other\"", "bad e-1: `data.resource` is null, expected an object");
        check("{\"identifier\":\"x\"}", "[]", "bad e-1: `data.resource` is an array, expected an object");
        let neither = "the product has neither a `uuid` nor an `identifier` (they are missing and missing)";
        check("\"identifier\":\"x\"", "", &format!("bad e-1: `data.resource`: {neither}"));
        check("product.removed", "product_model.created", "bad e-1: `data.resource`: the product model has no `code`");
    }

    #[test]
    fn other_malformed_fields_are_omitted() {
        check(
            "\"author\":\"julia\",\"author_type\":\"ui\",",
            "",
            "Removed e-1 2026-11-03T08:00:13Z  unknown-user-type",
        );
        for odd in ["null", "7", "{}", "[]", "\"\"", "true"] {
            check("\"julia\"", odd, "Removed e-1 2026-11-03T08:00:13Z  user");
            check("\"ui\"", odd, "Removed e-1 2026-11-03T08:00:13Z julia unknown-user-type");
            check("\"e-1\"", odd, "Removed stand-in 2026-11-03T08:00:13Z julia user");
            check("\"2026-11-03T09:00:13+01:00\"", odd, "Removed e-1 2026-11-02T08:00:00.700000Z julia user");
        }
        check("\"ui\"", "\"robot\"", "Removed e-1 2026-11-03T08:00:13Z julia unknown-user-type");
        check("e-1", &"e".repeat(257), "Removed stand-in 2026-11-03T08:00:13Z julia user");
        check("e-1", "e\\n1", "Removed stand-in 2026-11-03T08:00:13Z julia user");
        check("+01:00", "", "Removed e-1 2026-11-02T08:00:00.700000Z julia user");
        let updated = event("product.removed", "product.updated").replace("\"x\"", "\"x\",\"enabled\":\"yes\"");
        let Received::Notice(notice) = received(&updated) else { panic!("{updated}") };
        assert_eq!(notice.state, Err("`enabled` is a string, expected a boolean".to_owned()));
    }

    #[test]
    fn one_event_that_cannot_be_read_leaves_the_others() {
        let odd = [
            r#"{"a":"\ud800"}"#.to_owned(),
            r#"{"a":1,"a":2}"#.to_owned(),
            format!("{}{}", "[".repeat(129), "]".repeat(129)),
        ];
        for odd in odd {
            let body = format!("{{\"events\":[{},{odd},{}]}}", event("", ""), event("e-1", "e-2"));
            let received = read("main", body.as_bytes(), NOW).unwrap();
            let found: Vec<bool> = received.iter().map(|one| matches!(one, Received::Notice(_))).collect();
            assert_eq!(found, [true, false, true], "{odd}");
        }
    }

    #[test]
    fn a_body_has_events_or_is_refused() {
        assert_eq!(read("main", b"{\"events\":[]}", NOW), Ok(Vec::new()));
        for no_json in ["{\"events\":[", "", "{\"events\":[{\"a\":}]}", "{\"events\":[1,]}"] {
            assert!(matches!(read("main", no_json.as_bytes(), NOW), Err(BodyError::NoJson(_))), "{no_json}");
        }
        assert!(matches!(read("main", b"{\"events\":{}}", NOW), Err(BodyError::NoEvents(_))));
        assert!(matches!(read("main", b"[]", NOW), Err(BodyError::NoEvents(_))));
        assert!(matches!(&read("main", b"{\"events\":[1]}", NOW).unwrap()[..], [Received::Bad { id: None, .. }]));
    }
}
