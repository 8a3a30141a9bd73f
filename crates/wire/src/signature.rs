//! Signatures: of our deliveries (Akeneo's headers together with Standard Webhooks), and their verification for us and
//! our receivers.

mod verify;

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{Secret, Timestamp};

pub use verify::{SignatureError, judge_events_api_headers};

/// Akeneo's header with the primary secret's signature.
pub const PRIMARY: &str = "x-akeneo-signature-primary";
/// Akeneo's header with the secondary secret's signature.
pub const SECONDARY: &str = "x-akeneo-signature-secondary";
/// Akeneo's header with the algorithm.
pub const ALGORITHM: &str = "x-akeneo-signature-algorithm";
/// The value of [`ALGORITHM`].
pub const HMAC_SHA256: &str = "HmacSHA256";
/// Standard Webhooks: the event's id.
pub const WEBHOOK_ID: &str = "webhook-id";
/// Standard Webhooks: time of the attempt, in Unix seconds.
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
/// Standard Webhooks: one signature per secret.
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";

/// A ready-to-use key. It is the UTF-8 text of the secret, whatever its prefix.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// The key of a secret.
    pub fn new(secret: &Secret) -> SigningKey {
        SigningKey(hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()))
    }

    /// Akeneo's signature: lower-case hex over the exact bytes of the body.
    pub fn akeneo(&self, body: &[u8]) -> String {
        hex(hmac::sign(&self.0, body).as_ref())
    }

    /// The signature of the older Events API: lower-case hex over `{timestamp}.{body}`.
    pub fn events_api(&self, timestamp: &str, body: &[u8]) -> String {
        hex(self.over(&[timestamp.as_bytes(), b".", body]).as_ref())
    }

    /// A Standard Webhooks signature, `v1,<base64>`, over `{id}.{timestamp}.{body}`.
    fn standard(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let tag = self.over(&[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
        let mut signature = "v1,".to_owned();
        STANDARD.encode_string(tag.as_ref(), &mut signature);
        signature
    }

    fn over(&self, pieces: &[&[u8]]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for piece in pieces {
            context.update(piece);
        }
        context.sign()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Secret::MASK)
    }
}

/// Signer of one destination, built once from its secrets.
#[derive(Clone, Debug)]
pub struct Signer {
    primary: SigningKey,
    secondary: Option<SigningKey>,
}

impl Signer {
    /// A signer with one secret or two; an empty second one counts as none.
    pub fn new(primary: &Secret, secondary: Option<&Secret>) -> Signer {
        let secondary = secondary.filter(|secret| !secret.expose().is_empty());
        Signer { primary: SigningKey::new(primary), secondary: secondary.map(SigningKey::new) }
    }

    /// Names of the headers that differ from one attempt to another, in lower case.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let secondary = self.secondary.as_ref().map(|_| SECONDARY);
        [PRIMARY, WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE].into_iter().chain(secondary)
    }

    /// The headers of one attempt, made at `at`.
    pub fn sign(&self, event_id: &str, at: Timestamp, body: &[u8]) -> Signed {
        let id = header_id(event_id);
        let timestamp = at.as_micros().div_euclid(1_000_000).to_string();
        let mut standard = self.primary.standard(&id, &timestamp, body);
        if let Some(secondary) = &self.secondary {
            standard.push(' ');
            standard.push_str(&secondary.standard(&id, &timestamp, body));
        }
        Signed {
            primary: self.primary.akeneo(body),
            secondary: self.secondary.as_ref().map(|key| key.akeneo(body)),
            webhook_id: id,
            webhook_timestamp: timestamp,
            webhook_signature: standard,
        }
    }
}

/// Values of an attempt's signature headers, all visible ASCII.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// Value of [`PRIMARY`].
    pub primary: String,
    /// Value of [`SECONDARY`], if there is a second secret.
    pub secondary: Option<String>,
    /// Value of [`WEBHOOK_ID`].
    pub webhook_id: String,
    /// Value of [`WEBHOOK_TIMESTAMP`].
    pub webhook_timestamp: String,
    /// Value of [`WEBHOOK_SIGNATURE`].
    pub webhook_signature: String,
}

impl Signed {
    /// Takes the value of a header of [`Signer::names`].
    pub fn take(&mut self, name: &str) -> Option<String> {
        match name {
            PRIMARY => Some(std::mem::take(&mut self.primary)),
            SECONDARY => self.secondary.take(),
            WEBHOOK_ID => Some(std::mem::take(&mut self.webhook_id)),
            WEBHOOK_TIMESTAMP => Some(std::mem::take(&mut self.webhook_timestamp)),
            WEBHOOK_SIGNATURE => Some(std::mem::take(&mut self.webhook_signature)),
            _ => None,
        }
    }

    /// All headers with their values, names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let secondary = self.secondary.as_deref().map(|value| (SECONDARY, value));
        [(PRIMARY, self.primary.as_str())].into_iter().chain(secondary).chain([
            (ALGORITHM, HMAC_SHA256),
            (WEBHOOK_ID, self.webhook_id.as_str()),
            (WEBHOOK_TIMESTAMP, self.webhook_timestamp.as_str()),
            (WEBHOOK_SIGNATURE, self.webhook_signature.as_str()),
        ])
    }
}

/// An event's id in the form used in headers and signatures: all bytes except letters, digits, `-` and `_` are
/// percent-encoded (contract page 7). Distinct ids stay distinct, and none contains `.`, the separator of the signed
/// text.
pub fn header_id(id: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if id.bytes().all(is_plain) {
        return id.to_owned();
    }
    let mut out = String::with_capacity(id.len());
    for byte in id.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
            out.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 0xF)]));
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
    let mut digits = Vec::with_capacity(2 * bytes.len());
    for byte in bytes {
        digits.extend_from_slice(&[digit(byte >> 4), digit(byte & 0xF)]);
    }
    String::from_utf8(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests;
