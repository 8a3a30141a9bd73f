//! Errors in a configuration: each with its place, the valid values, and the nearest known name.

use std::fmt;

use super::typed::Place;

/// One error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub(super) place: Place,
    /// Full name of the setting, if the error concerns one.
    pub(super) key: Option<String>,
    pub(super) problem: String,
    pub(super) hint: Option<String>,
}

/// All errors of a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refused {
    pub(crate) faults: Vec<Fault>,
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.as_slice() {
            [_] => f.write_str("invalid configuration")?,
            faults => write!(f, "invalid configuration, {} errors", faults.len())?,
        }
        for fault in &self.faults {
            write!(f, "\n\n  {fault}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(key) = &self.key {
            write!(f, "`{key}`: ")?;
        }
        f.write_str(&self.problem)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// The known name most similar to `typed`: a similar spelling, or the same word in another group.
pub(crate) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let last = |key: &'a str| key.rsplit('.').next().unwrap_or(key);
    let word = typed.rsplit('.').next().unwrap_or(typed).replace('-', "_");
    let by_word = || {
        let found = domain::nearest::nearest(&word, known.clone().into_iter().map(last))?;
        known.clone().into_iter().find(|name| last(name) == found)
    };
    known
        .clone()
        .into_iter()
        .find(|name| last(name) == word)
        .or_else(|| domain::nearest::nearest(typed, known.clone()).or_else(by_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name() {
        let known = ["listen", "delivery.rate_first", "delivery.rate_lowest", "ingest.max_event"];
        let check = |typed: &str, expect: Option<&str>| assert_eq!(nearest(typed, known), expect, "{typed}");
        check("lisen", Some("listen"));
        check("rate_first", Some("delivery.rate_first"));
        check("rate-first", Some("delivery.rate_first"));
        check("delivery.rate_lowst", Some("delivery.rate_lowest"));
        check("api.max_event", Some("ingest.max_event"));
        check("zzz", None);
    }
}
