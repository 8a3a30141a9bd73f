//! The platform under measurement: the real program as a separate process with an empty data folder.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use store::vault::MasterKey;
use store::{Store, Vault};
use store_postgres::{PostgresStore, Target};
use store_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Settings of deliveries where what is measured is not the pace: rates that nothing reaches.
const NO_PACE: &str = "rate_lowest = 1e9\nrate_first = 1e9\nrate_highest = 1e9\nhost_rate = 100000\n";
/// The usual settings, but the highest rate from the start.
const PACED: &str = "rate_first = 100\n";
/// Maximum duration of a start.
const START_AT_MOST: Duration = Duration::from_secs(60);

/// A program that runs the platform, such as valgrind, with its arguments.
pub(crate) struct Runner(Vec<String>);

impl Runner {
    /// Run as `command` with the platform's own command line behind it.
    pub(crate) fn new(command: &[&str]) -> Runner {
        Runner(command.iter().map(|&part| part.to_owned()).collect())
    }
}

/// A data folder and the settings of its platform.
pub(crate) struct Stage {
    server: PathBuf,
    folder: TempDir,
    key: MasterKey,
    pub(crate) max_in_flight: usize,
    pace: &'static str,
    /// Further tables of the configuration.
    more: &'static str,
    /// URL of its database; `None`: a file in the data folder.
    database: Option<String>,
}

impl Stage {
    /// An empty folder within `parent`.
    pub(crate) fn new(server: &Path, parent: &Path, max_in_flight: usize) -> anyhow::Result<Stage> {
        if !server.is_file() {
            bail!(
                "{} does not exist; build it with `cargo build --profile shipped --package postrider`",
                server.display()
            );
        }
        let folder = tempfile::Builder::new().prefix("postrider-bench-").tempdir_in(parent)?;
        let (server, key) = (server.to_owned(), MasterKey::random("bench")?);
        Ok(Stage { server, folder, key, max_in_flight, pace: NO_PACE, more: "", database: None })
    }

    /// The same with further tables of the configuration.
    pub(crate) fn with(self, more: &'static str) -> Stage {
        Stage { more, ..self }
    }

    /// The same in a database.
    pub(crate) fn on(self, database: Option<String>) -> Stage {
        Stage { database, ..self }
    }

    /// The same with the platform's own bounds on rates.
    pub(crate) fn paced(self) -> Stage {
        Stage { pace: PACED, ..self }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The store, while no platform runs on it.
    pub(crate) async fn store(&self) -> anyhow::Result<Box<dyn Store>> {
        let vault = Vault::new(MasterKey::from_base64(self.key.id(), &self.key.expose_base64())?, [])?;
        Ok(match &self.database {
            None => Box::new(SqliteStore::open_exclusive(&self.data(), store_sqlite::Settings::new(vault))?),
            Some(url) => {
                let settings = store_postgres::Settings::new(Target::parse(url, None, &[], true)?, vault);
                Box::new(PostgresStore::open_beside(settings, true).await?)
            }
        })
    }

    /// Bytes of all files in the data folder.
    pub(crate) fn bytes(&self) -> anyhow::Result<u64> {
        let mut bytes = 0;
        for file in std::fs::read_dir(self.data())? {
            bytes += file?.metadata()?.len();
        }
        Ok(bytes)
    }

    /// Starts the platform, with these environment variables.
    pub(crate) async fn start(&self, variables: &[(&str, String)]) -> anyhow::Result<Platform> {
        self.start_in(None, variables).await
    }

    /// Starts a node of several on the same database, with a listener for the others at this port.
    pub(crate) async fn start_node(&self, port: u16) -> anyhow::Result<Platform> {
        let cluster = format!("[cluster]\nlisten = \"127.0.0.1:{port}\"\n");
        self.launch(&format!("-{port}"), &cluster, None, &[]).await
    }

    /// The same within another program.
    pub(crate) async fn start_in(
        &self,
        runner: Option<&Runner>,
        variables: &[(&str, String)],
    ) -> anyhow::Result<Platform> {
        self.launch("", "", runner, variables).await
    }

    /// `name` tells its files from those of other nodes.
    async fn launch(
        &self,
        name: &str,
        tables: &str,
        runner: Option<&Runner>,
        variables: &[(&str, String)],
    ) -> anyhow::Result<Platform> {
        let mut config = String::new();
        // Writing to a string cannot fail.
        _ = write!(
            config,
            "data_dir = {:?}\nlisten = \"127.0.0.1:0\"\nallow_networks = [\"127.0.0.0/8\"]\nallow_http_destinations = \
             true\n\
             [encryption]\nkeys = [\"{}:{}\"]\n[log]\nlevel = \"warn\"\n\
             [delivery]\n{}max_in_flight = {}\n{}{tables}",
            self.folder.path().join(format!("data{name}")),
            self.key.id(),
            self.key.expose_base64(),
            self.pace,
            self.max_in_flight,
            self.more,
        );
        if let Some(url) = &self.database {
            _ = write!(config, "[store]\nbackend = \"postgres\"\nurl = \"{url}\"\n");
        }
        let file = |kind: &str| self.folder.path().join(format!("{kind}{name}"));
        let (path, ready) = (file("postrider.toml"), file("ready"));
        std::fs::write(&path, config)?;
        if ready.exists() {
            std::fs::remove_file(&ready)?;
        }
        let mut line = runner.map_or_else(Vec::new, |runner| runner.0.iter().map(Into::into).collect());
        line.push(self.server.clone().into_os_string());
        let mut process = Command::new(&line[0])
            .args(&line[1..])
            .arg("serve")
            .arg("--config")
            .arg(&path)
            .arg("--ready-file")
            .arg(&ready)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", line[0].display()))?;
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

    /// Kills it, as a power failure would.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
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
