//! Ceilings of the machine without a platform: appends to a file, and requests sent directly to the receiver.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::producer::{Target, flood};
use crate::receiver::Receiver;
use crate::sample::{EVENT_BYTES, Samples};

/// Records per sync, as defined by the target.
const RECORDS_A_SYNC: usize = 64;

/// Records per second written to a plain file with a sync after each 64.
pub(crate) fn appends(folder: &Path, time: Duration) -> anyhow::Result<f64> {
    let records = [b'x'; EVENT_BYTES].repeat(RECORDS_A_SYNC);
    let mut file = tempfile::tempfile_in(folder)?;
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < time {
        synced(&mut file, &records)?;
        count += RECORDS_A_SYNC;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// Milliseconds of single appends with a sync, at the rate of the latency measurement.
pub(crate) fn syncs(folder: &Path, time: Duration, pause: Duration) -> anyhow::Result<Vec<f64>> {
    let mut file = tempfile::tempfile_in(folder)?;
    let start = Instant::now();
    let mut took = Vec::new();
    while start.elapsed() < time {
        let begun = Instant::now();
        synced(&mut file, &[b'x'; EVENT_BYTES])?;
        took.push(begun.elapsed().as_secs_f64() * 1000.0);
        std::thread::sleep(pause);
    }
    Ok(took)
}

fn synced(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    file.write_all(bytes)?;
    file.sync_data()
}

/// Requests per second sent directly to the receiver.
pub(crate) async fn posts(
    receiver: &Receiver,
    samples: &Arc<Samples>,
    connections: usize,
    time: Duration,
) -> anyhow::Result<f64> {
    Ok(flood(&Target::receiver(receiver), samples, connections, 1, time).await?.a_second())
}
