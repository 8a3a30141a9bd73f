//! Log entries: merged if equal, and queried.

use async_trait::async_trait;
use domain::log_entry::{LogBody, LogEntry, LogOrder, LogQuery, LogType};
use domain::subscriber::Owner;
use domain::{ServiceHour, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use store::{Entries, LogPage, StoreError, Tenure, TenureError, merge};

use super::filter::{Filter, bytes, number};
use crate::SqliteStore;
use crate::batch::Batch;
use crate::failure::Failure;
use crate::readers::of_client;

/// Log entries deleted in one transaction.
const PRUNE_SLICE: u64 = 2_000;

#[async_trait]
impl Entries for SqliteStore {
    async fn add_entry(&self, entry: LogEntry) -> Result<(), StoreError> {
        self.write(move |batch| Ok(add(batch, &entry)?)).await
    }

    async fn entries(&self, owner: &Owner, query: &LogQuery) -> Result<LogPage, StoreError> {
        let (owner, query) = (owner.clone(), query.clone());
        self.read(of_client(&owner), move |connection| find(connection, &owner, &query)).await
    }

    async fn prune_entries(&self, tenure: &Tenure, before: ServiceHour) -> Result<u64, TenureError> {
        self.owns(tenure)?;
        let mut pruned = 0;
        loop {
            let slice = self.write(move |batch| Ok::<_, StoreError>(prune(batch, before, PRUNE_SLICE)?)).await?;
            pruned += slice;
            if slice < PRUNE_SLICE {
                return Ok(pruned);
            }
        }
    }
}

/// Adds an entry, or merges it with an equal one.
pub(crate) fn add(batch: &Batch<'_>, entry: &LogEntry) -> Result<(), Failure> {
    let key = merge::hash_of_error(entry);
    if let Some(key) = &key {
        let sql = "SELECT id, timestamp, count, body FROM entries WHERE error_key = ?1 ORDER BY timestamp DESC LIMIT 1";
        let read = |row: &Row<'_>| Ok((row.get::<_, [u8; 16]>(0)?, columns(row)?));
        let latest = batch.sql(sql)?.query_row([key], read).optional()?;
        if let Some((id, columns)) = latest {
            let mut latest = from_columns(columns)?;
            if merge::is_near(&latest, entry) {
                merge::merge(&mut latest, entry);
                let sql = "UPDATE entries SET timestamp = ?2, count = ?3, hour = ?4, operation = ?5, error_reason = \
                           ?6, body = ?7 \
                           WHERE id = ?1";
                batch.sql(sql)?.execute((
                    id,
                    latest.timestamp.as_micros(),
                    latest.count,
                    batch.hour()?.0,
                    latest.body.operation(),
                    latest.body.error_reason(),
                    serde_json::to_string(&latest)?,
                ))?;
                batch.meters().merged_entries.one();
                return bound(batch, &entry.owner);
            }
        }
    }
    let sql = "INSERT INTO entries (id, pim, client_id, subscriber_id, subscription_id, timestamp, count, \
               operation, error_reason, error_key, hour, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, \
               ?12)";
    batch.sql(sql)?.execute(params![
        entry.id.0.as_bytes(),
        entry.owner.pim.0,
        entry.owner.client_id.0,
        entry.subscriber_id.as_ref().map(|id| id.0.as_bytes()),
        entry.subscription_id.as_ref().map(|id| id.0.as_bytes()),
        entry.timestamp.as_micros(),
        entry.count,
        entry.body.operation(),
        entry.body.error_reason(),
        key,
        batch.hour()?.0,
        serde_json::to_string(entry)?,
    ])?;
    batch.meters().entries.one();
    bound(batch, &entry.owner)
}

/// Drops the oldest entries of an owner, then those of its PIM, beyond the bounds: usually one per new entry.
fn bound(batch: &Batch<'_>, owner: &Owner) -> Result<(), Failure> {
    let of = (owner.pim.0, &owner.client_id.0);
    let over = "SELECT 1 FROM entry_totals WHERE pim = ?1 AND client_id = ?2 AND (count > ?3 OR bytes > ?4)";
    let oldest = "DELETE FROM entries WHERE id = (SELECT id FROM entries INDEXED BY entries_by_owner \
                  WHERE pim = ?1 AND client_id = ?2 ORDER BY id LIMIT 1)";
    let (mut over, mut delete_oldest) = (batch.sql(over)?, batch.sql(oldest)?);
    while over.exists((of.0, of.1, merge::MOST_ENTRIES, merge::MOST_ENTRY_BYTES))? {
        if delete_oldest.execute(of)? == 0 {
            return Err(Failure::Corrupt("the count of an owner's log entries is wrong".to_owned()));
        }
    }
    let over = "SELECT 1 FROM pim_entry_totals WHERE pim = ?1 AND bytes > ?2";
    let oldest = "DELETE FROM entries WHERE id = (SELECT id FROM entries INDEXED BY entries_by_pim \
                  WHERE pim = ?1 ORDER BY id LIMIT 1)";
    let (mut over, mut delete_oldest) = (batch.sql(over)?, batch.sql(oldest)?);
    for _ in 0..merge::DROPPED_AT_ONCE {
        if !over.exists((owner.pim.0, batch.bounds().max_entry_bytes))? {
            break;
        }
        delete_oldest.execute([owner.pim.0])?;
    }
    Ok(())
}

type Columns = (i64, u64, String);

/// `timestamp`, `count` and `body` from the second column on.
fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(1)?, row.get(2)?, row.get(3)?))
}

