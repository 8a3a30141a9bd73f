//! Registers PIMs in the catalogue: from the configuration, which is authoritative for its PIMs, and for `postrider
//! pim`.

use anyhow::{Context, bail};
use api::source_key;
use domain::outcome::SuspensionReason;
use domain::pim::{Origin, Pim, Provenance, SourceKey, TokenCheck, url_key};
use domain::subscription::{Subscription, SubscriptionStatus};
use domain::{Clock, PimId, Secret, Timestamp};
use store::{Change, ChangeError, StatusFilter, Store, SubscriptionQuery, Whose, edit_pim, transition};

use crate::config::PimSettings;

/// Each round is lost to a concurrent change by a command or a client.
const MAX_ROUNDS: usize = 100;
/// Number of subscriptions changed together.
const AT_ONCE: usize = 500;

/// A new producer key: the key itself, shown once, and its stored form.
pub(crate) fn new_key() -> anyhow::Result<(Secret, SourceKey)> {
    api::new_source_key(Clock::system().wall(), Origin::Command).context("the system gives no random numbers")
}

/// A PIM to be added; the store assigns its number.
pub(crate) fn new_pim(name: &str, url: &str, token_check: TokenCheck) -> anyhow::Result<Pim> {
    let url_key = url_key(url).with_context(|| format!("{url:?} is not the base URL of a PIM"))?;
    Ok(Pim {
        id: PimId(0),
        name: name.to_owned(),
        url: url.to_owned(),
        url_key,
        keys: Vec::new(),
        token_check,
        static_tokens: Vec::new(),
        events_api_secret: None,
        provenance: Provenance::default(),
        created_at: Clock::system().wall(),
        revision: 0,
    })
}

/// Brings the registrations in line with the configuration. Keys and secrets removed from it are revoked; PIMs removed
/// from it are locked out and paused. PIMs registered by commands or calls are unaffected.
pub(crate) async fn apply(catalog: &dyn Store, configured: &[PimSettings], now: Timestamp) -> anyhow::Result<()> {
    let registered = catalog.all_pims().await?;
    for settings in configured {
        let registered = register(catalog, &registered, settings, now).await;
        registered.with_context(|| format!("PIM {:?} of the configuration", settings.name))?;
    }
    let is_named = |pim: &Pim| configured.iter().any(|settings| settings.name == pim.name);
    for pim in registered.iter().filter(|pim| pim.provenance.pim == Origin::Configuration && !is_named(pim)) {
        withdraw(catalog, pim, now)
            .await
            .with_context(|| format!("PIM {:?}, removed from the configuration", pim.name))?;
    }
    Ok(())
}

/// Adds a PIM of the configuration, or brings its registration in line. `registered`: all PIMs, as read before.
async fn register(
    catalog: &dyn Store,
    registered: &[Pim],
    settings: &PimSettings,
    now: Timestamp,
) -> anyhow::Result<()> {
    let of_name = |pims: &[Pim]| pims.iter().find(|pim| pim.name == settings.name).cloned();
    refuse_new_name(registered, settings)?;
    let known = match of_name(registered) {
        Some(known) => known,
        None => match catalog.add_pim(merged(None, settings, now)?).await {
            Ok(added) => {
                tracing::info!(pim.name = added.name, pim.url = added.url, "registered a PIM from the configuration");
                return Ok(());
            }
            // Another node that starts with the same configuration may have been faster.
            Err(error) => match of_name(&catalog.all_pims().await?) {
                Some(known) => known,
                None => return Err(error.into()),
            },
        },
    };
    bring_back(catalog, known.id, now).await?;
    if merged(Some(&known), settings, now)? != known {
        let edit = |pim: &mut Pim| -> anyhow::Result<()> {
            *pim = merged(Some(pim), settings, now)?;
            Ok(())
        };
        edit_pim(catalog, known.id, edit).await?;
        tracing::info!(pim.name = settings.name, "updated the registration of a PIM from the configuration");
    }
    Ok(())
}

/// A known URL under a new name is a renamed PIM; its number, subscribers and events belong to the old name.
fn refuse_new_name(registered: &[Pim], settings: &PimSettings) -> anyhow::Result<()> {
    let other = registered.iter().find(|pim| pim.url_key == settings.url.key && pim.name != settings.name);
    match other {
        Some(other) => bail!(
            "its URL {:?} belongs to the registered PIM {:?}. If the name has changed, run `postrider pim rename {} \
             {}`",
            settings.url.url,
            other.name,
            other.name,
            settings.name
        ),
        None => Ok(()),
    }
}

