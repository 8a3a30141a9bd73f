//! The event log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::outcome::Lack;
use domain::{Event, LoggedEvent, PimId, Position, ServiceHour, Timestamp};
use store::{
    AppendError, Appended, Backlog, Chunk, Condition, Epoch, EventLog, Floors, ReadLimit, Scope, Shard, Shards,
    StoreError, Tail, Tenure, TenureError, frame,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::PostgresStore;
use crate::append::Request;
use crate::args::{args, int, long, natural, unsigned};
use crate::failure::Failure;
use crate::inner::{Inner, not_serving, number};
use crate::kept::keeping;
use crate::lines::{PLATFORM, Tx, of_pim};
use crate::partitions;

/// Frames read at once.
const FRAMES: usize = 64;
/// Events in a frame.
const FRAME: i64 = frame::MAX_EVENTS as i64;
/// Milliseconds.
const HOUR: i64 = 60 * 60 * 1000;
/// Interval of trims of a shard in which nothing has changed: other shards may have grown.
const LOOK_AT_LEAST: Duration = Duration::from_secs(60);

/// By what a trim that found nothing to do was made: until something of it changes, there is nothing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Idle {
    epoch: Epoch,
    floors: Floors,
    hour: ServiceHour,
    head: Position,
    version: u64,
}

/// A store that was not heard of for this time counts as lacking.
const SILENT: Duration = Duration::from_secs(5);

#[async_trait]
impl EventLog for PostgresStore {
    fn hour(&self) -> ServiceHour {
        self.at.hour()
    }

    async fn served(&self, tenure: &Tenure, elapsed: Duration) -> Result<ServiceHour, TenureError> {
        self.at.believes(tenure)?;
        let tx = self.at.changes.begin().await?;
        let served = served(&tx, &self.at, tenure, elapsed).await;
        let hour = tx.end(served).await?;
        self.at.saw_hour(hour);
        Ok(hour)
    }

