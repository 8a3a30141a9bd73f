//! Which log entries are one, and which ones a query asks for: rules that are the same in every backend.

use std::time::Duration;

use domain::log_entry::{LogBody, LogEntry, LogQuery, LogType};

/// Equal errors this close to the latest occurrence become one entry (contract page 5).
pub const MERGE_WINDOW: Duration = Duration::from_secs(5 * 60);

/// `action` or `error`.
pub fn log_type(body: &LogBody) -> LogType {
    match body {
        LogBody::Action(_) => LogType::Action,
        LogBody::FailedDelivery(_) | LogBody::Refused(_) => LogType::Error,
    }
}

/// What errors have in common that become one entry, besides owner, subscriber and subscription: operation and message. Actions have none: they are never merged.
pub fn error_key(body: &LogBody) -> Option<(&'static str, &str)> {
    match body {
        LogBody::Action(_) => None,
        LogBody::FailedDelivery(failure) => Some((body.operation(), &failure.message)),
        LogBody::Refused(refused) => Some((body.operation(), &refused.message)),
    }
}

/// Whether `entry` is another occurrence of `latest`. Both are known to have the same key.
pub fn is_near(latest: &LogEntry, entry: &LogEntry) -> bool {
    entry.timestamp.since(latest.timestamp) <= MERGE_WINDOW
}

/// Counts `entry` as another occurrence of `into`.
pub fn merge(into: &mut LogEntry, entry: &LogEntry) {
    into.timestamp = into.timestamp.max(entry.timestamp);
    into.count = into.count.saturating_add(entry.count);
}

/// Whether the query asks for this entry, apart from owner, order and paging.
pub fn matches(query: &LogQuery, entry: &LogEntry) -> bool {
    query.log_type.is_none_or(|wanted| wanted == log_type(&entry.body))
        && query.subscriber_id.is_none_or(|wanted| entry.subscriber_id == Some(wanted))
        && query.subscription_id.is_none_or(|wanted| entry.subscription_id == Some(wanted))
        && query.operation.as_deref().is_none_or(|wanted| wanted == entry.body.operation())
        && query.error_reason.as_deref().is_none_or(|wanted| entry.body.error_reason() == Some(wanted))
        && query.start_time.is_none_or(|start| entry.timestamp >= start)
        && query.end_time.is_none_or(|end| entry.timestamp < end)
}
