//! `application/x-www-form-urlencoded`: queries and the bodies of forms.

/// Names and values, in order.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Parses a query or a form's body.
    pub(crate) fn parse(text: &str) -> Pairs {
        let parts = text.split('&').filter(|part| !part.is_empty());
        Pairs(
            parts
                .map(|part| part.split_once('=').unwrap_or((part, "")))
                .map(|(n, v)| (decoded(n), decoded(v)))
                .collect(),
        )
    }

    /// The first value of a name; empty if there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    /// All values of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the name is present.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The same with another value for a name; without it if the value is empty.
    pub(crate) fn with(&self, name: &str, value: &str) -> Pairs {
        let mut pairs: Vec<_> = self.0.iter().filter(|(known, _)| known != name).cloned().collect();
        if !value.is_empty() {
            pairs.push((name.to_owned(), value.to_owned()));
        }
        Pairs(pairs)
    }

    /// Only these names, without empty values.
    pub(crate) fn only(&self, names: &[&str]) -> Pairs {
        let kept = self.0.iter().filter(|(name, value)| names.contains(&name.as_str()) && !value.is_empty());
        Pairs(kept.cloned().collect())
    }

    /// The query behind a path, with its `?`; empty without pairs.
    pub(crate) fn query(&self) -> String {
        let pairs: Vec<_> =
            self.0.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }
}

/// A text as a segment of a path or a value in a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let digits = bytes.as_slice_of_two();
        match (byte, digits) {
            (b'+', _) => out.push(b' '),
            (b'%', Some(value)) => {
                out.push(value);
                bytes.nth(1);
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Looks ahead for two hexadecimal digits.
trait Ahead {
    fn as_slice_of_two(&self) -> Option<u8>;
}

impl Ahead for std::str::Bytes<'_> {
    fn as_slice_of_two(&self) -> Option<u8> {
        let mut ahead = self.clone();
        let high = char::from(ahead.next()?).to_digit(16)?;
        let low = char::from(ahead.next()?).to_digit(16)?;
        u8::try_from(high * 16 + low).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[(&str, &str)]) {
        let expect: Vec<_> = expect.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(Pairs::parse(text).0, expect, "{text}");
    }

    #[test]
    fn forms_are_decoded() {
        check("", &[]);
        check("a=1&b=&c", &[("a", "1"), ("b", ""), ("c", "")]);
        check("a=x+y%20z&%C3%A9=%3D%26", &[("a", "x y z"), ("é", "=&")]);
        check("a=100%&b=%zz&c=%4", &[("a", "100%"), ("b", "%zz"), ("c", "%4")]);
        check("a=%FF", &[("a", "\u{fffd}")]);
        check("a=1&a=2", &[("a", "1"), ("a", "2")]);
    }

    #[test]
    fn a_query_is_written_as_it_is_read() {
        let pairs = Pairs::parse("filter=a%3D%22b%22+%2F&x=1");
        assert_eq!(Pairs::parse(&pairs.query()[1..]), pairs);
        assert_eq!(pairs.with("x", "").query(), "?filter=a%3D%22b%22%20%2F");
        assert_eq!(pairs.only(&["x"]).query(), "?x=1");
        assert_eq!(pairs.only(&[]).query(), "");
    }
}
