//! Parses JSON text to a tree of values, and writes a tree as canonical text.

use std::borrow::Cow;
use std::collections::HashSet;

use super::canonical::array_index;
use super::escape::{escape_into, unescape};
use super::number::{self, Number};
use super::place::{JsonError, Problem, text_of};
use super::reader::Reader;
use super::{MAX_DEPTH, Value};

type Result<T> = std::result::Result<T, Box<Problem>>;

/// Reads a JSON text: UTF-8, nested up to [`MAX_DEPTH`], no duplicate keys (compared unescaped), no lone surrogates.
pub fn parse(text: &[u8]) -> std::result::Result<Value, JsonError> {
    document(text).map_err(|problem| problem.placed(text))
}

fn document(text: &[u8]) -> Result<Value> {
    let mut reader = Reader::new(text_of(text)?);
    let value = value(&mut reader, 0)?;
    reader.end()?;
    Ok(value)
}

fn value(reader: &mut Reader<'_>, depth: usize) -> Result<Value> {
    reader.skip_blanks();
    match reader.peek() {
        Some(b'"') => Ok(Value::String(unescape(reader.string()?.raw).into_owned())),
        Some(b'{') => object(reader, deeper(reader, depth)?),
        Some(b'[') => array(reader, deeper(reader, depth)?),
        Some(b'-' | b'0'..=b'9') => Ok(Value::Number(Number::from_checked(reader.number()?))),
        _ => Ok(match reader.word()? {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::Null,
        }),
    }
}

/// The depth within the array or object opened here.
pub(super) fn deeper(reader: &Reader<'_>, depth: usize) -> Result<usize> {
    if depth >= MAX_DEPTH {
        return Err(Problem::new(reader.at, format!("expected at most {MAX_DEPTH} levels of arrays and objects")));
    }
    Ok(depth + 1)
}

fn array(reader: &mut Reader<'_>, depth: usize) -> Result<Value> {
    reader.at += 1;
    let mut elements = Vec::new();
    reader.skip_blanks();
    if reader.peek() == Some(b']') {
        reader.at += 1;
        return Ok(Value::Array(elements));
    }
    loop {
        elements.push(value(reader, depth).map_err(|problem| problem.within_index(elements.len()))?);
        reader.skip_blanks();
        if reader.peek() == Some(b',') {
            reader.at += 1;
            continue;
        }
        reader.expect(b']', "`,` or `]`")?;
        return Ok(Value::Array(elements));
    }
}

/// Up to this many members are compared pairwise; beyond, a set is faster and safe from crafted input.
const FEW: usize = 16;

fn object(reader: &mut Reader<'_>, depth: usize) -> Result<Value> {
    reader.at += 1;
    let mut members: Vec<(String, Value)> = Vec::new();
    // Borrows the keys from the text: copies would take most of the memory of a large object.
    let mut seen: HashSet<Cow<'_, str>> = HashSet::new();
    reader.skip_blanks();
    if reader.peek() == Some(b'}') {
        reader.at += 1;
        return Ok(Value::Object(members));
    }
    loop {
        reader.skip_blanks();
        let key_at = reader.at;
        if reader.peek() != Some(b'"') {
            return Err(reader.expected("a key in double quotes"));
        }
        let key = unescape(reader.string()?.raw);
        if members.len() == FEW {
            seen.extend(members.iter().map(|(name, _)| Cow::Owned(name.clone())));
        }
        let twice =
            if members.len() < FEW { members.iter().any(|(name, _)| *name == key) } else { !seen.insert(key.clone()) };
        if twice {
            return Err(duplicate(key_at, &key));
        }
        reader.skip_blanks();
        reader.expect(b':', "`:` after the key")?;
        let value = match value(reader, depth) {
            Ok(value) => value,
            Err(problem) => return Err(problem.within_key(key.into_owned())),
        };
        members.push((key.into_owned(), value));
        reader.skip_blanks();
        if reader.peek() == Some(b',') {
            reader.at += 1;
            continue;
        }
        reader.expect(b'}', "`,` or `}`")?;
        return Ok(Value::Object(members));
    }
}

/// The problem of a duplicate key.
pub(super) fn duplicate(at: usize, key: &str) -> Box<Problem> {
    let mut message = "duplicate key ".to_owned();
    let cut = key.char_indices().nth(100).map_or(key.len(), |(cut, _)| cut);
    escape_into(&mut message, &key[..cut]);
    Problem::new(at, message)
}

/// Appends the canonical text of `value`.
pub(super) fn write(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&number::canonical(number.as_str())),
        Value::String(text) => escape_into(out, text),
        Value::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, element);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let rank = |(key, _): &&(String, Value)| array_index(key).map_or(u64::MAX, u64::from);
            if members.iter().is_sorted_by_key(|member| rank(&member)) {
                return write_members(out, members);
            }
            let mut order: Vec<&(String, Value)> = members.iter().collect();
            // Stable: keys other than array indices keep their order after these.
            order.sort_by_key(rank);
            write_members(out, order);
        }
    }
}

fn write_members<'v>(out: &mut String, members: impl IntoIterator<Item = &'v (String, Value)>) {
    out.push('{');
    for (index, (key, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        escape_into(out, key);
        out.push(':');
        write(out, value);
    }
    out.push('}');
}
