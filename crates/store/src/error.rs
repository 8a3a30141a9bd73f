//! What can go wrong in a store, named for what the caller can do about it.

use std::time::Duration;

/// The store did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was changed; it may work later (disk full, input/output error).
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What is stored cannot be read: try nothing again, tell the operator.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
}

/// Something that only the owner of a shard may do was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TenureError {
    /// The shard was taken over: this process is not its owner any more. Nothing was done; drop the shard.
    #[error("the shard was taken over by another process")]
    Fenced,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Events were not appended; none of them.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The disk or the bound of the backlog is near: the producer should come back.
    #[error("{message}")]
    BacklogFull {
        /// What is full, with figures.
        message: String,
        /// When to come back.
        retry_after: Duration,
    },
    /// A [`Condition`](crate::Condition) does not hold any more: look again, judge again, try again.
    #[error("what the request was judged by has changed in the meantime")]
    Outdated,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A change was not made; no part of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChangeError {
    /// Somebody else changed it since it was read: read again, merge again, try again.
    #[error("changed by somebody else in the meantime")]
    Conflict,
    /// A [`Condition`](crate::Condition) does not hold any more: look again, judge again, try again.
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
        /// The name of the PIM that has it.
        pim: String,
    },
    /// There is no such thing.
    #[error("no such {0}")]
    Missing(&'static str),
    /// It was to be made by the owner of a shard ([`Change::fence`](crate::Change::fence)), and the shard was taken
    /// over.
    #[error("the shard was taken over by another process")]
    Fenced,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Names the PIM that has it; never a key.
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
