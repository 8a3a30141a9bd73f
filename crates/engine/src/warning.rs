//! Warning about a subscription with a low success rate, before the platform suspends it.

use domain::Timestamp;
use store::{Change, ChangeError, Store, Tenure, transition};

use crate::core::Warn;
use crate::suspension::is_still;

/// Records a warning as the owner of the subscription's shard; `false` if there is nothing to warn of any more.
pub async fn warn(store: &dyn Store, tenure: Tenure, wanted: &Warn, now: Timestamp) -> Result<bool, ChangeError> {
    let Some(change) = prepare(store, tenure, wanted, now).await? else { return Ok(false) };
    store.change(change).await?;
    Ok(true)
}

/// The log entry and the notification of a warning, or `None` if there is nothing to warn of any more.
pub async fn prepare(
    store: &dyn Store,
    tenure: Tenure,
    wanted: &Warn,
    now: Timestamp,
) -> Result<Option<Change>, ChangeError> {
    let judged = &*wanted.subscription;
    let Some(stored) = store.subscription(judged.id).await?.filter(|stored| is_still(stored, judged)) else {
        return Ok(None);
    };
    let pim = store.pim(judged.pim).await?;
    let pim_url = pim.as_ref().map_or("", |pim| pim.url.as_str());
    let mut change = Change { fence: Some(tenure), ..Change::default() };
    let (delivered, all) = (wanted.counts.delivered, wanted.counts.delivered + wanted.counts.failed);
    transition::warn(&mut change, &stored, delivered, all, pim_url, now);
    if let Some(last) = &wanted.last {
        transition::remark(&mut change, &format!("the latest failure: {}", last.message));
    }
    Ok(Some(change))
}
