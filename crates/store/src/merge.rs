//! Rules common to all backends: merging of log entries, their bounds, and their matching with queries.

use std::time::Duration;

use aws_lc_rs::digest;
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

/// Maximum number of entries per owner; the oldest are dropped (contract page 7, "Log entries").
pub const MOST_ENTRIES: u64 = 10_000;

/// Maximum number of stored bytes of entries per owner.
pub const MOST_ENTRY_BYTES: u64 = 16 << 20;

/// Maximum number of entries of a PIM that one new entry drops, so that a lowered bound never makes a write long.
pub const DROPPED_AT_ONCE: u64 = 100;

/// Key by which errors are merged, besides owner, subscriber and subscription. Actions have none and are never merged.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKey<'a> {
    /// Failed deliveries with the same message.
    FailedDelivery(&'a str),
    /// Rejected requests: method, path with its ids, code of the first error.
    Refused(&'a str, &'a str, &'a str),
}

impl<'a> ErrorKey<'a> {
    /// Key of an entry; `None` for an action.
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

    /// Its parts, the same number for each kind.
    pub fn parts(&self) -> [&'a str; 4] {
        match *self {
            ErrorKey::FailedDelivery(message) => [LogBody::FAILED_DELIVERY, message, "", ""],
            ErrorKey::Refused(method, path, reason) => [LogBody::REFUSED, method, path, reason],
        }
    }
}

/// Hash of the key by which an entry is merged; `None` for an action. Stored, so it never changes.
pub fn hash_of_error(entry: &LogEntry) -> Option<Vec<u8>> {
    let key = ErrorKey::of(&entry.body)?.parts();
    let of: [&[u8]; 4] = [
        &entry.owner.pim.0.to_le_bytes(),
        entry.owner.client_id.0.as_bytes(),
        entry.subscriber_id.as_ref().map_or(&[], |id| id.0.as_bytes()),
        entry.subscription_id.as_ref().map_or(&[], |id| id.0.as_bytes()),
    ];
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in of.into_iter().chain(key.map(str::as_bytes)) {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Some(hash.finish().as_ref().iter().take(16).copied().collect())
}

/// Whether `entry` is another occurrence of `latest`, given that they have the same key.
pub fn is_near(latest: &LogEntry, entry: &LogEntry) -> bool {
    entry.timestamp.since(latest.timestamp) <= MERGE_WINDOW
}

/// Counts `entry` as another occurrence of `into`, which then describes the latest one.
pub fn merge(into: &mut LogEntry, entry: &LogEntry) {
    into.absorb(entry);
}

/// Whether the entry matches the query, ignoring owner, order and paging.
pub fn matches(query: &LogQuery, entry: &LogEntry) -> bool {
    query.log_type.is_none_or(|wanted| wanted == log_type(&entry.body))
        && query.subscriber_id.is_none_or(|wanted| entry.subscriber_id == Some(wanted))
        && query.subscription_id.is_none_or(|wanted| entry.subscription_id == Some(wanted))
        && query.operation.as_deref().is_none_or(|wanted| wanted == entry.body.operation())
        && query.error_reason.as_deref().is_none_or(|wanted| entry.body.error_reason() == Some(wanted))
        && query.start_time.is_none_or(|start| entry.timestamp >= start)
        && query.end_time.is_none_or(|end| entry.timestamp < end)
}
