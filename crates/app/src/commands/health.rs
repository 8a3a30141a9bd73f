//! `postrider health`: the health check of a running platform, for container runtimes and scripts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use sinks::client::{Call, FetchError, Fetched};

use crate::config::{BaseUrl, ConfigArgs};
use crate::failure::{Exit, Failure};
use crate::{http_client, terminal};

/// Check whether a platform is running, for container health checks and scripts
///
/// Requests `/health/live` from the address that the configuration listens on. With --ready it requests
/// `/health/ready`: whether events can be ingested and delivered. Exit code 0 means yes; 1 means no, or no response
/// in time.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider health
  postrider health --ready --timeout 2
  postrider health --url http://10.0.0.7:8080")]
pub(crate) struct HealthArgs {
    /// Check whether events can be ingested and delivered, not only whether the process responds
    #[arg(long)]
    ready: bool,

    /// URL of the platform [default: the configured listen address]
    #[arg(long, value_name = "URL", env = "POSTRIDER_URL")]
    url: Option<String>,

    /// Seconds to wait for the response
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs it.
pub(crate) fn run(args: &HealthArgs) -> Result<(), Failure> {
    let base = match &args.url {
        Some(url) => {
            BaseUrl::parse(url)
                .ok_or_else(|| {
                    Failure::message(Exit::Usage, format!("{url:?} isn't the http:// or https:// URL of a platform"))
                })?
                .0
        }
        None => format!("http://{}", reachable(args.config.load()?.settings.top.listen)?),
    };
    let (path, expected) = if args.ready { ("ready", "ready") } else { ("live", "live") };
    let url = format!("{base}/health/{path}");
    let timeout = Duration::from_secs(args.timeout);
    let call = Call { timeout, ..http_client::call(Method::GET, url.clone(), HeaderMap::new(), Bytes::new()) };
    let answer = super::block_on(async { http_client::client()?.fetch(call).await.map_err(unanswered) })?;
    let line =
        judge(&answer, expected).map_err(|problem| Failure::message(Exit::Failed, format!("{url}: {problem}")))?;
    terminal::line(line);
    Ok(())
}

/// Address at which a platform listening on `address` is reached from the same machine.
fn reachable(address: SocketAddr) -> Result<SocketAddr, Failure> {
    if address.port() == 0 {
        return Err(Failure::message(Exit::Failed, "the configured listen address has no fixed port")
            .hint("specify the platform with --url; `postrider serve` prints its URL"));
    }
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Ok(SocketAddr::new(ip, address.port()))
}

fn unanswered(error: FetchError) -> Failure {
    Failure::new(Exit::Failed, error)
        .hint("is the platform running? `postrider serve` prints its URL; specify it with --url")
}

/// The line to print for a healthy platform, or the problem.
fn judge(answer: &Fetched, expected: &str) -> Result<String, String> {
    let said = http_client::json(answer).unwrap_or_default();
    let lacks: Vec<&str> =
        said.get("lacks").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let status = said.get("status").and_then(Value::as_str);
    match (answer.status, status) {
        (StatusCode::OK, Some(status)) if status == expected && lacks.is_empty() => Ok(expected.to_owned()),
        (StatusCode::OK, Some(status)) if status == expected => Ok(format!("{expected}; lacks {}", lacks.join(", "))),
        (StatusCode::SERVICE_UNAVAILABLE, Some("not_ready")) if lacks.is_empty() => {
            Err("not ready: deliveries have stopped; see the platform's log".to_owned())
        }
        (StatusCode::SERVICE_UNAVAILABLE, Some("not_ready")) => Err(format!("not ready: lacks {}", lacks.join(", "))),
        (status, _) => {
            Err(format!("unexpected response with status {}; is another service listening there?", status.as_u16()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &'static str, expected: &str) -> Result<String, String> {
        let status = StatusCode::from_u16(status).unwrap();
        judge(&Fetched { status, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) }, expected)
    }

    #[test]
    fn answers_are_distinguished() {
        assert_eq!(judged(200, r#"{"status":"live"}"#, "live"), Ok("live".to_owned()));
        assert_eq!(judged(200, r#"{"lacks":[],"status":"ready"}"#, "ready"), Ok("ready".to_owned()));
        let lacking = judged(200, r#"{"lacks":["name_servers","proxy"],"status":"ready"}"#, "ready");
        assert_eq!(lacking, Ok("ready; lacks name_servers, proxy".to_owned()));
        let full = judged(503, r#"{"errors":[],"lacks":["disk"],"status":"not_ready"}"#, "ready");
        assert_eq!(full, Err("not ready: lacks disk".to_owned()));
        let stopped = judged(503, r#"{"errors":[],"lacks":[],"status":"not_ready"}"#, "ready").unwrap_err();
        assert!(stopped.contains("deliveries have stopped"), "{stopped}");
        // Another service on that port.
        for (status, body) in [(200, "It works!"), (200, r#"{"status":"up"}"#), (404, "{}"), (503, "")] {
            assert!(judged(status, body, "live").unwrap_err().contains(&status.to_string()), "{status} {body}");
        }
    }

    #[test]
    fn wildcard_addresses_are_reached_by_loopback() {
        let check = |listen: &str, expect: &str| {
            assert_eq!(reachable(listen.parse().unwrap()).unwrap().to_string(), expect);
        };
        check("0.0.0.0:8080", "127.0.0.1:8080");
        check("[::]:8080", "[::1]:8080");
        check("10.0.0.7:80", "10.0.0.7:80");
        assert!(reachable("127.0.0.1:0".parse().unwrap()).unwrap_err().to_string().contains("--url"));
    }
}
