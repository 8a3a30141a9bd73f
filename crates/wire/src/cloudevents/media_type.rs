//! Determines the CloudEvents HTTP binding's mode from the `Content-Type`.

use super::refusal::Refusal;
use crate::fault::code;

/// A mode of the HTTP binding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    Structured,
    Batched,
    Binary,
}

/// The mode, and the refusal (415) if it is unsupported. Types other than CloudEvents mean binary mode, as the binding
/// demands. Without a type the body must be a JSON object: the examples of the Python SDK send none.
pub(super) fn judge(content_type: Option<&[u8]>, encoding: Option<&[u8]>, body: &[u8]) -> (Mode, Option<Refusal>) {
    // The most common spelling.
    if let (Some(b"application/cloudevents+json"), None) = (content_type, encoding) {
        return (Mode::Structured, None);
    }
    let sent = content_type.map(String::from_utf8_lossy);
    let (mode, understood) = match sent.as_deref() {
        None => (Mode::Binary, body.trim_ascii_start().first() == Some(&b'{')),
        Some(text) => {
            let (essence, charset) = split(text);
            let (mode, known) = match essence.as_str() {
                "application/cloudevents+json" => (Mode::Structured, true),
                "application/cloudevents-batch+json" => (Mode::Batched, true),
                essence => (Mode::Binary, essence == "application/json"),
            };
            (mode, known && charset.is_none_or(|charset| matches!(charset.as_str(), "utf-8" | "us-ascii")))
        }
    };
    let refusal = if let Some(encoding) = encoding {
        let encoding: String = String::from_utf8_lossy(encoding).chars().take(100).collect();
        let message = format!("`Content-Encoding: {encoding}` is not supported: send the body as it is");
        Some(Refusal::media_type(code::UNSUPPORTED_ENCODING, message))
    } else if understood {
        None
    } else {
        let found = match sent {
            None => "no `Content-Type` for anything but a JSON object".to_owned(),
            Some(text) => format!("`Content-Type: {}`", text.chars().take(100).collect::<String>()),
        };
        let message = format!(
            "{found} is not supported: send `application/cloudevents+json` (one event), \
             `application/cloudevents-batch+json` (a list) or `application/json` with `ce-*` headers, all in UTF-8"
        );
        Some(Refusal::media_type(code::UNSUPPORTED_MEDIA_TYPE, message))
    };
    (mode, refusal)
}

/// The type in lower case without parameters, and the charset, if any.
fn split(text: &str) -> (String, Option<String>) {
    let mut parts = text.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let charset = name.trim().eq_ignore_ascii_case("charset");
        charset.then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    });
    (essence, charset)
}

/// Whether a `datacontenttype` means JSON: subtype `json`, or a subtype ending in `+json`.
pub(super) fn is_json(text: &str) -> bool {
    // The most common spelling.
    if text == "application/json" {
        return true;
    }
    let (essence, _) = split(text);
    essence.split_once('/').is_some_and(|(main, sub)| {
        !main.is_empty() && (sub == "json" || sub.strip_suffix("+json").is_some_and(|rest| !rest.is_empty()))
    })
}
