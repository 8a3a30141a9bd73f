//! Reads a JSON object field by field and gathers all faults, so that a resource's file reads like the contract's table
//! of its fields.

mod lists;

use domain::Secret;
use domain::nearest::nearest;
use domain::time::Timestamp;

use super::faults::Faults;
use super::query::instant;
use super::shape::{Field, Object, Sent, Shape};
use crate::fault::{Fault, code};
use crate::json::Value;

/// Runs a reading: its result if there were no faults, otherwise all faults.
pub(super) fn read<T>(reading: impl FnOnce(&mut Faults) -> Option<T>) -> Result<T, Vec<Fault>> {
    let mut faults = Faults::default();
    match reading(&mut faults) {
        Some(read) if faults.is_empty() => Ok(read),
        _ => Err(faults.into_vec()),
    }
}

/// An object being read.
pub(super) struct Reader<'v, 'f> {
    members: &'v [(String, Value)],
    path: String,
    /// The permitted fields, shared by reading and description.
    fields: &'static [Field],
    asked: Vec<&'static str>,
    faults: &'f mut Faults,
}

impl<'v, 'f> Reader<'v, 'f> {
    /// Starts reading `value`, which must be an object with these fields; `path` is empty for a whole body.
    pub(super) fn new(
        value: &'v Value,
        path: &str,
        fields: &'static [Field],
        faults: &'f mut Faults,
    ) -> Option<Reader<'v, 'f>> {
        match value.as_object() {
            Some(members) => Some(Reader { members, path: path.to_owned(), fields, asked: Vec::new(), faults }),
            None if path.is_empty() => {
                let message = format!("the body must be an object, not {}", value.type_name());
                faults.note(|| Fault::new(code::WRONG_TYPE, message));
                None
            }
            None => {
                faults.note(|| wrong_type(path, "an object", value));
                None
            }
        }
    }

    /// The path of a field.
    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Records a fault of a field; `message` follows the field's path.
    pub(super) fn fault(&mut self, key: &str, code: &'static str, message: impl std::fmt::Display) {
        let path = self.path(key);
        self.faults.note(|| Fault::at(path.as_str(), code, format!("{path} {message}")));
    }

    /// Records a fault of the object itself; `message` follows its path.
    pub(super) fn fault_here(&mut self, code: &'static str, message: impl std::fmt::Display) {
        let path = self.path.as_str();
        self.faults.note(|| Fault::at(path, code, format!("{path} {message}")));
    }

    /// Records a fault of a field with an expensive message: `message` is called only if the fault is listed.
    pub(super) fn fault_with(&mut self, key: &str, code: &'static str, message: impl FnOnce() -> String) {
        let path = self.path(key);
        self.faults.note(|| Fault::at(path.as_str(), code, format!("{path} {}", message())));
    }

    /// Records a complete fault.
    pub(super) fn push(&mut self, fault: Fault) {
        self.faults.note(|| fault);
    }

