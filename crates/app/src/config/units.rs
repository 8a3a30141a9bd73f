//! Durations and sizes with units: `5m`, `1h30m`, `64 MiB`.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const SIZE_UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Parses a sum of whole numbers with units, `1h30m` or `500 ms`. `None` for anything else, including a bare number,
/// whose unit would be a guess.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let after = after.trim_start();
        let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (_, factor) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
        millis = millis.checked_add(number.checked_mul(*factor)?)?;
        rest = after.trim_start();
    }
    (!text.trim().is_empty()).then(|| Duration::from_millis(millis))
}

/// Formats a duration so that [`parse_duration`] returns it: the largest units that fit, `1h30m`.
pub(super) fn show_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, factor) in DURATION_UNITS {
        if left >= factor {
            text.push_str(&format!("{}{unit}", left / factor));
            left %= factor;
        }
    }
    text
}

/// Parses `64 MiB`, `64MiB`, `5 MB` or `1024 B`; a bare number is in bytes.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = leading_number(text.trim())?;
    let unit = unit.trim();
    if unit.is_empty() {
        return Some(number);
    }
    let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*factor)
}

/// Formats a size in the largest binary unit that divides it.
pub(super) fn show_size(bytes: u64) -> String {
    let (unit, factor) = SIZE_UNITS
        .into_iter()
        .find(|(_, factor)| factor.is_power_of_two() && bytes >= *factor && bytes.is_multiple_of(*factor))
        .unwrap_or(("B", 1));
    format!("{} {unit}", bytes / factor)
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_duration(text: &str, millis: Option<u64>) {
        let parsed = parse_duration(text);
        assert_eq!(parsed, millis.map(Duration::from_millis), "{text}");
        if let Some(duration) = parsed {
            assert_eq!(parse_duration(&show_duration(duration)), Some(duration), "{text} written and read again");
        }
    }

    #[test]
    fn durations() {
        check_duration("5m", Some(300_000));
        check_duration("1h30m", Some(5_400_000));
        check_duration(" 500 ms ", Some(500));
        check_duration("30d", Some(30 * 86_400_000));
        check_duration("1d 2h", Some(26 * 3_600_000));
        check_duration("0s", Some(0));
        check_duration("5", None);
        check_duration("", None);
        check_duration("5 minutes", None);
        check_duration("-5m", None);
        check_duration("99999999999999999999d", None);
        check_duration("9999999999999999d", None);
    }

    fn check_size(text: &str, bytes: Option<u64>) {
        let parsed = parse_size(text);
        assert_eq!(parsed, bytes, "{text}");
        if let Some(size) = parsed {
            assert_eq!(parse_size(&show_size(size)), Some(size), "{text} written and read again");
        }
    }

    #[test]
    fn sizes() {
        check_size("64 MiB", Some(64 << 20));
        check_size("64mib", Some(64 << 20));
        check_size("5 MB", Some(5_000_000));
        check_size("1000", Some(1000));
        check_size("0", Some(0));
        check_size("MiB", None);
        check_size("1.5 MiB", None);
        check_size("20000000000 TiB", None);
    }
}
