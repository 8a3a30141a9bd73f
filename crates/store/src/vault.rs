//! Sealing of secrets before they are stored.
//!
//! Envelope encryption: each value is encrypted with its own data key, which is wrapped by a master key, both with
//! AES-256-GCM. The id of the master key is stored with it, so that keys can be rotated one value at a time. The
//! value's row and owner are authenticated with it: a sealed value moved to another row doesn't open, nor does a row
//! given to another tenant or client. Version 1 bound the row only.
//!
//! ```text
//! version u8 | length of key id u8 | key id | nonce 12 | data key 32 | tag 16 | nonce 12 | value | tag 16
//! ```

mod key_file;
mod master_key;

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;

pub use key_file::{KeyFileError, open_key_file};
use master_key::KEY_LEN;
pub use master_key::{MasterKey, MasterKeyError};

/// Bound to the row only.
const OF_ROW: u8 = 1;
/// Bound to the row and its owner: the version used for sealing.
const OF_OWNER: u8 = 2;
const TAG_LEN: usize = 16;

/// A value could not be sealed or opened.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VaultError {
    /// A master key must be configured again.
    #[error(
        "{what} is sealed with the master key {key_id:?}, which is not among the configured keys ({configured}); \
         without it the secret cannot be read: add that key again, or restore the key file that belongs to this data"
    )]
    MissingKey {
        /// The key's id.
        key_id: String,
        /// The value.
        what: String,
        /// Ids of the configured keys.
        configured: String,
    },
    /// A different key has this id, or the value was changed or moved.
    #[error(
        "{what} cannot be opened with the master key {key_id:?}: the key is not the one that sealed it, or the stored \
         value was damaged"
    )]
    WrongKey {
        /// The key's id.
        key_id: String,
        /// The value.
        what: String,
    },
    /// Not a sealed value.
    #[error("{what} is not a sealed value: {problem}")]
    Damaged {
        /// The value.
        what: String,
        /// The problem.
        problem: &'static str,
    },
    /// No randomness, or an oversized value.
    #[error("a value could not be sealed")]
    Sealing,
    /// Two different keys with one id.
    #[error("two different master keys have the id {0:?}; give each key an id of its own")]
    Ambiguous(String),
}

/// A ring of master keys: the current one seals, all of them open.
#[derive(Debug)]
pub struct Vault {
    current: MasterKey,
    keys: BTreeMap<String, MasterKey>,
}

impl Vault {
    /// A ring of the current key and older ones.
    pub fn new(current: MasterKey, older: impl IntoIterator<Item = MasterKey>) -> Result<Vault, VaultError> {
        let mut keys = BTreeMap::from([(current.id().to_owned(), current.clone())]);
        for key in older {
            let other = keys.insert(key.id().to_owned(), key.clone());
            if let Some(other) = other.filter(|other| *other != key) {
                return Err(VaultError::Ambiguous(other.id().to_owned()));
            }
        }
        Ok(Vault { current, keys })
    }

    /// Id of the key that seals.
    pub fn current_key_id(&self) -> &str {
        self.current.id()
    }

    /// A key for message authentication from each master key, the current one first: for messages between processes
    /// with the same keys. Each purpose has keys of its own.
    pub fn mac_keys(&self, purpose: &str) -> Vec<hmac::Key> {
        let older = self.keys.values().filter(|key| key.id() != self.current.id());
        let derived = |key: &MasterKey| {
            let master = hmac::Key::new(hmac::HMAC_SHA256, key.bytes());
            let derived = hmac::sign(&master, format!("message authentication\0{purpose}").as_bytes());
            hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
        };
        std::iter::once(&self.current).chain(older).map(derived).collect()
    }

    /// Seals a value. `what` names its row, such as `subscription 0192…`, and `owner` is the row's owner; opening
    /// requires the same.
    pub fn seal(&self, plain: &[u8], what: &str, owner: &str) -> Result<Vec<u8>, VaultError> {
        self.seal_as(OF_OWNER, plain, what, owner)
    }

    fn seal_as(&self, version: u8, plain: &[u8], what: &str, owner: &str) -> Result<Vec<u8>, VaultError> {
        let data_key = MasterKey::random("data").map_err(|_| VaultError::Sealing)?;
        let id = self.current.id().as_bytes();
        let id_len = u8::try_from(id.len()).map_err(|_| VaultError::Sealing)?;
        let mut out = vec![version, id_len];
        out.extend_from_slice(id);
        let binding = Binding { version, what, owner };
        encrypt(&self.current, data_key.bytes(), Purpose::Wrap, binding, &mut out)?;
        encrypt(&data_key, plain, Purpose::Value, binding, &mut out)?;
        Ok(out)
    }

