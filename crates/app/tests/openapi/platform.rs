//! A `postrider serve` with everything enabled: a PIM with a static token and a key, one with a signed Events API, the
//! operator API.

#[path = "../serving/mod.rs"]
mod serving;

use serving::Serving;

pub(crate) const PIM_URL: &str = "https://pim.example.com";
pub(crate) const EVENTS_API_SECRET: &str = "the-secret-of-the-events-api";
const KEY: &str = "a-key-for-the-tests";
const OPERATOR: &str = "the-key-of-the-operator-0123";
const METRICS: &str = "the-key-for-metrics-01234567";

/// The running platform.
pub(crate) struct Platform {
    serving: Serving,
    /// `127.0.0.1:port`
    pub(crate) address: String,
}

impl Platform {
    /// Starts it with further settings and waits until it listens.
    pub(crate) fn start(more: &str) -> Platform {
        let serving = Serving::start(&format!(
            r#"api.operator_key = "{OPERATOR}"
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
            "#
        ));
        Platform { address: serving.address.clone(), serving }
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
        self.serving.must_be_well();
    }
}
