//! The backlog of shards that other nodes own: owners report changes every few seconds, and others add what they have
//! appended themselves beyond what the owner has routed. So the bound of the log holds on every node, except for what
//! was accepted since the latest report.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::{PimId, Position};
use store::{Backlog, Shard};
use tokio::time::sleep;

use crate::args::{args, int, long, natural, unsigned};
use crate::failure::Failure;
use crate::inner::{Inner, SPREAD, number};
use crate::lines::PLATFORM;

/// Interval of reports.
const EVERY: Duration = Duration::from_secs(5);
/// Own appends of a PIM that are remembered one by one; further ones count as of the latest.
const REMEMBERED: usize = 1_024;

/// What this process has appended to shards of other owners, by PIM: first positions and bytes.
#[derive(Debug, Default)]
pub(crate) struct Appends {
    of: HashMap<PimId, VecDeque<(Position, u64)>>,
}

impl Appends {
    pub(crate) fn add(&mut self, pim: PimId, first: Position, bytes: u64) {
        let appends = self.of.entry(pim).or_default();
        let is_full = appends.len() >= REMEMBERED;
        match appends.back_mut().filter(|_| is_full) {
            Some((_, last)) => *last += bytes,
            None => appends.push_back((first, bytes)),
        }
    }

    /// PIMs with appends that are not forgotten.
    fn pims(&self) -> impl Iterator<Item = PimId> {
        self.of.keys().copied()
    }

    /// Bytes from a position on; what is before it is forgotten.
    fn since(&mut self, pim: PimId, position: Position) -> u64 {
        let Some(appends) = self.of.get_mut(&pim) else { return 0 };
        appends.retain(|(first, _)| *first >= position);
        let bytes = appends.iter().map(|(_, bytes)| bytes).sum();
        if appends.is_empty() {
            self.of.remove(&pim);
        }
        bytes
    }

    /// Forgets a shard's PIMs, which are counted by their owner from now on.
    pub(crate) fn forget(&mut self, shard: Shard) {
        self.of.retain(|pim, _| SPREAD.shard_of(*pim) != shard);
    }
}

/// A row.
struct Report {
    bytes: u64,
    until: Position,
}

/// Reports and reads reports as long as the process serves. Never returns.
pub(crate) async fn keep(inner: Arc<Inner>) {
    loop {
        // A lone node knows everything.
        if inner.has_company.load(Ordering::Relaxed)
            && let Err(failure) = exchange(&inner).await
        {
            tracing::warn!(%failure, "could not compare the backlog with other nodes; retrying");
        }
        sleep(EVERY).await;
    }
}

async fn exchange(inner: &Inner) -> Result<(), Failure> {
    let line = inner.readers.line(PLATFORM).await?;
    // A report is only written if the bytes have changed; the mark says what the owner has seen otherwise.
    let rows = line.query("SELECT mark FROM progress ORDER BY shard", &[]).await?;
    let marks: Vec<Position> = rows.iter().map(|row| Position(natural(row.get(0)))).collect();
    let rows = line.query("SELECT pim, bytes, pos FROM backlog", &[]).await?;
    drop(line);
    let report = |row: &tokio_postgres::Row| {
        let report = Report { bytes: natural(row.get(1)), until: Position(natural(row.get(2))) };
        (PimId(unsigned(row.get(0))), report)
    };
    let reports: HashMap<PimId, Report> = rows.iter().map(report).collect();
    let mut own = HashMap::new();
    for shard in SPREAD.shards() {
        // Before the backlog is looked at: what comes in meanwhile is counted twice rather than not at all.
        if let Some(until) = inner.follower(shard).follows(inner).await {
            own.insert(shard, until);
        }
    }
    let is_own = |pim: PimId| own.contains_key(&SPREAD.shard_of(pim));
    let backlog = inner.backlog.lock().clone();
    report_own(inner, &own, &backlog, &reports).await?;
    let (mut counted, mut appends) = (inner.backlog.lock(), inner.foreign.lock());
    let known = reports.keys().copied().chain(appends.pims()).chain(counted.pims());
    let foreign: HashSet<PimId> = known.filter(|pim| !is_own(*pim)).collect();
    for pim in foreign {
        let (bytes, until) = reports.get(&pim).map_or((0, Position(0)), |report| (report.bytes, report.until));
        let mark = marks.get(usize::from(SPREAD.shard_of(pim).number())).copied().unwrap_or(until);
        let now = bytes + appends.since(pim, until.max(mark));
        let before = counted.of(pim);
        counted.count(pim, now.cast_signed() - before.cast_signed());
    }
    Ok(())
}

/// Writes what has changed of the own shards' PIMs, if this process still owns them.
async fn report_own(
    inner: &Inner,
    own: &HashMap<Shard, Position>,
    backlog: &Backlog,
    reports: &HashMap<PimId, Report>,
) -> Result<(), Failure> {
    let (mut pims, mut shards, mut bytes, mut until) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // Those with a backlog, and those that had one.
    let had = reports.keys().copied().filter(|pim| backlog.of(*pim) == 0);
    for pim in backlog.pims().into_iter().chain(had) {
        let (shard, now) = (SPREAD.shard_of(pim), backlog.of(pim));
        let Some(position) = own.get(&shard) else { continue };
        if reports.get(&pim).map_or(0, |last| last.bytes) != now {
            pims.push(int(pim.0));
            shards.push(number(shard));
            bytes.push(long(now));
            until.push(long(position.0));
        }
    }
    if pims.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO backlog AS b (pim, shard, bytes, pos) \
               SELECT t.pim, t.shard, t.bytes, t.pos FROM unnest($1, $2, $3, $4) AS t (pim, shard, bytes, pos) \
               JOIN progress p ON p.shard = t.shard AND p.owner = $5 \
               ON CONFLICT (pim) DO UPDATE SET bytes = excluded.bytes, pos = excluded.pos";
    let line = inner.changes.line().await?;
    line.execute(sql, args![pims, shards, bytes, until, inner.node.uuid()]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_appends_count_until_the_owner_has_reported_them() {
        let (pim, other) = (PimId(1), PimId(2));
        let mut appends = Appends::default();
        for (first, bytes) in [(10, 100), (20, 10), (30, 1)] {
            appends.add(pim, Position(first), bytes);
        }
        appends.add(other, Position(5), 7);
        assert_eq!(appends.since(pim, Position(10)), 111);
        assert_eq!(appends.since(pim, Position(11)), 11);
        assert_eq!(appends.since(pim, Position(30)), 1);
        assert_eq!(appends.since(pim, Position(31)), 0);
        assert_eq!(appends.since(other, Position(5)), 7);
        appends.forget(SPREAD.shard_of(other));
        assert!(appends.of.is_empty());
    }

    #[test]
    fn very_many_appends_take_bounded_memory_and_none_is_left_out() {
        let mut appends = Appends::default();
        for first in 0..5_000 {
            appends.add(PimId(1), Position(first), 1);
        }
        assert_eq!(appends.of[&PimId(1)].len(), REMEMBERED);
        assert_eq!(appends.since(PimId(1), Position(0)), 5_000);
    }
}
