//! The port of clients: what is known of connections and apps.

use async_trait::async_trait;
use domain::pim::PlatformToken;
use domain::subscriber::Owner;
use domain::{ClientId, Timestamp};

use crate::catalog::page::{ClientQuery, Page};
use crate::error::{ChangeError, StoreError};

/// What is known of a connection or app beyond its subscribers.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct ClientRecord {
    /// Whether its PIM allows it to use the platform; `None` = never said otherwise.
    pub permission: Option<bool>,
    /// When it was removed from its PIM; it stays locked out until it is admitted again.
    pub revoked_at: Option<Timestamp>,
    /// The id of the event that told of its last removal, once that was carried out: its producer may repeat it, and a client that was
    /// admitted again since must not be removed by the repetition.
    #[serde(default)]
    pub removal: Option<String>,
    /// Tokens of the platform that the operator issued for it.
    #[serde(default)]
    pub tokens: Vec<PlatformToken>,
    /// Which version of it this is, 0 if nothing is known. The store counts it up with each change, and refuses a
    /// change of an older one.
    #[serde(default)]
    pub revision: u64,
}

/// Connections and apps of PIMs.
#[async_trait]
pub trait Clients: Send + Sync + 'static {
    /// What is known of a client; the default if nothing is.
    async fn client(&self, owner: &Owner) -> Result<ClientRecord, StoreError>;

    /// Keeps what is known of a client, which was made from that of [`ClientRecord::revision`]: a [`ChangeError::Conflict`]
    /// if there is a newer one. The revision is counted up. [`edit_client`](crate::edit_client) reads and tries again.
    async fn put_client(&self, owner: &Owner, client: ClientRecord) -> Result<(), ChangeError>;

    /// A page of the clients of a PIM, with what is known of each.
    async fn clients(&self, query: &ClientQuery) -> Result<Page<(ClientId, ClientRecord)>, StoreError>;

    /// How many there are of all registered PIMs.
    async fn count_clients(&self) -> Result<u64, StoreError>;
}
