//! Followers of shards: they push what is committed to the tail, own events and others', once and in order, and count
//! the backlog.

use std::sync::Arc;

use domain::{LoggedEvent, PimId, Position};
use parking_lot::Mutex;
use store::tail::Memory;
use store::{Shard, Tail};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio_postgres::Row;

use crate::args::{args, long, natural, unsigned};
use crate::event_log::decode;
use crate::failure::Failure;
use crate::inner::Inner;
use crate::lines::PLATFORM;

/// Frames read at once, of all shards together.
const AT_ONCE: usize = 64;

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

    /// Up to which position it has counted the backlog; `None` if this process doesn't own the shard.
    pub(crate) async fn follows(&self, inner: &Inner) -> Option<Position> {
        let state = self.state.lock().await;
        let losses = inner.losses.count();
        let is_current = state.follows && state.since_loss == losses && inner.leases.has(self.shard, losses);
        is_current.then_some(state.next)
    }

    /// Pushes own events, after others' that came before them; only the owner has a tail.
    pub(crate) async fn appended(&self, inner: &Inner, own: Appended) {
        let mut state = self.state.lock().await;
        if state.since_loss != inner.losses.count() || !state.follows {
            // It is up to the owner.
            for (pim, bytes) in own.bytes {
                inner.foreign.lock().add(pim, own.first, bytes);
                inner.backlog.lock().count(pim, bytes.cast_signed());
            }
            return;
        }
        if state.next < own.first {
            let mut behind = [Behind { follower: self, state, until: own.first }];
            let caught_up = catch_up(inner, &mut behind).await;
            [Behind { state, .. }] = behind;
            if let Err(failure) = caught_up {
                tracing::warn!(%failure, "could not read others' events; trying again");
                return;
            }
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

    /// What it lacks up to the head of the log, if it lacks anything.
    pub(crate) async fn behind(&self, inner: &Inner, head: Position) -> Option<Behind<'_>> {
        let mut state = self.state.lock().await;
        let losses = inner.losses.count();
        if !state.follows || state.since_loss != losses {
            return None;
        }
        if !inner.leases.has(self.shard, losses) {
            // It has another owner, or none.
            state.follows = false;
            *self.tail.lock() = Arc::new(Tail::sharing(state.next, &self.memory));
            return None;
        }
        (state.next < head).then_some(Behind { follower: self, state, until: head })
    }
}

/// A follower that lacks events of others. Nothing else is pushed meanwhile.
pub(crate) struct Behind<'f> {
    follower: &'f Follower,
    state: MutexGuard<'f, State>,
    until: Position,
}

impl Behind<'_> {
    /// Returns the number of events.
    fn push(&mut self, inner: &Inner, rows: &[&Row]) -> Result<usize, Failure> {
        let mut events = Vec::new();
        for row in rows {
            let (first, pim) = (Position(natural(row.get(1))), PimId(unsigned(row.get(2))));
            events.extend(decode(pim, first, self.state.next..self.until, row.get(3))?);
        }
        let Some(end) = events.last().map(|last: &Arc<LoggedEvent>| last.position.next()) else {
            let Behind { follower, state, .. } = self;
            return Err(Failure::Corrupt(format!(
                "there are no events of shard {} from position {} on",
                follower.shard, state.next
            )));
        };
        for row in rows {
            inner.backlog.lock().count(PimId(unsigned(row.get(2))), i64::from(row.get::<_, i32>(4)));
        }
        self.state.next = end;
        let count = events.len();
        self.follower.tail().push(events);
        Ok(count)
    }
}

/// Pushes others' events, of all these followers together: a statement for each would take longer the more shards a
/// node owns. Returns their number.
pub(crate) async fn catch_up(inner: &Inner, behind: &mut [Behind<'_>]) -> Result<usize, Failure> {
    let line = inner.readers.line(PLATFORM).await?;
    let sql = "SELECT f.* FROM unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS w (shard, since, until) \
               CROSS JOIN LATERAL (SELECT shard, pos, pim, body, bytes FROM frames WHERE shard = w.shard \
               AND pos >= w.since AND pos < w.until ORDER BY pos LIMIT $4) f ORDER BY f.shard, f.pos";
    let (mut pushed, mut failed) = (0, None);
    loop {
        let lacking: Vec<_> = behind.iter_mut().filter(|one| one.state.next < one.until).collect();
        if lacking.is_empty() {
            return failed.map_or(Ok(pushed), Err);
        }
        let shards: Vec<i16> = lacking.iter().map(|one| i16::from(one.follower.shard.number())).collect();
        let since: Vec<i64> = lacking.iter().map(|one| long(one.state.next.0)).collect();
        let until: Vec<i64> = lacking.iter().map(|one| long(one.until.0)).collect();
        let at_once = i64::try_from((AT_ONCE / lacking.len()).max(1)).unwrap_or(1);
        let rows = line.query(sql, args![shards, since, until, at_once]).await?;
        for one in lacking {
            let shard = i16::from(one.follower.shard.number());
            let own: Vec<&Row> = rows.iter().filter(|row| row.get::<_, i16>(0) == shard).collect();
            match one.push(inner, &own) {
                Ok(count) => pushed += count,
                Err(failure) => {
                    // The next look tries again; the others go on.
                    one.until = one.state.next;
                    failed = Some(failure);
                }
            }
        }
    }
}
