//! Kept events: the port, over frames, segments of keys ([`keys`]) written by a thread ([`indexer`]), and records.

mod find;
pub(crate) mod indexer;
pub(crate) mod keeping;
mod keys;
pub(crate) mod records;

use std::ops::Range;

use async_trait::async_trait;
use domain::exception::{Exception, ExceptionKind};
use domain::fate::{DroppedBacklog, GivenUp, OutcomeCounts, OutcomeSums};
use domain::subscriber::Owner;
use domain::{PimId, Position, SubscriptionId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Params};
use serde::de::DeserializeOwned;
use store::{History, Kept, KeptPage, KeptQuery, Recorded, StoreError, Undelivered};
use uuid::Uuid;

use crate::SqliteStore;
use crate::failure::Failure;
use crate::readers::{PLATFORM, of_client, of_pim};

#[async_trait]
impl Kept for SqliteStore {
    async fn kept_from(&self, pim: PimId) -> Result<Position, StoreError> {
        self.read(of_pim(pim), move |connection| Ok(keeping::of(connection, pim)?.from)).await
    }

    async fn oldest_kept(&self, pim: PimId) -> Result<Option<Timestamp>, StoreError> {
        self.read(of_pim(pim), move |connection| find::oldest(connection, pim)).await
    }

    async fn find(&self, pim: PimId, query: &KeptQuery) -> Result<KeptPage, StoreError> {
        let (query, head) = (query.clone(), self.tail.head());
        self.read(of_pim(pim), move |connection| find::find(connection, pim, &query, head)).await
    }

    async fn positions(&self, pim: PimId, accepted: Range<Timestamp>) -> Result<Range<Position>, StoreError> {
        let head = self.tail.head();
        self.read(of_pim(pim), move |connection| find::positions(connection, pim, &accepted, head)).await
    }

    async fn history(&self, subscription: SubscriptionId) -> Result<Option<History>, StoreError> {
        self.read(PLATFORM, move |connection| history(connection, subscription)).await
    }

    async fn histories(&self, owner: &Owner) -> Result<Vec<History>, StoreError> {
        let owner = owner.clone();
        self.read(of_client(&owner), move |connection| {
            let sql = "SELECT eras.subscription, eras.creation, eras.body FROM subscribers JOIN subscriptions \
                       ON subscriptions.subscriber_id = subscribers.id JOIN eras \
                       ON eras.subscription = subscriptions.id WHERE subscribers.pim = ?1 \
                       AND subscribers.client_id = ?2 AND subscriptions.status IN ('active', 'suspended') \
                       ORDER BY eras.subscription, eras.begins";
            let mut select = connection.prepare_cached(sql)?;
            let mut rows = select.query((owner.pim.0, &owner.client_id.0))?;
            let mut histories: Vec<History> = Vec::new();
            while let Some(row) = rows.next()? {
                let subscription = SubscriptionId(Uuid::from_bytes(row.get(0)?));
                let era = serde_json::from_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?;
                match histories.last_mut().filter(|history| history.subscription == subscription) {
                    Some(history) => history.eras.push(era),
                    None => histories.push(History { subscription, eras: vec![era], from_creation: row.get(1)? }),
                }
            }
            Ok(histories)
        })
        .await
    }

    async fn recorded(&self, subscription: SubscriptionId, position: Position) -> Result<Recorded, StoreError> {
        self.read(PLATFORM, move |connection| recorded(connection, subscription, position)).await
    }