fn from_columns((timestamp, count, body): Columns) -> Result<LogEntry, Failure> {
    let mut entry: LogEntry = serde_json::from_str(&body)?;
    entry.timestamp = Timestamp::from_micros(timestamp);
    entry.count = count;
    Ok(entry)
}

/// Entries that match a query. An index covers all filters, within the bounded number of entries per owner.
fn find(connection: &Connection, owner: &Owner, query: &LogQuery) -> Result<LogPage, Failure> {
    let (order, behind) = match query.order {
        LogOrder::Ascending => ("ASC", "id > ?"),
        LogOrder::Descending => ("DESC", "id < ?"),
    };
    let of_owner = "SELECT id FROM entries INDEXED BY entries_by_owner WHERE pim = ? AND client_id = ?";
    let mut filter = Filter::new(of_owner, [owner.pim.0.into(), owner.client_id.0.clone().into()]);
    filter.and(behind, query.after.map(|id| bytes(id.0)));
    filter.and("subscriber_id = ?", query.subscriber_id.map(|id| bytes(id.0)));
    filter.and("subscription_id = ?", query.subscription_id.map(|id| bytes(id.0)));
    filter.and("operation = ?", query.operation.clone());
    filter.and("error_reason = ?", query.error_reason.clone());
    filter.and("timestamp >= ?", query.start_time.map(|start| start.as_micros()));
    filter.and("timestamp < ?", query.end_time.map(|end| end.as_micros()));
    match query.log_type {
        Some(LogType::Error) => filter.and_also("error_key IS NOT NULL"),
        Some(LogType::Action) => filter.and_also("error_key IS NULL"),
        None => {}
    }
    let Filter { sql, mut values } = filter.page(&format!("id {order}"), query.limit);
    values.push(number(query.skip));
    let sql =
        format!("SELECT id, timestamp, count, body FROM entries WHERE id IN ({sql} OFFSET ?) ORDER BY id {order}");
    let mut select = connection.prepare_cached(&sql)?;
    let found: Vec<Columns> = select.query_map(params_from_iter(values), columns)?.collect::<Result<_, _>>()?;
    let mut entries = found.into_iter().map(from_columns).collect::<Result<Vec<_>, _>>()?;
    let more = entries.len() > query.limit;
    entries.truncate(query.limit);
    debug_assert!(entries.iter().all(|entry| merge::matches(query, entry)));
    debug_assert!(entries.iter().all(|entry| is_error(entry) == merge::ErrorKey::of(&entry.body).is_some()));
    Ok(LogPage { entries, more })
}

fn is_error(entry: &LogEntry) -> bool {
    !matches!(entry.body, LogBody::Action(_))
}

/// Deletes at most `slice` entries whose latest occurrence was in an hour of service before `before`.
fn prune(batch: &Batch<'_>, before: ServiceHour, slice: u64) -> Result<u64, Failure> {
    let sql = "DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE hour < ?1 LIMIT ?2)";
    Ok(batch.sql(sql)?.execute((before.0, slice))? as u64)
}
