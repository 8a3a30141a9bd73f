//! Client records.

use async_trait::async_trait;
use domain::ClientId;
use domain::subscriber::Owner;
use store::{ChangeError, ClientQuery, ClientRecord, Clients, Page, StoreError};

use super::change::Held;
use super::condition;
use super::filter::{Filter, has_text};
use crate::PostgresStore;
use crate::args::{Value, args, int, long, natural};
use crate::failure::Failure;
use crate::inner::SPREAD;
use crate::lines::{Line, PLATFORM, Tx, of_client, of_pim};

#[async_trait]
impl Clients for PostgresStore {
    async fn client(&self, owner: &Owner) -> Result<ClientRecord, StoreError> {
        let line = self.at.readers.line(of_client(owner)).await?;
        let sql = "SELECT body FROM clients WHERE pim = $1 AND client_id = $2";
        let rows = line.query(sql, args![int(owner.pim.0), owner.client_id.0]).await?;
        Ok(record(rows.first().map(|row| row.get(0)))?)
    }

    async fn put_client(&self, owner: &Owner, client: ClientRecord) -> Result<(), ChangeError> {
        let tx = self.at.changes.begin().await?;
        let put = put(&tx, owner, client).await;
        tx.end(put).await
    }

    async fn clients(&self, query: &ClientQuery) -> Result<Page<(ClientId, ClientRecord)>, StoreError> {
        let line = self.at.readers.line(of_pim(query.pim)).await?;
        Ok(page(&line, query).await?)
    }

    async fn count_clients(&self) -> Result<u64, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        let sql = "SELECT count(*) FROM (SELECT pim, client_id FROM subscribers WHERE status <> 'deleted' \
                   UNION SELECT pim, client_id FROM clients) AS c WHERE pim IN (SELECT id FROM pims)";
        let rows = line.query(sql, &[]).await?;
        Ok(rows.first().map_or(0, |row| natural(row.get(0))))
    }
}

fn record(body: Option<&str>) -> Result<ClientRecord, Failure> {
    Ok(body.map(serde_json::from_str).transpose()?.unwrap_or_default())
}

async fn put(tx: &Tx, owner: &Owner, mut client: ClientRecord) -> Result<(), ChangeError> {
    // Appends and changes that were judged by this record are committed before, or see the new one.
    Held::lock(tx, SPREAD.shard_of(owner.pim)).await?;
    if condition::client_revision(tx, owner).await? != client.revision {
        return Err(ChangeError::Conflict);
    }
    client.revision += 1;
    let body = serde_json::to_string(&client).map_err(Failure::from)?;
    let sql = "INSERT INTO clients (pim, client_id, revision, body) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (pim, client_id) DO UPDATE SET revision = excluded.revision, body = excluded.body";
    tx.execute(sql, args![int(owner.pim.0), owner.client_id.0, long(client.revision), body]).await?;
    Ok(())
}

async fn page(line: &Line, query: &ClientQuery) -> Result<Page<(ClientId, ClientRecord)>, Failure> {
    let pim = || Value::Int(int(query.pim.0));
    let both = "SELECT names.client_id, clients.body FROM (SELECT client_id FROM subscribers \
                WHERE pim = ? AND status <> 'deleted' UNION SELECT client_id FROM clients WHERE pim = ?) AS names \
                LEFT JOIN clients ON clients.pim = ? AND clients.client_id = names.client_id WHERE TRUE";
    let mut filter = Filter::new(both, [pim(), pim(), pim()]);
    filter.and("names.client_id > ?", query.after.clone().map(|after| Value::Text(after.0)));
    filter.and(&has_text("names.client_id"), query.text.clone().map(Value::Text));
    let filter = filter.page("names.client_id", query.limit);
    let rows = line.query(&filter.sql, &filter.args()).await?;
    let one = |row: &tokio_postgres::Row| Ok((ClientId(row.get(0)), record(row.get(1))?));
    let found = rows.iter().map(one).collect::<Result<Vec<_>, Failure>>()?;
    Ok(Page::of(found, query.limit))
}
