//! Numbers: their text as sent, and JavaScript's text for the same decimal value.

use std::borrow::Cow;

/// A number, kept as its text so that no digit is lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Number(String);

impl Number {
    /// From checked text.
    pub(super) fn from_checked(text: &str) -> Number {
        Number(text.to_owned())
    }

    /// The text as sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of a whole number from 0 to 2⁶⁴ − 1, in any spelling (`1.0`, `1e3`).
    pub fn as_u64(&self) -> Option<u64> {
        canonical(&self.0).parse().ok()
    }

    /// The value of a signed 64-bit whole number, in any spelling.
    pub fn as_i64(&self) -> Option<i64> {
        canonical(&self.0).parse().ok()
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Number {
        Number(value.to_string())
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Number {
        Number(value.to_string())
    }
}

/// Whole numbers of up to this many digits are below 2⁵³: JavaScript writes them unchanged.
const ALWAYS_EXACT: usize = 15;

/// The delivered form of a number (contract page 7): JavaScript's shortest form if it has the same decimal value,
/// otherwise the text unchanged.
pub(crate) fn canonical(text: &str) -> Cow<'_, str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() <= ALWAYS_EXACT && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Cow::Borrowed(if text == "-0" { "0" } else { text });
    }
    let sent = Decimal::of(text);
    if sent.digits.is_empty() {
        return Cow::Borrowed("0");
    }
    let Ok(double) = text.parse::<f64>() else { return Cow::Borrowed(text) };
    if !double.is_finite() {
        return Cow::Borrowed(text);
    }
    let held = Decimal::shortest(double.abs());
    if held.digits != sent.digits || held.point != sent.point {
        return Cow::Borrowed(text);
    }
    Cow::Owned(layout(text.starts_with('-'), &held.digits, held.point))
}

/// A decimal value without its sign: 0.`digits` × 10^`point`, without zeros at either end; zero has no digits.
struct Decimal {
    digits: String,
    point: i64,
}

/// Only a double whose exact value has more digits can lie exactly between two shortest forms: doubles always
/// distinguish values of fewer digits.
const NEVER_HALFWAY: usize = 15;

/// Maximum number of significant digits of a double.
const MOST_DIGITS: usize = 770;

impl Decimal {
    /// The shortest digits that denote `double`, as chosen by JavaScript. Rust agrees except for a value exactly
    /// between two candidates, where JavaScript chooses the even one.
    fn shortest(double: f64) -> Decimal {
        let shortest = Decimal::of(&format!("{double:e}"));
        let count = shortest.digits.len();
        if count < NEVER_HALFWAY || !format!("{double:.count$e}").contains("5e") {
            return shortest;
        }
        let exact = Decimal::of(&format!("{double:.MOST_DIGITS$e}"));
        let Some((below, "5")) = exact.digits.split_at_checked(count) else { return shortest };
        let Ok(below) = below.parse::<u64>() else { return shortest };
        let even = Decimal { digits: (below + below % 2).to_string(), point: exact.point };
        let same = format!("0.{}e{}", even.digits, even.point).parse() == Ok(double);
        if same && even.digits.len() == count { even } else { shortest }
    }

    fn of(text: &str) -> Decimal {
        let text = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        let significant = all.trim_start_matches('0');
        let zeros = all.len() - significant.len();
        let digits = significant.trim_end_matches('0').to_owned();
        let point = exponent.saturating_add(whole.len() as i64 - zeros as i64);
        Decimal { digits, point }
    }
}

/// Saturates beyond the range of doubles.
fn exponent_of(text: &str) -> i64 {
    let text = text.strip_prefix('+').unwrap_or(text);
    text.parse().unwrap_or(if text.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 })
}

/// ECMAScript's `Number::toString` for these digits and position of the point.
fn layout(negative: bool, digits: &str, point: i64) -> String {
    let mut out = String::with_capacity(digits.len() + 8);
    if negative {
        out.push('-');
    }
    let count = digits.len() as i64;
    let zeros = |n: i64| std::iter::repeat_n('0', usize::try_from(n).unwrap_or(0));
    match point {
        1..=21 if count <= point => {
            out.push_str(digits);
            out.extend(zeros(point - count));
        }
        1..=21 => {
            let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
            out.push_str(whole);
            out.push('.');
            out.push_str(fraction);
        }
        -5..=0 => {
            out.push_str("0.");
            out.extend(zeros(-point));
            out.push_str(digits);
        }
        _ => {
            let (first, rest) = digits.split_at(1);
            out.push_str(first);
            if !rest.is_empty() {
                out.push('.');
                out.push_str(rest);
            }
            let exponent = point - 1;
            out.push('e');
            out.push(if exponent < 0 { '-' } else { '+' });
            out.push_str(&exponent.unsigned_abs().to_string());
        }
    }
    out
}
