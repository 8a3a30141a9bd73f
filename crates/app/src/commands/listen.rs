//! `postrider listen`: a local receiver that verifies and prints deliveries.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use domain::Secret;
use http::{HeaderMap, Method, StatusCode, header};
use sinks::client::HttpClient;
use tokio::net::TcpListener;

use crate::failure::{Exit, Failure};
use crate::receiver::{self, Received, Reply, Signature, Verifier};
use crate::signals::Stop;
use crate::terminal::{self, BAD, BOLD, DIM, GOOD, styled};
use crate::{http_client, secret_input};

/// Receive webhooks on this machine, verify their signatures and print them
///
/// For development: point an `https` subscription at `http://127.0.0.1:4000`, with `allow_http_destinations = true` and
/// `allow_networks = ["127.0.0.0/8"]` in the platform's configuration. Each event is shown with its age: the time from
/// the change (the event's `time`) to its arrival. Stop with Ctrl-C.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider listen --secret my_primary_secret
  postrider listen --port 4000 --forward-to http://127.0.0.1:3000/webhook
  postrider listen --respond 500,200             every other event fails
  postrider listen --respond slow                answers after 10 s, longer than the platform waits
  postrider listen --format json | jq .event.data")]
pub(crate) struct ListenArgs {
    /// Port to listen on; 0 chooses a free port
    #[arg(long, default_value_t = 4000)]
    port: u16,

    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,

    /// Secret of the subscription, to verify signatures; `-` reads a line of standard input; repeatable
    #[arg(long = "secret", value_name = "SECRET", env = "POSTRIDER_SECRET", hide_env_values = true)]
    secrets: Vec<String>,

    /// File with secrets, one per line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// Forward each request to this URL, with its headers, and return the response
    #[arg(long, value_name = "URL")]
    forward_to: Option<String>,

    /// Responses in turn: statuses, `slow` (200 after 10 s), `close` (no response)
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        value_parser = parse_reply,
        default_value = "200",
        conflicts_with = "forward_to"
    )]
    respond: Vec<Reply>,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Print the complete event below its line
    #[arg(long)]
    body: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// Human-readable lines
    Text,
    /// Print one JSON object per line
    Json,
}

fn parse_reply(text: &str) -> Result<Reply, String> {
    match text.trim() {
        "slow" => Ok(Reply::Slow),
        "close" => Ok(Reply::Close),
        status => match status.parse::<u16>() {
            Ok(number @ 200..=599) => {
                StatusCode::from_u16(number).map(Reply::Status).map_err(|error| error.to_string())
            }
            _ => Err("expected a status from 200 to 599, `slow` or `close`".to_owned()),
        },
    }
}

/// Any URL that accepts requests, with optional query; a fragment is not sent.
fn any_url(text: &str) -> Option<String> {
    let url = text.split('#').next().unwrap_or(text);
    let uri: http::Uri = url.parse().ok()?;
    let goes = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty());
    goes.then(|| url.to_owned())
}

/// Runs the command.
pub(crate) fn run(args: ListenArgs) -> Result<(), Failure> {
    super::block_on(listen(args))
}

async fn listen(args: ListenArgs) -> Result<(), Failure> {
    let stop = Stop::listen()?;
    let address = SocketAddr::new(args.address, args.port);
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let error = anyhow::Error::from(error).context(format!("cannot listen on {address}"));
        Failure::new(Exit::Failed, error).hint("choose another port with --port; 0 chooses a free port")
    })?;
    let address = listener.local_addr().map_err(|error| Failure::new(Exit::Failed, error))?;
    terminal::note(format_args!("listening on {}", styled(BOLD, format_args!("http://{address}"))));
    let secrets = secret_input::given_all(&args.secrets, args.secret_file.as_deref())?;
    if secrets.iter().any(String::is_empty) {
        return Err(Failure::message(Exit::Usage, "a secret is empty: anyone can sign with an empty key"));
    }
    if secrets.is_empty() {
        terminal::note("signatures are not verified: pass the subscription's secret with --secret");
    }
    let forward = match &args.forward_to {
        None => None,
        Some(url) => {
            let wrong = || Failure::message(Exit::Usage, format!("{url:?} is not an http:// or https:// URL"));
            Some((http_client::client()?, any_url(url).ok_or_else(wrong)?))
        }
    };
    let secrets: Vec<_> = secrets.into_iter().map(Secret::new).collect();
    let screen = Arc::new(Screen {
        verifier: Verifier::new(&secrets),
        forward,
        respond: args.respond,
        turn: AtomicUsize::new(0),
        format: args.format,
        body: args.body,
    });
    let serving = receiver::serve(listener, move |received| {
        let screen = Arc::clone(&screen);
        async move { screen.take(received).await }
    });
    tokio::select! {
        never = serving => match never {},
        () = stop.wait() => Ok(()),
    }
}

/// Prints requests and decides the responses.
struct Screen {
    verifier: Verifier,
    forward: Option<(HttpClient, String)>,
    respond: Vec<Reply>,
    turn: AtomicUsize,
    format: Format,
    body: bool,
}

impl Screen {
    async fn take(&self, received: Received) -> Reply {
        let signature = self.verifier.check(&received);
        let (reply, remark) = match &self.forward {
            Some((client, url)) => forward(client, url, &received).await,
            None => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                let reply = self.respond.get(turn % self.respond.len().max(1)).copied();
                (reply.unwrap_or(Reply::Status(StatusCode::OK)), None)
            }
        };
        match self.format {
            Format::Text => terminal::line(text(&received, &signature, reply, remark.as_deref(), self.body)),
            Format::Json => terminal::line(json(&received, &signature, reply)),
        }
        reply
    }
}