    async fn undelivered(
        &self,
        subscription: SubscriptionId,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Undelivered>, StoreError> {
        self.read(PLATFORM, move |connection| undelivered(connection, subscription, before, limit)).await
    }

    async fn exceptional(
        &self,
        subscription: SubscriptionId,
        positions: Range<Position>,
    ) -> Result<(Vec<Position>, Vec<DroppedBacklog>), StoreError> {
        self.read(PLATFORM, move |connection| exceptional(connection, subscription, &positions)).await
    }

    async fn outcome_counts(
        &self,
        owner: &Owner,
        of: &[SubscriptionId],
        from: Timestamp,
    ) -> Result<Vec<OutcomeCounts>, StoreError> {
        let of = of.to_vec();
        self.read(of_client(owner), move |connection| {
            let sql = "SELECT begins, delivered, failed, throttled FROM outcome_counts \
                       WHERE subscription = ?1 AND begins >= ?2 ORDER BY begins";
            let mut select = connection.prepare_cached(sql)?;
            // One subscription after another: `GROUP BY` would sort all rows first, which takes twice as long.
            let mut sums = OutcomeSums::default();
            for id in of {
                let mut rows = select.query((id.0.as_bytes(), from.as_micros()))?;
                while let Some(row) = rows.next()? {
                    sums.add(&OutcomeCounts {
                        from: Timestamp::from_micros(row.get(0)?),
                        delivered: row.get(1)?,
                        failed: row.get(2)?,
                        throttled: row.get(3)?,
                    });
                }
            }
            Ok(sums.into_counts())
        })
        .await
    }

    async fn given_up(&self, owner: &Owner, of: &[SubscriptionId], at_most: u32) -> Result<Vec<u32>, StoreError> {
        let of = of.to_vec();
        self.read(of_client(owner), move |connection| {
            let sql = "SELECT count(*) FROM (SELECT 1 FROM given_up WHERE subscription = ?1 LIMIT ?2)";
            let mut select = connection.prepare_cached(sql)?;
            let counts = of.iter().map(|id| select.query_row((id.0.as_bytes(), at_most), |row| row.get(0)));
            Ok(counts.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn kept_bytes(&self) -> Result<u64, StoreError> {
        self.read(PLATFORM, keeping::total).await
    }
}

/// Values of rows with a column of JSON.
fn bodies<T: DeserializeOwned>(connection: &Connection, sql: &str, params: impl Params) -> Result<Vec<T>, Failure> {
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(params)?;
    let mut values = Vec::new();
    while let Some(row) = rows.next()? {
        values.push(serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?);
    }
    Ok(values)
}

/// Positions in the rows of a query.
fn positions(connection: &Connection, sql: &str, params: impl Params) -> Result<Vec<Position>, Failure> {
    let mut select = connection.prepare_cached(sql)?;
    Ok(select.query_map(params, |row| Ok(Position(row.get(0)?)))?.collect::<Result<_, _>>()?)
}

fn history(connection: &Connection, of: SubscriptionId) -> Result<Option<History>, Failure> {
    let sql = "SELECT body FROM eras WHERE subscription = ?1 ORDER BY begins";
    let eras = bodies(connection, sql, (of.0.as_bytes(),))?;
    if eras.is_empty() {
        return Ok(None);
    }
    let creation = "SELECT creation FROM eras WHERE subscription = ?1 ORDER BY begins LIMIT 1";
    let from_creation = connection.prepare_cached(creation)?.query_row((of.0.as_bytes(),), |row| row.get(0))?;
    Ok(Some(History { subscription: of, eras, from_creation }))
}

fn recorded(connection: &Connection, of: SubscriptionId, position: Position) -> Result<Recorded, Failure> {
    // One read snapshot.
    let transaction = connection.unchecked_transaction()?;
    let id = of.0.as_bytes();
    let cursor =
        "SELECT coalesce((SELECT cursor FROM lanes WHERE subscription = ?1), value) FROM meta WHERE name = 'mark'";
    let cursor = Position(transaction.prepare_cached(cursor)?.query_row((id,), |row| row.get(0))?);
    let exception = "SELECT body FROM exceptions WHERE subscription = ?1 AND position = ?2";
    let given_up = "SELECT body FROM given_up WHERE subscription = ?1 AND position = ?2";
    let dropped = "SELECT body FROM dropped WHERE subscription = ?1 AND until > ?2 AND first <= ?2 ORDER BY seq DESC";
    let late = "SELECT 1 FROM delivered_late WHERE subscription = ?1 AND position = ?2";
    let key = (id, position.0);
    let mut dropped = bodies::<DroppedBacklog>(&transaction, dropped, key)?.into_iter();
    Ok(Recorded {
        cursor,
        exception: bodies(&transaction, exception, key)?.pop(),
        given_up: bodies(&transaction, given_up, key)?.pop(),
        dropped: dropped.find(|backlog| backlog.contains(position)),
        delivered_late: transaction.prepare_cached(late)?.query_row(key, |_| Ok(())).optional()?.is_some(),
    })
}

fn undelivered(
    connection: &Connection,
    of: SubscriptionId,
    before: Option<Position>,
    limit: usize,
) -> Result<Vec<Undelivered>, Failure> {
    // One read snapshot.
    let transaction = connection.unchecked_transaction()?;
    let before = before.map_or(i64::MAX, |before| i64::try_from(before.0).unwrap_or(i64::MAX));
    let limit_of = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = |table: &str| {
        format!("SELECT body FROM {table} WHERE subscription = ?1 AND position < ?2 ORDER BY position DESC LIMIT ?3")
    };
    let params = (of.0.as_bytes(), before, limit_of);
    let given_up: Vec<GivenUp> = bodies(&transaction, &sql("given_up"), params)?;
    // Their number is bounded by the lane's memory.
    let exceptions: Vec<Exception> = bodies(&transaction, &sql("exceptions"), (of.0.as_bytes(), before, i64::MAX))?;
    let waiting = exceptions.into_iter().filter(|exception| exception.kind != ExceptionKind::Predecessor);
    let mut all: Vec<_> = given_up.into_iter().map(|one| (one.position, Undelivered::GivenUp(one))).collect();
    all.extend(waiting.take(limit).map(|one| (one.position, Undelivered::Waiting(one))));
    all.sort_by_key(|(position, _)| std::cmp::Reverse(*position));
    Ok(all.into_iter().take(limit).map(|(_, one)| one).collect())
}

fn exceptional(
    connection: &Connection,
    of: SubscriptionId,
    within: &Range<Position>,
) -> Result<(Vec<Position>, Vec<DroppedBacklog>), Failure> {
    // One read snapshot.
    let transaction = connection.unchecked_transaction()?;
    let end = i64::try_from(within.end.0).unwrap_or(i64::MAX);
    let params = (of.0.as_bytes(), within.start.0, end);
    let sql = |table: &str| {
        format!(
            "SELECT position FROM {table} WHERE subscription = ?1 AND position >= ?2 AND position < ?3 \
             ORDER BY position"
        )
    };
    let given_up = positions(&transaction, &sql("given_up"), params)?;
    let late = positions(&transaction, &sql("delivered_late"), params)?;
    let dropped = "SELECT body FROM dropped WHERE subscription = ?1 AND until > ?2 AND first < ?3 ORDER BY seq";
    let dropped = bodies::<DroppedBacklog>(&transaction, dropped, params)?.into_iter();
    let dropped = dropped.filter(|backlog| backlog.touches(within)).map(|backlog| backlog.without(&late));
    Ok((given_up, dropped.collect()))
}
