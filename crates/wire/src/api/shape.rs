//! The fields of the API's bodies, as data. The same tables, defined next to the reading of each resource, drive
//! reading, merging of patches, redaction in logs and the API description.

use domain::Secret;
use domain::destination::CustomHeaders;

use crate::json::Value;

/// A field of an object.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) sent: Sent,
    pub(super) shown: InAnswers,
    /// Meaning, for the API description.
    pub(super) about: &'static str,
}

/// Whether clients send a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sent {
    /// Required on creation.
    Required,
    /// Optional; `null` counts as absent.
    Optional,
    /// Accepted on creation, immutable afterwards.
    AtCreation,
    /// Set by the platform only.
    ByPlatform,
}

/// Whether responses contain a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum InAnswers {
    /// Always, with a value.
    Always,
    /// Always, `null` if there is none.
    OrNull,
    /// Only if there is one.
    Sometimes,
    /// Never: a secret.
    Never,
}

impl Field {
    pub(super) const fn required(name: &'static str, shape: Shape, about: &'static str) -> Field {
        Field { name, shape, sent: Sent::Required, shown: InAnswers::Always, about }
    }

    pub(super) const fn optional(name: &'static str, shape: Shape, about: &'static str) -> Field {
        Field { name, shape, sent: Sent::Optional, shown: InAnswers::Always, about }
    }

    pub(super) const fn at_creation(name: &'static str, shape: Shape, about: &'static str) -> Field {
        Field { name, shape, sent: Sent::AtCreation, shown: InAnswers::Always, about }
    }

    pub(super) const fn by_platform(name: &'static str, shape: Shape, about: &'static str) -> Field {
        Field { name, shape, sent: Sent::ByPlatform, shown: InAnswers::Always, about }
    }

    pub(super) const fn shown(mut self, shown: InAnswers) -> Field {
        self.shown = shown;
        self
    }
}

/// Shape of a value.
pub(super) enum Shape {
    /// A text.
    Text(Form),
    /// A name from a fixed set.
    Name(&'static [&'static str]),
    /// A list of such names, without duplicates.
    Names(&'static [&'static str]),
    /// A list of event types.
    EventTypes,
    /// An event type.
    EventType,
    /// A list of texts.
    Texts,
    /// True or false.
    Truth,
    /// A number, at least this one.
    Number(&'static str),
    /// A whole number in these bounds, inclusive.
    Count(u64, u64),
    /// A text of this form, or a list of such texts without duplicates: from one to this many.
    TextList(Form, usize),
    /// A name from a fixed set, or a list of such names without duplicates.
    NameOrNames(&'static [&'static str]),
    /// Any object.
    Data,
    /// A URL; any user info in it is hidden.
    Url(Form),
    /// PEM, shown unless it contains a private key by mistake.
    Pem(Form),
    /// A secret text.
    Secret(Form),
    /// Custom headers: names are shown, values are secrets.
    Headers,
    /// Named fields.
    Object(&'static Object),
    /// A list of such objects.
    Objects(&'static Object),
    /// Named fields depending on the sibling field `type`.
    ByType(&'static [&'static Object]),
}

/// Named fields, and constraints between them.
pub(super) struct Object {
    pub(super) fields: &'static [Field],
    /// Alternatives in JSON Schema, of which one must apply; none: no constraints beyond the fields.
    pub(super) one_of: Option<&'static str>,
}

impl Object {
    pub(super) const fn new(fields: &'static [Field]) -> Object {
        Object { fields, one_of: None }
    }

    pub(super) const fn one_of(mut self, schemas: &'static str) -> Object {
        self.one_of = Some(schemas);
        self
    }
}

/// Form of a text, as far as it is context-free.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// Minimum and maximum number of characters, checked by the reader.
    pub(super) length: Option<(usize, usize)>,
    /// A regular expression matched by every valid text.
    pub(super) pattern: Option<&'static str>,
    /// Name of the format: a JSON Schema format, or one explained in the description.
    pub(super) format: Option<&'static str>,
    pub(super) examples: &'static [&'static str],
}

impl Form {
    /// Any text.
    pub(super) const ANY: Form = Form { length: None, pattern: None, format: None, examples: &[] };

    /// A text of this length.
    pub(super) const fn of_length(length: (usize, usize)) -> Form {
        Form { length: Some(length), ..Form::ANY }
    }

    /// A text parsed elsewhere, by the rules of its format.
    pub(super) const fn of_format(format: &'static str) -> Form {
        Form { format: Some(format), ..Form::ANY }
    }

    /// A text parsed elsewhere, by rules expressible as a regular expression.
    pub(super) const fn of_pattern(pattern: &'static str) -> Form {
        Form { pattern: Some(pattern), ..Form::ANY }
    }

    pub(super) const fn length(mut self, length: (usize, usize)) -> Form {
        self.length = Some(length);
        self
    }

    pub(super) const fn pattern(mut self, pattern: &'static str) -> Form {
        self.pattern = Some(pattern);
        self
    }

    pub(super) const fn examples(mut self, examples: &'static [&'static str]) -> Form {
        self.examples = examples;
        self
    }
}

/// An id.
pub(super) const ID: Shape = Shape::Text(Form::of_format("uuid"));
/// An instant in the platform's format.
pub(super) const TIME: Shape = Shape::Text(Form::of_format("date-time"));

