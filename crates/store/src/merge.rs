//! Which log entries are one, how many an owner may have, and which ones a query asks for: rules that are the same in
//! every backend.

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

/// An owner has at most so many entries; the oldest go (contract page 7, "Log entries").
pub const MOST_ENTRIES: u64 = 10_000;

/// An owner has at most so many bytes of entries, as they are stored.
pub const MOST_ENTRY_BYTES: u64 = 16 << 20;

/// What errors have in common that become one entry, besides owner, subscriber and subscription. Actions have none:
/// they are never merged.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKey<'a> {
    /// Failed deliveries with one message.
    FailedDelivery(&'a str),
    /// Requests that were refused: method, path with its ids, code of the first error.
    Refused(&'a str, &'a str, &'a str),
}

impl<'a> ErrorKey<'a> {
    /// That of an entry; `None` for an action.
    pub fn of(body: &'a LogBody) -> Option<ErrorKey<'a>> {
        match body {
            LogBody::Action(_) => None,
            LogBody::FailedDelivery(failure) => Some(ErrorKey::FailedDelivery(&failure.message)),
            LogBody::Refused(refused) => {
                let path = refused.url.split('?').next().unwrap_or_default();
                Some(ErrorKey::Refused(&refused.method, path, &refused.reason))
            }
        }
    }

    /// The parts of it, the same number for each.
    pub fn parts(&self) -> [&'a str; 4] {
        match *self {
            ErrorKey::FailedDelivery(message) => [LogBody::FAILED_DELIVERY, message, "", ""],
            ErrorKey::Refused(method, path, reason) => [LogBody::REFUSED, method, path, reason],
        }
    }
}

/// Whether `entry` is another occurrence of `latest`. Both are known to have the same key.
pub fn is_near(latest: &LogEntry, entry: &LogEntry) -> bool {
    entry.timestamp.since(latest.timestamp) <= MERGE_WINDOW
}

/// Counts `entry` as another occurrence of `into`, which tells what the latest one was.
pub fn merge(into: &mut LogEntry, entry: &LogEntry) {
    into.absorb(entry);
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
