//! The API as a client of a PIM calls it: the options that all such commands share, and the calls.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use domain::{Clock, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::Value;
use sinks::client::HttpClient;

use crate::config::BaseUrl;
use crate::config::units::parse_duration;
use crate::failure::{Exit, Failure};
use crate::{http_client, secret_input};

/// The caller, as in the headers of the API.
#[derive(Args, Debug)]
pub(super) struct AccountArgs {
    /// URL of the platform
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", env = "POSTRIDER_URL")]
    url: String,

    /// URL of the PIM, as in `X-PIM-URL`
    #[arg(long, value_name = "URL", env = "POSTRIDER_PIM_URL")]
    pim_url: String,

    /// Client id of the connection or app, as in `X-PIM-CLIENT-ID`
    #[arg(long, value_name = "ID", env = "POSTRIDER_CLIENT_ID")]
    client_id: String,

    /// Access token of the PIM, or a platform token, as in `X-PIM-TOKEN`; `-` reads a line of standard input
    #[arg(long, env = "POSTRIDER_TOKEN", hide_env_values = true, required_unless_present = "token_file")]
    token: Option<String>,

    /// File with the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// The subscription that a command is about.
#[derive(Args, Debug)]
pub(super) struct WhichSubscription {
    /// Id of the subscription [default: the only one]
    #[arg(long, value_name = "ID")]
    pub(super) subscription: Option<String>,
}

/// A client of the platform.
pub(super) struct Account {
    client: HttpClient,
    base: String,
    headers: HeaderMap,
}

/// A subscription of the caller.
pub(super) struct Subscription {
    /// Path in the API.
    pub(super) path: String,
    /// The subscription as shown by the API.
    pub(super) shown: Value,
}

impl Subscription {
    /// Its id.
    pub(super) fn id(&self) -> &str {
        text(&self.shown, "id")
    }

    /// Its destination in a few words.
    pub(super) fn destination(&self) -> String {
        let config = self.shown.get("config").unwrap_or(&Value::Null);
        let parts = ["url", "topic_id", "broker", "topic"].map(|name| text(config, name));
        let named: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        plain(&format!("{} {}", text(&self.shown, "type"), named.join(" ")))
    }
}

impl Account {
    /// The caller given by the options.
    pub(super) fn new(args: &AccountArgs) -> Result<Account, Failure> {
        let base = BaseUrl::parse(&args.url).ok_or_else(|| {
            Failure::message(Exit::Usage, format!("{:?} is not the http:// or https:// URL of a platform", args.url))
        })?;
        let token = secret_input::given(args.token.as_deref(), args.token_file.as_deref())?.unwrap_or_default();
        let mut headers = HeaderMap::new();
        for (name, text) in
            [("x-pim-url", &args.pim_url), ("x-pim-client-id", &args.client_id), ("x-pim-token", &token)]
        {
            let invalid =
                |_| Failure::message(Exit::Usage, format!("the value for {name} contains invalid characters"));
            let mut value = HeaderValue::from_str(text).map_err(invalid)?;
            value.set_sensitive(name == "x-pim-token");
            headers.insert(HeaderName::from_static(name), value);
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Account { client: http_client::client()?, base: base.0, headers })
    }

    /// The JSON response to a call, `null` without one.
    pub(super) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let call = http_client::call(method, format!("{}{path}", self.base), self.headers.clone(), body);
        let answer = self.client.fetch(call).await.map_err(|error| {
            Failure::new(Exit::Failed, error)
                .hint("is the platform running? `postrider serve` prints its URL; specify it with --url")
        })?;
        if !answer.status.is_success() {
            let message =
                format!("the platform answered {}{}", answer.status, plain_lines(&http_client::errors(&answer)));
            return Err(Failure::message(Exit::Failed, message));
        }
        Ok(if answer.body.is_empty() { Value::Null } else { http_client::json(&answer)? })
    }

    /// A `GET`.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::GET, path, None).await
    }

    /// All subscriptions of the caller.
    pub(super) async fn subscriptions(&self) -> Result<Vec<Subscription>, Failure> {
        let mut all = Vec::new();
        for subscriber in elements(self.get("/api/v1/subscribers").await?) {
            let path = format!("/api/v1/subscribers/{}/subscriptions", text(&subscriber, "id"));
            for shown in elements(self.get(&path).await?) {
                all.push(Subscription { path: format!("{path}/{}", text(&shown, "id")), shown });
            }
        }
        Ok(all)
    }

    /// The chosen subscription, or the only one.
    pub(super) async fn subscription(&self, chosen: &WhichSubscription) -> Result<Subscription, Failure> {
        let mut all = self.subscriptions().await?;
        let listed: Vec<String> = all.iter().map(|one| format!("  {}  {}", one.id(), one.destination())).collect();
        let place = match &chosen.subscription {
            Some(id) => all.iter().position(|one| one.id() == id),
            None if all.len() == 1 => Some(0),
            None => None,
        };
        match (place, &chosen.subscription) {
            (Some(place), _) => Ok(all.swap_remove(place)),
            (None, _) if all.is_empty() => Err(Failure::message(Exit::Failed, "this client has no subscription")),
            (None, Some(id)) => {
                let message = format!("this client has no subscription {id:?}; it has\n{}", listed.join("\n"));
                Err(Failure::message(Exit::Failed, message))
            }
            (None, None) => {
                let message = format!("this client has {} subscriptions:\n{}", all.len(), listed.join("\n"));
                Err(Failure::message(Exit::Usage, message).hint("choose one with --subscription"))
            }
        }
    }
}

/// The elements of a JSON array.
pub(super) fn elements(value: Value) -> Vec<Value> {
    match value {
        Value::Array(elements) => elements,
        _ => Vec::new(),
    }
}

/// Text of a member; empty if there is none.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A text from an event, without control characters that a terminal would act upon.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// Percent-encodes a path segment, or a value of a query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Reads a time option: RFC 3339, or how long ago.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Some(time) = Timestamp::parse(text) {
        return Ok(time);
    }
    let ago: Duration =
        parse_duration(text).ok_or("expected a time such as 2026-11-02T08:00:00Z, or how long ago: 2h, 30m")?;
    let micros = i64::try_from(ago.as_micros()).map_err(|_| "too long ago")?;
    Ok(Timestamp::from_micros(Clock::system().wall().as_micros() - micros))
}

/// A time of the API for people: to the second.
pub(super) fn second(time: &str) -> String {
    format!("{}Z", time.chars().take(19).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_moments() {
        assert_eq!(encoded("a/b?c é-._~"), "a%2Fb%3Fc%20%C3%A9-._~");
        assert_eq!(plain("a\u{1b}[31m\n"), "a\u{fffd}[31m\u{fffd}");
        assert_eq!(moment("2026-11-02T08:00:00Z").unwrap().to_string(), "2026-11-02T08:00:00.000000Z");
        let then = moment("2h").unwrap();
        let ago = Clock::system().wall().since(then);
        assert!((7200..7260).contains(&ago.as_secs()), "{ago:?}");
        assert!(moment("yesterday").unwrap_err().contains("how long ago"));
        assert_eq!(second("2026-11-02T08:00:00.123456Z"), "2026-11-02T08:00:00Z");
    }
}
