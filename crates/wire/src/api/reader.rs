//! Reads a JSON object field by field and gathers every fault on the way, so that a resource's file reads as the
//! contract's table of its fields.

use domain::Secret;

use super::faults::Faults;
use super::shape::{Field, Object, Sent, Shape};
use crate::fault::{Fault, code};
use crate::json::Value;
use domain::nearest::nearest;

/// Runs a reading: its result, if nothing at all was wrong, or else all faults.
pub(super) fn read<T>(reading: impl FnOnce(&mut Faults) -> Option<T>) -> Result<T, Vec<Fault>> {
    let mut faults = Faults::default();
    match reading(&mut faults) {
        Some(read) if faults.is_empty() => Ok(read),
        _ => Err(faults.into_vec()),
    }
}

/// An object that is being read.
pub(super) struct Reader<'v, 'f> {
    members: &'v [(String, Value)],
    path: String,
    /// What may be there: what is read and what is described cannot differ.
    fields: &'static [Field],
    asked: Vec<&'static str>,
    faults: &'f mut Faults,
}

impl<'v, 'f> Reader<'v, 'f> {
    /// Begins to read `value`, which must be an object with these fields; `path` is empty for a whole body.
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

    /// Notes a fault of a field; `message` follows the field's path.
    pub(super) fn fault(&mut self, key: &str, code: &'static str, message: impl std::fmt::Display) {
        let path = self.path(key);
        self.faults.note(|| Fault::at(path.as_str(), code, format!("{path} {message}")));
    }

    /// Notes a fault of the object itself; `message` follows its path.
    pub(super) fn fault_here(&mut self, code: &'static str, message: impl std::fmt::Display) {
        let path = self.path.as_str();
        self.faults.note(|| Fault::at(path, code, format!("{path} {message}")));
    }

    /// Notes a fault of a field whose message is costly to find: `message` is asked only if the fault is listed.
    pub(super) fn fault_with(&mut self, key: &str, code: &'static str, message: impl FnOnce() -> String) {
        let path = self.path(key);
        self.faults.note(|| Fault::at(path.as_str(), code, format!("{path} {}", message())));
    }

    /// Notes a fault that is told in full.
    pub(super) fn push(&mut self, fault: Fault) {
        self.faults.note(|| fault);
    }

    /// The field as it was sent, `null` included.
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

    /// The length that the field's text must have.
    fn length(&self, key: &str) -> (usize, usize) {
        match self.shape(key) {
            Some(Shape::Text(form) | Shape::Secret(form) | Shape::Url(form) | Shape::Pem(form)) => {
                form.length.unwrap_or((0, usize::MAX))
            }
            _ => (0, usize::MAX),
        }
    }

