//! Verification by the receiver: authenticity and freshness, compared in constant time.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;

use aws_lc_rs::hmac;

use super::SigningKey;

/// Why a signature is rejected.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignatureError {
    /// Invalid format.
    #[error("the signature is malformed: expected {expected}")]
    Malformed {
        /// Expected format.
        expected: &'static str,
    },
    /// The timestamp isn't a number of Unix seconds.
    #[error("the timestamp is malformed: expected a whole number of Unix seconds")]
    MalformedTimestamp,
    /// A different secret or body.
    #[error("the signature does not match: the secret differs, or the body was changed on its way")]
    Mismatch,
    /// Outdated or in the future: a replay, or one of the clocks is wrong.
    #[error("the timestamp is {seconds} s off the clock (at most {allowed} s are allowed)")]
    Stale {
        /// Deviation, in either direction.
        seconds: u64,
        /// Permitted deviation.
        allowed: u64,
    },
}

const HEX: SignatureError = SignatureError::Malformed { expected: "64 lower-case hex digits" };

/// The checks of an Events API request that don't need its body; a deviation equal to `tolerance` is accepted.
pub fn judge_events_api_headers(
    timestamp: &[u8],
    signature: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), SignatureError> {
    let seconds = seconds(timestamp)?;
    from_hex(signature).ok_or(HEX)?;
    fresh(seconds, now, tolerance)
}

impl SigningKey {
    /// Verifies Akeneo's signature, of either header.
    pub fn verify_akeneo(&self, signature: &[u8], body: &[u8]) -> Result<(), SignatureError> {
        let tag = from_hex(signature).ok_or(HEX)?;
        hmac::verify(&self.0, body, &tag).map_err(|_| SignatureError::Mismatch)
    }

    /// Verifies the signature of the older Events API over `{timestamp}.{body}`; a deviation equal to `tolerance` is
    /// accepted.
    pub fn verify_events_api(
        &self,
        timestamp: &[u8],
        signature: &[u8],
        body: &[u8],
        now: Timestamp,
        tolerance: Duration,
    ) -> Result<(), SignatureError> {
        let seconds = seconds(timestamp)?;
        let tag = from_hex(signature).ok_or(HEX)?;
        if !self.matches(&[timestamp, b".", body], &tag) {
            return Err(SignatureError::Mismatch);
        }
        fresh(seconds, now, tolerance)
    }

    /// Verifies Standard Webhooks' headers `webhook-id`, `webhook-timestamp` and `webhook-signature`: one of the
    /// signatures must be by this key.
    pub fn verify_standard(
        &self,
        (id, timestamp, signatures): (&[u8], &[u8], &[u8]),
        body: &[u8],
        now: Timestamp,
        tolerance: Duration,
    ) -> Result<(), SignatureError> {
        let seconds = seconds(timestamp)?;
        let mut understood = false;
        let mut genuine = false;
        for signature in signatures.split(|byte| *byte == b' ') {
            // Signatures of other versions may be present as well.
            let Some(tag) = signature.strip_prefix(b"v1,").and_then(|text| STANDARD.decode(text).ok()) else {
                continue;
            };
            understood = true;
            genuine |= self.matches(&[id, b".", timestamp, b".", body], &tag);
        }
        match (understood, genuine) {
            (false, _) => Err(SignatureError::Malformed { expected: "`v1,` and base64, separated by spaces" }),
            (true, false) => Err(SignatureError::Mismatch),
            (true, true) => fresh(seconds, now, tolerance),
        }
    }

    fn matches(&self, pieces: &[&[u8]], tag: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.over(pieces).as_ref(), tag).is_ok()
    }
}

fn seconds(timestamp: &[u8]) -> Result<i64, SignatureError> {
    let text = std::str::from_utf8(timestamp).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok()).ok_or(SignatureError::MalformedTimestamp)
}

fn fresh(seconds: i64, now: Timestamp, tolerance: Duration) -> Result<(), SignatureError> {
    let off = now.as_micros().div_euclid(1_000_000).abs_diff(seconds);
    let allowed = tolerance.as_secs();
    if off > allowed { Err(SignatureError::Stale { seconds: off, allowed }) } else { Ok(()) }
}

fn from_hex(text: &[u8]) -> Option<[u8; 32]> {
    let mut tag = [0; 32];
    if text.len() != 2 * tag.len() {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    for (byte, pair) in tag.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(tag)
}
