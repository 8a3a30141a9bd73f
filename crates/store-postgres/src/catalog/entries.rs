//! Log entries: merged if equal, and queried.

use async_trait::async_trait;
use domain::log_entry::{LogEntry, LogOrder, LogQuery, LogType};
use domain::subscriber::Owner;
use domain::{PimId, ServiceHour, Timestamp};
use store::{Entries, LogPage, StoreError, Tenure, TenureError, merge};
use tokio_postgres::Row;

use super::filter::Filter;
use crate::PostgresStore;
use crate::args::{Value, args, int, long, natural};
use crate::failure::Failure;
use crate::inner::{self, Inner, number, shard_of};
use crate::lines::{Line, Tx, of_client};

/// Log entries deleted in one transaction.
const PRUNE_SLICE: i64 = 2_000;

#[async_trait]
impl Entries for PostgresStore {
    async fn add_entry(&self, entry: LogEntry) -> Result<(), StoreError> {
        let tx = self.at.changes.begin().await?;
        let added = add(&tx, &self.at, &entry).await;
        Ok(tx.end(added).await?)
    }

    async fn entries(&self, owner: &Owner, query: &LogQuery) -> Result<LogPage, StoreError> {
        let line = self.at.readers.line(of_client(owner)).await?;
        Ok(find(&line, owner, query).await?)
    }

    async fn prune_entries(&self, tenure: &Tenure, before: ServiceHour) -> Result<u64, TenureError> {
        let mut pruned = 0;
        loop {
            let tx = self.at.begin_owned(tenure).await?;
            let slice = prune(&tx, tenure, before).await;
            match tx.end(slice).await? {
                0 => return Ok(pruned),
                slice => pruned += slice,
            }
        }
    }
}

/// Waits for other writers of a PIM's entries: equal errors become one, and totals are counted in one order.
async fn lock(tx: &Tx, pim: PimId) -> Result<(), Failure> {
    tx.query("SELECT pg_advisory_xact_lock(1, $1)", args![int(pim.0)]).await.map(drop)
}

/// Adds an entry, or merges it with an equal one.
pub(crate) async fn add(tx: &Tx, inner: &Inner, entry: &LogEntry) -> Result<(), Failure> {
    lock(tx, entry.owner.pim).await?;
    let key = merge::hash_of_error(entry);
    if let Some(key) = &key {
        let sql = "SELECT id, \"timestamp\", count, body FROM entries WHERE error_key = $1 \
                   ORDER BY \"timestamp\" DESC LIMIT 1";
        if let Some(row) = tx.row(sql, args![*key]).await? {
            let mut latest = from_row(&row)?;
            if merge::is_near(&latest, entry) {
                merge::merge(&mut latest, entry);
                let sql = "UPDATE entries SET \"timestamp\" = $2, count = $3, operation = $4, error_reason = $5, \
                           body = $6, hour = (SELECT service_hour FROM platform) WHERE id = $1";
                tx.execute(
                    sql,
                    args![
                        row.get::<_, uuid::Uuid>(0),
                        latest.timestamp.as_micros(),
                        long(latest.count),
                        latest.body.operation(),
                        latest.body.error_reason(),
                        serde_json::to_string(&latest)?
                    ],
                )
                .await?;
                inner.meters.merged_entries.one();
                return bound(tx, inner, &entry.owner).await;
            }
        }
    }
    let sql = "INSERT INTO entries (id, shard, pim, client_id, subscriber_id, subscription_id, \"timestamp\", count, \
               operation, error_reason, error_key, body, hour) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
               $12, (SELECT service_hour FROM platform))";
    tx.execute(
        sql,
        args![
            entry.id.0,
            shard_of(entry.owner.pim),
            int(entry.owner.pim.0),
            entry.owner.client_id.0,
            entry.subscriber_id.map(|id| id.0),
            entry.subscription_id.map(|id| id.0),
            entry.timestamp.as_micros(),
            long(entry.count),
            entry.body.operation(),
            entry.body.error_reason(),
            key,
            serde_json::to_string(entry)?
        ],
    )
    .await?;
    inner.meters.entries.one();
    bound(tx, inner, &entry.owner).await
}

