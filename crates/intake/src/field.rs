//! Fields of a `resource`, as lenient as PHP's JSON requires: numbers for strings, objects for lists, lists for empty
//! maps.

use wire::json::Value;

pub(crate) type Read<T> = Result<T, String>;

/// A code, or another short text that PHP may have converted to a number.
pub(crate) fn code(of: &Value, name: &str) -> Read<Option<String>> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(found) => code_of(found).map(Some).ok_or_else(|| unlike(name, "a string", found)),
    }
}

/// A string, or a number as text.
pub(crate) fn code_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// The error for a field of an unexpected type.
pub(crate) fn unlike(name: &str, expected: &str, found: &Value) -> String {
    format!("`{name}` is {}, expected {expected}", found.type_name())
}

/// Items of a list, including one that PHP wrote as an object because its keys have gaps.
pub(crate) fn items_of(list: &Value) -> Option<Vec<&Value>> {
    let is_number = |key: &str| {
        let digits = key.strip_prefix('-').unwrap_or(key);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    match list {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => Some(items.iter().collect()),
        Value::Object(items) if items.iter().all(|(key, _)| is_number(key)) => {
            Some(items.iter().map(|(_, item)| item).collect())
        }
        _ => None,
    }
}

/// A list; an absent one is empty.
pub(crate) fn list<T>(of: &Value, name: &str, read: impl Fn(&Value) -> Read<T>) -> Read<Vec<T>> {
    let Some(found) = of.get(name) else { return Ok(Vec::new()) };
    let items = items_of(found).ok_or_else(|| unlike(name, "an array", found))?;
    let item = |(index, item)| read(item).map_err(|why| format!("`{name}[{index}]`: {why}"));
    items.into_iter().enumerate().map(item).collect()
}

/// A list of codes.
pub(crate) fn codes(of: &Value, name: &str) -> Read<Vec<String>> {
    list(of, name, |item| code_of(item).ok_or_else(|| format!("it is {}, expected a string", item.type_name())))
}

/// Members of a map; an empty one may be a list.
pub(crate) fn members_of(map: &Value) -> Read<&[(String, Value)]> {
    match map {
        Value::Null => Ok(&[]),
        Value::Array(items) if items.is_empty() => Ok(&[]),
        Value::Object(members) => Ok(members),
        other => Err(format!("it is {}, expected an object", other.type_name())),
    }
}

/// A map; an absent one is empty.
pub(crate) fn map<T>(of: &Value, name: &str, read: impl Fn(&Value) -> Read<T>) -> Read<Vec<(String, T)>> {
    let Some(found) = of.get(name) else { return Ok(Vec::new()) };
    let members = members_of(found).map_err(|_| unlike(name, "an object", found))?;
    let member = |(key, value): &(String, Value)| {
        Ok((key.clone(), read(value).map_err(|why| format!("`{name}.{key}`: {why}"))?))
    };
    members.iter().map(member).collect()
}
