//! What an email advises its reader to do.

use domain::notification::{Notification, NotificationKind};

/// The next steps for the reader, with the API call.
pub(super) fn next_steps(reported: &Notification, public_url: &str) -> (Vec<String>, Option<String>) {
    let log = format!(
        "See the log for the events leading up to this: GET {public_url}/api/v1/logs?subscription_id={}",
        reported.subscription_id
    );
    match reported.kind {
        NotificationKind::SuspendedBySystem | NotificationKind::SuspendedByUser => {
            let first = "How to resume: fix the cause, then make this call with a token for the PIM. Events accepted \
                         during the suspension are lost unless the subscription holds them.";
            let call = format!(
                "curl -X POST {public_url}/api/v1/subscribers/{}/subscriptions/{}/resume \\\n  \
                 -H 'X-PIM-URL: {}' -H 'X-PIM-TOKEN: <token>' -H 'X-PIM-CLIENT-ID: <client id>'",
                reported.subscriber_id, reported.subscription_id, reported.subject
            );
            (vec![log, first.to_owned()], Some(call))
        }
        NotificationKind::Revoked => {
            let first = "It cannot be resumed. Once the connection or app is back in the PIM, create a new subscriber \
                         and new subscriptions.";
            (vec![log, first.to_owned()], None)
        }
        NotificationKind::Failing => {
            let first = "Fix the cause before the subscription is suspended: a suspension drops its undelivered events \
                         unless the subscription holds them.";
            (vec![log, first.to_owned()], None)
        }
        NotificationKind::Resumed | NotificationKind::Question => (vec![log], None),
    }
}
