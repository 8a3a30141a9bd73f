//! Followers of shards: they push what is committed to the tail, own events and others', once and in order, and count
//! the backlog.

use std::sync::Arc;

use domain::{LoggedEvent, PimId, Position};
use parking_lot::Mutex;
use store::tail::Memory;
use store::{Shard, Tail};
use tokio::sync::Mutex as AsyncMutex;

use crate::args::{args, long, natural, unsigned};
use crate::event_log::decode;
use crate::failure::Failure;
use crate::inner::Inner;
use crate::lines::{Line, PLATFORM};

/// Frames read at once.
const AT_ONCE: i64 = 64;

/// Events appended by this process: a run of positions.
pub(crate) struct Appended {
    pub(crate) first: Position,
    pub(crate) events: Vec<Arc<LoggedEvent>>,
    /// Bytes of frames by PIM.
    pub(crate) bytes: Vec<(PimId, u64)>,
}

/// Follows the log of one shard.
pub(crate) struct Follower {
    shard: Shard,
    state: AsyncMutex<State>,
    tail: Mutex<Arc<Tail>>,
    memory: Arc<Memory>,
}

#[derive(Debug)]
struct State {
    /// All events before it were pushed, or are older than the tail.
    next: Position,
    /// Whether others' events are looked for.
    follows: bool,
    /// The number of losses when it began to follow.
    since_loss: u64,
}

impl Follower {
    pub(crate) fn new(shard: Shard, head: Position, memory: &Arc<Memory>) -> Follower {
        let state = State { next: head, follows: false, since_loss: 0 };
        let tail = Mutex::new(Arc::new(Tail::sharing(head, memory)));
        Follower { shard, state: AsyncMutex::new(state), tail, memory: Arc::clone(memory) }
    }

    pub(crate) fn tail(&self) -> Arc<Tail> {
        Arc::clone(&self.tail.lock())
    }

    /// Begins anew at the head of the log, with an empty tail.
    pub(crate) async fn begin(&self, inner: &Inner) -> Result<(), Failure> {
        let mut state = self.state.lock().await;
        // Counted before: what is lost meanwhile makes this outdated.
        let since_loss = inner.losses.count();
        let line = inner.readers.line(PLATFORM).await?;
        let shard = i16::from(self.shard.number());
        let sql = "SELECT pos, version FROM head WHERE shard = $1";
        let rows = line.query(sql, args![shard]).await?;
        let Some(row) = rows.first() else { return Err(Failure::Corrupt("a shard has no head".to_owned())) };
        let head = Position(natural(row.get(0)));
        let sizes = "SELECT f.pim, sum(f.bytes)::bigint FROM frames f LEFT JOIN keeping k ON k.pim = f.pim \
                     WHERE f.shard = $1 AND f.pos < $2 AND f.pos >= coalesce(k.floor, 0) GROUP BY f.pim";
        let sizes = line.query(sizes, args![shard, long(head.0)]).await?;
        let sizes: Vec<(PimId, u64)> =
            sizes.iter().map(|row| (PimId(unsigned(row.get(0))), natural(row.get(1)))).collect();
        inner.recount(self.shard, &sizes);
        inner.news(self.shard).commit(natural(row.get(1)));
        *state = State { next: head, follows: true, since_loss };
        *self.tail.lock() = Arc::new(Tail::sharing(head, &self.memory));
        Ok(())
    }

    /// Pushes own events, after others' that came before them.
    pub(crate) async fn appended(&self, inner: &Inner, own: Appended) {
        let mut state = self.state.lock().await;
        if state.since_loss != inner.losses.count() || !state.follows {
            // Nobody has taken the shard up since the last loss: it begins with these events.
            *state = State { next: own.first, follows: true, since_loss: inner.losses.count() };
            *self.tail.lock() = Arc::new(Tail::sharing(own.first, &self.memory));
        }
        if state.next < own.first
            && let Err(failure) = self.catch_up(inner, &mut state, own.first).await
        {
            tracing::warn!(%failure, "could not read others' events; trying again");
            return;
        }
        if state.next > own.first {
            // They were read from the log already.
            return;
        }
        let Some(end) = own.events.last().map(|last| last.position.next()) else { return };
        for (pim, bytes) in own.bytes {
            inner.backlog.lock().count(pim, bytes.cast_signed());
        }
        state.next = end;
        self.tail().push(own.events);
    }

    /// Pushes others' events up to the head of the log. Whether there were any.
    pub(crate) async fn poll(&self, inner: &Inner, head: Position) -> Result<bool, Failure> {
        let mut state = self.state.lock().await;
        if !state.follows || state.since_loss != inner.losses.count() {
            return Ok(false);
        }
        if head <= state.next {
            return Ok(false);
        }
        self.catch_up(inner, &mut state, head).await?;
        Ok(true)
    }

    async fn catch_up(&self, inner: &Inner, state: &mut State, until: Position) -> Result<(), Failure> {
        let line = inner.readers.line(PLATFORM).await?;
        while state.next < until {
            let (events, sizes) = self.read(&line, state.next, until).await?;
            let Some(end) = events.last().map(|last| last.position.next()) else {
                return Err(Failure::Corrupt(format!("there are no events from position {} on", state.next)));
            };
            for (pim, bytes) in sizes {
                inner.backlog.lock().count(pim, bytes.cast_signed());
            }
            state.next = end;
            self.tail().push(events);
        }
        Ok(())
    }

    async fn read(
        &self,
        line: &Line,
        from: Position,
        until: Position,
    ) -> Result<(Vec<Arc<LoggedEvent>>, Vec<(PimId, u64)>), Failure> {
        let sql = "SELECT pos, pim, body, bytes FROM frames WHERE shard = $1 AND pos >= $2 AND pos < $3 \
                   ORDER BY pos LIMIT $4";
        let shard = i16::from(self.shard.number());
        let rows = line.query(sql, args![shard, long(from.0), long(until.0), AT_ONCE]).await?;
        let (mut events, mut sizes) = (Vec::new(), Vec::new());
        for row in rows {
            let (first, pim) = (Position(natural(row.get(0))), PimId(unsigned(row.get(1))));
            events.extend(decode(pim, first, from..until, row.get(2))?);
            sizes.push((pim, u64::from(unsigned(row.get(3)))));
        }
        Ok((events, sizes))
    }
}
