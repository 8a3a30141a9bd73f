//! A `postrider serve` process that dies with the test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::backend;
use crate::client::PIM_SECRET;

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_postrider");

/// A command of the binary without settings from this environment. The kernel ends it when the thread of the test ends,
/// however that happens.
pub(crate) fn postrider(args: &[&str]) -> Command {
    postrider_by(&[BINARY], args)
}

/// The same by another command line, such as that of a program that runs the binary.
fn postrider_by(line: &[&str], args: &[&str]) -> Command {
    let can_tie = Command::new("setpriv").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let mut command = if can_tie.is_ok_and(|status| status.success()) {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(line);
        command
    } else {
        let mut command = Command::new(line[0]);
        command.args(&line[1..]);
        command
    };
    for (name, _) in std::env::vars_os() {
        if ["POSTRIDER_", "OTEL_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.envs(backend::environment(args));
    command.args(args);
    command
}

/// A running platform.
pub(crate) struct Running {
    child: Child,
    /// `127.0.0.1:port`
    pub(crate) address: String,
}

/// Settings that allow receivers on loopback, with a high rate limit.
const SETTINGS: [&str; 14] = [
    "--listen",
    "127.0.0.1:0",
    "--allow-networks",
    "127.0.0.0/8",
    "--allow-http-destinations",
    "true",
    "--delivery-rate-first",
    "100000",
    "--delivery-rate-highest",
    "100000",
    "--delivery-host-rate",
    "100000",
    "--api-rate",
    "10000",
];

/// PIM and client of a test.
pub(crate) const PIM: &str = "
[[pims]]
name = \"test\"
url = \"https://pim.example.com\"
keys = [\"a-key-for-the-tests\"]
token_check = \"static\"
static_tokens = [{ client_id = \"app\", token = \"token\" }]
";

/// The same with an Events API.
pub(crate) fn pim_with_events_api() -> String {
    format!("{}\nevents_api_secret = \"{PIM_SECRET}\"\n", PIM.trim_end())
}

impl Running {
    /// Starts on a data folder and waits until it listens and delivers.
    pub(crate) fn start(folder: &Path, more: &[&str]) -> Running {
        Running::start_in(folder, more, &[])
    }

    /// The same with environment variables. Its log, from `info` on, is the file `log` in the folder.
    pub(crate) fn start_in(folder: &Path, more: &[&str], environment: &[(&str, &str)]) -> Running {
        Running::start_with(folder, PIM, more, environment)
    }

    /// The same with its own configuration file.
    pub(crate) fn start_with(folder: &Path, file: &str, more: &[&str], environment: &[(&str, &str)]) -> Running {
        Running::start_by(&[BINARY], folder, file, more, environment)
    }

    /// The same by another command line.
    pub(crate) fn start_by(
        line: &[&str],
        folder: &Path,
        file: &str,
        more: &[&str],
        environment: &[(&str, &str)],
    ) -> Running {
        let config = folder.join("postrider.toml");
        std::fs::write(&config, file).unwrap();
        let (config, data) = (config.to_str().unwrap(), folder.join("data"));
        let args = ["serve", "--config", config, "--data-dir", data.to_str().unwrap()];
        let mut command = postrider_by(line, &[&args, &SETTINGS[..], more].concat());
        command.args(["--log-level", if environment.is_empty() { "warn" } else { "info" }]);
        if !environment.is_empty() {
            command.envs(environment.iter().copied());
            // A node that is started again continues it.
            let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log"));
            command.stderr(log.unwrap());
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("it did not start: {:?}", child.wait())).to_owned();
        let running = Running { child, address };
        if !more.contains(&"--store-url") {
            backend::wait_until_delivering(data.to_str().unwrap());
        }
        running
    }

    /// Ends it like a power cut.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Suspends it until [`Running::thaw`].
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    /// Continues it.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self, at_most: Duration) -> ExitStatus {
        let until = Instant::now() + at_most;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not end within {at_most:?}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Its resident memory in MiB: current and maximum.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Usually it has already been killed or has ended.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
