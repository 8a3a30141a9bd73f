//! HTTP client of the commands, for a platform or a URL given by the user. No address guard; deliveries use `sinks`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use domain::address::AddressPolicy;
use http::{HeaderMap, Method};
use serde_json::Value;
use sinks::client::{Call, Fetched, HttpClient};
use sinks::connect::Connector;
use sinks::resolve::Resolver;
use sinks::tls::TlsClient;

/// More than any response these commands expect.
const MAX_ANSWER: usize = 16 << 20;
/// A busy platform may answer late.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client for URLs given by the operator.
pub(crate) fn client() -> anyhow::Result<HttpClient> {
    let resolver = Arc::new(Resolver::system());
    let tls = TlsClient::new(&[])?;
    Ok(HttpClient::new(Connector::new(resolver, AddressPolicy::default(), tls).exempt()))
}

/// A request with the limits of these commands.
pub(crate) fn call(method: Method, url: String, headers: HeaderMap, body: Bytes) -> Call {
    Call { method, url, headers, body, limit: MAX_ANSWER, timeout: TIMEOUT }
}

/// Response body as JSON.
pub(crate) fn json(answer: &Fetched) -> anyhow::Result<Value> {
    serde_json::from_slice(&answer.body).with_context(|| format!("the response is not JSON: {}", text(answer)))
}

/// Response body as text, for messages.
pub(crate) fn text(answer: &Fetched) -> String {
    String::from_utf8_lossy(&answer.body).trim().to_owned()
}

/// Messages of a platform's error response, one per line: `field: message`.
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