/// Drops the oldest entries of an owner, then those of its PIM, beyond the bounds: usually one per new entry.
async fn bound(tx: &Tx, inner: &Inner, owner: &Owner) -> Result<(), Failure> {
    let (pim, client) = (int(owner.pim.0), &owner.client_id.0);
    // A running sum from the newest on would read all: the oldest go, one after the other.
    let totals = "SELECT o.count, o.bytes, p.bytes FROM entry_totals o JOIN pim_entry_totals p ON p.pim = o.pim \
                  WHERE o.pim = $1 AND o.client_id = $2";
    let oldest = "DELETE FROM entries WHERE id = (SELECT id FROM entries WHERE pim = $1 AND client_id = $2 \
                  ORDER BY id LIMIT 1)";
    let oldest_of_pim = "DELETE FROM entries WHERE id = (SELECT id FROM entries WHERE pim = $1 ORDER BY id LIMIT 1)";
    let mut dropped = 0;
    loop {
        let Some(row) = tx.row(totals, args![pim, *client]).await? else { return Ok(()) };
        let (count, bytes, of_pim) = (natural(row.get(0)), natural(row.get(1)), natural(row.get(2)));
        if count > merge::MOST_ENTRIES || bytes > merge::MOST_ENTRY_BYTES {
            if tx.execute(oldest, args![pim, *client]).await? == 0 {
                return Err(Failure::Corrupt("the count of an owner's log entries is wrong".to_owned()));
            }
        } else if of_pim > inner.bounds.max_entry_bytes && dropped < merge::DROPPED_AT_ONCE {
            tx.execute(oldest_of_pim, args![pim]).await?;
            dropped += 1;
        } else {
            return Ok(());
        }
    }
}

/// `timestamp`, `count` and `body` from the second column on.
fn from_row(row: &Row) -> Result<LogEntry, Failure> {
    let mut entry: LogEntry = serde_json::from_str(row.get(3))?;
    entry.timestamp = Timestamp::from_micros(row.get(1));
    entry.count = natural(row.get(2));
    Ok(entry)
}

/// Entries that match a query, within the bounded number of entries per owner.
async fn find(line: &Line, owner: &Owner, query: &LogQuery) -> Result<LogPage, Failure> {
    let (order, behind) = match query.order {
        LogOrder::Ascending => ("ASC", "id > ?"),
        LogOrder::Descending => ("DESC", "id < ?"),
    };
    let of_owner = "SELECT id, \"timestamp\", count, body FROM entries WHERE pim = ? AND client_id = ?";
    let owner = [Value::Int(int(owner.pim.0)), Value::Text(owner.client_id.0.clone())];
    let mut filter = Filter::new(of_owner, owner);
    filter.and(behind, query.after.map(|id| Value::Id(id.0)));
    filter.and("subscriber_id = ?", query.subscriber_id.map(|id| Value::Id(id.0)));
    filter.and("subscription_id = ?", query.subscription_id.map(|id| Value::Id(id.0)));
    filter.and("operation = ?", query.operation.clone().map(Value::Text));
    filter.and("error_reason = ?", query.error_reason.clone().map(Value::Text));
    filter.and("\"timestamp\" >= ?", query.start_time.map(|start| Value::Long(start.as_micros())));
    filter.and("\"timestamp\" < ?", query.end_time.map(|end| Value::Long(end.as_micros())));
    match query.log_type {
        Some(LogType::Error) => filter.and_all("error_key IS NOT NULL", []),
        Some(LogType::Action) => filter.and_all("error_key IS NULL", []),
        None => {}
    }
    let filter = filter.page(&format!("id {order}"), query.limit).skip(query.skip);
    let rows = line.query(&filter.sql, &filter.args()).await?;
    let mut entries = rows.iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
    let more = entries.len() > query.limit;
    entries.truncate(query.limit);
    debug_assert!(entries.iter().all(|entry| merge::matches(query, entry)));
    Ok(LogPage { entries, more })
}

/// Deletes some entries of one PIM whose latest occurrence was in an hour of service before `before`; 0 =
/// none are left.
async fn prune(tx: &Tx, tenure: &Tenure, before: ServiceHour) -> Result<u64, TenureError> {
    let (shard, before) = (number(tenure.shard), int(before.0));
    let of = "SELECT pim FROM entries WHERE shard = $1 AND hour < $2 ORDER BY hour LIMIT 1";
    let Some(row) = tx.row(of, args![shard, before]).await? else { return Ok(0) };
    let pim = inner::pim(&row, 0);
    lock(tx, pim).await?;
    let sql = "DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE shard = $1 AND hour < $2 AND pim = $3 \
               LIMIT $4)";
    Ok(tx.execute(sql, args![shard, before, int(pim.0), PRUNE_SLICE]).await?)
}
