//! A `postrider serve` whose receivers are on loopback: a PIM with several clients, and the operator's key.

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
pub(crate) struct Platform(Serving);

impl Platform {
    /// Starts it with these PIMs and waits until it listens.
    pub(crate) fn start(pims: &str) -> Platform {
        Platform(Serving::start(&format!(
            r#"allow_networks = ["127.0.0.0/8"]
               allow_http_destinations = true
               api.operator_key = "{OPERATOR}"
               api.rate = 100000
               delivery.rate_first = 1000
               delivery.rate_highest = 1000
               {pims}
            "#
        )))
    }
}

impl Stage for Platform {
    fn told(&self) -> Value {
        json!({"url": format!("http://{}", self.0.address), "pim": PIM_URL, "key": KEY, "operator": OPERATOR})
    }

    fn must_be_well(&mut self) {
        self.0.must_be_well();
    }
}
