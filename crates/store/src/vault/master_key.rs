//! A master key and its id.

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// AES-256.
pub(super) const KEY_LEN: usize = 32;
/// Maximum length of a key's id.
const MAX_ID_LEN: usize = 64;

/// A key of 32 bytes with an id. `Debug` shows only the id.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    id: String,
    bytes: [u8; KEY_LEN],
}

/// An invalid key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The id.
    #[error("a master key's id is 1 to {MAX_ID_LEN} characters of A-Z a-z 0-9 . _ -, not {0:?}")]
    Id(String),
    /// The text isn't base64. The text itself is not shown.
    #[error("the master key {0:?} is not base64; `openssl rand -base64 32` makes a key")]
    NotBase64(String),
    /// The length.
    #[error("the master key {id:?} has {found} bytes; it must have {KEY_LEN}: `openssl rand -base64 32` makes a key")]
    Length {
        /// The key's id.
        id: String,
        /// Its length in bytes.
        found: usize,
    },
    /// The system provided no randomness.
    #[error("no random key could be made")]
    NoRandomness,
}

impl MasterKey {
    /// A key from bytes.
    pub fn new(id: &str, bytes: &[u8]) -> Result<MasterKey, MasterKeyError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if id.is_empty() || id.len() > MAX_ID_LEN || !id.chars().all(allowed) {
            return Err(MasterKeyError::Id(id.to_owned()));
        }
        let found = bytes.len();
        let bytes = bytes.try_into().map_err(|_| MasterKeyError::Length { id: id.to_owned(), found })?;
        Ok(MasterKey { id: id.to_owned(), bytes })
    }

    /// A configured key: 32 bytes in base64, of either alphabet, padded or not.
    pub fn from_base64(id: &str, text: &str) -> Result<MasterKey, MasterKeyError> {
        let text = text.trim();
        let engines = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
        let bytes = engines.iter().find_map(|engine| engine.decode(text).ok());
        MasterKey::new(id, &bytes.ok_or_else(|| MasterKeyError::NotBase64(id.to_owned()))?)
    }

    /// A new key.
    pub fn random(id: &str) -> Result<MasterKey, MasterKeyError> {
        let mut bytes = [0; KEY_LEN];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| MasterKeyError::NoRandomness)?;
        MasterKey::new(id, &bytes)
    }

    /// A new key with an id derived from itself, so that two keys never share one.
    pub fn generate() -> Result<MasterKey, MasterKeyError> {
        let mut key = MasterKey::random("new")?;
        let digest = digest::digest(&digest::SHA256, &[b"master key id\0".as_slice(), &key.bytes].concat());
        let hex: String = digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        key.id = format!("key-{hex}");
        Ok(key)
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key itself in base64, to be written down.
    pub fn expose_base64(&self) -> String {
        STANDARD.encode(self.bytes)
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.bytes
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}
