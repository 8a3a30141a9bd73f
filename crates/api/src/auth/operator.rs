//! The operator key, and its transmission in requests.

use aws_lc_rs::{constant_time, digest};
use domain::Secret;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The operator key; only its SHA-256 is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorKey([u8; digest::SHA256_OUTPUT_LEN]);

impl OperatorKey {
    /// Creates it from the key set by the operator.
    pub fn new(key: &Secret) -> OperatorKey {
        OperatorKey(hash(key.expose()))
    }

    pub(crate) fn is(&self, key: &str) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &hash(key)).is_ok()
    }
}

/// Not even the hash is printed: it would reveal a short key.
impl std::fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(Secret::MASK)
    }
}

fn hash(key: &str) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let mut hash = [0; digest::SHA256_OUTPUT_LEN];
    hash.copy_from_slice(digest::digest(&digest::SHA256, key.as_bytes()).as_ref());
    hash
}

/// The key of a request with exactly one `Authorization: Bearer <key>`; empty for other schemes.
pub(crate) fn key_sent(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    Some(if scheme.eq_ignore_ascii_case("bearer") { key.trim() } else { "" })
}
