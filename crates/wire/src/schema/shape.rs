//! The shape of a type's data, as a tree built from the catalogue's flat field list.

use std::collections::HashMap;
use std::sync::LazyLock;

use domain::entity::key_paths;
use domain::event_type::{DataField, EventType, EventTypes, known};

/// Permitted values at a position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) nullable: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Any,
    String,
    Integer,
    Number,
    Boolean,
    /// Members by name; others are allowed.
    Object(Vec<Field>),
    /// An object in which every member has the same shape (`(additional properties)` in the list).
    Map(Box<Shape>),
    List(Box<Shape>),
}

/// A member of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) shape: Shape,
}

static SHAPES: LazyLock<HashMap<String, Shape>> = LazyLock::new(|| {
    let names = EventTypes::new();
    let shape = |name: &EventType| {
        let name = name.as_str();
        known::fields(name).map(|fields| (name.to_owned(), build(fields, key_paths(name))))
    };
    names.iter().filter_map(shape).collect()
});

/// The shape of a known type's data.
pub(super) fn of(event_type: &str) -> Option<&'static Shape> {
    SHAPES.get(event_type)
}

/// Parses a JSON type of the list; none for an unknown notation.
fn read(json_type: &str) -> Option<Shape> {
    if let Some(item) = json_type.strip_prefix("array<").and_then(|rest| rest.strip_suffix('>')) {
        return Some(Shape { kind: Kind::List(Box::new(read(item)?)), nullable: false });
    }
    let kind = match json_type.strip_suffix(" | null").unwrap_or(json_type) {
        "any" | "any JSON" => Kind::Any,
        "string" => Kind::String,
        "integer" => Kind::Integer,
        "number" => Kind::Number,
        "boolean" => Kind::Boolean,
        "object" => Kind::Object(Vec::new()),
        _ => return None,
    };
    let nullable = !matches!(kind, Kind::Any | Kind::Object(_)) || json_type.ends_with(" | null");
    Some(Shape { kind, nullable })
}

fn build(fields: &[DataField], keys: &[&[&str]]) -> Shape {
    let mut data = Shape { kind: Kind::Object(Vec::new()), nullable: false };
    for field in fields {
        if let Some(shape) = read(&field.json_type) {
            place(&mut data, &field.path, shape);
        }
    }
    for key in keys {
        require(&mut data, key);
    }
    data
}

/// Inserts the shape at its path. Parents precede their members in the list; members without a parent are skipped.
fn place(data: &mut Shape, path: &str, shape: Shape) -> Option<()> {
    let path = path.strip_prefix("data.")?;
    if let Some(path) = path.strip_suffix(" (additional properties)") {
        at(data, path.split('.'))?.kind = Kind::Map(Box::new(shape));
    } else if let Some(path) = path.strip_suffix(" (single item)") {
        at(data, path.split('.'))?.kind = Kind::List(Box::new(shape));
    } else {
        let (parent, name) = path.rsplit_once('.').map_or((None, path), |(parent, name)| (Some(parent), name));
        let parent = at(data, parent.into_iter().flat_map(|parent| parent.split('.')))?;
        members(parent)?.push(Field { name: name.to_owned(), required: false, shape });
    }
    Some(())
}

fn at<'a, 'p>(data: &'a mut Shape, path: impl Iterator<Item = &'p str>) -> Option<&'a mut Shape> {
    let mut shape = data;
    for name in path {
        shape = &mut members(shape)?.iter_mut().find(|field| field.name == name)?.shape;
    }
    Some(shape)
}

/// The members of an object; for a list or a map, those of its items.
fn members(shape: &mut Shape) -> Option<&mut Vec<Field>> {
    match &mut shape.kind {
        Kind::Object(fields) => Some(fields),
        Kind::Map(inner) | Kind::List(inner) => members(inner),
        _ => None,
    }
}

fn require(data: &mut Shape, path: &[&str]) -> Option<()> {
    let mut shape = data;
    for name in path {
        let field = members(shape)?.iter_mut().find(|field| field.name == *name)?;
        field.required = true;
        field.shape.nullable = false;
        shape = &mut field.shape;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of list entries that a shape was built from.
    fn lines(shape: &Shape, top: bool) -> usize {
        match &shape.kind {
            Kind::Object(fields) => fields.iter().map(|field| 1 + lines(&field.shape, true)).sum(),
            Kind::Map(inner) => 1 + lines(inner, true),
            // `array<string>` has another entry for its item, `array<object>` only if nothing else describes it.
            Kind::List(inner) => usize::from(top && lines(inner, false) == 0) + lines(inner, false),
            _ => 0,
        }
    }

    #[test]
    fn no_line_of_a_field_list_is_lost() {
        for name in EventTypes::new().iter().map(EventType::as_str) {
            let fields = known::fields(name).expect("known");
            assert!(fields.iter().all(|field| read(&field.json_type).is_some()), "{name}");
            assert_eq!(lines(of(name).expect("known"), true), fields.len(), "{name}");
        }
    }

    #[test]
    fn reads_the_notations() {
        let check = |json_type: &str, kind: Kind, nullable: bool| {
            assert_eq!(read(json_type), Some(Shape { kind, nullable }), "{json_type}");
        };
        let string = Shape { kind: Kind::String, nullable: true };
        check("any", Kind::Any, false);
        check("any JSON | null", Kind::Any, true);
        check("string | null", Kind::String, true);
        check("integer", Kind::Integer, true);
        check("object", Kind::Object(vec![]), false);
        check("array<string>", Kind::List(Box::new(string)), false);
        assert_eq!(read("text"), None);
    }
}
