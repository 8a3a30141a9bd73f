//! Instructions of the platform per event, counted by valgrind: the same on a busy machine and on an idle one.

use std::path::Path;

use anyhow::{Context, bail};

use super::{BATCH, Bench};
use crate::catalogue::{SOURCE_KEY, Subscriptions};
use crate::platform::Runner;
use crate::producer::Target;
use crate::recorded::Recorded;
use crate::table::{Aim, Row, Table};

/// Requests of two runs; their difference leaves out start and stop.
const REQUESTS: [usize; 2] = [200, 1_200];
/// The highest accepted count, as a multiple of the recorded one.
const HIGHEST: f64 = 1.05;

/// What is counted: each request waits for the one before, so that every run takes the same steps.
const HOT_PATHS: [HotPath; 3] = [
    HotPath { name: "instructions: ingest", batch: 1, fan_out: 0 },
    HotPath { name: "instructions: ingest and delivery", batch: 1, fan_out: 1 },
    HotPath { name: "instructions: ingest in batches of 100", batch: BATCH, fan_out: 0 },
];

struct HotPath {
    name: &'static str,
    batch: usize,
    fan_out: usize,
}

impl Bench<'_> {
    /// Counts, and compares with `recorded`.
    pub(super) async fn instructions(&self, table: &mut Table, recorded: &mut Recorded) -> anyhow::Result<()> {
        for path in HOT_PATHS {
            let mut counts = [0; 2];
            for (requests, count) in REQUESTS.into_iter().zip(&mut counts) {
                *count = self.count(&path, requests).await?;
            }
            let events = (REQUESTS[1] - REQUESTS[0]) * path.batch;
            let figure = (counts[1] - counts[0]) as f64 / events as f64;
            let ceiling = recorded.count(path.name);
            recorded.set(path.name, figure);
            table.row(&Row {
                name: path.name.to_owned(),
                figure,
                unit: "",
                ceiling,
                ratio: ceiling.map(|ceiling| figure / ceiling),
                aim: if ceiling.is_some() { Aim::RatioAtMost(HIGHEST) } else { Aim::None },
            });
        }
        Ok(())
    }

    /// Instructions of a process from its start to its end, with this many requests.
    async fn count(&self, path: &HotPath, requests: usize) -> anyhow::Result<u64> {
        let report = tempfile::NamedTempFile::new()?;
        let log = format!("--log-file={}", report.path().display());
        let options = ["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", &log];
        let runner = Runner::new(&[&["valgrind"], &options[..]].concat());
        let subscriptions = Subscriptions { matching: path.fan_out, ..Subscriptions::default() };
        let (_stage, platform) = self.stage_in(Some(&runner), None, 64, subscriptions).await?;
        let target = Target::platform(platform.address, SOURCE_KEY, path.batch)?;
        let mut client = target.connect().await?;
        let before = self.receiver.count();
        for number in 1..=requests {
            target.send(&mut client, self.samples.body(path.batch)).await?;
            self.receiver.wait_for(before + (number * path.batch * path.fan_out) as u64).await?;
        }
        platform.stop().await?;
        counted(report.path())
    }
}

/// The total in cachegrind's report.
fn counted(report: &Path) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(report)?;
    let total = text.lines().find_map(|line| line.split_once("refs:")).context("no total in valgrind's report")?.1;
    let total: String = total.chars().filter(char::is_ascii_digit).collect();
    match total.parse()? {
        0 => bail!("valgrind counted nothing"),
        total => Ok(total),
    }
}
