//! The catalogue: each method is one transaction or one read. The rows are in `rows`, a change in `change`, log entries in `entries`.

mod change;
mod condition;
mod entries;
mod outbox;
mod pims;
mod rows;

use std::sync::Arc;

use async_trait::async_trait;
use domain::log_entry::{LogEntry, LogQuery};
use domain::notification::Outgoing;
use domain::pim::Pim;
use domain::subscriber::{Owner, Subscriber};
use domain::subscription::Subscription;
use domain::{ClientId, PimId, ServiceHour, SubscriberId, SubscriptionId, Timestamp};
use rusqlite::{Connection, OptionalExtension};
use store::catalog::Made;
use store::{Catalog, Change, ChangeError, Changes, Client, LogPage, StoreError};

pub(crate) use condition::hold;
pub(crate) use entries::add as add_entry;
pub(crate) use rows::generation;

use crate::SqliteStore;
use crate::batch::Batch;
use crate::failure::Failure;
use crate::readers::{PLATFORM, of_client, of_pim};

/// Log entries deleted in one transaction.
const PRUNE_SLICE: u64 = 2_000;
/// So many changed subscriptions at once are a start, not a change.
const MANY_CHANGES: usize = 1_000;

#[async_trait]
impl Catalog for SqliteStore {
    fn changes(&self) -> &Changes {
        &self.changes
    }

    async fn pims(&self) -> Result<Vec<Pim>, StoreError> {
        let vault = Arc::clone(&self.vault);
        let (version, pims) = self
            .read(PLATFORM, move |connection| {
                // One snapshot.
                let transaction = connection.unchecked_transaction()?;
                Ok((version(&transaction)?, pims::all(&transaction, &vault)?))
            })
            .await?;
        // Another process may have removed a PIM, and revoked its subscriptions.
        self.changes.commit(version);
        Ok(pims)
    }

    fn pims_version(&self) -> Result<u64, StoreError> {
        Ok(pims::version(&self.asked.lock())?)
    }

    async fn add_pim(&self, pim: Pim) -> Result<Pim, ChangeError> {
        let vault = Arc::clone(&self.vault);
        self.write(move |batch| pims::add(batch, &vault, pim)).await
    }

    async fn update_pim(&self, pim: Pim) -> Result<(), ChangeError> {
        let vault = Arc::clone(&self.vault);
        self.write(move |batch| pims::update(batch, &vault, pim)).await
    }

    async fn remove_pim(&self, id: PimId, now: Timestamp) -> Result<(), ChangeError> {
        let vault = Arc::clone(&self.vault);
        self.write(move |batch| pims::remove(batch, &vault, id, now)).await
    }

    async fn client(&self, owner: &Owner) -> Result<Client, StoreError> {
        let owner = owner.clone();
        self.read(of_client(&owner), move |connection| {
            let sql = "SELECT body FROM clients WHERE pim = ?1 AND client_id = ?2";
            let mut select = connection.prepare_cached(sql)?;
            let body = select.query_row((owner.pim.0, owner.client_id.0), |row| row.get::<_, String>(0)).optional()?;
            Ok(body.map(|body| serde_json::from_str(&body)).transpose()?.unwrap_or_default())
        })
        .await
    }

    async fn put_client(&self, owner: &Owner, client: Client) -> Result<(), ChangeError> {
        let owner = owner.clone();
        self.write(move |batch| put_client(batch, &owner, client)).await
    }

    async fn subscriber(&self, id: SubscriberId) -> Result<Option<Subscriber>, StoreError> {
        let vault = Arc::clone(&self.vault);
        self.read(PLATFORM, move |connection| rows::subscriber(connection, &vault, id)).await
    }

