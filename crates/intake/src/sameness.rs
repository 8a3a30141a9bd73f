//! Equality of attribute values in different notations (contract page 7): amounts and numbers by value, dates by
//! instant.

use domain::Timestamp;
use wire::json::Value;

use crate::index::Index;

/// Kind of an attribute's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    /// `12`, `"12.0000"`
    Number,
    /// Objects with an `amount`, or arrays of them.
    Amounts,
    /// A date, or an instant.
    Date,
    /// Compared as text.
    Text,
    /// Unknown.
    Nothing,
}

impl Known {
    fn of(attribute_type: Option<&str>) -> Known {
        match attribute_type {
            Some("pim_catalog_number") => Known::Number,
            Some("pim_catalog_metric" | "pim_catalog_price_collection" | "pim_catalog_price") => Known::Amounts,
            Some("pim_catalog_date") => Known::Date,
            Some(_) => Known::Text,
            None => Known::Nothing,
        }
    }
}

/// Whether two values are equal. `attribute_type` is the PIM's statement, not an inference.
pub fn same(attribute_type: Option<&str>, one: &Value, other: &Value) -> bool {
    match Known::of(attribute_type) {
        Known::Number => same_number(one, other).unwrap_or_else(|| alike(one, other, false)),
        Known::Amounts => alike(one, other, true),
        Known::Date => same_instant(one, other).unwrap_or_else(|| alike(one, other, false)),
        Known::Text => alike(one, other, false),
        Known::Nothing => same_number(one, other)
            .or_else(|| same_instant(one, other))
            .unwrap_or_else(|| alike(one, other, is_amount(one) && is_amount(other))),
    }
}

/// Whether two numbers, or number-like texts, have the same value; `None` if one of them is neither.
fn same_number(one: &Value, other: &Value) -> Option<bool> {
    Some(number_like(one)? == number_like(other)?)
}

fn number_like(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(number) => Some(Decimal::of(number.as_str())),
        Value::String(text) if is_number_like(text) => Some(Decimal::of(text)),
        _ => None,
    }
}

/// `-?(0|[1-9]\d*)(\.\d+)?` (contract page 7).
fn is_number_like(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(whole, rest)| (whole, Some(rest)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(digits)
}

fn same_instant(one: &Value, other: &Value) -> Option<bool> {
    Some(instant(one.as_str()?)? == instant(other.as_str()?)?)
}

/// A date alone is the beginning of its day in UTC, as written by newer PIMs.
fn instant(text: &str) -> Option<Timestamp> {
    if text.len() == 10 { Timestamp::parse(&format!("{text}T00:00:00Z")) } else { Timestamp::parse(text) }
}

/// A value that looks like a metric or a collection of prices.
fn is_amount(value: &Value) -> bool {
    match value {
        Value::Object(_) => value.get("amount").is_some() && (value.get("unit").or(value.get("currency"))).is_some(),
        Value::Array(items) => items.iter().all(is_amount),
        _ => false,
    }
}

/// The same JSON, regardless of the order of members; with `amounts`, members of that name by value.
fn alike(one: &Value, other: &Value, amounts: bool) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => {
            a.as_str() == b.as_str() || Decimal::of(a.as_str()) == Decimal::of(b.as_str())
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b, amounts)),
        (Value::Object(a), Value::Object(b)) => {
            let members: Index<&str, &Value> = b.iter().map(|(name, value)| (name.as_str(), value)).collect();
            a.len() == b.len()
                && a.iter().all(|(name, a)| {
                    members.get(&name.as_str()).is_some_and(|b| {
                        let number = if amounts && name == "amount" { same_number(a, b) } else { None };
                        number.unwrap_or_else(|| alike(a, b, amounts))
                    })
                })
        }
        _ => one == other,
    }
}

/// A decimal value: sign, digits without leading and trailing zeros, position of the point; no digits for zero.
#[derive(PartialEq, Eq, Debug)]
struct Decimal {
    negative: bool,
    digits: String,
    point: i64,
}

