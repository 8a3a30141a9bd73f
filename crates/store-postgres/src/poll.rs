//! Looks at the heads of all shards, in one query: often under load, seldom at rest.

use std::sync::Arc;
use std::time::Duration;

use domain::{Position, ServiceHour};
use store::ATTENTIVE;
use tokio::time::{Instant, sleep};

use crate::args::{natural, unsigned};
use crate::failure::Failure;
use crate::follow;
use crate::inner::{Inner, SPREAD};
use crate::lines::PLATFORM;

const AT_REST: Duration = Duration::from_millis(200);
/// While others are likely to append.
const ATTENTIVELY: Duration = Duration::from_millis(8);
/// After a look that found several events: the cost of a look is shared by more of them.
const UNDER_LOAD: Duration = Duration::from_millis(16);

/// Positions and versions of all shards, and what concerns the platform.
pub(crate) struct Heads {
    pub(crate) positions: Vec<i64>,
    pub(crate) versions: Vec<i64>,
    pub(crate) pims_version: u64,
    pub(crate) hour: ServiceHour,
    /// Number of shards without an owner.
    pub(crate) vacancies: usize,
}

pub(crate) async fn heads(inner: &Inner) -> Result<Heads, Failure> {
    let line = inner.readers.line(PLATFORM).await?;
    let sql = "SELECT h.positions, h.versions, p.pims_version, p.service_hour, \
               (SELECT count(*) FROM lease WHERE owner IS NULL) FROM platform p, \
               (SELECT array_agg(pos ORDER BY shard) AS positions, array_agg(version ORDER BY shard) AS versions \
               FROM head) h";
    let rows = line.query(sql, &[]).await?;
    let Some(row) = rows.first() else { return Err(Failure::Corrupt("there are no shards".to_owned())) };
    Ok(Heads {
        positions: row.get(0),
        versions: row.get(1),
        pims_version: natural(row.get(2)),
        hour: ServiceHour(unsigned(row.get(3))),
        vacancies: usize::try_from(row.get::<_, i64>(4)).unwrap_or(0),
    })
}

/// Never returns.
pub(crate) async fn keep(inner: Arc<Inner>) {
    let mut pause = AT_REST;
    let mut attentive_until = Instant::now();
    loop {
        tokio::select! {
            () = sleep(pause) => {}
            () = inner.nudged.notified() => attentive_until = Instant::now() + ATTENTIVE,
        }
        pause = match look(&inner).await {
            Ok(found) => {
                if found > 0 {
                    attentive_until = attentive_until.max(Instant::now() + ATTENTIVE);
                }
                match found {
                    2.. => UNDER_LOAD,
                    _ if Instant::now() < attentive_until => ATTENTIVELY,
                    _ => (pause * 2).min(AT_REST),
                }
            }
            Err(failure) => {
                inner.health.failed(&failure);
                tracing::warn!(%failure, "could not look for news in the database");
                AT_REST
            }
        };
    }
}

/// Pushes what other processes have appended, and returns the number of events.
async fn look(inner: &Inner) -> Result<usize, Failure> {
    let heads = heads(inner).await?;
    inner.health.read();
    inner.saw_pims(heads.pims_version);
    inner.saw_hour(heads.hour);
    inner.vacancies.send_if_modified(|known| std::mem::replace(known, heads.vacancies) != heads.vacancies);
    let mut behind = Vec::new();
    for ((shard, position), version) in SPREAD.shards().zip(&heads.positions).zip(&heads.versions) {
        // Before the events that the changes apply to.
        inner.news(shard).commit(natural(*version));
        let follower = inner.follower(shard);
        behind.extend(follower.behind(inner, Position(natural(*position))).await);
        follower.tail().give_way();
    }
    if behind.is_empty() { Ok(0) } else { follow::catch_up(inner, &mut behind).await }
}