    async fn subscribers(&self, owner: &Owner) -> Result<Vec<Subscriber>, StoreError> {
        let (vault, owner) = (Arc::clone(&self.vault), owner.clone());
        self.read(of_client(&owner), move |connection| {
            let which = "pim = ?1 AND client_id = ?2 AND status <> 'deleted' ORDER BY created_at, id";
            rows::subscribers(connection, &vault, which, (owner.pim.0, owner.client_id.0))
        })
        .await
    }

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        let vault = Arc::clone(&self.vault);
        self.read(PLATFORM, move |connection| rows::subscription(connection, &vault, id)).await
    }

    async fn subscriptions(&self, of: SubscriberId) -> Result<Vec<Subscription>, StoreError> {
        let vault = Arc::clone(&self.vault);
        self.read(PLATFORM, move |connection| {
            let which = "subscriber_id = ?1 AND status <> 'deleted' ORDER BY created_at, id";
            rows::subscriptions(connection, &vault, which, (of.0.as_bytes(),))
        })
        .await
    }

    async fn change(&self, change: Change) -> Result<Made, ChangeError> {
        let vault = Arc::clone(&self.vault);
        self.write(move |batch| change::make(batch, &vault, &change)).await
    }

    async fn changed_since(&self, since: u64) -> Result<(u64, Vec<Subscription>), StoreError> {
        let vault = Arc::clone(&self.vault);
        self.read(PLATFORM, move |connection| {
            // One snapshot.
            let transaction = connection.unchecked_transaction()?;
            let changed = rows::subscriptions(&transaction, &vault, "version > ?1 ORDER BY id", (since,))?;
            let version = version(&transaction)?;
            drop(transaction);
            if changed.len() > MANY_CHANGES {
                // A start: nobody reads all of the catalogue again.
                connection.execute_batch("PRAGMA shrink_memory")?;
            }
            Ok((version, changed))
        })
        .await
    }

    async fn add_entry(&self, entry: LogEntry) -> Result<(), StoreError> {
        self.write(move |batch| Ok(entries::add(batch, &entry)?)).await
    }

    async fn entries(&self, owner: &Owner, query: &LogQuery) -> Result<LogPage, StoreError> {
        let (owner, query) = (owner.clone(), query.clone());
        self.read(of_client(&owner), move |connection| entries::find(connection, &owner, &query)).await
    }

    async fn prune_entries(&self, before: ServiceHour) -> Result<u64, StoreError> {
        let mut pruned = 0;
        loop {
            let slice =
                self.write(move |batch| Ok::<_, StoreError>(entries::prune(batch, before, PRUNE_SLICE)?)).await?;
            pruned += slice;
            if slice < PRUNE_SLICE {
                return Ok(pruned);
            }
        }
    }

    async fn prune_deleted(&self, before: ServiceHour) -> Result<u64, StoreError> {
        self.write(move |batch| Ok(rows::prune(batch.connection(), before)?)).await
    }

    async fn notifications(&self, after: u64, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        let vault = Arc::clone(&self.vault);
        self.read(PLATFORM, move |connection| outbox::kept(connection, &vault, after, limit)).await
    }

    async fn put_back_notification(&self, outgoing: Outgoing) -> Result<(), ChangeError> {
        let vault = Arc::clone(&self.vault);
        self.write(move |batch| outbox::put_back(batch, &vault, outgoing)).await
    }

    async fn settle_notification(&self, id: uuid::Uuid) -> Result<(), StoreError> {
        self.write(move |batch| Ok(outbox::settle(batch, id)?)).await
    }

    async fn clients(&self, pim: PimId) -> Result<Vec<(ClientId, Client)>, StoreError> {
        self.read(of_pim(pim), move |connection| {
            let sql = "SELECT names.client_id, clients.body FROM (SELECT client_id FROM subscribers WHERE pim = ?1 AND \
                       status <> 'deleted' UNION SELECT client_id FROM clients WHERE pim = ?1) AS names LEFT JOIN \
                       clients ON clients.pim = ?1 AND clients.client_id = names.client_id ORDER BY names.client_id";
            let mut select = connection.prepare_cached(sql)?;
            let mut rows = select.query([pim.0])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let body: Option<String> = row.get(1)?;
                let client = body.map(|body| serde_json::from_str(&body)).transpose()?.unwrap_or_default();
                found.push((ClientId(row.get(0)?), client));
            }
            Ok(found)
        })
        .await
    }
}

fn put_client(batch: &Batch<'_>, owner: &Owner, mut client: Client) -> Result<(), ChangeError> {
    if condition::client_revision(batch, owner)? != client.revision {
        return Err(ChangeError::Conflict);
    }
    client.revision += 1;
    let body = serde_json::to_string(&client).map_err(Failure::from)?;
    let put = || -> Result<(), Failure> {
        let sql = "INSERT OR REPLACE INTO clients (pim, client_id, body) VALUES (?1, ?2, ?3)";
        batch.sql(sql)?.execute((owner.pim.0, &owner.client_id.0, body))?;
        Ok(())
    };
    Ok(put()?)
}

/// The catalogue's version.
pub(crate) fn version(connection: &Connection) -> Result<u64, Failure> {
    let sql = "SELECT value FROM meta WHERE name = 'version'";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}