    async fn append_if(
        &self,
        pim: PimId,
        events: Vec<Event>,
        now: Timestamp,
        conditions: Vec<Condition>,
    ) -> Result<Appended, AppendError> {
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let queue = self.queues.get(usize::from(self.shard_of(pim).number())).ok_or_else(not_serving)?;
        let keys = events.iter().map(|event| self.at.keyed.key(pim, &event.identity())).collect();
        let (answer, answered) = oneshot::channel();
        let request = Request { pim, events, keys, now, conditions, answer };
        queue.send(request).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    async fn read(&self, scope: Scope, from: Position, limit: ReadLimit) -> Result<Chunk, StoreError> {
        let (shard, pim) = match scope {
            Scope::Shard(shard) => (shard, None),
            Scope::Pim(pim) => (self.shard_of(pim), Some(pim)),
        };
        Ok(read(&self.at, shard, pim, from, limit).await?)
    }

    fn tail(&self, shard: Shard) -> Arc<Tail> {
        self.at.follower(shard).tail()
    }

    async fn head(&self, shard: Shard) -> Result<Position, StoreError> {
        Ok(head(&self.at, shard).await?)
    }

    fn backlog(&self) -> Backlog {
        self.at.backlog.lock().clone()
    }

    async fn position_after(&self, pim: PimId, bytes: u64) -> Result<Position, StoreError> {
        let shard = self.shard_of(pim);
        let line = self.at.readers.line(of_pim(pim)).await?;
        let sql = "SELECT pos FROM (SELECT f.pos, sum(f.bytes) OVER (ORDER BY f.pos) - f.bytes AS before \
                   FROM frames f LEFT JOIN keeping k ON k.pim = f.pim \
                   WHERE f.pim = $1 AND f.pos >= coalesce(k.floor, 0)) AS sums WHERE before >= $2 ORDER BY pos LIMIT 1";
        let rows = line.query(sql, args![int(pim.0), long(bytes)]).await?;
        drop(line);
        match rows.first() {
            Some(row) => Ok(Position(natural(row.get(0)))),
            None => Ok(head(&self.at, shard).await?),
        }
    }

    async fn first_since(&self, shard: Shard, hour: ServiceHour) -> Result<Position, StoreError> {
        let line = self.at.readers.line(PLATFORM).await?;
        let sql = "SELECT coalesce((SELECT f.pos FROM frames f LEFT JOIN keeping k ON k.pim = f.pim \
                   WHERE f.shard = h.shard AND f.pos >= greatest(p.floors, (SELECT pos FROM hours \
                   WHERE shard = h.shard AND hour >= $2 ORDER BY hour LIMIT 1)) \
                   AND f.pos + f.count > coalesce(least(k.floor, k.kept_from), 0) ORDER BY f.pos LIMIT 1), h.pos) \
                   FROM head h JOIN progress p ON p.shard = h.shard WHERE h.shard = $1 \
                   AND EXISTS (SELECT 1 FROM hours WHERE shard = $1 AND hour >= $2)";
        let rows = line.query(sql, args![number(shard), int(hour.0)]).await?;
        drop(line);
        match rows.first() {
            Some(row) => Ok(Position(natural(row.get(0)))),
            None => Ok(head(&self.at, shard).await?),
        }
    }

    async fn trim(&self, tenure: &Tenure, floors: &Floors) -> Result<u64, TenureError> {
        self.at.believes(tenure)?;
        let handled =
            if self.has_nothing_to_trim(tenure, floors) { 0 } else { self.trim_slice(tenure, floors).await? };
        if tenure.shard == Shard::FIRST {
            partitions::tend(&self.at, tenure).await?;
        }
        Ok(handled)
    }

    async fn lacks(&self) -> Vec<Lack> {
        let health = &self.at.health;
        let silent = self.at.serves && self.at.leases.age() > SILENT;
        let lack = match health.lack() {
            Some(Lack::Disk) => Some(Lack::Disk),
            // Writes wait while reads are answered: a commit waits for a standby.
            _ if silent && health.reads(SILENT) => Some(Lack::Standby),
            Some(lack) => Some(lack),
            None => silent.then_some(Lack::Store),
        };
        lack.into_iter().collect()
    }
}

impl PostgresStore {
    /// By what a trim is made.
    fn trimmed_by(&self, tenure: &Tenure, floors: &Floors) -> Idle {
        Idle {
            epoch: tenure.epoch,
            floors: floors.clone(),
            hour: self.at.hour(),
            head: self.tail(tenure.shard).head(),
            version: *self.committed(tenure.shard).borrow(),
        }
    }

    /// Whether the latest trim found nothing to do, and nothing has changed since: idle shards cost nothing.
    fn has_nothing_to_trim(&self, tenure: &Tenure, floors: &Floors) -> bool {
        let now = self.trimmed_by(tenure, floors);
        let trimmed = self.at.trimmed.lock();
        trimmed.get(&tenure.shard).is_some_and(|(before, until)| *before == now && Instant::now() < *until)
    }

