//! What is known of clients.

use async_trait::async_trait;
use domain::subscriber::Owner;
use domain::{ClientId, PimId};
use rusqlite::OptionalExtension;
use store::{ChangeError, Client, Clients, StoreError};

use super::condition;
use crate::SqliteStore;
use crate::batch::Batch;
use crate::failure::Failure;
use crate::readers::{of_client, of_pim};

#[async_trait]
impl Clients for SqliteStore {
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
