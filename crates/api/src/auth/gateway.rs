//! Port for questions that only a PIM can answer: whether a token is genuine, and whose it is.

use async_trait::async_trait;
use domain::ClientId;
use domain::pim::Pim;

/// Asks PIMs. Called once per (PIM, client, token) and lifetime of a verdict, never for static tokens.
#[async_trait]
pub trait PimGateway: Send + Sync + 'static {
    /// Whether `token` is genuine and was issued to `client`.
    async fn verify(&self, pim: &Pim, client: &ClientId, token: &str) -> Verdict;

    /// Whether the PIM still permits `client` to use the platform, without a token of that client.
    async fn permission(&self, _pim: &Pim, _client: &ClientId) -> Permission {
        Permission::NotAsked
    }
}

/// A PIM's statement about an absent client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Permission {
    /// Not possible: no credentials are registered.
    NotAsked,
    /// Granted.
    Allowed,
    /// Withdrawn.
    Withdrawn,
    /// No clear answer from the PIM.
    Unknown {
        /// Details, for the operator.
        message: String,
    },
}

/// A PIM's verdict on a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Genuine, and belongs to the client.
    Genuine {
        /// Whether the client may use the Event Platform, if the PIM states it.
        permission: Option<bool>,
    },
    /// Not genuine, or belongs to another client.
    Rejected {
        /// The PIM's message, for the caller.
        message: String,
    },
    /// Genuine, but its role may not use the PIM's web API.
    WebApiForbidden,
    /// The PIM is unreachable or failed.
    Unavailable {
        /// Details, for the caller.
        message: String,
    },
    /// Genuine, but not proven to belong to the client.
    UnprovenClient {
        /// What is missing, for the caller and the operator.
        message: String,
    },
}
