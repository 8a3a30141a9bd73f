//! Looks at the heads of all shards, in one query: often under load, seldom at rest.

use std::sync::Arc;
use std::time::Duration;

use domain::{Position, ServiceHour};
use tokio::time::sleep;

use crate::args::{natural, unsigned};
use crate::failure::Failure;
use crate::inner::{Inner, SPREAD};
use crate::lines::PLATFORM;

const AT_REST: Duration = Duration::from_millis(200);
const UNDER_LOAD: Duration = Duration::from_millis(4);

/// Positions and versions of all shards, and what concerns the platform.
pub(crate) struct Heads {
    pub(crate) positions: Vec<i64>,
    pub(crate) versions: Vec<i64>,
    pub(crate) pims_version: u64,
    pub(crate) hour: ServiceHour,
}

pub(crate) async fn heads(inner: &Inner) -> Result<Heads, Failure> {
    let line = inner.readers.line(PLATFORM).await?;
    let sql = "SELECT array_agg(h.pos ORDER BY h.shard), array_agg(h.version ORDER BY h.shard), p.pims_version, \
               p.service_hour FROM head h, platform p GROUP BY p.pims_version, p.service_hour";
    let rows = line.query(sql, &[]).await?;
    let Some(row) = rows.first() else { return Err(Failure::Corrupt("there are no shards".to_owned())) };
    Ok(Heads {
        positions: row.get(0),
        versions: row.get(1),
        pims_version: natural(row.get(2)),
        hour: ServiceHour(unsigned(row.get(3))),
    })
}

/// Never returns.
pub(crate) async fn keep(inner: Arc<Inner>) {
    let mut pause = AT_REST;
    loop {
        sleep(pause).await;
        pause = match look(&inner).await {
            Ok(true) => UNDER_LOAD,
            Ok(false) => (pause * 2).min(AT_REST),
            Err(failure) => {
                inner.health.failed(&failure);
                tracing::warn!(%failure, "could not look for news in the database");
                AT_REST
            }
        };
    }
}

/// Whether another process has appended.
async fn look(inner: &Inner) -> Result<bool, Failure> {
    let heads = heads(inner).await?;
    inner.health.read();
    inner.saw_pims(heads.pims_version);
    inner.saw_hour(heads.hour);
    let mut any = false;
    for ((shard, position), version) in SPREAD.shards().zip(&heads.positions).zip(&heads.versions) {
        // Before the events that the changes apply to.
        inner.news(shard).commit(natural(*version));
        any |= inner.follower(shard).poll(inner, Position(natural(*position))).await?;
        inner.follower(shard).tail().give_way();
    }
    Ok(any)
}
