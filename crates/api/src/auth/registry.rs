//! In-memory index of the registered PIMs, by URL for API clients and by key for producers.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::{constant_time, digest};
use domain::pim::Pim;
use store::{Pims, StoreError};
use tokio::sync::Mutex as AsyncMutex;

/// The registrations of one version, without withdrawn PIMs.
pub(crate) struct Registrations {
    by_url: HashMap<String, Arc<Pim>>,
    by_name: HashMap<String, Arc<Pim>>,
    /// By the first bytes of a key's hash; the whole hash is compared in constant time.
    by_key: HashMap<[u8; 4], Vec<(Hash, Arc<Pim>)>>,
    /// Version of the store at reading.
    version: u64,
}

type Hash = [u8; digest::SHA256_OUTPUT_LEN];

impl Registrations {
    fn new(pims: Vec<Pim>, version: u64) -> Registrations {
        let mut by_url = HashMap::new();
        let mut by_name = HashMap::new();
        let mut by_key: HashMap<[u8; 4], Vec<_>> = HashMap::new();
        for pim in pims.into_iter().filter(|pim| !pim.is_withdrawn()) {
            let pim = Arc::new(pim);
            for key in &pim.keys {
                match hash_from_hex(&key.sha256) {
                    Some(hash) => by_key.entry(bucket(&hash)).or_default().push((hash, pim.clone())),
                    None => {
                        tracing::error!(
                            pim.name = %pim.name, key.prefix = %key.prefix,
                            "the stored hash of a source key is unreadable; rejecting the key"
                        )
                    }
                }
            }
            by_name.insert(pim.name.clone(), pim.clone());
            by_url.insert(pim.url_key.clone(), pim);
        }
        Registrations { by_url, by_name, by_key, version }
    }

    /// The PIM with this URL in normalised form.
    pub(crate) fn by_url(&self, url_key: &str) -> Option<&Arc<Pim>> {
        self.by_url.get(url_key)
    }

    /// The PIM with this name.
    pub(crate) fn by_name(&self, name: &str) -> Option<&Arc<Pim>> {
        self.by_name.get(name)
    }

    /// The PIM with this producer key.
    pub(crate) fn by_key(&self, key: &str) -> Option<&Arc<Pim>> {
        let mut hash: Hash = [0; digest::SHA256_OUTPUT_LEN];
        hash.copy_from_slice(digest::digest(&digest::SHA256, key.as_bytes()).as_ref());
        self.by_key
            .get(&bucket(&hash))?
            .iter()
            .find(|(known, _)| constant_time::verify_slices_are_equal(known, &hash).is_ok())
            .map(|(_, pim)| pim)
    }
}

/// Keys are random, so four bytes of their hash distinguish almost all of them and reveal nothing about a key.
fn bucket(hash: &Hash) -> [u8; 4] {
    [hash[0], hash[1], hash[2], hash[3]]
}

fn hash_from_hex(hex: &str) -> Option<Hash> {
    if hex.len() != 2 * digest::SHA256_OUTPUT_LEN || !hex.is_ascii() {
        return None;
    }
    let mut hash = [0; digest::SHA256_OUTPUT_LEN];
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(hash)
}

/// Keeps [`Registrations`] up to date.
#[derive(Default)]
pub(crate) struct Registry {
    current: RwLock<Option<Arc<Registrations>>>,
    reloading: AsyncMutex<()>,
}

impl Registry {
    /// The current registrations: a change made here or by another process is visible to everyone who asks after it. If
    /// several callers find a change, one reloads and the others wait for it.
    pub(crate) async fn current(&self, pims: &dyn Pims) -> Result<Arc<Registrations>, StoreError> {
        if let Some(known) = self.of_version(pims.pims_version()?) {
            return Ok(known);
        }
        let _turn = self.reloading.lock().await;
        // Before the PIMs: the next caller reloads changes made in between.
        let version = pims.pims_version()?;
        if let Some(known) = self.of_version(version) {
            return Ok(known);
        }
        let fresh = Arc::new(Registrations::new(pims.all_pims().await?, version));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(fresh.clone());
        Ok(fresh)
    }

    /// What `find` finds in the current registrations. Before it counts as unknown, changes by other processes are
    /// looked for.
    pub(crate) async fn find<T>(
        &self,
        pims: &dyn Pims,
        find: impl Fn(&Registrations) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let known = self.current(pims).await?;
        if let Some(found) = find(&known) {
            return Ok(Some(found));
        }
        pims.look_for_changed_pims().await?;
        let latest = self.current(pims).await?;
        Ok(if Arc::ptr_eq(&known, &latest) { None } else { find(&latest) })
    }

    fn of_version(&self, version: u64) -> Option<Arc<Registrations>> {
        self.known().filter(|known| known.version == version)
    }

    fn known(&self) -> Option<Arc<Registrations>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use domain::pim::{Origin, SourceKey};
    use domain::{PimId, Timestamp, testing};

    use super::*;

    fn pim(number: u32, keys: &[&str]) -> Pim {
        let hex = |key: &str| -> String {
            digest::digest(&digest::SHA256, key.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let key = |key: &&str| SourceKey {
            prefix: "pr".into(),
            sha256: hex(key),
            created_at: Timestamp::EPOCH,
            origin: Origin::Command,
        };
        Pim { id: PimId(number), keys: keys.iter().map(key).collect(), ..testing::pim(&format!("pim-{number}")) }
    }

    #[tokio::test]
    async fn a_key_names_its_pim_and_no_other() {
        let known = Registrations::new(vec![pim(1, &["old", "new"]), pim(2, &["other"])], 1);
        let named = |key: &str| known.by_key(key).map(|pim| pim.id.0);
        assert_eq!(named("old"), Some(1));
        assert_eq!(named("new"), Some(1));
        assert_eq!(named("other"), Some(2));
        assert_eq!(named("Other"), None);
        assert_eq!(named(""), None);
    }

    #[test]
    fn a_withdrawn_pim_is_not_found() {
        let mut withdrawn = pim(1, &["key"]);
        withdrawn.provenance.withdrawn_at = Some(Timestamp::EPOCH);
        let known = Registrations::new(vec![withdrawn], 1);
        assert!(known.by_key("key").is_none() && known.by_name("pim-1").is_none());
        assert!(known.by_url("https://pim-1.example.com").is_none());
    }
}
