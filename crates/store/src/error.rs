//! Errors of a store, classified by the caller's possible reaction.

use std::time::Duration;

/// A failed operation of the store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was changed; a retry may succeed (disk full, I/O error).
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// Stored data cannot be read: don't retry, notify the operator.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
}

/// A failed operation reserved to the owner of a shard.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TenureError {
    /// The shard was taken over by another owner. Nothing was done; drop the shard.
    #[error("the shard was taken over by another process")]
    Fenced,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// None of the events were appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The disk or the backlog is nearly full: the producer should retry later.
    #[error("{message}")]
    BacklogFull {
        /// The exceeded bound, with figures.
        message: String,
        /// Delay before the retry.
        retry_after: Duration,
    },
    /// A [`Condition`](crate::Condition) doesn't hold any more: read and judge again, then retry.
    #[error("what the request was judged by has changed in the meantime")]
    Outdated,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// No part of a change was made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChangeError {
    /// Conflict with a concurrent change: read and merge again, then retry.
    #[error("changed by somebody else in the meantime")]
    Conflict,
    /// A [`Condition`](crate::Condition) doesn't hold any more: read and judge again, then retry.
    #[error("what the request was judged by has changed in the meantime")]
    Outdated,
    /// The limit of subscribers or subscriptions is reached.
    #[error("the limit of {limit} is reached")]
    LimitReached {
        /// The limit.
        limit: usize,
    },
    /// Another PIM has this name, URL or source key.
    #[error("{}", taken(field, pim))]
    Taken {
        /// `name`, `url` or `key`.
        field: &'static str,
        /// Name of the PIM that has it.
        pim: String,
    },
    /// The object doesn't exist.
    #[error("no such {0}")]
    Missing(&'static str),
    /// The change was reserved to the owner of a shard ([`Change::fence`](crate::Change::fence)), and the shard was
    /// taken over.
    #[error("the shard was taken over by another process")]
    Fenced,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Names the conflicting PIM, never a key.
fn taken(field: &str, pim: &str) -> String {
    match field {
        "name" => format!("a PIM named {pim:?} is already registered"),
        "url" => format!("the URL is that of the PIM {pim:?}"),
        _ => format!("one of the keys is one of the PIM {pim:?}; each source has keys of its own"),
    }
}

impl From<TenureError> for ChangeError {
    fn from(error: TenureError) -> ChangeError {
        match error {
            TenureError::Fenced => ChangeError::Fenced,
            TenureError::Store(error) => ChangeError::Store(error),
        }
    }
}
