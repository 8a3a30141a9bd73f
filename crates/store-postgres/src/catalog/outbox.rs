//! Unsent notifications as rows with sealed addresses.

use async_trait::async_trait;
use domain::notification::Outgoing;
use domain::subscriber::Owner;
use domain::{PimId, Timestamp};
use store::catalog::MOST_NOTIFICATIONS;
use store::sealed::NOTIFICATION;
use store::{ChangeError, Outbox, Shard, StoreError, Waiting};
use uuid::Uuid;

use crate::PostgresStore;
use crate::args::{Arg, args, int, long, natural};
use crate::failure::Failure;
use crate::inner::{Inner, number, shard_of};
use crate::lines::{PLATFORM, Tx};
use crate::sealed::name;

#[async_trait]
impl Outbox for PostgresStore {
    async fn notification(&self, id: Uuid) -> Result<Option<Outgoing>, StoreError> {
        Ok(self.read_notifications("id = $1", args![id]).await?.pop())
    }

    async fn notifications(&self, shard: Shard, after: Option<u64>, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let which = "shard = $1 AND seq > $2 ORDER BY seq LIMIT $3";
        // Numbers start at 1.
        self.read_notifications(which, args![number(shard), long(after.unwrap_or(0)), limit]).await
    }

    async fn notification_numbers(&self, shard: Shard) -> Result<Vec<u64>, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        let sql = "SELECT seq FROM notifications WHERE shard = $1 ORDER BY seq";
        let rows = line.query(sql, args![number(shard)]).await?;
        Ok(rows.iter().map(|row| natural(row.get(0))).collect())
    }

    async fn put_back_notification(&self, outgoing: Outgoing) -> Result<(), ChangeError> {
        let tx = self.at.changes.begin().await?;
        let put = put_back(&tx, &self.at, outgoing).await;
        tx.end(put).await
    }

    async fn settle_notification(&self, id: Uuid) -> Result<(), StoreError> {
        let line = self.at.changes.line().await?;
        line.execute("DELETE FROM notifications WHERE id = $1", args![id]).await?;
        Ok(())
    }

    async fn count_waiting(&self) -> Result<Waiting, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        let sql = "SELECT count(*), min(created_at), count(*) FILTER (WHERE attempts > 0) FROM notifications \
                   WHERE NOT sent";
        let rows = line.query(sql, &[]).await?;
        Ok(rows.first().map_or_else(Waiting::default, |row| Waiting {
            count: natural(row.get(0)),
            oldest: row.get::<_, Option<i64>>(1).map(Timestamp::from_micros),
            tried: natural(row.get(2)),
        }))
    }
}

impl PostgresStore {
    async fn read_notifications(&self, which: &str, args: &[Arg<'_>]) -> Result<Vec<Outgoing>, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        let rows = line.query(&format!("SELECT id, body, sealed, seq FROM notifications WHERE {which}"), args).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let joined = NOTIFICATION.join(&self.at.vault, &name(&row.get(0)), row.get(1), row.get(2));
            let outgoing: Outgoing = joined.map_err(Failure::from)?;
            found.push(Outgoing { number: natural(row.get(3)), ..outgoing });
        }
        Ok(found)
    }
}

pub(super) async fn add(tx: &Tx, inner: &Inner, owner: &Owner, outgoing: &Outgoing) -> Result<(), Failure> {
    let parts = NOTIFICATION.split(&inner.vault, &name(&outgoing.id), outgoing)?;
    let sql = "INSERT INTO notifications (id, shard, pim, client_id, revision, due_at, created_at, attempts, sent, \
               body, sealed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    tx.execute(
        sql,
        args![
            outgoing.id,
            shard_of(owner.pim),
            int(owner.pim.0),
            owner.client_id.0,
            long(outgoing.revision),
            outgoing.due_at.as_micros(),
            outgoing.notification.timestamp.as_micros(),
            i64::from(outgoing.attempts),
            outgoing.sent_at.is_some(),
            parts.body,
            parts.sealed
        ],
    )
    .await?;
    bound(tx, inner, owner.pim).await
}

/// Drops the oldest notifications of the client with the most, down to the PIM's bound.
async fn bound(tx: &Tx, inner: &Inner, pim: PimId) -> Result<(), Failure> {
    let count = "SELECT count(*) FROM notifications WHERE pim = $1";
    let count = tx.row(count, args![int(pim.0)]).await?.map_or(0, |row| natural(row.get(0)));
    let oldest = "DELETE FROM notifications WHERE seq = (SELECT min(seq) FROM notifications WHERE pim = $1 \
                  GROUP BY client_id ORDER BY count(*) DESC, min(seq) LIMIT 1)";
    for _ in MOST_NOTIFICATIONS as u64..count {
        tx.execute(oldest, args![int(pim.0)]).await?;
        inner.meters.dropped_notifications.one();
    }
    Ok(())
}

async fn put_back(tx: &Tx, inner: &Inner, mut outgoing: Outgoing) -> Result<(), ChangeError> {
    let stored = "SELECT revision FROM notifications WHERE id = $1 FOR UPDATE";
    let Some(stored) = tx.row(stored, args![outgoing.id]).await? else { return Ok(()) };
    if natural(stored.get(0)) != outgoing.revision {
        return Err(ChangeError::Conflict);
    }
    outgoing.revision += 1;
    let parts = NOTIFICATION.split(&inner.vault, &name(&outgoing.id), &outgoing).map_err(Failure::from)?;
    let sql = "UPDATE notifications SET revision = $2, due_at = $3, created_at = $4, attempts = $5, sent = $6, \
               body = $7, sealed = $8 WHERE id = $1";
    tx.execute(
        sql,
        args![
            outgoing.id,
            long(outgoing.revision),
            outgoing.due_at.as_micros(),
            outgoing.notification.timestamp.as_micros(),
            i64::from(outgoing.attempts),
            outgoing.sent_at.is_some(),
            parts.body,
            parts.sealed
        ],
    )
    .await?;
    Ok(())
}