    async fn trim_slice(&self, tenure: &Tenure, floors: &Floors) -> Result<u64, TenureError> {
        // Before: what changes meanwhile is looked at by the next one.
        let by = self.trimmed_by(tenure, floors);
        self.at.trimmed.lock().insert(tenure.shard, (by, Instant::now() + LOOK_AT_LEAST));
        let of_pims: HashMap<PimId, Position> = floors.pims.iter().copied().collect();
        let tx = self.at.begin_owned(tenure).await?;
        let trimmed = keeping::trim(&tx, &self.at, tenure.shard, &of_pims, floors.rest).await;
        let trimmed = tx.end(trimmed).await;
        if trimmed.as_ref().map_or(true, |trimmed| trimmed.handled > 0) {
            self.at.trimmed.lock().remove(&tenure.shard);
        }
        let trimmed = trimmed?;
        for (pim, bytes) in trimmed.released {
            self.at.backlog.lock().count(pim, -bytes.cast_signed());
        }
        Ok(trimmed.handled)
    }
}

async fn served(tx: &Tx, inner: &Inner, tenure: &Tenure, elapsed: Duration) -> Result<ServiceHour, TenureError> {
    // Locked before the tenure: see the order in the schema.
    let read = "SELECT service_hour, service_rest FROM platform FOR UPDATE";
    let row = tx.row(read, &[]).await?.ok_or_else(|| Failure::Corrupt("there is no platform".to_owned()))?;
    inner.own(tx, tenure).await?;
    let elapsed = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
    let served = row.get::<_, i64>(1).saturating_add(elapsed);
    let hours = i32::try_from(served / HOUR).unwrap_or(i32::MAX);
    let hour = row.get::<_, i32>(0).saturating_add(hours);
    let write = "UPDATE platform SET service_hour = $1, service_rest = $2";
    tx.execute(write, args![hour, served % HOUR]).await?;
    Ok(ServiceHour(unsigned(hour)))
}

pub(crate) async fn head(inner: &Inner, shard: Shard) -> Result<Position, Failure> {
    let line = inner.readers.line(PLATFORM).await?;
    let rows = line.query("SELECT pos FROM head WHERE shard = $1", args![number(shard)]).await?;
    rows.first()
        .map(|row| Position(natural(row.get(0))))
        .ok_or_else(|| Failure::Corrupt("a shard has no head".to_owned()))
}

/// Frames that are not deleted. Those of PIMs whose events nobody needs may still lie in their partition.
const VISIBLE: &str = "f.pos + f.count > coalesce(least(k.floor, k.kept_from), 0)";

async fn read(
    inner: &Inner,
    shard: Shard,
    pim: Option<PimId>,
    from: Position,
    limit: ReadLimit,
) -> Result<Chunk, Failure> {
    let line = inner.readers.line(pim.map_or(PLATFORM, of_pim)).await?;
    let of_pim = if pim.is_some() { "f.pim = $5" } else { "$5 = 0" };
    // The frame that begins before `from` may extend beyond it. The head comes with the frames: all before it are seen.
    let sql = format!(
        "SELECT h.pos, f.pos, f.pim, f.body FROM head h LEFT JOIN LATERAL (\
         SELECT f.pos, f.pim, f.body FROM frames f LEFT JOIN keeping k ON k.pim = f.pim \
         WHERE f.shard = $1 AND {of_pim} AND f.pos > $2 - {FRAME} AND f.pos + f.count > $2 AND f.pos < h.pos \
         AND f.pos < $3 AND {VISIBLE} ORDER BY f.pos LIMIT $4) f ON TRUE WHERE h.shard = $1 ORDER BY f.pos"
    );
    let frames = FRAMES.min(limit.events.saturating_add(1)).min(limit.bytes / (8 << 10) + 2);
    let frames_at_once = i64::try_from(frames).unwrap_or(i64::MAX);
    let of = pim.map_or(0, |pim| int(pim.0));
    let mut chunk = Chunk { events: Vec::new(), next: from };
    let mut bytes = 0;
    loop {
        let (next, until) = (long(chunk.next.0), long(limit.until.0));
        let rows = line.query(&sql, args![number(shard), next, until, frames_at_once, of]).await?;
        let head = rows.first().map(|row| Position(natural(row.get(0))));
        let head = head.ok_or_else(|| Failure::Corrupt("a shard has no head".to_owned()))?;
        let end = head.min(limit.until).max(from);
        let mut found = 0;
        for row in &rows {
            let Some(first) = row.get::<_, Option<i64>>(1) else { break };
            found += 1;
            let wanted = chunk.next..end;
            let events = decode(PimId(unsigned(row.get(2))), Position(natural(first)), wanted, row.get(3))?;
            for event in events {
                let size = event.event.size();
                let full = chunk.events.len() >= limit.events.max(1) || bytes + size > limit.bytes;
                if full && !chunk.events.is_empty() {
                    chunk.next = event.position;
                    return Ok(chunk);
                }
                bytes += size;
                chunk.next = event.position.next();
                chunk.events.push(event);
            }
        }
        if found < frames {
            chunk.next = end;
            return Ok(chunk);
        }
    }
}

pub(crate) fn decode(
    pim: PimId,
    first: Position,
    wanted: std::ops::Range<Position>,
    body: &[u8],
) -> Result<Vec<Arc<LoggedEvent>>, Failure> {
    frame::decode(pim, first, wanted, body)
        .map_err(|error| Failure::Corrupt(format!("the events from position {first} on: {error}")))
}
