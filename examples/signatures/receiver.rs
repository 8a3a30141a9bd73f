//! A receiver that verifies signatures, with axum, tokio, aws-lc-rs and base64.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::{Engine, engine::general_purpose::STANDARD};

const LARGEST: usize = 2 << 20; // an event has at most 1 MiB

#[derive(Clone)]
pub struct Verifier {
    pub secret: String,
    pub tolerance: u64, // seconds; 0: accept replays
}

impl Verifier {
    fn hmac(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut context = Context::with_key(&Key::new(HMAC_SHA256, self.secret.as_bytes()));
        parts.iter().for_each(|part| context.update(part));
        context.sign().as_ref().to_vec()
    }

    /// One of the two signatures must match our secret; `body` holds the raw bytes.
    fn is_genuine(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        if self.secret.is_empty() {
            return false; // Anyone can sign with an empty key.
        }
        let expected: String = self.hmac(&[body]).iter().map(|byte| format!("{byte:02x}")).collect();
        let names = ["x-akeneo-signature-primary", "x-akeneo-signature-secondary"];
        names.iter().filter_map(|name| headers.get(*name)).any(|sent| same(sent.as_bytes(), &expected))
    }

    /// Standard Webhooks: the signature also covers the time of the attempt, so replays can be detected.
    fn is_fresh(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let header = |name: &str| headers.get(name).map_or(&b""[..], |value| value.as_bytes());
        let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let sent_at = std::str::from_utf8(timestamp).ok().and_then(|text| text.parse::<u64>().ok());
        if sent_at.is_none_or(|sent_at| now.abs_diff(sent_at) > self.tolerance) {
            return false;
        }
        let expected = format!("v1,{}", STANDARD.encode(self.hmac(&[id, b".", timestamp, b".", body])));
        header("webhook-signature").split(|byte| *byte == b' ').any(|sent| same(sent, &expected))
    }
}

/// Constant-time comparison.
fn same(sent: &[u8], expected: &str) -> bool {
    verify_slices_are_equal(sent, expected.as_bytes()).is_ok()
}

async fn receive(State(verifier): State<Verifier>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if !verifier.is_genuine(&headers, &body) || verifier.tolerance > 0 && !verifier.is_fresh(&headers, &body) {
        return StatusCode::UNAUTHORIZED;
    }
    // Only now: parse the body, queue it, answer, and process it afterwards.
    StatusCode::NO_CONTENT
}

/// `axum::serve(tokio::net::TcpListener::bind("127.0.0.1:4000").await?, router(verifier)).await?`
pub fn router(verifier: Verifier) -> Router {
    Router::new().route("/", post(receive)).layer(DefaultBodyLimit::max(LARGEST)).with_state(verifier)
}
