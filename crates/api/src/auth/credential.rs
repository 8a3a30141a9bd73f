//! Producer keys and platform tokens: generation and stored form.

use aws_lc_rs::{digest, rand};
use domain::pim::{Origin, PLATFORM_TOKEN, PlatformToken, SourceKey};
use domain::{Secret, Timestamp};

/// Length of the prefix shown in lists.
const KEY_PREFIX: usize = 8;

/// A new producer key: the key itself, shown once, and its stored form. `None` if the system provides no random
/// numbers.
pub fn new_source_key(now: Timestamp, origin: Origin) -> Option<(Secret, SourceKey)> {
    let key = random("pr_")?;
    let kept = source_key(&key, now, origin);
    Some((key, kept))
}

/// Stored form of a key.
pub fn source_key(key: &Secret, now: Timestamp, origin: Origin) -> SourceKey {
    let prefix = key.expose().chars().take(KEY_PREFIX).collect();
    SourceKey { prefix, sha256: sha256_hex(key.expose()), created_at: now, origin }
}

/// A random secret with a prefix for its kind.
pub(crate) fn random(beginning: &str) -> Option<Secret> {
    let mut bytes = [0; 24];
    rand::fill(&mut bytes).ok()?;
    Some(Secret::new(format!("{beginning}{}", hex(&bytes))))
}

/// SHA-256 of a text in lower-case hex, the stored form of keys and tokens.
pub(crate) fn sha256_hex(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Length of the prefix shown in lists, enough to distinguish a client's tokens.
const TOKEN_PREFIX: usize = PLATFORM_TOKEN.len() + 8;

/// A new token: the token itself, shown once, and its stored form. `None` if the system provides no random numbers.
pub fn new_platform_token(now: Timestamp) -> Option<(Secret, PlatformToken)> {
    let token = random(PLATFORM_TOKEN)?;
    let prefix = token.expose().chars().take(TOKEN_PREFIX).collect();
    let kept = PlatformToken { prefix, sha256: sha256_hex(token.expose()), created_at: now };
    Some((token, kept))
}
