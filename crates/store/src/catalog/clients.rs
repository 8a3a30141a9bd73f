//! Port of clients: records of connections and apps.

use async_trait::async_trait;
use domain::console_link::ConsoleLink;
use domain::pim::PlatformToken;
use domain::subscriber::Owner;
use domain::{ClientId, Timestamp};

use crate::catalog::page::{ClientQuery, Page};
use crate::error::{ChangeError, StoreError};

/// Record of a connection or app, apart from its subscribers.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct ClientRecord {
    /// Permission given by its PIM; `None` if never set.
    pub permission: Option<bool>,
    /// Time of its removal from the PIM; it stays locked out until it is admitted again.
    pub revoked_at: Option<Timestamp>,
    /// Id of the event that last removed it. The producer may send that event again, which must not remove a client
    /// admitted since.
    #[serde(default)]
    pub removal: Option<String>,
    /// Platform tokens issued by the operator.
    #[serde(default)]
    pub tokens: Vec<PlatformToken>,
    /// Console links that were not opened yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<ConsoleLink>,
    /// Revision of the record, 0 if there is none. The store increments it with each change and rejects a change of an
    /// older revision.
    #[serde(default)]
    pub revision: u64,
}

/// Connections and apps of PIMs.
#[async_trait]
pub trait Clients: Send + Sync + 'static {
    /// Record of a client; the default if there is none.
    async fn client(&self, owner: &Owner) -> Result<ClientRecord, StoreError>;

    /// Stores a record made from revision [`ClientRecord::revision`]: a [`ChangeError::Conflict`] if there is a newer
    /// one. The revision is incremented. [`edit_client`](crate::edit_client) reads and retries.
    async fn put_client(&self, owner: &Owner, client: ClientRecord) -> Result<(), ChangeError>;

    /// A page of the clients of a PIM, with their records.
    async fn clients(&self, query: &ClientQuery) -> Result<Page<(ClientId, ClientRecord)>, StoreError>;

    /// Number of clients of all registered PIMs.
    async fn count_clients(&self) -> Result<u64, StoreError>;
}
