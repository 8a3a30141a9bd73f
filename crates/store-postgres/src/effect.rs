//! Whether the owner of a shard has applied a change, as seen from another node.

use std::time::Duration;

use store::Shard;
use tokio::time::Instant;
use uuid::Uuid;

use crate::args::{args, natural};
use crate::failure::Failure;
use crate::inner::{Inner, number};
use crate::lease::Uptime;
use crate::lines::PLATFORM;

/// Pauses between looks.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The lease of a shard, and what its owner has applied.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Looked {
    owner: Option<Uuid>,
    epoch: i64,
    beat: i64,
    applied: u64,
}

/// Waits until nobody sends by an older version of a shard's catalogue: its owner has applied the change, which is
/// committed; another one has taken over since and has read it; or nobody owns the shard. `false` after `at_most`.
pub(crate) async fn wait(inner: &Inner, shard: Shard, version: u64, at_most: Duration) -> bool {
    let (by, own) = (Instant::now() + at_most, inner.news(shard));
    let mut pause = FIRST_PAUSE;
    // The latest lease, and since when it has not changed.
    let mut seen: Option<(Looked, Uptime)> = None;
    loop {
        let left = by.saturating_duration_since(Instant::now());
        if own.in_effect(version, pause.min(left)).await {
            return true;
        }
        if inner.leases.owns(shard, inner.losses.count()) {
            // It is announced here.
            return own.in_effect(version, by.saturating_duration_since(Instant::now())).await;
        }
        let sent = Uptime::now();
        match look(inner, shard).await {
            Ok(Some(now)) => {
                let since = match seen {
                    // A failover may lower it.
                    Some((before, _)) if before.epoch < now.epoch => return true,
                    Some((before, since)) if (before.epoch, before.beat) == (now.epoch, now.beat) => since,
                    _ => Uptime::now(),
                };
                // Unchanged between the answer of the first look and the start of this one, at least.
                let has_run_out = sent.since(since) >= inner.leases.valid();
                if now.applied >= version || now.owner.is_none() || has_run_out {
                    return true;
                }
                seen = Some((now, since));
            }
            Ok(None) => return false,
            Err(failure) => tracing::debug!(%failure, "could not look which version is in effect"),
        }
        if Instant::now() >= by {
            return false;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn look(inner: &Inner, shard: Shard) -> Result<Option<Looked>, Failure> {
    let line = inner.readers.line(PLATFORM).await?;
    let sql = "SELECT l.owner, l.epoch, l.beat, p.applied FROM lease l JOIN progress p USING (shard) WHERE shard = $1";
    let rows = line.query(sql, args![number(shard)]).await?;
    Ok(rows.first().map(|row| Looked {
        owner: row.get(0),
        epoch: row.get(1),
        beat: row.get(2),
        applied: natural(row.get(3)),
    }))
}
