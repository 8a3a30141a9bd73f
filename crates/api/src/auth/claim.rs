//! What a caller of the management API claims to be: the three `X-PIM-*` headers.

use domain::credential::{MAX_CLIENT_ID, MAX_TOKEN};
use domain::pim::url_key;
use http::{HeaderMap, StatusCode};
use wire::Fault;

use crate::refusal::because::Code;
use crate::refusal::{Refusal, because};

const URL: &str = "X-PIM-URL";
pub(super) const TOKEN: &str = "X-PIM-TOKEN";
pub(super) const CLIENT_ID: &str = "X-PIM-CLIENT-ID";

/// The unverified claim.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Claim<'a> {
    pub(super) url: &'a str,
    pub(super) url_key: String,
    pub(super) token: &'a str,
    pub(super) client_id: &'a str,
}

impl<'a> Claim<'a> {
    /// Reads the headers; all their faults are reported.
    pub(super) fn read(headers: &'a HeaderMap) -> Result<Claim<'a>, Refusal> {
        let mut faults = Vec::new();
        let url = one(headers, URL, "the base URL of the PIM, such as https://pim.example.com", 2048, &mut faults);
        let token = one(headers, TOKEN, "an access token of the PIM", MAX_TOKEN, &mut faults)
            .map(|token| without_bearer(token, &mut faults));
        let client_id = one(headers, CLIENT_ID, "the client id of the connection or app", MAX_CLIENT_ID, &mut faults);
        let url_key = url.and_then(|url| {
            let key = url_key(url);
            if key.is_none() {
                let message = format!(
                    "{URL} is {url:?}; it must be the base URL of the PIM, such as https://pim.example.com, without \
                     user info, query and fragment"
                );
                faults.push(Fault::at(URL, because::MALFORMED_HEADER.name, message));
            }
            key
        });
        match (url, url_key, token, client_id) {
            (Some(url), Some(url_key), Some(token), Some(client_id)) if faults.is_empty() => {
                Ok(Claim { url, url_key, token, client_id })
            }
            _ => Err(Refusal::with_faults(StatusCode::UNAUTHORIZED, faults)),
        }
    }
}

/// A refusal about one of the headers.
pub(super) fn refused_header(header: &'static str, code: Code, message: String) -> Refusal {
    Refusal::with_faults(code.status, vec![Fault::at(header, code.name, message)])
}

/// Value of a header that must be present exactly once.
fn one<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
    what: &str,
    longest: usize,
    faults: &mut Vec<Fault>,
) -> Option<&'a str> {
    let mut refuse = |code: Code, message: String| {
        faults.push(Fault::at(name, code.name, message));
        None
    };
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return refuse(because::MISSING_HEADER, format!("{name} is missing: {what}"));
    };
    if values.next().is_some() {
        return refuse(because::MALFORMED_HEADER, format!("{name} is present more than once"));
    }
    match value.to_str().map(str::trim) {
        Ok("") => refuse(because::MISSING_HEADER, format!("{name} is empty: {what}")),
        Ok(text) if text.len() > longest => {
            refuse(because::MALFORMED_HEADER, format!("{name} has {} characters; the maximum is {longest}", text.len()))
        }
        Ok(text) => Some(text),
        Err(_) => {
            refuse(because::MALFORMED_HEADER, format!("{name} contains characters other than visible ASCII: {what}"))
        }
    }
}

/// The token as issued, without a `Bearer` prefix in any case that some clients add (contract page 7).
fn without_bearer<'a>(value: &'a str, faults: &mut Vec<Fault>) -> &'a str {
    let token = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_start(),
        _ => value,
    };
    if token.contains([' ', '\t']) || token.eq_ignore_ascii_case("bearer") {
        let message = format!("{TOKEN} must be the token alone, without spaces");
        faults.push(Fault::at(TOKEN, because::MALFORMED_HEADER.name, message));
    }
    token
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// URL key, token and client id, or code and header of each fault.
    type Expect<'a> = Result<(&'a str, &'a str, &'a str), &'a [(&'a str, &'a str)]>;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], expect: Expect<'_>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        match (Claim::read(&map), expect) {
            (Ok(claim), Ok(expect)) => assert_eq!((claim.url_key.as_str(), claim.token, claim.client_id), expect),
            (Err(refusal), Err(expect)) => {
                assert_eq!(refusal.said().status, StatusCode::UNAUTHORIZED);
                let faults: Vec<_> = refusal
                    .said()
                    .faults
                    .iter()
                    .map(|fault| (fault.code, fault.field.as_deref().unwrap_or("")))
                    .collect();
                assert_eq!(faults, expect, "{headers:?}");
            }
            (read, expect) => panic!("{read:?} instead of {expect:?}"),
        }
    }

    const GOOD: [(&str, &str); 3] =
        [("x-pim-url", "https://Pim.Example.com/"), ("x-pim-token", "t0k"), ("x-pim-client-id", "app")];

    #[test]
    fn three_headers_make_a_claim() {
        check(&GOOD, Ok(("https://pim.example.com", "t0k", "app")));
        check(&[GOOD[0], ("x-pim-token", "bEARER t0k"), GOOD[2]], Ok(("https://pim.example.com", "t0k", "app")));
    }

    #[test]
    fn all_faults_of_the_headers_are_named() {
        check(
            &[],
            Err(&[
                ("missing_header", "X-PIM-URL"),
                ("missing_header", "X-PIM-TOKEN"),
                ("missing_header", "X-PIM-CLIENT-ID"),
            ]),
        );
        check(&[GOOD[0], GOOD[0], GOOD[1], GOOD[2]], Err(&[("malformed_header", "X-PIM-URL")]));
        check(&[("x-pim-url", "https://pim.example.com?a=b"), GOOD[1], GOOD[2]], Err(&[("malformed_header", URL)]));
        check(&[("x-pim-url", "pim.example.com"), GOOD[1], GOOD[2]], Err(&[("malformed_header", URL)]));
        check(&[GOOD[0], ("x-pim-token", ""), GOOD[2]], Err(&[("missing_header", TOKEN)]));
        check(&[GOOD[0], ("x-pim-token", "a b"), GOOD[2]], Err(&[("malformed_header", TOKEN)]));
        check(&[GOOD[0], ("x-pim-token", "Bearer"), GOOD[2]], Err(&[("malformed_header", TOKEN)]));
        check(&[GOOD[0], GOOD[1], ("x-pim-client-id", "é")], Err(&[("malformed_header", CLIENT_ID)]));
    }
}
