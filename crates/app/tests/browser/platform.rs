//! A `postrider serve` whose receivers are on loopback: a PIM with several clients, and the operator's key.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::play::Stage;

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_postrider");

const PIM_URL: &str = "https://pim.example.com";
const KEY: &str = "a-key-for-the-tests";
const OPERATOR: &str = "the-key-of-the-operator-0123";

/// Two PIMs: one with clients, one that never sends anything.
pub(crate) const PIMS: &str = r#"
    [[pims]]
    name = "shop"
    url = "https://pim.example.com"
    keys = ["a-key-for-the-tests"]
    token_check = "static"
    static_tokens = [
      { client_id = "app", token = "app-token" },
      { client_id = "other", token = "other-token" },
      { client_id = "new", token = "new-token" },
    ]

    [[pims]]
    name = "outlet"
    url = "https://outlet.example.com"
    token_check = "static"
    events_api_secret = "the-secret-of-the-events-api"
"#;

/// PIMs that can hold 10,000 subscriptions: each has at most 20 subscribers with 20 subscriptions.
pub(crate) fn many_pims() -> String {
    let pim = |number: u32| {
        let url = if number == 0 { PIM_URL.to_owned() } else { format!("{PIM_URL}/{number}") };
        format!(
            "[[pims]]\nname = \"pim-{number}\"\nurl = \"{url}\"\nkeys = [\"{KEY}-{number}\"]\n\
             token_check = \"static\"\nstatic_tokens = [{{ client_id = \"app\", token = \"app-token\" }}]\n"
        )
    };
    (0..25).map(pim).collect()
}

/// A running platform in a separate process that dies with the test.
pub(crate) struct Platform {
    child: Child,
    address: String,
    folder: TempDir,
}

impl Platform {
    /// Starts it with these PIMs and waits until it listens.
    pub(crate) fn start(pims: &str) -> Platform {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("postrider.toml");
        let settings = format!(
            r#"listen = "127.0.0.1:0"
               data_dir = {:?}
               log.level = "error"
               allow_networks = ["127.0.0.0/8"]
               allow_http_destinations = true
               api.operator_key = "{OPERATOR}"
               api.rate = 100000
               delivery.rate_first = 1000
               delivery.rate_highest = 1000
               {pims}
            "#,
            folder.path().join("data")
        );
        std::fs::write(&config, settings).unwrap();
        let mut command = tied(&["serve", "--config", config.to_str().unwrap()]);
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").map(str::to_owned);
        let said = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        let address = address.unwrap_or_else(|| panic!("it did not start:\n{}", said()));
        Platform { child, address, folder }
    }
}

/// The binary with these arguments, without settings from this environment. It dies with the test.
pub(crate) fn tied(args: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", BINARY]).args(args);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("POSTRIDER_")) {
        command.env_remove(name);
    }
    command
}

impl Stage for Platform {
    fn told(&self) -> Value {
        json!({"url": format!("http://{}", self.address), "pim": PIM_URL, "key": KEY, "operator": OPERATOR})
    }

    fn must_be_well(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "it has ended");
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        assert!(log.is_empty(), "{log}");
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
