//! Client records.

use async_trait::async_trait;
use domain::ClientId;
use domain::subscriber::Owner;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use store::{ChangeError, ClientQuery, ClientRecord, Clients, Page, StoreError};

use super::condition;
use super::filter::{Filter, has_text};
use crate::SqliteStore;
use crate::batch::Batch;
use crate::failure::Failure;
use crate::readers::{PLATFORM, of_client, of_pim};

#[async_trait]
impl Clients for SqliteStore {
    async fn client(&self, owner: &Owner) -> Result<ClientRecord, StoreError> {
        let owner = owner.clone();
        self.read(of_client(&owner), move |connection| {
            let sql = "SELECT body FROM clients WHERE pim = ?1 AND client_id = ?2";
            let mut select = connection.prepare_cached(sql)?;
            let body = select.query_row((owner.pim.0, owner.client_id.0), |row| row.get::<_, String>(0)).optional()?;
            Ok(body.map(|body| serde_json::from_str(&body)).transpose()?.unwrap_or_default())
        })
        .await
    }

    async fn put_client(&self, owner: &Owner, client: ClientRecord) -> Result<(), ChangeError> {
        let owner = owner.clone();
        self.write(move |batch| put_client(batch, &owner, client)).await
    }

    async fn clients(&self, query: &ClientQuery) -> Result<Page<(ClientId, ClientRecord)>, StoreError> {
        let query = query.clone();
        self.read(of_pim(query.pim), move |connection| page(connection, &query)).await
    }

    async fn count_clients(&self) -> Result<u64, StoreError> {
        self.read(PLATFORM, |connection| {
            let sql = "SELECT count(*) FROM (SELECT pim, client_id FROM subscribers WHERE status <> 'deleted' \
                       UNION SELECT pim, client_id FROM clients) WHERE pim IN (SELECT id FROM pims)";
            Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
        })
        .await
    }
}

fn put_client(batch: &Batch<'_>, owner: &Owner, mut client: ClientRecord) -> Result<(), ChangeError> {
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

fn page(connection: &Connection, query: &ClientQuery) -> Result<Page<(ClientId, ClientRecord)>, Failure> {
    let asked_for = |sql: &str| {
        let mut filter = Filter::new(sql, [query.pim.0.into()]);
        filter.and("client_id > ?", query.after.clone().map(|after| after.0));
        filter.and(&has_text("client_id"), query.text.clone());
        filter
    };
    let mut both = asked_for("SELECT client_id FROM subscribers WHERE pim = ? AND status <> 'deleted'");
    let known = asked_for("SELECT client_id FROM clients WHERE pim = ?");
    both.sql = format!("{} UNION {}", both.sql, known.sql);
    both.values.extend(known.values);
    let Filter { sql, mut values } = both.page("client_id", query.limit);
    let sql = format!(
        "SELECT names.client_id, clients.body FROM ({sql}) AS names LEFT JOIN clients \
         ON clients.pim = ? AND clients.client_id = names.client_id ORDER BY names.client_id"
    );
    values.push(query.pim.0.into());
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let body: Option<String> = row.get(1)?;
        let known = body.map(|body| serde_json::from_str(&body)).transpose()?.unwrap_or_default();
        found.push((ClientId(row.get(0)?), known));
    }
    Ok(Page::of(found, query.limit))
}