    /// The field as sent, including `null`.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'v Value> {
        debug_assert!(
            self.fields.iter().any(|field| field.name == key),
            "{} is read, but not in the table",
            self.path(key)
        );
        self.asked.push(key);
        self.members.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Whether the field was sent.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    fn shape(&self, key: &str) -> Option<&'static Shape> {
        self.fields.iter().find(|field| field.name == key).map(|field| &field.shape)
    }

    /// The required length of the field's text.
    fn length(&self, key: &str) -> (usize, usize) {
        match self.shape(key) {
            Some(Shape::Text(form) | Shape::Secret(form) | Shape::Url(form) | Shape::Pem(form)) => {
                form.length.unwrap_or((0, usize::MAX))
            }
            _ => (0, usize::MAX),
        }
    }

    /// The fields of the object at the field.
    fn fields_of(&self, key: &str) -> &'static [Field] {
        match self.shape(key) {
            Some(Shape::Object(object) | Shape::Objects(object)) => object.fields,
            _ => &[],
        }
    }

    /// An optional field; `null` counts as absent.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<&'v Value> {
        self.get(key).filter(|value| !value.is_null())
    }

    /// A required field.
    pub(super) fn required(&mut self, key: &'static str) -> Option<&'v Value> {
        match self.get(key) {
            Some(Value::Null) => {
                self.fault(key, code::REQUIRED, "is required and cannot be null");
                None
            }
            Some(value) => Some(value),
            None => {
                self.fault(key, code::REQUIRED, "is required");
                None
            }
        }
    }

    /// A required text.
    pub(super) fn required_string(&mut self, key: &'static str) -> Option<&'v str> {
        let value = self.required(key)?;
        self.string_of(key, value)
    }

    /// An optional text; `null` counts as absent.
    pub(super) fn string(&mut self, key: &'static str) -> Option<&'v str> {
        let value = self.optional(key)?;
        self.string_of(key, value)
    }

    fn string_of(&mut self, key: &str, value: &'v Value) -> Option<&'v str> {
        let text = value.as_str();
        if text.is_none() {
            let path = self.path(key);
            self.faults.note(|| wrong_type(&path, "a string", value));
        }
        text
    }

    /// A required text of the field's length.
    pub(super) fn required_text(&mut self, key: &'static str) -> Option<&'v str> {
        let text = self.required_string(key)?;
        self.within(key, text).then_some(text)
    }

    /// A required secret of the field's length.
    pub(super) fn required_secret(&mut self, key: &'static str) -> Option<Secret> {
        let text = self.required_string(key)?;
        self.secret_of(key, text)
    }

    /// Checks the text of a secret.
    pub(super) fn secret_of(&mut self, key: &str, text: &str) -> Option<Secret> {
        if text == Secret::MASK {
            self.masked(key);
            return None;
        }
        self.within(key, text).then(|| Secret::new(text))
    }

    /// Records a fault for a mask that stands for no secret.
    pub(super) fn masked(&mut self, key: &str) {
        let mask = Secret::MASK;
        let message =
            format!("is \"{mask}\", the mask of a stored secret, but there is none to keep: send the value itself");
        self.fault(key, code::MASK_NOT_ALLOWED, message);
    }

    fn within(&mut self, key: &str, text: &str) -> bool {
        let (min, max) = self.length(key);
        let characters = text.chars().count();
        if characters < min {
            let message = if min == 1 {
                "must not be empty".to_owned()
            } else {
                format!("has {characters} characters, at least {min} are required")
            };
            self.fault(key, code::TOO_SHORT, message);
        } else if characters > max {
            self.fault(key, code::TOO_LONG, format!("has {characters} characters, at most {max} are allowed"));
        }
        (min..=max).contains(&characters)
    }

    /// An optional boolean; absent or `null` means false.
    pub(super) fn boolean(&mut self, key: &'static str) -> bool {
        self.truth(key).unwrap_or(false)
    }

    /// An optional boolean; `null` counts as absent.
    pub(super) fn truth(&mut self, key: &'static str) -> Option<bool> {
        let value = self.optional(key)?;
        let truth = value.as_bool();
        if truth.is_none() {
            let path = self.path(key);
            self.faults.note(|| wrong_type(&path, "true or false", value));
        }
        truth
    }

    /// An optional time; `null` counts as absent.
    pub(super) fn time(&mut self, key: &'static str) -> Option<Timestamp> {
        let text = self.string(key)?;
        let time = instant(text);
        if time.is_none() {
            let found = shortened(text);
            let message = format!("must be an RFC 3339 time such as 2026-11-02T08:00:00Z, not `{found}`");
            self.fault(key, code::INVALID_VALUE, message);
        }
        time
    }

    /// An optional number from the least one allowed for the field up to `most`; `null` counts as absent.
    pub(super) fn number(&mut self, key: &'static str, most: f64) -> Option<f64> {
        let value = self.optional(key)?;
        let Some(number) = value.as_number() else {
            let path = self.path(key);
            self.faults.note(|| wrong_type(&path, "a number", value));
            return None;
        };
        let Some(Shape::Number(least)) = self.shape(key) else { return None };
        let within =
            |number: &f64| number.is_finite() && least.parse().is_ok_and(|least: f64| (least..=most).contains(number));
        let found = number.as_str().parse().ok().filter(within);
        if found.is_none() {
            let message = format!("must be from {least} to {most}, not {}", shortened(number.as_str()));
            self.fault(key, code::INVALID_VALUE, message);
        }
        found
    }

    /// An optional whole number in the field's bounds; `null` counts as absent.
    pub(super) fn count(&mut self, key: &'static str) -> Option<u64> {
        let value = self.optional(key)?;
        let Some(number) = value.as_number() else {
            let path = self.path(key);
            self.faults.note(|| wrong_type(&path, "a number", value));
            return None;
        };
        let Some(Shape::Count(least, most)) = self.shape(key) else { return None };
        let found = number.as_u64().filter(|count| (least..=most).contains(&count));
        if found.is_none() {
            let message = format!("must be a whole number from {least} to {most}, not {}", shortened(number.as_str()));
            self.fault(key, code::INVALID_VALUE, message);
        }
        found
    }

    /// A required name from a fixed set.
    pub(super) fn required_name<T: Copy>(&mut self, key: &'static str, names: &[(&'static str, T)]) -> Option<T> {
        let text = self.required_string(key)?;
        let found = names.iter().find(|(name, _)| *name == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let all: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            self.fault(key, code::INVALID_VALUE, one_of(text, &all));
        }
        found
    }

    /// A required object, to be read in turn.
    pub(super) fn required_object(&mut self, key: &'static str) -> Option<Reader<'v, '_>> {
        let fields = self.fields_of(key);
        let value = self.required(key)?;
        self.instead(value, key, fields)
    }

    /// The same, for an object whose fields depend on another field.
    pub(super) fn required_object_of(&mut self, key: &'static str, object: &'static Object) -> Option<Reader<'v, '_>> {
        let value = self.required(key)?;
        self.instead(value, key, object.fields)
    }

    /// An optional object; `null` counts as absent.
    pub(super) fn object(&mut self, key: &'static str) -> Option<Reader<'v, '_>> {
        let fields = self.fields_of(key);
        let value = self.optional(key)?;
        self.instead(value, key, fields)
    }

    /// Reads another object in place of this one, such as one merged from stored and sent fields.
    pub(super) fn instead<'w>(
        &mut self,
        value: &'w Value,
        key: &str,
        fields: &'static [Field],
    ) -> Option<Reader<'w, '_>> {
        let path = self.path(key);
        Reader::new(value, &path, fields, self.faults)
    }

    /// The members not requested by name.
    pub(super) fn members(&self) -> &'v [(String, Value)] {
        self.members
    }

    /// Rejects fields that only the platform sets.
    pub(super) fn read_only(&mut self) {
        for field in self.fields.iter().filter(|field| field.sent == Sent::ByPlatform) {
            if self.get(field.name).is_some() {
                self.fault(field.name, code::READ_ONLY, "is set by the platform; omit it");
            }
        }
    }

    /// Rejects a field set by the platform, unless it was sent unchanged.
    pub(super) fn unchanged(&mut self, key: &'static str, same: impl FnOnce(&str) -> bool) {
        if let Some(sent) = self.get(key)
            && !sent.as_str().is_some_and(same)
        {
            self.fault(key, code::READ_ONLY, "is set by the platform and cannot be changed; omit it");
        }
    }

    /// Ends the reading: all fields not requested are unknown.
    pub(super) fn finish(self) {
        debug_assert!(
            self.fields.iter().all(|field| self.asked.contains(&field.name)),
            "{:?} has fields that are not read",
            self.path
        );
        for (name, _) in self.members {
            if self.asked.iter().any(|asked| asked == name) {
                continue;
            }
            let path = self.path(&shortened(name));
            self.faults.note(|| {
                let hint = nearest(name, self.asked.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
                let message = format!("{path} is an unknown field{}", hint.unwrap_or_default());
                Fault::at(path, code::UNKNOWN_FIELD, message)
            });
        }
    }
}

fn wrong_type(path: &str, expected: &str, found: &Value) -> Fault {
    Fault::at(path, code::WRONG_TYPE, format!("{path} must be {expected}, not {}", found.type_name()))
}

/// Describes the permitted values of a field.
pub(super) fn one_of(found: &str, names: &[&'static str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let all = match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.join(""),
    };
    format!("must be {all}, not `{}`", shortened(found))
}

/// Text sent by a caller, shortened for a message.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
