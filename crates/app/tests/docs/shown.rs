//! Compares a command's output with its page, ignoring what differs each time: ids, times, durations, keys.

use serde_json::Value;

/// Matches any text within a line.
const ANYTHING: char = '…';

/// Whether `shown` contains the lines of `expected` in this order. Other lines may be in between, because several
/// programs write to one terminal.
pub(crate) fn has_lines(shown: &str, expected: &str) -> Result<(), String> {
    let mut lines = shown.lines();
    for wanted in expected.lines().filter(|line| !matches!(line.trim(), "" | "…")) {
        let pattern = without_chance(wanted);
        if !lines.any(|line| matches(&without_chance(line), &pattern)) {
            return Err(format!("this line is not shown, or not at its place:\n{wanted}"));
        }
    }
    Ok(())
}

/// Whether a line of `shown` is JSON with all members of `expected`.
pub(crate) fn has_json(shown: &str, expected: &str) -> Result<(), String> {
    let expected: Value = serde_json::from_str(expected).map_err(|error| format!("the page shows no JSON: {error}"))?;
    let mut problem = None;
    // A response ends without a line break, so another program's line may follow directly.
    let values = |line| serde_json::Deserializer::from_str(line).into_iter().map_while(Result::ok);
    for value in shown.lines().flat_map(values) {
        match same(&value, &expected, "") {
            Ok(()) => return Ok(()),
            // The first problem; later ones concern other programs.
            Err(why) => problem = problem.or(Some(why)),
        }
    }
    Err(problem.unwrap_or_else(|| "no JSON was shown".to_owned()))
}

/// Numbers with a fraction are measurements: only their type counts.
fn same(value: &Value, expected: &Value, path: &str) -> Result<(), String> {
    let differs = || Err(format!("{path}: shown is {value}, not {expected}"));
    match (value, expected) {
        (Value::Object(members), Value::Object(wanted)) => wanted.iter().try_for_each(|(name, wanted)| {
            let path = format!("{path}.{name}");
            members.get(name).map_or_else(|| Err(format!("{path} is not shown")), |member| same(member, wanted, &path))
        }),
        (Value::Array(items), Value::Array(wanted)) if items.len() == wanted.len() => {
            items.iter().zip(wanted).try_for_each(|(item, wanted)| same(item, wanted, path))
        }
        (Value::String(text), Value::String(wanted)) => {
            if matches(&without_chance(text), &without_chance(wanted)) {
                Ok(())
            } else {
                differs()
            }
        }
        (Value::Number(_), Value::Number(wanted)) if wanted.is_f64() => Ok(()),
        (value, wanted) if value == wanted => Ok(()),
        _ => differs(),
    }
}

/// Whether `text` matches `pattern`, in which `…` matches anything.
fn matches(text: &str, pattern: &str) -> bool {
    let mut pieces = pattern.trim_end().split(ANYTHING);
    let text = text.trim_end();
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        last = Some(piece);
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty() || last == Some("") || last.is_some_and(|last| text.ends_with(last))
}

/// The line with placeholders for what differs each time.
fn without_chance(line: &str) -> String {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    let mut words: Vec<String> = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(first) = chars.next() {
        let mut word = first.to_string();
        if is_of_word(first) {
            while let Some(next) = chars.next_if(|c| is_of_word(*c)) {
                word.push(next);
            }
        }
        words.push(word);
    }
    let mut out = String::new();
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        if word.parse::<f64>().is_ok() && words.peek() == Some(&" ") {
            let mut ahead = words.clone();
            ahead.next();
            if ahead.peek().is_some_and(|unit| ["ms", "s", "min", "h", "d", "KiB", "MiB", "GiB"].contains(unit)) {
                out.push_str("<quantity>");
                words = ahead;
                words.next();
                continue;
            }
        }
        out.push_str(name_of_chance(word).unwrap_or(word));
    }
    out
}

fn name_of_chance(word: &str) -> Option<&'static str> {
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    let is_id = word.len() == 36
        && word.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    match shape.as_str() {
        _ if is_id => Some("<id>"),
        _ if shape.starts_with("9999-99-99T99:99:99") && shape.ends_with('Z') => Some("<time>"),
        "9999-99-99" => Some("<day>"),
        "99:99:99.999" => Some("<clock>"),
        _ if word.starts_with("pr_") => Some("<key>"),
        _ => None,
    }
}

#[test]
fn varying_values_are_ignored() {
    let line = "09:30:00.123  ✓ verified  product.created  019a3c5e-7f10-7c3a-9b6f-1f2e3d4c5b6a  3.1 ms old  → 200";
    assert_eq!(without_chance(line), "<clock>  ✓ verified  product.created  <id>  <quantity> old  → 200");
    assert_eq!(without_chance("key pr_Ab-3…  of 2026-11-02"), "key <key>…  of <day>");
    assert_eq!(without_chance("at 2026-11-02T08:00:00.716Z"), "at <time>");
}

#[test]
fn lines_are_found_in_their_order() {
    let shown = "a\nb 3.0 s old\nc d e\n";
    assert!(has_lines(shown, "a\nb 1.2 ms old\n").is_ok());
    assert!(has_lines(shown, "a\n…\nc … e\n").is_ok());
    assert!(has_lines(shown, "c … f\n").is_err());
    assert!(has_lines(shown, "c d\n").is_err());
    assert!(has_lines(shown, "b 1.2 ms old\na\n").is_err());
    assert!(has_lines(shown, "b 1.2 ms young\n").is_err());
}

#[test]
fn json_is_compared_as_such() {
    let shown = "note\n{\"a\":1,\"b\":{\"c\":\"2026-11-02T08:00:00.716Z\",\"d\":0.25,\"e\":[1]}}\n";
    assert!(has_json(shown, "{\"b\": {\"c\": \"2025-01-01T00:00:00Z\", \"d\": 9.5}}").is_ok());
    assert!(has_json(shown, "{\"b\": {\"e\": [1]}, \"a\": 1}").is_ok());
    assert!(has_json("{\"a\":1}09:30:00.123  verified\n", "{\"a\": 1}").is_ok());
    assert!(has_json(shown, "{\"a\": 2}").is_err());
    assert!(has_json(shown, "{\"x\": 2}").is_err());
    assert!(has_json(shown, "{\"b\": {\"e\": [1, 2]}}").is_err());
}