impl Shape {
    /// The shape of a member.
    pub(super) fn member(&self, name: &str) -> Option<&'static Shape> {
        match self {
            Shape::Object(object) | Shape::Objects(object) => field(object, name),
            // Names shared by types have the same shape in each.
            Shape::ByType(types) => types.iter().find_map(|object| field(object, name)),
            _ => None,
        }
    }
}

fn field(object: &'static Object, name: &str) -> Option<&'static Shape> {
    object.fields.iter().find(|field| field.name == name).map(|field| &field.shape)
}

/// Maximum number of headers in one patch: each costs a comparison.
const MOST_PATCHED: usize = 10 * CustomHeaders::MAX;

/// A JSON merge patch (RFC 7396) of `stored`, with three extensions: a secret's mask keeps the secret, header names are
/// case-insensitive, and a `null` stays in the result and is checked by the reader, because most fields cannot be
/// removed.
pub(super) fn merged(stored: &Value, patch: &Value, shape: &Shape) -> Value {
    match (shape, stored, patch) {
        (Shape::Object(_) | Shape::ByType(_), Value::Object(stored), Value::Object(patch)) => {
            let mut result = stored.clone();
            for (name, sent) in patch {
                let shape = shape.member(name).unwrap_or(&Shape::Truth);
                // Names are unique within the patch: only stored ones can be equal.
                match result.iter_mut().take(stored.len()).find(|(field, _)| field == name) {
                    Some((_, value)) => *value = merged(value, sent, shape),
                    None => result.push((name.clone(), sent.clone())),
                }
            }
            Value::Object(result)
        }
        (Shape::Headers, Value::Object(stored), Value::Object(patch)) => Value::Object(merged_headers(stored, patch)),
        (Shape::Secret(_), Value::String(secret), Value::String(sent))
            if sent == Secret::MASK && !secret.is_empty() =>
        {
            stored.clone()
        }
        _ => patch.clone(),
    }
}

fn merged_headers(stored: &[(String, Value)], patch: &[(String, Value)]) -> Vec<(String, Value)> {
    let too_many = patch.len() > MOST_PATCHED;
    let twice = !too_many
        && patch
            .iter()
            .enumerate()
            .any(|(index, (name, _))| patch.iter().skip(index + 1).any(|(other, _)| other.eq_ignore_ascii_case(name)));
    if too_many || twice {
        // The reader will reject it and explain why.
        return patch.to_vec();
    }
    let mut result = stored.to_vec();
    for (name, sent) in patch {
        let place = result.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
        match (place, sent) {
            (Some(place), Value::Null) => {
                result.remove(place);
            }
            (None, Value::Null) => {}
            (Some(place), sent) => {
                if let Some((known, value)) = result.get_mut(place) {
                    known.clone_from(name);
                    if sent.as_str() != Some(Secret::MASK) {
                        *value = sent.clone();
                    }
                }
            }
            (None, sent) => result.push((name.clone(), sent.clone())),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::destination::CONFIG;
    use crate::json::parse;

    fn check(shape: &Shape, stored: &str, patch: &str, expect: &str) {
        let value = |text: &str| parse(text.as_bytes()).unwrap();
        assert_eq!(merged(&value(stored), &value(patch), shape).to_canonical(), expect, "{stored} + {patch}");
    }

    #[test]
    fn omitted_members_stay_at_every_depth() {
        let stored = r#"{"url":"u","secret":{"primary":"p","secondary":"s"}}"#;
        check(&CONFIG, stored, "{}", stored);
        check(
            &CONFIG,
            stored,
            r#"{"secret":{"secondary":"t"}}"#,
            r#"{"url":"u","secret":{"primary":"p","secondary":"t"}}"#,
        );
        check(&CONFIG, stored, r#"{"url":null}"#, r#"{"url":null,"secret":{"primary":"p","secondary":"s"}}"#);
        check(&CONFIG, stored, r#"{"secret":"x"}"#, r#"{"url":"u","secret":"x"}"#);
    }

    #[test]
    fn a_mask_keeps_a_secret_and_only_a_secret() {
        let secret = |primary: &str| format!(r#"{{"url":"u","secret":{{"primary":"{primary}"}}}}"#);
        check(&CONFIG, &secret("p"), r#"{"secret":{"primary":"***redacted***"}}"#, &secret("p"));
        check(&CONFIG, &secret(""), r#"{"secret":{"primary":"***redacted***"}}"#, &secret("***redacted***"));
        check(&CONFIG, r#"{"url":"u"}"#, r#"{"url":"***redacted***"}"#, r#"{"url":"***redacted***"}"#);
    }

    #[test]
    fn headers_are_the_same_whatever_their_case() {
        let stored = r#"{"X-A":"1","X-B":""}"#;
        check(&Shape::Headers, stored, r#"{"x-a":"2"}"#, r#"{"x-a":"2","X-B":""}"#);
        check(&Shape::Headers, stored, r#"{"x-b":"***redacted***"}"#, r#"{"X-A":"1","x-b":""}"#);
        check(&Shape::Headers, stored, r#"{"x-a":null,"x-c":null}"#, r#"{"X-B":""}"#);
        check(&Shape::Headers, stored, r#"{"X-C":"***redacted***"}"#, r#"{"X-A":"1","X-B":"","X-C":"***redacted***"}"#);
        check(&Shape::Headers, stored, r#"{"x-a":"1","X-A":"2"}"#, r#"{"x-a":"1","X-A":"2"}"#);
    }
}
