//! From a form to the body of a request.

use serde_json::{Map, Value};

use super::{Field, Kind};
use crate::query::Pairs;

/// The body of a creation. Empty optional fields are left out; empty required ones are sent, so that the API names
/// them.
pub(crate) fn created(fields: &[Field], form: &Pairs) -> Value {
    let mut body = Map::new();
    for field in fields {
        if let Some(value) = value(field, form, &Value::Null) {
            body.insert(field.name.clone(), value);
        }
    }
    Value::Object(body)
}

fn value(field: &Field, form: &Pairs, stored: &Value) -> Option<Value> {
    let text = form.get(&field.path);
    let filled = !text.trim().is_empty();
    match &field.kind {
        Kind::Group(members) => {
            let any = field.required || has_input(members, form);
            any.then(|| {
                let of = |member: &Field| {
                    let stored = stored.get(&member.name).unwrap_or(&Value::Null);
                    Some((member.name.clone(), value(member, form, stored)?))
                };
                Value::Object(members.iter().filter_map(of).collect())
            })
        }
        Kind::Truth => (form.has(&field.path) || field.required || stored.as_bool() == Some(true))
            .then(|| Value::Bool(form.has(&field.path))),
        Kind::Set(_) => {
            let chosen: Vec<Value> = form.all(&field.path).map(Value::from).collect();
            (field.required || !chosen.is_empty()).then_some(Value::Array(chosen))
        }
        Kind::Map => filled.then(|| Value::Object(pairs(text))),
        Kind::Number => filled.then(|| number(text)),
        Kind::Json => filled.then(|| serde_json::from_str(text).unwrap_or_else(|_| text.into())),
        Kind::Lines | Kind::Filter | Kind::Secret(true) => {
            (filled || field.required).then(|| text.replace("\r\n", "\n").into())
        }
        Kind::Line | Kind::Secret(false) | Kind::Choice(_) => (filled || field.required).then(|| text.into()),
    }
}

/// Whether anything was entered into the fields of a group.
fn has_input(members: &[Field], form: &Pairs) -> bool {
    members.iter().any(|member| match &member.kind {
        Kind::Group(members) => has_input(members, form),
        _ => !form.get(&member.path).trim().is_empty(),
    })
}

fn number(text: &str) -> Value {
    let text = text.trim();
    let whole = text.parse::<i64>().map(Value::from);
    // What is no number goes as text, so that the API says so.
    whole.or_else(|_| text.parse::<f64>().map(Value::from)).unwrap_or_else(|_| text.into())
}

/// `Name: value` lines.
fn pairs(text: &str) -> Map<String, Value> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.trim().to_owned(), value.trim().into())
        })
        .collect()
}

/// The merge patch that turns `stored` into what the form says. Fields that are the same are left out, and so are
/// empty secrets, which stay as they are.
pub(crate) fn changes(fields: &[Field], form: &Pairs, stored: &Value) -> Value {
    Value::Object(patch(fields, form, stored))
}

fn patch(fields: &[Field], form: &Pairs, stored: &Value) -> Map<String, Value> {
    let mut patch = Map::new();
    for field in fields {
        let known = stored.get(&field.name).unwrap_or(&Value::Null);
        let change = match &field.kind {
            Kind::Secret(_) if form.get(&field.path).is_empty() => None,
            Kind::Group(members) if known.is_object() => {
                let change = self::patch(members, form, known);
                let emptied = !field.required && !has_input(members, form) && has_texts(members);
                if emptied { Some(Value::Null) } else { (!change.is_empty()).then_some(Value::Object(change)) }
            }
            Kind::Map => map_changes(form.get(&field.path), known),
            _ => match value(field, form, known) {
                Some(value) if value == *known => None,
                None if known.is_null() || is_empty(known) => None,
                sent => Some(sent.unwrap_or(Value::Null)),
            },
        };
        if let Some(change) = change {
            patch.insert(field.name.clone(), change);
        }
    }
    patch
}

fn is_empty(value: &Value) -> bool {
    value.as_str() == Some("") || *value == Value::Bool(false) || value.as_array().is_some_and(Vec::is_empty)
}

