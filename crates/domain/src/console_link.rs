//! Links to the console that a client makes for its own users.

use serde::{Deserialize, Serialize};

use crate::id::SubscriberId;
use crate::time::Timestamp;

/// A link that was not opened yet. Only the SHA-256 of its secret is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConsoleLink {
    /// Lower-case hex SHA-256 of the secret.
    pub sha256: String,
    /// The only accessible subscriber.
    pub subscriber: SubscriberId,
    /// Whether nothing can be changed with it.
    pub read_only: bool,
    /// End of the link, and of the session that it begins.
    pub expires_at: Timestamp,
}

impl ConsoleLink {
    /// Maximum number of unopened links of a client; a further one replaces the oldest.
    pub const MOST: usize = 100;
}