    /// Opens a sealed value.
    pub fn open(&self, sealed: &[u8], what: &str, owner: &str) -> Result<Vec<u8>, VaultError> {
        let (version, key, rest) = self.key_of(sealed, what)?;
        let binding = Binding { version, what, owner };
        let wrapped_len = NONCE_LEN + KEY_LEN + TAG_LEN;
        let damaged = |problem| VaultError::Damaged { what: what.to_owned(), problem };
        let (wrapped, value) = rest.split_at_checked(wrapped_len).ok_or_else(|| damaged("it is too short"))?;
        let wrong = || VaultError::WrongKey { key_id: key.id().to_owned(), what: what.to_owned() };
        let data_key = decrypt(key, wrapped, Purpose::Wrap, binding).ok_or_else(wrong)?;
        let data_key = MasterKey::new("data", &data_key).map_err(|_| damaged("its data key has another length"))?;
        decrypt(&data_key, value, Purpose::Value, binding).ok_or_else(wrong)
    }

    /// Checks that a key for a value is available; cheap enough for every value at a start.
    pub fn check(&self, sealed: &[u8], what: &str) -> Result<(), VaultError> {
        self.key_of(sealed, what).map(|_| ())
    }

    /// Whether a value is sealed with the current key and binding; if not, it can be resealed so that an older key can
    /// be removed.
    pub fn is_current(&self, sealed: &[u8], what: &str) -> Result<bool, VaultError> {
        let (version, key, _) = self.key_of(sealed, what)?;
        Ok(version == OF_OWNER && key.id() == self.current.id())
    }

    fn key_of<'a>(&self, sealed: &'a [u8], what: &str) -> Result<(u8, &MasterKey, &'a [u8]), VaultError> {
        let damaged = |problem| VaultError::Damaged { what: what.to_owned(), problem };
        let [version, id_len, rest @ ..] = sealed else { return Err(damaged("it is too short")) };
        if !matches!(*version, OF_ROW | OF_OWNER) {
            return Err(damaged("its format is of another version"));
        }
        let split = rest.split_at_checked(usize::from(*id_len));
        let (id, rest) = split.ok_or_else(|| damaged("it ends in the key's id"))?;
        let id = std::str::from_utf8(id).map_err(|_| damaged("its key's id is no text"))?;
        let key = self.keys.get(id).ok_or_else(|| VaultError::MissingKey {
            key_id: id.to_owned(),
            what: what.to_owned(),
            configured: self.keys.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        })?;
        Ok((*version, key, rest))
    }
}

/// Purpose of an encryption; authenticated, so that one can never pass for the other.
#[derive(Clone, Copy)]
enum Purpose {
    Wrap,
    Value,
}

/// Binding of a value.
#[derive(Clone, Copy)]
struct Binding<'a> {
    version: u8,
    what: &'a str,
    owner: &'a str,
}

fn associated(purpose: Purpose, binding: Binding<'_>) -> Aad<Vec<u8>> {
    let prefix: &[u8] = match purpose {
        Purpose::Wrap => b"wrap\0",
        Purpose::Value => b"value\0",
    };
    let mut bound = [prefix, binding.what.as_bytes()].concat();
    if binding.version != OF_ROW {
        bound.push(0);
        bound.extend_from_slice(binding.owner.as_bytes());
    }
    Aad::from(bound)
}

/// Appends nonce, ciphertext and tag.
fn encrypt(
    key: &MasterKey,
    plain: &[u8],
    purpose: Purpose,
    binding: Binding<'_>,
    out: &mut Vec<u8>,
) -> Result<(), VaultError> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key.bytes()).map_err(|_| VaultError::Sealing)?;
    let mut text = plain.to_vec();
    let bound = associated(purpose, binding);
    let nonce = key.seal_in_place_append_tag(bound, &mut text).map_err(|_| VaultError::Sealing)?;
    out.extend_from_slice(nonce.as_ref());
    out.extend_from_slice(&text);
    Ok(())
}

fn decrypt(key: &MasterKey, sealed: &[u8], purpose: Purpose, binding: Binding<'_>) -> Option<Vec<u8>> {
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let key = RandomizedNonceKey::new(&AES_256_GCM, key.bytes()).ok()?;
    let mut text = text.to_vec();
    let length = key.open_in_place(nonce, associated(purpose, binding), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

#[cfg(test)]
mod tests;