/// Whether a group has fields that are shown with their values, so that emptying them means removing the group.
fn has_texts(members: &[Field]) -> bool {
    members.iter().any(|member| matches!(member.kind, Kind::Line | Kind::Lines | Kind::Filter))
}

fn map_changes(text: &str, known: &Value) -> Option<Value> {
    let sent = pairs(text);
    let known = known.as_object().cloned().unwrap_or_default();
    let mut change = Map::new();
    for name in known.keys().filter(|name| !sent.contains_key(*name)) {
        change.insert(name.clone(), Value::Null);
    }
    for (name, value) in sent {
        if known.get(&name) != Some(&value) {
            change.insert(name, value);
        }
    }
    (!change.is_empty()).then_some(Value::Object(change))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::all;
    use super::*;

    #[track_caller]
    fn check_created(form: &str, expect: Value) {
        assert_eq!(created(&all(), &Pairs::parse(form)), expect, "{form}");
    }

    #[test]
    fn empty_optional_fields_are_left_out_and_required_ones_sent() {
        check_created("", json!({"events": [], "config": {"url": "", "secret": {"primary": ""}}}));
        check_created(
            "events=a.created&config.url=u&config.secret.primary=p&filter=+&options.wait=5&options.ordering=none&\
             config.headers=X-A%3A+1%0AX-B",
            json!({"events": ["a.created"], "config": {"url": "u", "secret": {"primary": "p"},
                "headers": {"X-A": "1", "X-B": ""}}, "options": {"wait": 5, "ordering": "none"}}),
        );
        check_created(
            "config.tls.ca_pem=a%0D%0Ab&options.wait=x&options.hold=on",
            json!({"events": [], "config": {"url": "", "secret": {"primary": ""}, "tls": {"ca_pem": "a\nb", "key_pem":
                ""}},
                "options": {"hold": true, "wait": "x"}}),
        );
    }

    fn stored() -> Value {
        json!({"events": ["a.created"], "filter": "x=\"1\"", "config": {"url": "u", "secret": {"primary":
            "***redacted***"},
            "headers": {"X-A": "***redacted***", "X-B": "***redacted***"},
            "tls": {"ca_pem": "c", "key_pem": "***redacted***"}},
            "options": {"hold": true, "ordering": "none"}})
    }

    /// The form as it is shown for [`stored`].
    const AS_SHOWN: &str = "events=a.created&filter=x%3D%221%22&config.url=u&config.headers=X-A%3A+***redacted***%0A\
        X-B%3A+***redacted***&config.tls.ca_pem=c&options.hold=on&options.ordering=none&config.secret.primary=";

    #[track_caller]
    fn check_changed(change: (&str, &str), expect: Value) {
        let form = Pairs::parse(AS_SHOWN);
        let form = if change.0.is_empty() { form } else { form.with(change.0, change.1) };
        assert_eq!(changes(&all(), &form, &stored()), expect, "{change:?}");
    }

    #[test]
    fn only_changes_are_sent() {
        check_changed(("", ""), json!({}));
        check_changed(("config.url", "v"), json!({"config": {"url": "v"}}));
        check_changed(("config.url", ""), json!({"config": {"url": ""}}));
        check_changed(("config.secret.primary", "new"), json!({"config": {"secret": {"primary": "new"}}}));
        check_changed(("filter", ""), json!({"filter": null}));
        check_changed(("events", "a.updated"), json!({"events": ["a.updated"]}));
        check_changed(("events", ""), json!({"events": []}));
        check_changed(("options.hold", ""), json!({"options": {"hold": false}}));
        check_changed(("options.wait", "7"), json!({"options": {"wait": 7}}));
        check_changed(("config.tls.ca_pem", ""), json!({"config": {"tls": null}}));
    }

    #[test]
    fn headers_are_changed_by_name() {
        check_changed(("config.headers", "X-A: ***redacted***\nX-B: 2"), json!({"config": {"headers": {"X-B": "2"}}}));
        check_changed(("config.headers", "X-B: ***redacted***"), json!({"config": {"headers": {"X-A": null}}}));
        check_changed(("config.headers", ""), json!({"config": {"headers": {"X-A": null, "X-B": null}}}));
    }
}
