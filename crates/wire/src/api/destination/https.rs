//! `config` of an HTTPS endpoint.

use domain::destination::{Destination, EndpointUrl, HttpsDestination};

use super::super::Rules;
use super::super::answer::{Shown, object};
use super::super::endpoint::endpoint_url;
use super::super::reader::Reader;
use super::super::shape::{Field, Form, Object, Shape};
use super::{Config, HEADERS, headers};
use crate::json::Value;

pub(super) const CONFIG: Config =
    Config { fields: &FIELDS, read: |fields, rules| read(fields, rules).map(Destination::Https), outdate: |_, _| {} };

/// The fields of `config` (contract page 1; lengths of page 7, "API").
const FIELDS: Object = Object::new(&[
    Field::required(
        "url",
        Shape::Url(Form::of_format("https-url").length((1, EndpointUrl::MAX_CHARACTERS)).examples(&[
            "https://app.example.com/events",
            "https://app.example.com:8443/a?b=c%20d&e",
            "https://bücher.example/",
        ])),
        "URL of the endpoint: `https`, without user info and fragment, kept byte for byte; an IDN host is converted to \
         punycode. The operator may allow `http` for development.",
    ),
    Field::required("secret", Shape::Object(&SECRET), "Secrets for signing events."),
    HEADERS,
]);

const SECRET: Object = Object::new(&[
    Field::required(
        "primary",
        Shape::Secret(Form::of_length((1, 256)).examples(&["my_primary_secret"])),
        "Signs every event (`X-AKENEO-SIGNATURE-PRIMARY`).",
    ),
    Field::optional(
        "secondary",
        Shape::Secret(Form::of_length((0, 256)).examples(&[""])),
        "Signs every event a second time, so that secrets can be rotated without downtime; empty: none.",
    ),
]);

fn read(fields: &mut Reader<'_, '_>, rules: &Rules<'_>) -> Option<HttpsDestination> {
    let url = fields.required_string("url").and_then(|text| endpoint_url(fields, "url", text, rules));
    let secrets = fields.required_object("secret").and_then(|mut secret| {
        let primary = secret.required_secret("primary");
        // Empty means none (contract page 1).
        let secondary = secret.string("secondary").filter(|text| !text.is_empty());
        let secondary = secondary.and_then(|text| secret.secret_of("secondary", text));
        secret.finish();
        Some((primary?, secondary))
    });
    let headers = headers::read(fields, |_| Ok(()));
    let (primary, secondary) = secrets?;
    Some(HttpsDestination { url: url?, primary, secondary, headers })
}

pub(super) fn members(https: &HttpsDestination, shown: Shown) -> Vec<(String, Value)> {
    let secret = object([
        ("primary", shown.secret(&https.primary)),
        ("secondary", https.secondary.as_ref().map_or(Value::from(""), |secret| shown.secret(secret))),
    ]);
    vec![("url".to_owned(), https.url.as_str().into()), ("secret".to_owned(), secret)]
}
