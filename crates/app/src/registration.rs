//! Registers PIMs in the catalogue: from the configuration, and for `postrider pim`.

use anyhow::Context;
use api::source_key;
use domain::pim::{Pim, SourceKey, TokenCheck, url_key};
use domain::{PimId, Secret, Timestamp};
use store::Catalog;

use crate::config::PimSettings;

/// A new key of a producer: the key itself, to be shown once, and what is kept of it.
pub(crate) fn new_key() -> anyhow::Result<(Secret, SourceKey)> {
    api::new_source_key(Timestamp::now()).context("the system gives no random numbers")
}

/// A PIM to be added; the store gives it its number.
pub(crate) fn new_pim(name: &str, url: &str, token_check: TokenCheck) -> anyhow::Result<Pim> {
    let url_key = url_key(url).with_context(|| format!("{url:?} is no base URL of a PIM"))?;
    Ok(Pim {
        id: PimId(0),
        name: name.to_owned(),
        url: url.to_owned(),
        url_key,
        keys: Vec::new(),
        token_check,
        static_tokens: Vec::new(),
        events_api_secret: None,
        created_at: Timestamp::now(),
        revision: 0,
    })
}

/// Brings the registrations in line with the configuration. PIMs that it does not name stay as they are.
pub(crate) async fn apply(catalog: &dyn Catalog, configured: &[PimSettings]) -> anyhow::Result<()> {
    let registered = catalog.pims().await?;
    for settings in configured {
        let known = registered.iter().find(|pim| pim.name == settings.name);
        let pim = merged(known, settings)?;
        let named = || format!("PIM {:?} of the configuration", settings.name);
        match known {
            None => {
                let added = catalog.add_pim(pim).await.with_context(named)?;
                tracing::info!(pim.name = added.name, pim.url = added.url, "registered a PIM of the configuration");
            }
            Some(known) if *known != pim => {
                catalog.update_pim(pim).await.with_context(named)?;
                tracing::info!(
                    pim.name = settings.name,
                    "changed the registration of a PIM to that of the configuration"
                );
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn merged(known: Option<&Pim>, settings: &PimSettings) -> anyhow::Result<Pim> {
    let mut pim = new_pim(&settings.name, &settings.url.0, settings.token_check.clone())?;
    pim.static_tokens = settings.static_tokens.clone();
    // As with keys: what `postrider pim events-api` set is in force where the configuration says nothing.
    let known_secret = known.and_then(|known| known.events_api_secret.clone());
    pim.events_api_secret = settings.events_api_secret.clone().or(known_secret);
    let known_keys = known.map(|known| known.keys.as_slice()).unwrap_or_default();
    pim.keys = match &settings.keys {
        None => known_keys.to_vec(),
        Some(keys) => keys
            .iter()
            .map(|key| {
                let fresh = source_key(key, Timestamp::now());
                known_keys.iter().find(|known| known.sha256 == fresh.sha256).cloned().unwrap_or(fresh)
            })
            .collect(),
    };
    if let Some(known) = known {
        pim.id = known.id;
        pim.created_at = known.created_at;
        pim.revision = known.revision;
    }
    Ok(pim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BaseUrl;

    fn configured(keys: Option<&[&str]>) -> PimSettings {
        PimSettings {
            name: "main".into(),
            url: BaseUrl::parse("https://pim.example.com").unwrap(),
            keys: keys.map(|keys| keys.iter().map(|key| Secret::new(*key)).collect()),
            token_check: TokenCheck::Static,
            static_tokens: Vec::new(),
            events_api_secret: None,
        }
    }

    #[test]
    fn the_hash_of_a_key_is_what_others_compute() {
        let key = source_key(&Secret::new("abc"), Timestamp::EPOCH);
        assert_eq!(key.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn new_keys_differ_and_do_not_show_in_what_is_kept() {
        let (first, kept) = new_key().unwrap();
        let (second, _) = new_key().unwrap();
        assert_ne!(first, second);
        assert!(first.expose().len() > 40 && !format!("{kept:?}").contains(first.expose()));
    }

    #[test]
    fn configured_keys_replace_the_others_and_absent_ones_leave_them() {
        let first = merged(None, &configured(Some(&["a-key-of-sixteen-chars"]))).unwrap();
        assert_eq!(first.keys.len(), 1);
        assert_eq!(merged(Some(&first), &configured(None)).unwrap(), first);
        assert_eq!(merged(Some(&first), &configured(Some(&["a-key-of-sixteen-chars"]))).unwrap(), first);
        let other = merged(Some(&first), &configured(Some(&["b-key-of-sixteen-chars"]))).unwrap();
        assert_ne!(other.keys[0].sha256, first.keys[0].sha256);
    }
}
