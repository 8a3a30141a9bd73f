//! Queries: the parameters of a path as a table, and parsing by that table.

use std::borrow::Cow;

use domain::nearest::nearest;
use domain::time::Timestamp;

use super::answer::object;
use super::description::{number, shaped_text};
use super::reader::{one_of, shortened};
use super::shape::Form;
use crate::fault::{Fault, code};
use crate::json::Value;

/// A parameter of a query.
pub struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) about: &'static str,
}

pub(super) const fn parameter(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, about }
}

/// An RFC 3339 time.
pub(super) const INSTANT: Form =
    Form::of_format("date-time").examples(&["2026-11-02T08:00:00Z", "2026-11-02T08:00:00.123456+01:00"]);

/// Kind of a parameter's value.
pub(super) enum Kind {
    Text(Form),
    Name(&'static [&'static str]),
    /// A whole number within these bounds.
    Number(u64, u64),
}

impl Parameter {
    /// The parameter as OpenAPI describes it.
    pub fn describe(&self) -> Value {
        let schema = match &self.kind {
            Kind::Text(form) => shaped_text(form),
            Kind::Name(names) => object([
                ("type", "string".into()),
                ("enum", Value::Array(names.iter().map(|name| Value::from(*name)).collect())),
            ]),
            Kind::Number(least, most) => object([
                ("type", "integer".into()),
                ("minimum", number(*least as usize)),
                ("maximum", number(*most as usize)),
            ]),
        };
        object([
            ("name", self.name.into()),
            ("in", "query".into()),
            ("description", self.about.into()),
            ("schema", schema),
        ])
    }
}

/// A query being read.
pub(super) struct Query<'q> {
    table: &'static [Parameter],
    given: Vec<(Cow<'q, str>, Cow<'q, str>)>,
    faults: Vec<Fault>,
}

impl<'q> Query<'q> {
    /// Splits a query; `of` names the owner of these parameters.
    pub(super) fn split(query: &'q str, of: &str, table: &'static [Parameter]) -> Query<'q> {
        let mut parameters = Query { table, given: Vec::new(), faults: Vec::new() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decoded(name), decoded(value)) else {
                let message = format!("the query has an invalid percent-encoding in `{}`", shortened(pair));
                parameters.faults.push(Fault::new(code::INVALID_PARAMETER, message));
                continue;
            };
            if !table.iter().any(|parameter| parameter.name == name) {
                let name = shortened(&name);
                let known = table.iter().map(|parameter| parameter.name);
                let hint = nearest(&name, known).map(|near| format!("; did you mean `{near}`?"));
                let message = format!("{name} is an unknown parameter of {of}{}", hint.unwrap_or_default());
                parameters.faults.push(Fault::at(name, code::UNKNOWN_PARAMETER, message));
            } else if parameters.given.iter().any(|(other, _)| *other == name) {
                let message = format!("{name} is present twice");
                parameters.faults.push(Fault::at(name, code::REPEATED_PARAMETER, message));
            } else {
                parameters.given.push((name, value));
            }
        }
        parameters
    }

    /// The result, unless there were faults.
    pub(super) fn finish<T>(self, read: T) -> Result<T, Vec<Fault>> {
        if self.faults.is_empty() { Ok(read) } else { Err(self.faults) }
    }

    pub(super) fn fault(&mut self, name: &'static str, message: &str) {
        self.faults.push(Fault::at(name, code::INVALID_PARAMETER, format!("{name} {message}")));
    }

    fn given(&self, name: &str) -> Option<&str> {
        debug_assert!(self.table.iter().any(|known| known.name == name), "{name} is read, but not in the table");
        self.given.iter().find(|(given, _)| given == name).map(|(_, text)| &**text)
    }

    /// A value parsed by `read`.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.given(name)?;
        let value = read(text);
        if value.is_none() {
            let message = format!("must be {expected}, not `{}`", shortened(text));
            self.fault(name, &message);
        }
        value
    }

    /// A verbatim text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.given(name).map(str::to_owned)
    }

    /// A text of the parameter's length.
    pub(super) fn bounded_text(&mut self, name: &'static str) -> Option<String> {
        let known = self.table.iter().find(|known| known.name == name).map(|known| &known.kind);
        let Some(Kind::Text(Form { length: Some((least, most)), .. })) = known else { return self.text(name) };
        self.value(name, &format!("{least} to {most} characters"), |text| {
            (*least..=*most).contains(&text.chars().count()).then(|| text.to_owned())
        })
    }

    /// The parameters `start_time` (inclusive) and `end_time` (exclusive).
    pub(super) fn time_span(&mut self) -> (Option<Timestamp>, Option<Timestamp>) {
        let time = "an RFC 3339 time such as 2026-11-02T08:00:00Z (a + must be written as %2B)";
        let start_time = self.value("start_time", time, instant);
        let end_time = self.value("end_time", time, instant);
        if let (Some(start), Some(end)) = (start_time, end_time)
            && end < start
        {
            self.fault("end_time", "is before start_time");
        }
        (start_time, end_time)
    }

    /// A whole number within the parameter's bounds.
    pub(super) fn number(&mut self, name: &'static str) -> Option<u64> {
        let bounds = self.table.iter().find(|known| known.name == name).map(|known| &known.kind);
        let Some(Kind::Number(least, most)) = bounds else { return None };
        self.value(name, &format!("a number from {least} to {most}"), |text| {
            whole_number(text).filter(|number| (least..=most).contains(&number))
        })
    }

    /// One of a few names.
    pub(super) fn name<T: Copy>(&mut self, name: &'static str, names: &[(&'static str, T)]) -> Option<T> {
        let text = self.given(name)?;
        let found = names.iter().find(|(known, _)| known == &text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let all: Vec<&str> = names.iter().map(|(known, _)| *known).collect();
            let message = one_of(text, &all);
            self.fault(name, &message);
        }
        found
    }
}

/// An instant with a date, a time and an offset.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    // RFC 3339 demands a complete offset, unlike jiff (`+01`), and allows no spaces or brackets.
    let offset = text.ends_with(['Z', 'z']) || {
        let tail = text.len().checked_sub(6).and_then(|start| text.get(start..)).unwrap_or_default();
        tail.starts_with(['+', '-']) && tail.as_bytes().get(3) == Some(&b':')
    };
    let date_and_time = text.as_bytes().get(10).is_some_and(|byte| matches!(byte, b'T' | b't'));
    (offset && date_and_time).then(|| Timestamp::parse(text)).flatten()
}

/// A whole number in digits only: no sign, no spaces.
fn whole_number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Undoes percent-encoding; `+` means a space, as in forms.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}
