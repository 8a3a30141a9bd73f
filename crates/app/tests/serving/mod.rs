//! The binary under test as a separate process that dies with the test, on settings of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// The binary with these arguments, without settings from this environment. It dies with the test.
pub(crate) fn tied(args: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", env!("CARGO_BIN_EXE_postrider")]).args(args);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("POSTRIDER_")) {
        command.env_remove(name);
    }
    command
}

/// A running `postrider serve`.
pub(crate) struct Serving {
    child: Child,
    /// `127.0.0.1:port`
    pub(crate) address: String,
    folder: TempDir,
}

impl Serving {
    /// Starts it with these settings, besides its address, folder and log, and waits until it listens.
    pub(crate) fn start(settings: &str) -> Serving {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("postrider.toml");
        let data = folder.path().join("data");
        let common = format!("listen = \"127.0.0.1:0\"\ndata_dir = {data:?}\nlog.level = \"error\"\n");
        std::fs::write(&config, common + settings).unwrap();
        let mut command = tied(&["serve", "--config", config.to_str().unwrap()]);
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").map(str::to_owned);
        let said = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        let address = address.unwrap_or_else(|| panic!("it did not start:\n{}", said()));
        Serving { child, address, folder }
    }

    /// Checks that it still runs without internal errors.
    pub(crate) fn must_be_well(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "it has ended");
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        assert!(log.is_empty(), "{log}");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
