//! Checks the data of an event against the field list of its type, in one pass over the text.

use std::fmt;

use domain::scan::{self, Scan};

use super::shape::{self, Field, Kind, Shape};
use crate::fault::{Fault, code};

/// Maximum number of reported faults per event; more don't help a producer with a different shape.
pub const MOST_FAULTS: usize = 20;

/// The faults in the `data` of an event of this type. `data` is JSON text. Types without a field list, unknown or
/// registered ones, have no faults.
pub fn check(event_type: &str, data: &str) -> Vec<Fault> {
    let mut faults = Faults(Vec::new());
    if let Some(shape) = shape::of(event_type) {
        faults.look(&mut Scan::new(data), shape, &Place::Data);
    }
    faults.0
}

/// A path within the event, rendered only for faults.
enum Place<'a> {
    Data,
    Member(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Data => f.write_str("data"),
            Place::Member(parent, name) => write!(f, "{parent}.{name}"),
            Place::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, place: &Place<'_>, code: &'static str, message: impl FnOnce(&str) -> String) {
        if self.0.len() < MOST_FAULTS {
            let field = place.to_string();
            let message = message(&field);
            self.0.push(Fault::at(field, code, message));
        }
    }

    /// Checks the next value and consumes it.
    fn look(&mut self, scan: &mut Scan<'_>, shape: &Shape, place: &Place<'_>) {
        let found = scan.kind();
        match (&shape.kind, found) {
            (Kind::Object(fields), Some(scan::Kind::Object)) => return self.look_at_object(scan, fields, place),
            (Kind::Map(value), Some(scan::Kind::Object)) => {
                return scan.members(|scan, name| self.look(scan, value, &Place::Member(place, &name)));
            }
            (Kind::List(item), Some(scan::Kind::Array)) => {
                let mut index = 0;
                return scan.items(|scan| {
                    self.look(scan, item, &Place::Item(place, index));
                    index += 1;
                });
            }
            _ => {}
        }
        let raw = scan.raw();
        let fits = match (&shape.kind, found) {
            (_, Some(scan::Kind::Null)) if shape.nullable => true,
            (Kind::Any, _) => true,
            (Kind::String, found) => found == Some(scan::Kind::String),
            (Kind::Number, found) => found == Some(scan::Kind::Number),
            (Kind::Boolean, found) => found == Some(scan::Kind::Boolean),
            (Kind::Integer, found) => found == Some(scan::Kind::Number) && is_integer(raw),
            (Kind::Object(_) | Kind::Map(_) | Kind::List(_), _) => false,
        };
        if !fits {
            let (wanted, found) = (wanted(&shape.kind), name(found, raw));
            self.add(place, code::WRONG_TYPE, |field| format!("{field}: expected {wanted}, found {found}"));
        }
    }

    fn look_at_object(&mut self, scan: &mut Scan<'_>, fields: &[Field], place: &Place<'_>) {
        let mut seen = vec![false; fields.len()];
        scan.members(|scan, name| {
            let known = fields.iter().zip(&mut seen).find(|(field, _)| field.name == name);
            let Some((field, seen)) = known else { return scan.skip() };
            *seen = true;
            self.look(scan, &field.shape, &Place::Member(place, &name));
        });
        for (field, _) in fields.iter().zip(seen).filter(|(field, seen)| field.required && !seen) {
            let place = Place::Member(place, &field.name);
            self.add(&place, code::REQUIRED, |path| {
                format!("{path} is missing: {} that identifies the entity", wanted(&field.shape.kind))
            });
        }
    }
}

fn is_integer(raw: &str) -> bool {
    raw.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit())
        || raw.parse::<f64>().is_ok_and(|number| number.fract() == 0.0)
}

fn wanted(kind: &Kind) -> &'static str {
    match kind {
        Kind::Any => "any value",
        Kind::String => "a string",
        Kind::Integer => "an integer",
        Kind::Number => "a number",
        Kind::Boolean => "true or false",
        Kind::Object(_) | Kind::Map(_) => "an object",
        Kind::List(_) => "an array",
    }
}

/// Description of the value found; short scalars are quoted.
fn name(kind: Option<scan::Kind>, raw: &str) -> String {
    match kind {
        Some(scan::Kind::Object) => "an object".to_owned(),
        Some(scan::Kind::Array) => "an array".to_owned(),
        Some(scan::Kind::String) => "a string".to_owned(),
        Some(scan::Kind::Number) if raw.len() <= 24 => format!("the number {raw}"),
        Some(scan::Kind::Number) => "a number".to_owned(),
        Some(scan::Kind::Boolean | scan::Kind::Null) => raw.to_owned(),
        None => "nothing".to_owned(),
    }
}