impl Decimal {
    /// Parses a JSON number or number-like text.
    fn of(text: &str) -> Decimal {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        let significant = all.trim_start_matches('0');
        let digits = significant.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Decimal { negative: false, digits, point: 0 };
        }
        // An exponent beyond 64 bits is far beyond any attribute.
        let exponent: i64 = exponent.strip_prefix('+').unwrap_or(exponent).parse().unwrap_or(i64::MAX / 2);
        let zeros = (all.len() - significant.len()) as i64;
        Decimal { negative, digits, point: exponent.saturating_add(whole.len() as i64 - zeros) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(attribute_type: Option<&str>, one: &str, other: &str, expect: bool) {
        let value = |text: &str| wire::json::parse(text.as_bytes()).unwrap();
        for (one, other) in [(one, other), (other, one)] {
            assert_eq!(same(attribute_type, &value(one), &value(other)), expect, "{attribute_type:?} {one} {other}");
        }
    }

    #[test]
    fn numbers_by_their_value() {
        for number in [None, Some("pim_catalog_number")] {
            check(number, r#""12.0000""#, "12", true);
            check(number, r#""12.0000""#, r#""12""#, true);
            check(number, "1.2e1", "12", true);
            check(number, r#""-0""#, "0", true);
            check(number, r#""0.50""#, "0.5", true);
            check(number, r#""12.0001""#, "12", false);
            check(number, r#""-12""#, "12", false);
            check(number, "9007199254740993", "9007199254740992", false);
            check(number, r#""012""#, r#""12""#, false);
            check(number, r#""12.""#, r#""12""#, false);
            check(number, r#""+12""#, r#""12""#, false);
            check(number, r#""1e1""#, r#""10""#, false);
            check(number, r#"["12.0"]"#, r#"["12"]"#, false);
        }
        check(Some("pim_catalog_text"), r#""12.0000""#, r#""12""#, false);
        check(Some("pim_catalog_identifier"), r#""1.0""#, r#""1""#, false);
    }

    #[test]
    fn amounts_by_their_value() {
        for metric in [None, Some("pim_catalog_metric")] {
            check(metric, r#"{"amount":"800.0000","unit":"GRAM"}"#, r#"{"unit":"GRAM","amount":800}"#, true);
            check(metric, r#"{"amount":"800","unit":"GRAM"}"#, r#"{"amount":"800","unit":"KILOGRAM"}"#, false);
            check(metric, r#"{"amount":"800","unit":"GRAM"}"#, r#"{"amount":"801","unit":"GRAM"}"#, false);
        }
        for price in [None, Some("pim_catalog_price_collection")] {
            check(price, r#"[{"amount":"899.00","currency":"EUR"}]"#, r#"[{"amount":"899","currency":"EUR"}]"#, true);
            check(price, r#"[{"amount":"899","currency":"EUR"}]"#, "[]", false);
        }
        check(Some("pim_catalog_table"), r#"[{"amount":"1.0","unit":"x"}]"#, r#"[{"amount":"1","unit":"x"}]"#, false);
        check(None, r#"[{"amount":"1.0"}]"#, r#"[{"amount":"1"}]"#, false);
    }

    #[test]
    fn dates_by_their_instant() {
        for date in [None, Some("pim_catalog_date")] {
            check(date, r#""2011-05-19T00:00:00+00:00""#, r#""2011-05-19T02:00:00+02:00""#, true);
            check(date, r#""2011-05-19T00:00:00+00:00""#, r#""2011-05-19""#, true);
            check(date, r#""2011-05-19T00:00:00+00:00""#, r#""2011-05-19T00:00:00+02:00""#, false);
            check(date, r#""2011-05-19""#, r#""2011-05-20""#, false);
        }
        check(Some("pim_catalog_text"), r#""2011-05-19T00:00:00Z""#, r#""2011-05-19T00:00:00+00:00""#, false);
    }

    #[test]
    fn other_things_as_they_are() {
        for any in [None, Some("pim_catalog_text"), Some("pim_catalog_multiselect")] {
            check(any, r#""a""#, r#""a""#, true);
            check(any, r#""a""#, r#""A""#, false);
            check(any, r#"["a","b"]"#, r#"["b","a"]"#, false);
            check(any, "true", "false", false);
            check(any, r#"{"a":[1.0],"b":2}"#, r#"{"b":2,"a":[1]}"#, true);
            check(any, r#"{"a":1}"#, r#"{"a":1,"b":2}"#, false);
        }
    }
}