/// Locks a PIM out and pauses its subscriptions.
async fn withdraw(catalog: &dyn Store, pim: &Pim, now: Timestamp) -> anyhow::Result<()> {
    if !pim.is_withdrawn() {
        let edit = |pim: &mut Pim| -> Result<(), ChangeError> {
            pim.provenance.withdrawn_at = Some(now);
            Ok(())
        };
        edit_pim(catalog, pim.id, edit).await?;
        tracing::warn!(
            pim.name = pim.name,
            "this PIM was removed from the configuration: it is locked out and its deliveries are paused until it is \
             added again; `postrider pim remove` revokes it permanently"
        );
    }
    // Also at a later start: an earlier one may have been interrupted.
    let stand_still = |change: &mut Change, stored| transition::stand_still(change, stored, now);
    change_all(catalog, pim.id, StatusFilter::Active, |_| true, stand_still).await
}

/// Resumes subscriptions paused while their PIM was not in the configuration.
async fn bring_back(catalog: &dyn Store, pim: PimId, now: Timestamp) -> anyhow::Result<()> {
    let withdrawn = SubscriptionStatus::Suspended(SuspensionReason::PimWithdrawn);
    let stands_still = |subscription: &Subscription| subscription.status == withdrawn;
    let go_on = |change: &mut Change, stored| transition::go_on(change, stored, now);
    change_all(catalog, pim, StatusFilter::Suspended, stands_still, go_on).await
}

/// Changes the subscriptions with a status that `which` selects, page by page.
async fn change_all(
    catalog: &dyn Store,
    pim: PimId,
    status: StatusFilter,
    which: impl Fn(&Subscription) -> bool,
    put: impl Fn(&mut Change, Subscription),
) -> anyhow::Result<()> {
    let of = Whose::pim(pim);
    let mut query = SubscriptionQuery { of, status, destination_type: None, text: None, after: None, limit: AT_ONCE };
    let mut rounds = 0;
    loop {
        let page = catalog.subscription_page(&query).await?;
        let next = page.last().map(|last| last.id);
        let mut change = Change::default();
        for subscription in page.items.into_iter().filter(|subscription| which(subscription)) {
            put(&mut change, subscription);
        }
        if !change.subscriptions.is_empty() {
            match catalog.change(change).await {
                Ok(_) => {}
                // A concurrent change: read the same page again.
                Err(ChangeError::Conflict) if rounds < MAX_ROUNDS => {
                    rounds += 1;
                    continue;
                }
                Err(other) => return Err(other.into()),
            }
        }
        match next {
            Some(next) => (query.after, rounds) = (Some(next), 0),
            None => return Ok(()),
        }
    }
}

/// The registration according to the configuration. Unspecified values set by commands and calls are kept; those set by
/// an earlier configuration are removed.
fn merged(known: Option<&Pim>, settings: &PimSettings, now: Timestamp) -> anyhow::Result<Pim> {
    let mut pim = new_pim(&settings.name, &settings.url.url, settings.token_check.clone())?;
    pim.static_tokens = settings.static_tokens.clone();
    let set_elsewhere = |known: &&Pim| known.provenance.events_api_secret != Origin::Configuration;
    let (secret, origin) = match (&settings.events_api_secret, known.filter(set_elsewhere)) {
        (Some(secret), _) => (Some(secret.clone()), Origin::Configuration),
        (None, Some(known)) => (known.events_api_secret.clone(), known.provenance.events_api_secret),
        (None, None) => (None, Origin::default()),
    };
    pim.events_api_secret = secret;
    pim.provenance = Provenance { pim: Origin::Configuration, events_api_secret: origin, withdrawn_at: None };
    let known_keys = known.map(|known| known.keys.as_slice()).unwrap_or_default();
    pim.keys = match &settings.keys {
        None => known_keys.iter().filter(|key| key.origin != Origin::Configuration).cloned().collect(),
        Some(keys) => keys
            .iter()
            .map(|key| {
                let fresh = source_key(key, now, Origin::Configuration);
                let made_at =
                    known_keys.iter().find(|known| known.sha256 == fresh.sha256).map(|known| known.created_at);
                SourceKey { created_at: made_at.unwrap_or(fresh.created_at), ..fresh }
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
mod tests;
