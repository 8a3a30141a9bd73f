//! Suspension of a subscription by the platform, as requested by its lane.

use domain::Timestamp;
use domain::outcome::{Failure, SuspensionReason};
use domain::subscription::Subscription;
use store::transition::{self, Frequent};
use store::{Change, ChangeError, Store, Tenure};

use crate::core::Suspend;

/// Suspends a subscription as the owner of its shard; `false` if there is nothing to suspend any more.
pub async fn suspend(
    store: &dyn Store,
    tenure: Tenure,
    wanted: &Suspend,
    now: Timestamp,
    frequent: Frequent,
) -> Result<bool, ChangeError> {
    let Some(change) = prepare(store, tenure, wanted, now, frequent).await? else { return Ok(false) };
    store.change(change).await?;
    Ok(true)
}

/// The change that suspends a subscription, or `None` if there is nothing to suspend any more.
pub async fn prepare(
    store: &dyn Store,
    tenure: Tenure,
    wanted: &Suspend,
    now: Timestamp,
    frequent: Frequent,
) -> Result<Option<Change>, ChangeError> {
    let judged = &*wanted.subscription;
    let Some(stored) = store.subscription(judged.id).await? else { return Ok(None) };
    if !is_still(&stored, judged) {
        return Ok(None);
    }
    let pim = store.pim(judged.pim).await?;
    let pim_url = pim.as_ref().map_or("", |pim| pim.url.as_str());
    let mut change = Change { fence: Some(tenure), ..Change::default() };
    transition::suspend(&mut change, stored, wanted.reason, pim_url, now);
    explain(&mut change, wanted.reason, wanted.last.as_ref());
    transition::say_if_frequent(store, &mut change, frequent).await?;
    Ok(Some(change))
}

/// Whether it is active, was not resumed since it was judged, and has the same destination.
pub(crate) fn is_still(stored: &Subscription, judged: &Subscription) -> bool {
    stored.status.is_active()
        && stored.generation == judged.generation
        && stored.destination.identity() == judged.destination.identity()
}

/// Adds the details of the problem, in the words of the failure's log entry.
fn explain(change: &mut Change, reason: SuspensionReason, last: Option<&Failure>) {
    let Some(last) = last else { return };
    match reason {
        SuspensionReason::Destination(broken) if broken == last.reason => transition::say(change, &last.message),
        SuspensionReason::SuccessRate | SuspensionReason::TookNothing => {
            transition::remark(change, &format!("the latest failure: {}", last.message));
        }
        SuspensionReason::Destination(_)
        | SuspensionReason::User
        | SuspensionReason::Operator
        | SuspensionReason::PermissionWithdrawn
        | SuspensionReason::PimWithdrawn => {}
    }
}
