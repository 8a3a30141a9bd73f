//! The configured keys that protect secrets in the store.

use domain::Secret;
use store::vault::{MasterKey, Vault};

use crate::config::settings::Settings;

/// A vault with the configured keys; `None` without keys. Errors describe the problem but never reveal keys.
pub(crate) fn configured(settings: &Settings) -> Result<Option<Vault>, String> {
    let keys = settings.encryption.keys.iter().map(master_key).collect::<Result<Vec<_>, _>>()?;
    let mut keys = keys.into_iter();
    let Some(current) = keys.next() else { return Ok(None) };
    Vault::new(current, keys).map(Some).map_err(|error| error.to_string())
}

fn master_key(typed: &Secret) -> Result<MasterKey, String> {
    let with_hint = |problem: String| {
        format!("{problem}; a key is `<id>:<base64 of 32 bytes>`, such as `2026:$(openssl rand -base64 32)`")
    };
    let (id, text) = typed.expose().split_once(':').ok_or_else(|| with_hint("a key has no id".to_owned()))?;
    MasterKey::from_base64(id, text).map_err(|error| with_hint(error.to_string()))
}
