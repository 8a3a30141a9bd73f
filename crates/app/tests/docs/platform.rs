//! A platform with recorded deliveries, to test receivers from the documentation.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::session::Session;

/// A delivered request.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// A platform, a subscriber, and a recording receiver.
pub(crate) struct Platform {
    session: Session,
    address: String,
}

/// Defines `$KEY`, `$SUBSCRIPTIONS`, `$RECEIVER`, `api` and `id_of`.
const START: &str = r#"
cat > postrider.toml <<'TOML'
allow_http_destinations = true
allow_networks = ["127.0.0.0/8"]
TOML
postrider serve --ready-file ready 2> log &
until [ -s ready ]; do sleep 0.05; done
KEY=$(postrider pim add main --url https://pim.example.com --token-check static --static-token my-app=my-token)
postrider listen --port "$PORT" --format json > deliveries.jsonl &
until (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; do sleep 0.05; done
RECEIVER=http://127.0.0.1:$PORT/
api() {
  curl -sS --fail-with-body -H 'X-PIM-URL: https://pim.example.com' -H 'X-PIM-TOKEN: my-token' -H 'X-PIM-CLIENT-ID: my-app' \
       -H 'Content-Type: application/json' "$POSTRIDER_URL/api/v1$1" "${@:2}"
}
id_of() { sed 's/.*"id":"\([^"]*\)".*/\1/;q'; }
SUBSCRIBER=$(api /subscribers -d '{"name": "My app", "contact": {"technical_email": "dev@example.com"}}' | id_of)
SUBSCRIPTIONS=/subscribers/$SUBSCRIBER/subscriptions
"#;

impl Platform {
    /// Starts a platform; `environment` applies to all its processes.
    pub(crate) fn start(environment: &[(&str, String)]) -> Platform {
        let listen = format!("127.0.0.1:{}", parts::port::free());
        let mut all = vec![
            ("POSTRIDER_URL", format!("http://{listen}")),
            ("POSTRIDER_LISTEN", listen.clone()),
            ("PORT", parts::port::free().to_string()),
        ];
        all.extend(environment.iter().cloned());
        let mut platform = Platform { session: Session::start(&all), address: listen };
        platform.run(START);
        platform
    }

    /// `host:port` of its API.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Working folder of the shell.
    pub(crate) fn folder(&self) -> PathBuf {
        self.session.folder()
    }

    /// Runs shell code, which must succeed.
    #[track_caller]
    pub(crate) fn run(&mut self, text: &str) {
        if let Err(why) = self.session.run(text, 0) {
            panic!("{text}\n{why}");
        }
    }

    /// Waits for this many requests; returns all of them.
    #[track_caller]
    pub(crate) fn deliveries(&self, at_least: usize) -> Vec<Delivery> {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let text = std::fs::read_to_string(self.session.folder().join("deliveries.jsonl")).unwrap();
            // The last line may be incomplete.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            if whole.lines().count() >= at_least {
                return whole.lines().map(delivery).collect();
            }
            assert!(Instant::now() < until, "only {} of {at_least} deliveries have come", whole.lines().count());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn delivery(line: &str) -> Delivery {
    let line: Value = serde_json::from_str(line).unwrap();
    let headers = line["headers"].as_object().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Delivery {
        headers: headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        body: text(&line["body"]),
    }
}
