//! Kept events: the port, over frames with hashes, and records.

mod find;
pub(crate) mod keeping;
pub(crate) mod records;

use std::ops::Range;

use async_trait::async_trait;
use domain::exception::{Exception, ExceptionKind};
use domain::fate::{DroppedBacklog, GivenUp, OutcomeCounts};
use domain::subscriber::Owner;
use domain::{PimId, Position, SubscriptionId, Timestamp};
use serde::de::DeserializeOwned;
use store::{History, Kept, KeptPage, KeptQuery, Recorded, StoreError, Undelivered};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::PostgresStore;
use crate::args::{Arg, args, int, long, natural};
use crate::failure::Failure;
use crate::inner::SPREAD;
use crate::lines::{PLATFORM, Tx, of_client, of_pim};

#[async_trait]
impl Kept for PostgresStore {
    async fn kept_from(&self, pim: PimId) -> Result<Position, StoreError> {
        let line = self.at.readers.line(of_pim(pim)).await?;
        let rows = line.query("SELECT kept_from FROM keeping WHERE pim = $1", args![int(pim.0)]).await?;
        Ok(rows.first().map_or(Position::FIRST, |row| Position(natural(row.get(0)))))
    }

    async fn oldest_kept(&self, pim: PimId) -> Result<Option<Timestamp>, StoreError> {
        let line = self.at.readers.line(of_pim(pim)).await?;
        Ok(find::oldest(&line, pim).await?)
    }

    async fn find(&self, pim: PimId, query: &KeptQuery) -> Result<KeptPage, StoreError> {
        let line = self.at.readers.line(of_pim(pim)).await?;
        Ok(find::find(&line, pim, query).await?)
    }

    async fn positions(&self, pim: PimId, accepted: Range<Timestamp>) -> Result<Range<Position>, StoreError> {
        let line = self.at.readers.line(of_pim(pim)).await?;
        Ok(find::positions(&line, pim, &accepted).await?)
    }

    async fn history(&self, subscription: SubscriptionId) -> Result<Option<History>, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        let sql = "SELECT subscription, creation, body FROM eras WHERE subscription = $1 ORDER BY begins";
        Ok(histories(&line.query(sql, args![subscription.0]).await?)?.pop())
    }

    async fn histories(&self, owner: &Owner) -> Result<Vec<History>, StoreError> {
        let line = self.at.readers.line(of_client(owner)).await?;
        let sql = "SELECT e.subscription, e.creation, e.body FROM subscribers o \
                   JOIN subscriptions s ON s.subscriber_id = o.id JOIN eras e ON e.subscription = s.id \
                   WHERE o.pim = $1 AND o.client_id = $2 AND s.status IN ('active', 'suspended') \
                   ORDER BY e.subscription, e.begins";
        Ok(histories(&line.query(sql, args![int(owner.pim.0), owner.client_id.0]).await?)?)
    }

    async fn recorded(&self, subscription: SubscriptionId, position: Position) -> Result<Recorded, StoreError> {
        let tx = self.at.readers.snapshot(PLATFORM).await?;
        let recorded = recorded(&tx, subscription, position).await;
        Ok(tx.end(recorded).await?)
    }

    async fn undelivered(
        &self,
        subscription: SubscriptionId,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Undelivered>, StoreError> {
        let tx = self.at.readers.snapshot(PLATFORM).await?;
        let found = undelivered(&tx, subscription, before, limit).await;
        Ok(tx.end(found).await?)
    }

    async fn exceptional(
        &self,
        subscription: SubscriptionId,
        positions: Range<Position>,
    ) -> Result<(Vec<Position>, Vec<DroppedBacklog>), StoreError> {
        let tx = self.at.readers.snapshot(PLATFORM).await?;
        let found = exceptional(&tx, subscription, &positions).await;
        Ok(tx.end(found).await?)
    }

    async fn outcome_counts(
        &self,
        owner: &Owner,
        of: &[SubscriptionId],
        from: Timestamp,
    ) -> Result<Vec<OutcomeCounts>, StoreError> {
        let line = self.at.readers.line(of_client(owner)).await?;
        let sql = "SELECT begins, sum(delivered)::bigint, sum(failed)::bigint, sum(throttled)::bigint \
                   FROM outcome_counts WHERE subscription = ANY($1) AND begins >= $2 GROUP BY begins ORDER BY begins";
        let rows = line.query(sql, args![uuids(of), from.as_micros()]).await?;
        let counts = |row: &Row| OutcomeCounts {
            from: Timestamp::from_micros(row.get(0)),
            delivered: natural(row.get(1)),
            failed: natural(row.get(2)),
            throttled: natural(row.get(3)),
        };
        Ok(rows.iter().map(counts).collect())
    }

    async fn given_up(&self, owner: &Owner, of: &[SubscriptionId], at_most: u32) -> Result<Vec<u32>, StoreError> {
        let line = self.at.readers.line(of_client(owner)).await?;
        let sql = "SELECT (SELECT count(*) FROM (SELECT 1 FROM given_up WHERE subscription = id LIMIT $2) AS first) \
                   FROM unnest($1) WITH ORDINALITY AS asked(id, place) ORDER BY place";
        let rows = line.query(sql, args![uuids(of), i64::from(at_most)]).await?;
        Ok(rows.iter().map(|row| u32::try_from(natural(row.get(0))).unwrap_or(at_most)).collect())
    }

    async fn kept_bytes(&self) -> Result<u64, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        let rows = line.query("SELECT coalesce(sum(bytes), 0)::bigint FROM keeping", &[]).await?;
        Ok(rows.first().map_or(0, |row| natural(row.get(0))))
    }
}