async fn forward(client: &HttpClient, url: &str, received: &Received) -> (Reply, Option<String>) {
    let mut headers = received.headers.clone();
    for own in [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING] {
        headers.remove(own);
    }
    let call = http_client::call(Method::POST, url.to_owned(), headers, received.body.clone());
    match client.fetch(call).await {
        Ok(answer) => (Reply::Status(answer.status), None),
        Err(error) => (Reply::Status(StatusCode::BAD_GATEWAY), Some(error.to_string())),
    }
}

/// An event type without the common prefix.
pub(crate) fn short_type(event_type: &str) -> &str {
    event_type.strip_prefix(domain::event_type::PIM_PREFIX).unwrap_or(event_type)
}

/// A human-readable duration.
pub(crate) fn readable(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{:.1} ms", seconds * 1000.0),
        seconds if seconds < 120.0 => format!("{seconds:.1} s"),
        seconds if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds if seconds < 172_800.0 => format!("{:.0} h", seconds / 3600.0),
        seconds => format!("{:.0} d", seconds / 86_400.0),
    }
}

fn answered(reply: Reply) -> String {
    match reply {
        Reply::Status(status) => status.as_u16().to_string(),
        Reply::Slow => "slow".to_owned(),
        Reply::Close => "close".to_owned(),
    }
}

fn text(received: &Received, signature: &Signature, reply: Reply, remark: Option<&str>, body: bool) -> String {
    let at = received.at.to_string();
    let clock = at.get(11..23).unwrap_or(&at);
    let verdict = match signature {
        Signature::Genuine => styled(GOOD, "✓ verified"),
        Signature::Unchecked => styled(DIM, "? unverified"),
        Signature::Wrong(why) => styled(BAD, format_args!("✗ invalid signature ({why})")),
    };
    let what = match received.attribute("type") {
        "" if received.event.is_none() => {
            format!("{} bytes of invalid JSON at {}", received.body.len(), received.path)
        }
        "" => format!("JSON without a CloudEvent at {}", received.path),
        event_type => short_type(event_type).to_owned(),
    };
    let age = received.age().map(|age| format!("  {} old", readable(age))).unwrap_or_default();
    let reply_style = if matches!(reply, Reply::Status(status) if status.is_success()) { DIM } else { BAD };
    let mut line = format!(
        "{}  {verdict}  {}  {}{age}  {}",
        styled(DIM, clock),
        styled(BOLD, what),
        styled(DIM, received.attribute("id")),
        styled(reply_style, format_args!("→ {}", answered(reply))),
    );
    if let Some(remark) = remark {
        line.push_str(&format!("\n              {}", styled(BAD, remark)));
    }
    if body {
        line.push_str(&format!("\n{}\n", String::from_utf8_lossy(&received.body)));
    }
    line
}

fn json(received: &Received, signature: &Signature, reply: Reply) -> String {
    let (signature, why) = match signature {
        Signature::Genuine => ("genuine", None),
        Signature::Unchecked => ("unchecked", None),
        Signature::Wrong(why) => ("wrong", Some(why)),
    };
    let headers = |headers: &HeaderMap| -> serde_json::Map<String, serde_json::Value> {
        headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned().into()))
            .collect()
    };
    let mut line = serde_json::json!({
        "received_at": received.at.to_string(),
        "path": received.path,
        "signature": signature,
        "age_ms": received.age().map(|age| age.as_secs_f64() * 1000.0),
        "answered": answered(reply),
        "headers": headers(&received.headers),
        // The exact bytes, to verify them again.
        "body": String::from_utf8_lossy(&received.body),
        "event": serde_json::from_slice::<serde_json::Value>(&received.body).ok(),
    });
    if let (Some(why), Some(line)) = (why, line.as_object_mut()) {
        line.insert("signature_problem".to_owned(), why.clone().into());
    }
    line.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies() {
        let check = |text: &str, expect: Option<Reply>| assert_eq!(parse_reply(text).ok(), expect, "{text}");
        check("200", Some(Reply::Status(StatusCode::OK)));
        check("429", Some(Reply::Status(StatusCode::TOO_MANY_REQUESTS)));
        check("slow", Some(Reply::Slow));
        check("close", Some(Reply::Close));
        check("100", None);
        check("fast", None);
    }

    #[test]
    fn requests_go_to_any_url() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(any_url(text).as_deref(), expect, "{text}");
        for url in
            ["http://127.0.0.1:3000", "http://127.0.0.1:3000/hook?code=a%2Fb&x=1", "https://x.example.com/?token=t"]
        {
            check(url, Some(url));
        }
        check("http://127.0.0.1/a?b#c", Some("http://127.0.0.1/a?b"));
        check("ftp://x.example.com", None);
        check("127.0.0.1:3000", None);
        check("/hook", None);
    }

    #[test]
    fn durations_for_people() {
        let check = |millis: u64, expect: &str| assert_eq!(readable(Duration::from_millis(millis)), expect);
        check(3, "3.0 ms");
        check(1500, "1.5 s");
        check(180_000, "3 min");
        check(3 * 3_600_000, "3 h");
        check(20 * 86_400_000, "20 d");
    }
}
