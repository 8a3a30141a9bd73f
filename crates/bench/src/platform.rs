//! The platform under measurement: the real program as a separate process with an empty data folder.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use store::Vault;
use store::vault::MasterKey;
use store_sqlite::{Settings, SqliteStore};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Settings of deliveries where what is measured is not the pace: rates that nothing reaches.
const NO_PACE: &str = "rate_lowest = 1e9\nrate_first = 1e9\nrate_highest = 1e9\nhost_rate = 100000\n";
/// The usual settings, but the highest rate from the start.
const PACED: &str = "rate_first = 100\n";
/// Maximum duration of a start.
const START_AT_MOST: Duration = Duration::from_secs(60);

/// A data folder and the settings of its platform.
pub(crate) struct Stage {
    server: PathBuf,
    folder: TempDir,
    key: MasterKey,
    pub(crate) max_in_flight: usize,
    pace: &'static str,
}

impl Stage {
    /// An empty folder within `parent`.
    pub(crate) fn new(server: &Path, parent: &Path, max_in_flight: usize) -> anyhow::Result<Stage> {
        if !server.is_file() {
            bail!("{} does not exist; build it with `cargo build --release --package postrider`", server.display());
        }
        let folder = tempfile::Builder::new().prefix("postrider-bench-").tempdir_in(parent)?;
        Ok(Stage { server: server.to_owned(), folder, key: MasterKey::random("bench")?, max_in_flight, pace: NO_PACE })
    }

    /// The same with the platform's own bounds on rates.
    pub(crate) fn paced(self) -> Stage {
        Stage { pace: PACED, ..self }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The store, while no platform runs on it.
    pub(crate) fn store(&self) -> anyhow::Result<SqliteStore> {
        let key = MasterKey::from_base64(self.key.id(), &self.key.expose_base64())?;
        Ok(SqliteStore::open_exclusive(&self.data(), Settings::new(Vault::new(key, [])?))?)
    }

    /// Bytes of all files in the data folder.
    pub(crate) fn bytes(&self) -> anyhow::Result<u64> {
        let mut bytes = 0;
        for file in std::fs::read_dir(self.data())? {
            bytes += file?.metadata()?.len();
        }
        Ok(bytes)
    }

    /// Starts the platform, with an optional environment variable.
    pub(crate) async fn start(&self, variable: Option<(&str, String)>) -> anyhow::Result<Platform> {
        let mut config = String::new();
        // Writing to a string cannot fail.
        _ = write!(
            config,
            "data_dir = {:?}\nlisten = \"127.0.0.1:0\"\nallow_networks = [\"127.0.0.0/8\"]\nallow_http_destinations = \
             true\n\
             [encryption]\nkeys = [\"{}:{}\"]\n[log]\nlevel = \"warn\"\n\
             [delivery]\n{}max_in_flight = {}\n",
            self.data(),
            self.key.id(),
            self.key.expose_base64(),
            self.pace,
            self.max_in_flight,
        );
        let (path, ready) = (self.folder.path().join("postrider.toml"), self.folder.path().join("ready"));
        std::fs::write(&path, config)?;
        if ready.exists() {
            std::fs::remove_file(&ready)?;
        }
        let mut process = Command::new(&self.server)
            .arg("serve")
            .arg("--config")
            .arg(&path)
            .arg("--ready-file")
            .arg(&ready)
            .envs(variable)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.server.display()))?;
        let start = Instant::now();
        loop {
            if let Some(url) = std::fs::read_to_string(&ready).ok().filter(|url| url.ends_with('\n')) {
                let address = url.trim().strip_prefix("http://").context("the ready file contains no URL")?.parse()?;
                return Ok(Platform { process, address });
            }
            if let Some(status) = process.try_wait()? {
                bail!("the platform exited during its start: {status}");
            }
            if start.elapsed() > START_AT_MOST {
                bail!("the platform is not ready after {} s", START_AT_MOST.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A running platform.
pub(crate) struct Platform {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Platform {
    fn id(&self) -> anyhow::Result<u32> {
        self.process.id().context("the platform has exited")
    }

    /// Its resident memory in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024)
    }

    /// Its processor time in microseconds.
    pub(crate) fn processor_time(&self) -> anyhow::Result<f64> {
        // Linux reports it to programs in hundredths of a second.
        const TICK: f64 = 10_000.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id()?))?;
        // After the name, which may contain anything: state is field 3, user and system time are 14 and 15.
        let (_, fields) = stat.rsplit_once(')').context("no name")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
        Ok(ticks * TICK)
    }

    /// Stops it gracefully.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let status = Command::new("kill").arg("-TERM").arg(self.id()?.to_string()).status().await?;
        if !status.success() {
            bail!("cannot signal the platform to stop");
        }
        let ended = self.process.wait().await?;
        if ended.success() { Ok(()) } else { bail!("the platform exited with {ended}") }
    }
}