fn uuids(of: &[SubscriptionId]) -> Vec<Uuid> {
    of.iter().map(|id| id.0).collect()
}

/// Histories of eras that are ordered by subscription and position.
fn histories(rows: &[Row]) -> Result<Vec<History>, Failure> {
    let mut histories: Vec<History> = Vec::new();
    for row in rows {
        let (of, from_creation) = (SubscriptionId(row.get::<_, Uuid>(0)), row.get(1));
        let era = serde_json::from_str(row.get(2))?;
        match histories.last_mut().filter(|last| last.subscription == of) {
            Some(history) => history.eras.push(era),
            None => histories.push(History { subscription: of, eras: vec![era], from_creation }),
        }
    }
    Ok(histories)
}

/// Values of rows with a column of JSON.
async fn bodies<T: DeserializeOwned>(tx: &Tx, sql: &str, args: &[Arg<'_>]) -> Result<Vec<T>, Failure> {
    let rows = tx.query(sql, args).await?;
    rows.iter().map(|row| Ok(serde_json::from_str(row.get(0))?)).collect()
}

/// Positions in the rows of a query.
async fn positions(tx: &Tx, sql: &str, args: &[Arg<'_>]) -> Result<Vec<Position>, Failure> {
    Ok(tx.query(sql, args).await?.iter().map(|row| Position(natural(row.get(0)))).collect())
}

async fn recorded(tx: &Tx, of: SubscriptionId, position: Position) -> Result<Recorded, Failure> {
    let (id, at) = (of.0, long(position.0));
    let cursor =
        "SELECT s.pim, l.cursor FROM subscriptions s LEFT JOIN lanes l ON l.subscription = s.id WHERE s.id = $1";
    let Some(row) = tx.row(cursor, args![id]).await? else { return Ok(Recorded::default()) };
    let cursor = match row.get::<_, Option<i64>>(1) {
        Some(cursor) => cursor,
        None => {
            let shard = crate::inner::number(SPREAD.shard_of(crate::inner::pim(&row, 0)));
            let mark = tx.row("SELECT mark FROM progress WHERE shard = $1", args![shard]).await?;
            mark.map_or(0, |row| row.get(0))
        }
    };
    let exception = "SELECT body FROM exceptions WHERE subscription = $1 AND position = $2";
    let given_up = "SELECT body FROM given_up WHERE subscription = $1 AND position = $2";
    let dropped = "SELECT body FROM dropped WHERE subscription = $1 AND until > $2 AND first <= $2 ORDER BY seq DESC";
    let late = "SELECT 1 FROM delivered_late WHERE subscription = $1 AND position = $2";
    let mut dropped = bodies::<DroppedBacklog>(tx, dropped, args![id, at]).await?.into_iter();
    Ok(Recorded {
        cursor: Position(natural(cursor)),
        exception: bodies(tx, exception, args![id, at]).await?.pop(),
        given_up: bodies(tx, given_up, args![id, at]).await?.pop(),
        dropped: dropped.find(|backlog| backlog.contains(position)),
        delivered_late: tx.row(late, args![id, at]).await?.is_some(),
    })
}

async fn undelivered(
    tx: &Tx,
    of: SubscriptionId,
    before: Option<Position>,
    limit: usize,
) -> Result<Vec<Undelivered>, Failure> {
    let before = before.map_or(i64::MAX, |before| long(before.0));
    let at_most = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = |table: &str| {
        format!("SELECT body FROM {table} WHERE subscription = $1 AND position < $2 ORDER BY position DESC LIMIT $3")
    };
    let given_up: Vec<GivenUp> = bodies(tx, &sql("given_up"), args![of.0, before, at_most]).await?;
    // Their number is bounded by the lane's memory.
    let exceptions: Vec<Exception> = bodies(tx, &sql("exceptions"), args![of.0, before, i64::MAX]).await?;
    let waiting = exceptions.into_iter().filter(|exception| exception.kind != ExceptionKind::Predecessor);
    let mut all: Vec<_> = given_up.into_iter().map(|one| (one.position, Undelivered::GivenUp(one))).collect();
    all.extend(waiting.take(limit).map(|one| (one.position, Undelivered::Waiting(one))));
    all.sort_by_key(|(position, _)| std::cmp::Reverse(*position));
    Ok(all.into_iter().take(limit).map(|(_, one)| one).collect())
}

async fn exceptional(
    tx: &Tx,
    of: SubscriptionId,
    within: &Range<Position>,
) -> Result<(Vec<Position>, Vec<DroppedBacklog>), Failure> {
    let (start, end) = (long(within.start.0), long(within.end.0));
    let sql = |table: &str| {
        format!(
            "SELECT position FROM {table} WHERE subscription = $1 AND position >= $2 AND position < $3 \
             ORDER BY position"
        )
    };
    let given_up = positions(tx, &sql("given_up"), args![of.0, start, end]).await?;
    let late = positions(tx, &sql("delivered_late"), args![of.0, start, end]).await?;
    let dropped = "SELECT body FROM dropped WHERE subscription = $1 AND until > $2 AND first < $3 ORDER BY seq";
    let dropped = bodies::<DroppedBacklog>(tx, dropped, args![of.0, start, end]).await?.into_iter();
    let dropped = dropped.filter(|backlog| backlog.touches(within)).map(|backlog| backlog.without(&late));
    Ok((given_up, dropped.collect()))
}
