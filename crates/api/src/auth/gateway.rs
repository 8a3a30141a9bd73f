//! The question that only a PIM can answer: is this token genuine, and whose is it?

use async_trait::async_trait;
use domain::ClientId;
use domain::pim::Pim;

/// Asks PIMs. Called once for each (PIM, client, token) and verdict's life, never for static tokens.
#[async_trait]
pub trait PimGateway: Send + Sync + 'static {
    /// Whether `token` is genuine and was issued to `client`.
    async fn verify(&self, pim: &Pim, client: &ClientId, token: &str) -> Verdict;

    /// Whether the PIM still lets `client` use the platform, asked without a token of the client's own.
    async fn permission(&self, _pim: &Pim, _client: &ClientId) -> Permission {
        Permission::NotAsked
    }
}

/// What a PIM says of a client that is not there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Permission {
    /// There is no way to ask: nobody registered what is needed for it.
    NotAsked,
    /// It may.
    Allowed,
    /// It may no longer.
    Withdrawn,
    /// The PIM did not say, or not clearly.
    Unknown {
        /// What happened, for the operator.
        message: String,
    },
}

/// What a PIM says of a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is genuine and belongs to the client.
    Genuine {
        /// Whether the client may use the Event Platform, where the PIM says so.
        permission: Option<bool>,
    },
    /// It is not genuine, or belongs to another client.
    Rejected {
        /// What the PIM said, for the caller.
        message: String,
    },
    /// It is genuine, but its role may not use the PIM's web API.
    WebApiForbidden,
    /// The PIM could not be asked: not reachable, or it failed.
    Unavailable {
        /// What happened, for the caller.
        message: String,
    },
    /// The token is genuine, but nothing proves that it belongs to the client.
    UnprovenClient {
        /// What is missing, for the caller and the operator.
        message: String,
    },
}
