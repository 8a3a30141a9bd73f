//! HTTP calls of the commands: to a platform, or to a URL that the person at the terminal named. No address guard; deliveries
//! go through `sinks`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use domain::address::AddressPolicy;
use http::{HeaderMap, Method};
use serde_json::Value;
use sinks::client::{Call, Client, Fetched};
use sinks::connect::Connector;
use sinks::resolve::Resolver;
use sinks::tls::TlsClient;

/// More than any answer that these commands expect.
const MAX_ANSWER: usize = 16 << 20;
/// A platform that is busy answers later than one that is idle, yet not never.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client for URLs that the operator named himself.
pub(crate) fn client() -> anyhow::Result<Client> {
    let resolver = Arc::new(Resolver::system());
    let tls = TlsClient::new(&[])?;
    Ok(Client::new(Connector::new(resolver, AddressPolicy::default(), tls).exempt()))
}

/// A call of these commands, with their bounds.
pub(crate) fn call(method: Method, url: String, headers: HeaderMap, body: Bytes) -> Call {
    Call { method, url, headers, body, limit: MAX_ANSWER, timeout: TIMEOUT }
}

/// The body of an answer as JSON.
pub(crate) fn json(answer: &Fetched) -> anyhow::Result<Value> {
    serde_json::from_slice(&answer.body).with_context(|| format!("the answer is no JSON: {}", text(answer)))
}

/// The body of an answer as text, for messages.
pub(crate) fn text(answer: &Fetched) -> String {
    String::from_utf8_lossy(&answer.body).trim().to_owned()
}

/// What a platform's error answer says, a line for each error: `field: message`.
pub(crate) fn errors(answer: &Fetched) -> String {
    let Some(errors) = json(answer).ok().and_then(|json| json.get("errors").and_then(Value::as_array).cloned()) else {
        return format!("\n  {}", text(answer));
    };
    let line = |error: &Value| {
        let part = |name: &str| error.get(name).and_then(Value::as_str);
        let field = part("field").map(|field| format!("{field}: ")).unwrap_or_default();
        format!("\n  {field}{}", part("message").unwrap_or_default())
    };
    errors.iter().map(line).collect()
}
