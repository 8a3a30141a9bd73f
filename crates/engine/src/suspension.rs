//! When the platform suspends a subscription that its lane found wanting.

use domain::Timestamp;
use domain::outcome::SuspensionReason;
use domain::subscription::Subscription;
use store::{Change, transition};

/// The change that suspends `stored` for `reason`, or `None` if there is nothing to suspend any more: it is not active, was resumed
/// since, or has another destination than the one that was found wanting (`judged`).
pub fn change(
    stored: Subscription,
    judged: &Subscription,
    reason: SuspensionReason,
    subject: &str,
    now: Timestamp,
) -> Option<Change> {
    if !stored.status.is_active()
        || stored.generation != judged.generation
        || stored.destination.to_string() != judged.destination.to_string()
    {
        return None;
    }
    let mut change = Change::default();
    transition::suspend(&mut change, stored, reason, subject, now);
    Some(change)
}