    /// The fields of the object that stands at the field.
    fn fields_of(&self, key: &str) -> &'static [Field] {
        match self.shape(key) {
            Some(Shape::Object(object) | Shape::Objects(object)) => object.fields,
            _ => &[],
        }
    }

    /// A field that may be left out or `null`.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<&'v Value> {
        self.get(key).filter(|value| !value.is_null())
    }

    /// A field that must be there.
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

    /// A text that must be there.
    pub(super) fn required_string(&mut self, key: &'static str) -> Option<&'v str> {
        let value = self.required(key)?;
        self.string_of(key, value)
    }

    /// A text that may be left out or `null`.
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

    /// A text of the field's length that must be there.
    pub(super) fn required_text(&mut self, key: &'static str) -> Option<&'v str> {
        let text = self.required_string(key)?;
        self.within(key, text).then_some(text)
    }

    /// A secret of the field's length that must be there.
    pub(super) fn required_secret(&mut self, key: &'static str) -> Option<Secret> {
        let text = self.required_string(key)?;
        self.secret_of(key, text)
    }

    /// Judges the text of a secret.
    pub(super) fn secret_of(&mut self, key: &str, text: &str) -> Option<Secret> {
        if text == Secret::MASK {
            self.masked(key);
            return None;
        }
        self.within(key, text).then(|| Secret::new(text))
    }

    /// Notes that the mask stands where it stands for nothing.
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

    /// A truth that may be left out or `null`; then it is false.
    pub(super) fn boolean(&mut self, key: &'static str) -> bool {
        let Some(value) = self.optional(key) else { return false };
        value.as_bool().unwrap_or_else(|| {
            let path = self.path(key);
            self.faults.note(|| wrong_type(&path, "true or false", value));
            false
        })
    }

    /// A list that may be left out or `null`.
    pub(super) fn list(&mut self, key: &'static str) -> Option<&'v [Value]> {
        let value = self.optional(key)?;
        self.list_of(key, value)
    }

    /// A list that must be there.
    pub(super) fn required_list(&mut self, key: &'static str) -> Option<&'v [Value]> {
        let value = self.required(key)?;
        self.list_of(key, value)
    }

    fn list_of(&mut self, key: &str, value: &'v Value) -> Option<&'v [Value]> {
        let list = value.as_array();
        if list.is_none() {
            let path = self.path(key);
            self.faults.note(|| wrong_type(&path, "an array", value));
        }
        list
    }

    /// A list of texts that may be left out or `null`.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let list = self.list(key)?;
        let mut texts = Vec::with_capacity(list.len());
        for (index, element) in list.iter().enumerate() {
            match element.as_str() {
                Some(text) => texts.push(text.to_owned()),
                None => {
                    let message = format!("must be a string, not {}", element.type_name());
                    self.fault(&format!("{key}[{index}]"), code::WRONG_TYPE, message);
                }
            }
        }
        Some(texts)
    }

    /// One of a few names that must be there.
    pub(super) fn required_name<T: Copy>(&mut self, key: &'static str, names: &[(&'static str, T)]) -> Option<T> {
        let text = self.required_string(key)?;
        let found = names.iter().find(|(name, _)| *name == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let all: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            self.fault(key, code::INVALID_VALUE, one_of(text, &all));
        }
        found
    }

    /// An object that must be there, to be read in turn.
    pub(super) fn required_object(&mut self, key: &'static str) -> Option<Reader<'v, '_>> {
        let fields = self.fields_of(key);
        let value = self.required(key)?;
        self.instead(value, key, fields)
    }

    /// The same, of an object whose fields depend on something else.
    pub(super) fn required_object_of(&mut self, key: &'static str, object: &'static Object) -> Option<Reader<'v, '_>> {
        let value = self.required(key)?;
        self.instead(value, key, object.fields)
    }

    /// An object that may be left out or `null`.
    pub(super) fn object(&mut self, key: &'static str) -> Option<Reader<'v, '_>> {
        let fields = self.fields_of(key);
        let value = self.optional(key)?;
        self.instead(value, key, fields)
    }

    /// Reads another object in this one's place, such as one merged from stored and sent fields.
    pub(super) fn instead<'w>(
        &mut self,
        value: &'w Value,
        key: &str,
        fields: &'static [Field],
    ) -> Option<Reader<'w, '_>> {
        let path = self.path(key);
        Reader::new(value, &path, fields, self.faults)
    }

    /// A list of objects that may be left out or `null`, each read by `read`.
    pub(super) fn objects<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(Reader<'_, '_>) -> Option<T>,
    ) -> Vec<T> {
        let fields = self.fields_of(key);
        let elements = self.list(key).unwrap_or_default();
        let mut all = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            all.extend(self.instead(element, &format!("{key}[{index}]"), fields).and_then(&mut read));
        }
        all
    }

    /// The members that were not asked for by name.
    pub(super) fn members(&self) -> &'v [(String, Value)] {
        self.members
    }

    /// Refuses fields that only the platform sets.
    pub(super) fn read_only(&mut self) {
        for field in self.fields.iter().filter(|field| field.sent == Sent::ByPlatform) {
            if self.get(field.name).is_some() {
                self.fault(field.name, code::READ_ONLY, "is set by the platform; omit it");
            }
        }
    }

    /// Refuses a field that the platform sets, unless it was sent as it is.
    pub(super) fn unchanged(&mut self, key: &'static str, same: impl FnOnce(&str) -> bool) {
        if let Some(sent) = self.get(key)
            && !sent.as_str().is_some_and(same)
        {
            self.fault(key, code::READ_ONLY, "is set by the platform and cannot be changed; omit it");
        }
    }

    /// Ends the reading: whatever was not asked for is unknown.
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

/// Says which values a field can have.
pub(super) fn one_of(found: &str, names: &[&'static str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let all = match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.join(""),
    };
    format!("must be {all}, not `{}`", shortened(found))
}

/// What a caller sent, short enough to be shown in a message.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
