//! The event log.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use domain::outcome::Lack;
use domain::{Event, PimId, Position, ServiceHour, Timestamp};
use rusqlite::{Connection, OptionalExtension};
use store::{
    AppendError, Appended, Backlog, Chunk, Condition, EventLog, Floors, ReadLimit, Scope, Shard, StoreError, Tail,
    Tenure, TenureError, frame,
};
use tokio::sync::oneshot;

use crate::SqliteStore;
use crate::failure::Failure;
use crate::kept::keeping;
use crate::readers::{PLATFORM, of_pim};
use crate::writer::{Append, Request};

#[async_trait]
impl EventLog for SqliteStore {
    fn hour(&self) -> ServiceHour {
        ServiceHour(self.hour.load(Ordering::Relaxed))
    }

    async fn served(&self, tenure: &Tenure, elapsed: Duration) -> Result<ServiceHour, TenureError> {
        self.owns(tenure)?;
        Ok(self.write(move |batch| Ok::<_, StoreError>(batch.served(elapsed)?)).await?)
    }

    async fn append_if(
        &self,
        pim: PimId,
        events: Vec<Event>,
        now: Timestamp,
        conditions: Vec<Condition>,
    ) -> Result<Appended, AppendError> {
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let keys = events.iter().map(|event| self.keyed.key(pim, &event.identity())).collect();
        let (answer, answered) = oneshot::channel();
        self.writer.send(Request::Append(Append { pim, events, keys, now, conditions, answer })).await?;
        answered.await.map_err(|_| closed())?
    }

    async fn lacks(&self) -> Vec<Lack> {
        let spare = || {
            let connection = self.glance.connection();
            Ok(keeping::free_pages(&connection)?.saturating_add(keeping::total(&connection)?))
        };
        self.health.lacks(&self.writer, &self.folder, self.bounds.min_free_disk_bytes, spare).await
    }

    async fn read(&self, scope: Scope, from: Position, limit: ReadLimit) -> Result<Chunk, StoreError> {
        let pim = match scope {
            Scope::Shard(_) => None,
            Scope::Pim(pim) => Some(pim),
        };
        let end = self.tail.head().min(limit.until).max(from);
        if from == end {
            return Ok(Chunk { events: Vec::new(), next: end });
        }
        self.read(pim.map_or(PLATFORM, of_pim), move |connection| read(connection, pim, from, end, limit)).await
    }

    fn tail(&self, _: Shard) -> Arc<Tail> {
        Arc::clone(&self.tail)
    }

    async fn head(&self, _: Shard) -> Result<Position, StoreError> {
        Ok(self.tail.head())
    }

    fn backlog(&self) -> Backlog {
        self.backlog.lock().clone()
    }

    async fn position_after(&self, pim: PimId, bytes: u64) -> Result<Position, StoreError> {
        let head = self.tail.head();
        self.read(of_pim(pim), move |connection| position_after(connection, pim, bytes, head)).await
    }

    async fn first_since(&self, _: Shard, hour: ServiceHour) -> Result<Position, StoreError> {
        let head = self.tail.head();
        self.read(PLATFORM, move |connection| first_since(connection, hour, head)).await
    }

    async fn trim(&self, tenure: &Tenure, floors: &Floors) -> Result<u64, TenureError> {
        self.owns(tenure)?;
        let of_pims: HashMap<PimId, Position> = floors.pims.iter().copied().collect();
        let (rest, keep) = (floors.rest, self.keep);
        Ok(self.write(move |batch| Ok::<_, StoreError>(keeping::trim(batch, &of_pims, rest, keep)?)).await?)
    }
}

pub(crate) fn read(
    connection: &Connection,
    pim: Option<PimId>,
    from: Position,
    end: Position,
    limit: ReadLimit,
) -> Result<Chunk, Failure> {
    // The frame that begins before `from` may extend beyond it.
    let sql = match pim {
        Some(_) => {
            "SELECT pos, pim, body FROM frames WHERE pim = ?3 AND pos < ?2 AND pos >= coalesce(\
             (SELECT pos FROM frames WHERE pim = ?3 AND pos <= ?1 ORDER BY pos DESC LIMIT 1), ?1) ORDER BY pos"
        }
        None => {
            "SELECT pos, pim, body FROM frames WHERE ?3 IS NULL AND pos < ?2 AND pos >= coalesce(\
             (SELECT pos FROM frames WHERE pos <= ?1 ORDER BY pos DESC LIMIT 1), ?1) ORDER BY pos"
        }
    };
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query((from.0, end.0, pim.map(|pim| pim.0)))?;
    let mut chunk = Chunk { events: Vec::new(), next: end };
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let (first, of) = (Position(row.get(0)?), PimId(row.get(1)?));
        let body = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        let frame = frame::decode(of, first, from..end, body)
            .map_err(|error| Failure::Corrupt(format!("the events from position {first} on: {error}")))?;
        for event in frame {
            let size = event.event.size();
            let full = chunk.events.len() >= limit.events.max(1) || bytes + size > limit.bytes;
            if full && !chunk.events.is_empty() {
                chunk.next = event.position;
                return Ok(chunk);
            }
            bytes += size;
            chunk.events.push(event);
        }
    }
    Ok(chunk)
}

/// `hour` never decreases along the log, so a binary search finds the first frame that reaches the requested one.
pub(crate) fn first_since(connection: &Connection, hour: ServiceHour, head: Position) -> Result<Position, Failure> {
    let sql = "SELECT pos, hour FROM frames WHERE pos >= ?1 ORDER BY pos LIMIT 1";
    let mut next = connection.prepare_cached(sql)?;
    let mut frame_from = |position: u64| -> Result<Option<(u64, u32)>, Failure> {
        Ok(next.query_row([position], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    };
    let (mut low, mut high) = (1, head.0);
    // Frames that begin before `low` are too early; those from `high` on are not.
    while low < high {
        let middle = low + (high - low) / 2;
        match frame_from(middle)? {
            Some((pos, of)) if of < hour.0 => low = pos + 1,
            _ => high = middle,
        }
    }
    Ok(frame_from(low)?.map_or(head, |(pos, _)| Position(pos).min(head)))
}

/// Scans the index over lengths, not the events.
fn position_after(connection: &Connection, pim: PimId, bytes: u64, head: Position) -> Result<Position, Failure> {
    let floor = keeping::floor(connection, pim)?;
    let sql = "SELECT pos, length(body) FROM frames WHERE pim = ?1 AND pos >= ?2 ORDER BY pos";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query((pim.0, floor.0))?;
    let mut so_far = 0;
    while let Some(row) = rows.next()? {
        if so_far >= bytes {
            return Ok(Position(row.get(0)?).min(head));
        }
        so_far += row.get::<_, u64>(1)?;
    }
    Ok(head)
}
