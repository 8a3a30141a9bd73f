//! Lists in a body.

use std::collections::HashSet;

use super::{Reader, one_of, shortened, wrong_type};
use crate::api::shape::Shape;
use crate::fault::code;
use crate::json::Value;

impl<'v> Reader<'v, '_> {
    /// An optional list; `null` counts as absent.
    pub(in crate::api) fn list(&mut self, key: &'static str) -> Option<&'v [Value]> {
        let value = self.optional(key)?;
        self.list_of(key, value)
    }

    /// A required list.
    pub(in crate::api) fn required_list(&mut self, key: &'static str) -> Option<&'v [Value]> {
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

    /// An optional list of texts; `null` counts as absent.
    pub(in crate::api) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
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

    /// An optional list of texts of the field's form and number, without duplicates; `null` counts as absent.
    pub(in crate::api) fn text_list(&mut self, key: &'static str) -> Option<Vec<String>> {
        let texts = self.texts(key)?;
        let Some(Shape::TextList(form, most)) = self.shape(key) else { return Some(texts) };
        if texts.is_empty() && self.faults.is_empty() {
            self.fault(key, code::TOO_SHORT, "must not be empty");
        }
        if texts.len() > *most {
            self.fault(key, code::TOO_LONG, format!("has {} elements, at most {most} are allowed", texts.len()));
            return None;
        }
        let (shortest, longest) = form.length.unwrap_or((0, usize::MAX));
        let mut seen = HashSet::new();
        for (index, text) in texts.iter().enumerate() {
            let characters = text.chars().count();
            if !(shortest..=longest).contains(&characters) {
                let message = format!("has {characters} characters; {shortest} to {longest} are allowed");
                let code = if characters < shortest { code::TOO_SHORT } else { code::TOO_LONG };
                self.fault(&format!("{key}[{index}]"), code, message);
            }
            if !seen.insert(text) {
                let message = format!("contains `{}` twice", shortened(text));
                self.fault(&format!("{key}[{index}]"), code::DUPLICATE_VALUE, message);
            }
        }
        Some(texts)
    }

    /// An optional name or list of names from a fixed set, without duplicates; `null` counts as absent.
    pub(in crate::api) fn name_or_names<T: Copy>(
        &mut self,
        key: &'static str,
        names: &[(&'static str, T)],
    ) -> Option<Vec<T>> {
        let value = self.optional(key)?;
        let single = [value.clone()];
        let list = match value {
            Value::String(_) => &single[..],
            Value::Array(list) => list,
            other => {
                let path = self.path(key);
                self.faults.note(|| wrong_type(&path, "a string or an array of strings", other));
                return None;
            }
        };
        if list.is_empty() {
            self.fault(key, code::TOO_SHORT, "must not be empty");
        }
        let mut found = Vec::with_capacity(names.len());
        for (index, element) in list.iter().enumerate() {
            let place = if value.as_array().is_some() { format!("{key}[{index}]") } else { key.to_owned() };
            let Some(text) = element.as_str() else {
                self.fault(&place, code::WRONG_TYPE, format!("must be a string, not {}", element.type_name()));
                continue;
            };
            match names.iter().find(|(name, _)| *name == text) {
                Some(_) if list.iter().take(index).any(|other| other == element) => {
                    self.fault(&place, code::DUPLICATE_VALUE, format!("contains `{text}` twice"));
                }
                Some((_, meaning)) => found.push(*meaning),
                None => {
                    let all: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
                    self.fault(&place, code::INVALID_VALUE, one_of(text, &all));
                }
            }
        }
        Some(found)
    }

    /// An optional list of objects, each read by `read`; `null` counts as absent.
    pub(in crate::api) fn objects<T>(
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
}
