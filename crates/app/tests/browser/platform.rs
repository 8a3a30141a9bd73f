//! A `postrider serve` whose receivers are on loopback: a PIM with several clients, and the operator's key.

use std::net::TcpListener;

#[path = "../serving/mod.rs"]
pub(crate) mod serving;

use serde_json::{Value, json};
use serving::Serving;

use crate::play::Stage;

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

/// The running platform.
pub(crate) struct Platform {
    serving: Serving,
    /// Origin of an app that may show links in a frame; empty if none may.
    app: String,
}

impl Platform {
    /// Starts it with these PIMs and waits until it listens.
    pub(crate) fn start(pims: &str) -> Platform {
        let serving = Serving::start(&format!(
            r#"allow_networks = ["127.0.0.0/8"]
               allow_http_destinations = true
               api.operator_key = "{OPERATOR}"
               api.rate = 100000
               delivery.rate_first = 1000
               delivery.rate_highest = 1000
               {pims}
            "#
        ));
        Platform { serving, app: String::new() }
    }

    /// Starts it with an app that may show links in a frame, as behind a proxy that terminates TLS.
    pub(crate) fn framed() -> Platform {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let app = format!("http://localhost:{}", free.local_addr().unwrap().port());
        drop(free);
        let settings =
            format!("public_url = \"https://events.example.com\"\nconsole.frame_origins = [\"{app}\"]\n{PIMS}");
        Platform { app, ..Platform::start(&settings) }
    }
}

impl Stage for Platform {
    fn told(&self) -> Value {
        let url = format!("http://{}", self.serving.address);
        json!({"url": url, "pim": PIM_URL, "key": KEY, "operator": OPERATOR, "app": self.app})
    }

    fn must_be_well(&mut self) {
        self.serving.must_be_well();
    }
}
