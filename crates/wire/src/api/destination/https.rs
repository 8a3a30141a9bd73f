//! `config` of an HTTPS endpoint.

use domain::destination::HttpsDestination;

use super::super::Rules;
use super::super::answer::{Shown, object};
use super::super::endpoint::endpoint_url;
use super::super::reader::Reader;
use super::headers;
use crate::json::Value;

/// Contract page 7, "API": length of a signing secret.
const SECRET: (usize, usize) = (1, 256);

pub(super) fn read(fields: &mut Reader<'_, '_>, rules: &Rules<'_>) -> Option<HttpsDestination> {
    let url = fields.required_string("url").and_then(|text| endpoint_url(fields, "url", text, rules));
    let secrets = fields.required_object("secret").and_then(|mut secret| {
        let primary = secret.required_secret("primary", SECRET.0, SECRET.1);
        // Empty means none (contract page 1).
        let secondary = secret.string("secondary").filter(|text| !text.is_empty());
        let secondary = secondary.and_then(|text| secret.secret_of("secondary", text, SECRET.0, SECRET.1));
        secret.finish();
        Some((primary?, secondary))
    });
    let headers = headers::read(fields, |_| Ok(()));
    let (primary, secondary) = secrets?;
    Some(HttpsDestination { url: url?, primary, secondary, headers })
}

pub(super) fn to_members(https: &HttpsDestination, shown: Shown) -> Vec<(String, Value)> {
    let secret = object([
        ("primary", shown.secret(&https.primary)),
        ("secondary", https.secondary.as_ref().map_or(Value::from(""), |secret| shown.secret(secret))),
    ]);
    vec![("url".to_owned(), https.url.as_str().into()), ("secret".to_owned(), secret)]
}
