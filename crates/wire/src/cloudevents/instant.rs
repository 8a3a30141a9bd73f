//! The attribute `time`: RFC 3339 as sent to RFC 3339 with `Z`, the fraction untouched.

use std::borrow::Cow;

/// The same instant with `Z`; `None` for invalid RFC 3339.
///
/// `t` and `z` become upper case. A leap second (`:60`) is accepted where one can occur, in the last minute of a month
/// in UTC, and is kept: no other text denotes the same instant.
pub fn in_utc(text: &str) -> Option<Cow<'_, str>> {
    let bytes = text.as_bytes();
    let fixed = bytes.first_chunk::<19>()?;
    let pairs = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if pairs.iter().any(|(at, sign)| fixed[*at] != *sign) || !matches!(fixed[10], b'T' | b't') {
        return None;
    }
    let mut date = Date { year: number(&fixed[..4])?, month: number(&fixed[5..7])?, day: number(&fixed[8..10])? };
    let (hour, minute, second) = (number(&fixed[11..13])?, number(&fixed[14..16])?, number(&fixed[17..19])?);
    if !date.exists() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let zone_at = 19 + fraction(&bytes[19..])?;
    let offset = match &bytes[zone_at..] {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), zone @ ..] if zone.len() == 5 && zone[2] == b':' => {
            let (hours, minutes) = (number(&zone[..2])?, number(&zone[3..])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let mut minutes = hour * 60 + minute - offset;
    if minutes < 0 {
        minutes += MINUTES_A_DAY;
        date = date.before()?;
    } else if minutes >= MINUTES_A_DAY {
        minutes -= MINUTES_A_DAY;
        date = date.after()?;
    }
    if second == 60 && (minutes != MINUTES_A_DAY - 1 || date.day != date.days_of_month()) {
        return None;
    }
    if offset == 0 && fixed[10] == b'T' && bytes[zone_at..] == *b"Z" {
        return Some(Cow::Borrowed(text));
    }
    let Date { year, month, day } = date;
    let (hour, minute) = (minutes / 60, minutes % 60);
    let fraction = text.get(19..zone_at)?;
    Some(Cow::Owned(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")))
}

const MINUTES_A_DAY: i32 = 24 * 60;

fn number(digits: &[u8]) -> Option<i32> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| i32::from(digit - b'0'))?;
        Some(number * 10 + digit)
    })
}

/// Length of the fraction with its point; a point without digits is invalid.
fn fraction(rest: &[u8]) -> Option<usize> {
    if rest.first() != Some(&b'.') {
        return Some(0);
    }
    let digits = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then_some(digits + 1)
}

#[derive(Clone, Copy)]
struct Date {
    year: i32,
    month: i32,
    day: i32,
}

impl Date {
    fn exists(&self) -> bool {
        (1..=12).contains(&self.month) && (1..=self.days_of_month()).contains(&self.day)
    }

    fn days_of_month(&self) -> i32 {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        match self.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// The previous day; `None` before the year 0, which RFC 3339 cannot express.
    fn before(self) -> Option<Date> {
        let Date { year, month, day } = self;
        if day > 1 {
            return Some(Date { day: day - 1, ..self });
        }
        let mut last =
            if month > 1 { Date { month: month - 1, ..self } } else { Date { year: year - 1, month: 12, day } };
        last.day = last.days_of_month();
        (last.year >= 0).then_some(last)
    }

    /// The next day; `None` after the year 9999.
    fn after(self) -> Option<Date> {
        let Date { year, month, day } = self;
        let next = if day < self.days_of_month() {
            Date { day: day + 1, ..self }
        } else if month < 12 {
            Date { month: month + 1, day: 1, ..self }
        } else {
            Date { year: year + 1, month: 1, day: 1 }
        };
        (next.year <= 9999).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sent: &str, expect: Option<&str>) {
        assert_eq!(in_utc(sent).as_deref(), expect, "{sent}");
    }

    #[test]
    fn is_the_same_instant_with_z() {
        check("2026-11-02T08:00:00.716Z", Some("2026-11-02T08:00:00.716Z"));
        check("2026-11-02t08:00:00z", Some("2026-11-02T08:00:00Z"));
        check("2026-11-02T08:00:00.5000+00:00", Some("2026-11-02T08:00:00.5000Z"));
        check("2026-11-02T08:00:00-00:00", Some("2026-11-02T08:00:00Z"));
        check("2026-11-02T00:30:00.123456789012+01:00", Some("2026-11-01T23:30:00.123456789012Z"));
        check("2027-01-01T00:00:00+05:30", Some("2026-12-31T18:30:00Z"));
        check("2028-02-28T23:00:00-02:00", Some("2028-02-29T01:00:00Z"));
        check("2026-12-31T23:59:59-00:01", Some("2027-01-01T00:00:59Z"));
        check("2026-03-01T00:00:00+00:01", Some("2026-02-28T23:59:00Z"));
        check("0000-01-01T00:00:00Z", Some("0000-01-01T00:00:00Z"));
    }

    #[test]
    fn leap_seconds_are_at_the_end_of_a_month_in_utc() {
        check("2016-12-31T23:59:60Z", Some("2016-12-31T23:59:60Z"));
        check("2017-01-01T00:59:60.5+01:00", Some("2016-12-31T23:59:60.5Z"));
        check("2016-12-31T23:59:60+01:00", None);
        check("2016-12-30T23:59:60Z", None);
    }

    #[test]
    fn everything_else_is_refused() {
        for sent in [
            "",
            "2026-11-02",
            "2026-11-02T08:00:00",
            "2026-11-02 08:00:00Z",
            "2026-13-02T08:00:00Z",
            "2026-02-29T08:00:00Z",
            "2026-11-00T08:00:00Z",
            "2026-11-02T24:00:00Z",
            "2026-11-02T08:60:00Z",
            "2026-11-02T08:00:61Z",
            "2026-11-02T08:00:00.Z",
            "2026-11-02T08:00:00,5Z",
            "2026-11-02T08:00:00+0100",
            "2026-11-02T08:00:00+24:00",
            "2026-11-02T08:00:00+01:60",
            "2026-11-02T08:00:00Z ",
            "+026-11-02T08:00:00Z",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:00-00:01",
            "2026-11-02T08:00Z",
            "２026-11-02T08:00:00Z",
            "2026-11-02T08:00:00+é:00",
        ] {
            check(sent, None);
        }
    }
}
