//! A `postrider serve` with everything enabled: a PIM with a static token and a key, one with a signed Events API, the
//! operator API.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

pub(crate) const PIM_URL: &str = "https://pim.example.com";
pub(crate) const EVENTS_API_SECRET: &str = "the-secret-of-the-events-api";
const KEY: &str = "a-key-for-the-tests";
const OPERATOR: &str = "the-key-of-the-operator-0123";
const METRICS: &str = "the-key-for-metrics-01234567";

/// A running platform in a separate process that dies with the test.
pub(crate) struct Platform {
    child: Child,
    /// `127.0.0.1:port`
    pub(crate) address: String,
    folder: TempDir,
}

impl Platform {
    /// Starts it with further settings and waits until it listens.
    pub(crate) fn start(more: &str) -> Platform {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("postrider.toml");
        let settings = format!(
            r#"listen = "127.0.0.1:0"
               data_dir = {:?}
               log.level = "error"
               api.operator_key = "{OPERATOR}"
               api.rate = 100000
               metrics.key = "{METRICS}"
               {more}

               [[pims]]
               name = "test"
               url = "{PIM_URL}"
               keys = ["{KEY}"]
               token_check = "static"
               static_tokens = [{{ client_id = "app", token = "token" }}, {{ client_id = "other", token = "other-token" }}]

               [[pims]]
               name = "self-hosted"
               url = "https://self-hosted.example.com"
               token_check = "static"
               events_api_secret = "{EVENTS_API_SECRET}"
            "#,
            folder.path().join("data")
        );
        std::fs::write(&config, settings).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", env!("CARGO_BIN_EXE_postrider"), "serve", "--config"]).arg(&config);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("POSTRIDER_")) {
            command.env_remove(name);
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").map(str::to_owned);
        let said = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        let address = address.unwrap_or_else(|| panic!("it did not start:\n{}", said()));
        Platform { child, address, folder }
    }

    /// Values of the Postman collection's variables.
    pub(crate) fn variables(&self) -> [(&'static str, String); 9] {
        [
            ("baseUrl", format!("http://{}", self.address)),
            ("pimUrl", PIM_URL.to_owned()),
            ("pimToken", "token".to_owned()),
            ("pimClientId", "app".to_owned()),
            ("sourceKey", KEY.to_owned()),
            ("operatorKey", OPERATOR.to_owned()),
            ("metricsKey", METRICS.to_owned()),
            ("eventsApiSecret", EVENTS_API_SECRET.to_owned()),
            ("source", "self-hosted".to_owned()),
        ]
    }

    /// Checks that it still runs without internal errors.
    pub(crate) fn must_be_well(mut self) {
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
