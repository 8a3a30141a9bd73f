//! When the platform suspends a subscription that its lane found wanting.

use std::sync::Arc;

use domain::outcome::{Failure, SuspensionReason};
use domain::subscription::Subscription;
use domain::{Clock, Timestamp};
use store::transition::{self, Frequent};
use store::{Change, ChangeError, Store};

use crate::settings::STORE_AGAIN;

/// The change that suspends `stored` for `reason`, or `None` if there is nothing to suspend any more: it is not active,
/// was resumed since, or has another destination than the one that was found wanting (`judged`).
pub fn change(
    stored: Subscription,
    judged: &Subscription,
    reason: SuspensionReason,
    subject: &str,
    now: Timestamp,
) -> Option<Change> {
    if !stored.status.is_active()
        || stored.generation != judged.generation
        || stored.destination.identity() != judged.destination.identity()
    {
        return None;
    }
    let mut change = Change::default();
    transition::suspend(&mut change, stored, reason, subject, now);
    Some(change)
}

/// Says what exactly went wrong, in the words of the failure's log entry.
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

/// Suspends a subscription for the platform. Tries until it is done or there is nothing to suspend any more: the lane
/// has stopped sending.
pub(crate) async fn carry_out(
    store: Arc<dyn Store>,
    clock: Clock,
    judged: Arc<Subscription>,
    (reason, last): (SuspensionReason, Option<Failure>),
    frequent: Frequent,
) {
    loop {
        match try_to_suspend(&*store, &judged, (reason, last.as_ref()), clock.wall(), frequent).await {
            Ok(suspended) => {
                if suspended {
                    tracing::warn!(subscription.id = %judged.id, destination = %judged.destination, %reason, "subscription suspended");
                }
                return;
            }
            Err(ChangeError::Conflict) => {}
            Err(error) => {
                tracing::error!(subscription.id = %judged.id, %error, "cannot record a suspension; retrying");
                tokio::time::sleep(STORE_AGAIN).await;
            }
        }
    }
}

async fn try_to_suspend(
    store: &dyn Store,
    judged: &Subscription,
    (reason, last): (SuspensionReason, Option<&Failure>),
    now: Timestamp,
    frequent: Frequent,
) -> Result<bool, ChangeError> {
    let Some(stored) = store.subscription(judged.id).await? else { return Ok(false) };
    let pim = store.pim(judged.pim).await?;
    let subject = pim.as_ref().map_or("", |pim| pim.url.as_str());
    let Some(mut change) = change(stored, judged, reason, subject, now) else { return Ok(false) };
    explain(&mut change, reason, last);
    transition::say_if_frequent(store, &mut change, frequent).await?;
    store.change(change).await?;
    Ok(true)
}
