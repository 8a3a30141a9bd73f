//! Excerpt of a response for the log entry of a failure (contract pages 5 and 9): its status, three headers, and the
//! beginning of its body as text, without secrets.

use domain::Secret;
use domain::outcome::{Answer, Outcome};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, RETRY_AFTER, SERVER};
use http::response::Parts;

/// Maximum size of the shown body in bytes.
const SHOWN: usize = 2 * 1024;
/// The shown headers.
const HEADERS: [HeaderName; 3] = [CONTENT_TYPE, RETRY_AFTER, SERVER];

/// A response as far as received.
pub(super) struct Seen {
    status: u16,
    headers: Vec<(&'static str, Vec<u8>)>,
    is_encoded: bool,
    body: Vec<u8>,
    /// Bytes of the body to keep: a secret that begins in the shown part has to be recognised to its end.
    keep: usize,
}

impl Seen {
    /// From a response's head. `longest`: the length of the longest secret.
    pub(super) fn new(head: &Parts, longest: usize) -> Seen {
        let [content_type, retry_after, server] =
            HEADERS.map(|name| head.headers.get(&name).map(|v| v.as_bytes().to_vec()));
        let named = [("content-type", content_type), ("retry-after", retry_after), ("server", server)];
        let encoding = head.headers.get(CONTENT_ENCODING);
        Seen {
            status: head.status.as_u16(),
            headers: named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
            is_encoded: encoding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")),
            body: Vec::new(),
            keep: SHOWN + longest,
        }
    }

    /// Adds a part of the body.
    pub(super) fn take(&mut self, part: &[u8]) {
        let room = self.keep - self.body.len();
        self.body.extend_from_slice(part.get(..room).unwrap_or(part));
    }

    /// The excerpt.
    fn answer(&self, secrets: &[Vec<u8>]) -> Answer {
        let header = |(name, value): &(&str, Vec<u8>)| ((*name).to_owned(), text(value, secrets));
        let has_text = !self.is_encoded && !self.body.is_empty();
        Answer {
            status: self.status,
            headers: self.headers.iter().map(header).collect(),
            body: has_text.then(|| text(&self.body, secrets)),
        }
    }

    /// The excerpt of a success.
    pub(super) fn status_only(&self) -> Answer {
        Answer { status: self.status, headers: Vec::new(), body: None }
    }

    /// The same outcome, with the excerpt in its failure, or beside it if it is none.
    pub(super) fn attach(&self, outcome: Outcome, secrets: &[Vec<u8>]) -> (Outcome, Option<Answer>) {
        let answer = self.answer(secrets);
        if matches!(outcome, Outcome::Throttled { .. }) {
            return (outcome, Some(answer));
        }
        let completed = |mut failure: domain::outcome::Failure| {
            failure.answer = Some(Box::new(answer));
            failure
        };
        let outcome = match outcome {
            Outcome::Failed(failure) => Outcome::Failed(completed(failure)),
            Outcome::Refused(failure) => Outcome::Refused(completed(failure)),
            Outcome::Broken(failure) => Outcome::Broken(completed(failure)),
            Outcome::Silent(failure) => Outcome::Silent(completed(failure)),
            Outcome::NotProcessed(failure) => Outcome::NotProcessed(completed(failure)),
            other @ (Outcome::Delivered | Outcome::Throttled { .. } | Outcome::Ours(_) | Outcome::Abandoned) => other,
        };
        (outcome, None)
    }
}

/// The first [`SHOWN`] bytes as text, with secrets masked.
fn text(bytes: &[u8], secrets: &[Vec<u8>]) -> String {
    let mut shown = Vec::with_capacity(bytes.len().min(SHOWN));
    let mut rest = bytes;
    while bytes.len() - rest.len() < SHOWN
        && let [first, behind @ ..] = rest
    {
        let secret = secrets.iter().filter(|secret| !secret.is_empty() && rest.starts_with(secret)).map(Vec::len).max();
        match secret {
            Some(length) => {
                shown.extend_from_slice(Secret::MASK.as_bytes());
                rest = &rest[length..];
            }
            None => {
                shown.push(*first);
                rest = behind;
            }
        }
    }
    let is_cut = !rest.is_empty();
    let mut text = String::with_capacity(shown.len());
    let mut chunks = shown.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        text.push_str(chunk.valid());
        let is_last = chunks.peek().is_none();
        let is_begun = std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
        if !(chunk.invalid().is_empty() || is_cut && is_last && is_begun) {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], secrets: &[&str], expect: &str) {
        let secrets: Vec<Vec<u8>> = secrets.iter().map(|secret| secret.as_bytes().to_vec()).collect();
        assert_eq!(text(bytes, &secrets), expect);
    }

    #[test]
    fn secrets_are_masked_the_longest_first() {
        check(b"key=abc, again abc", &["abc"], "key=***redacted***, again ***redacted***");
        check(b"abcdef", &["abc", "abcdef", ""], "***redacted***");
        check(b"nothing", &["secret"], "nothing");
        // A secret that begins in the shown part and ends behind it.
        let long = ["x".repeat(SHOWN - 2), "secret".to_owned()].concat();
        check(long.as_bytes(), &["secret"], &["x".repeat(SHOWN - 2), "***redacted***".to_owned()].concat());
    }

    #[test]
    fn invalid_text_is_replaced_and_a_cut_character_omitted() {
        check(b"a\xff\xfeb", &[], "a\u{fffd}\u{fffd}b");
        check("é".as_bytes(), &[], "é");
        check(&"é".as_bytes()[..1], &[], "\u{fffd}");
        let odd = ["x", &"é".repeat(SHOWN)].concat();
        check(odd.as_bytes(), &[], &["x", &"é".repeat(SHOWN / 2 - 1)].concat());
    }
}
