//! What the composition needs beyond the ports.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::figures::{Backend, Bounds, COUNTED, Ended, Figures, Meters};
use store::{Elsewhere, Shard, StoreError};
use tokio::sync::watch;

use crate::PostgresStore;
use crate::args::natural;
use crate::inner::SPREAD;
use crate::lines::PLATFORM;
use crate::{durability, sealed};

#[async_trait]
impl Backend for PostgresStore {
    fn meters(&self) -> &Arc<Meters> {
        &self.at.meters
    }

    fn bounds(&self) -> Bounds {
        self.at.bounds
    }

    async fn figures(&self) -> Result<Figures, StoreError> {
        let backlog_bytes = self.at.backlog.lock().total();
        let line = self.at.readers.line(PLATFORM).await?;
        let sql = format!(
            "SELECT pg_database_size(current_database()), \
             (SELECT coalesce(sum(bytes), 0)::bigint FROM keeping), \
             (SELECT coalesce(sum(h.pos - greatest(p.floors, 1)), 0)::bigint \
             FROM head h JOIN progress p USING (shard)), \
             (SELECT count(*) FROM (SELECT 1 FROM notifications WHERE NOT sent LIMIT {COUNTED}) AS waiting)"
        );
        let rows = line.query(&sql, &[]).await?;
        let number = |column: usize| rows.first().map_or(0, |row| natural(row.get(column)));
        Ok(Figures {
            backlog_bytes,
            kept_bytes: number(1),
            used_bytes: number(0),
            file_bytes: None,
            wal_bytes: None,
            free_disk_bytes: None,
            log_span: number(2),
            waiting_notifications: number(3),
        })
    }

    async fn reseal(&self) -> Result<u64, StoreError> {
        Ok(sealed::reseal_all(&self.at.changes, &self.at.vault).await?)
    }

    fn lease(&self) -> Duration {
        self.at.leases.valid()
    }

    fn vacancies(&self) -> watch::Receiver<usize> {
        self.at.vacancies.subscribe()
    }

    fn owns(&self, shard: Shard) -> bool {
        self.at.leases.owns(shard, self.at.losses.count())
    }

    fn elsewhere(&self) -> Option<&Arc<Elsewhere>> {
        Some(&self.at.elsewhere)
    }

    fn nudge(&self) {
        self.at.nudged.notify_one();
    }

    async fn lags(&self) -> Result<BTreeMap<Shard, u64>, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        let sql = "SELECT h.shard, h.pos - greatest(p.mark, 1) FROM head h JOIN progress p USING (shard)";
        let rows = line.query(sql, &[]).await?;
        let shard = |number: i16| u8::try_from(number).ok().and_then(|number| SPREAD.shard(number));
        Ok(rows.iter().filter_map(|row| Some((shard(row.get(0))?, natural(row.get(1))))).collect())
    }

    fn interruptions(&self) -> watch::Receiver<u64> {
        self.at.losses.watch()
    }

    async fn durability(&self) -> Result<Option<String>, StoreError> {
        Ok(durability::look(&self.at).await?)
    }

    async fn release(&self) -> Result<(), StoreError> {
        Ok(self.at.leases.release(self.at.node).await?)
    }

    fn ended(&self) -> Ended {
        let mut running = self.running.subscribe();
        Box::pin(async move {
            // An error: a task or the store is gone.
            while running.changed().await.is_ok() {}
        })
    }
}
