//! `postrider emit`: sends sample events, or a file of events, to a platform.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use sinks::client::{Fetched, HttpClient};
use tokio::time::Instant;

use crate::commands::filter::read_text;
use crate::config::{BaseUrl, PerSecond};
use crate::failure::{Exit, Failure};
use crate::{http_client, samples, secret_input, terminal};

/// Default maximum batch size of the platform (contract page 6).
const MAX_BATCH: usize = 1000;
/// Maximum size of a file batch's request, below the platform's 5 MiB (contract page 6).
const MAX_REQUEST: usize = 4 << 20;
/// Maximum number of attempts for a batch answered with 429 or 503.
const MAX_TRIES: usize = 30;

/// Send sample events, or a file of events, to a platform
///
/// Acts as a PIM: posts CloudEvents to `POST /api/v1/events` with a producer key from `postrider pim add`. A sample has
/// the example payload of its type, a new id and the current time, so that `postrider listen` can show its latency.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  postrider emit --key $KEY --type product.created
  postrider emit --key $KEY --type product.updated.delta --set data.author.type=api --count 100 --rate 10
  postrider emit --type family.updated --print
  postrider emit --key $KEY --file events.jsonl --batch 500")]
pub(crate) struct EmitArgs {
    /// URL of the platform
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", env = "POSTRIDER_URL")]
    url: String,

    /// Producer key of a PIM; `-` reads a line of standard input
    #[arg(
        long,
        env = "POSTRIDER_KEY",
        hide_env_values = true,
        required_unless_present_any = ["print", "list", "key_file"]
    )]
    key: Option<String>,

    /// File with the producer key
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// Event type; the prefix `com.akeneo.pim.v1.` is optional
    #[arg(long = "type", value_name = "TYPE", required_unless_present_any = ["file", "list"])]
    event_type: Option<String>,

    /// Change the sample: path=value, such as data.author.type=api (JSON, else text); repeatable
    #[arg(long = "set", value_name = "PATH=VALUE", requires = "event_type")]
    changes: Vec<String>,

    /// Number of samples, each with its own id
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..), requires = "event_type")]
    count: u64,

    /// Maximum number of events per second [default: as fast as the platform accepts them]
    #[arg(long, value_name = "NUMBER", value_parser = per_second)]
    rate: Option<PerSecond>,

    /// Send the events of a file, one JSON object per line, byte for byte; `-` reads standard input
    #[arg(long, conflicts_with = "event_type")]
    file: Option<PathBuf>,

    /// Maximum number of events per request
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    batch: usize,

    /// Print the sample instead of sending it
    #[arg(long, requires = "event_type")]
    print: bool,

    /// List the known event types
    #[arg(long, conflicts_with_all = ["event_type", "file", "print"])]
    list: bool,
}

fn per_second(text: &str) -> Result<PerSecond, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number")?;
    if number.is_finite() && number > 0.0 { Ok(PerSecond(number)) } else { Err("expected a number above 0".to_owned()) }
}

/// Runs the command.
pub(crate) fn run(args: EmitArgs) -> Result<(), Failure> {
    if args.list {
        domain::event_type::EventTypes::new().iter().for_each(terminal::line);
        return Ok(());
    }
    let source: Box<dyn Iterator<Item = Result<String, Failure>>> = match (&args.file, &args.event_type) {
        (Some(path), _) => Box::new(lines_of(path)?.into_iter().map(Ok)),
        (None, Some(name)) => Box::new(sample_source(name, &args)?),
        (None, None) => return Err(Failure::message(Exit::Usage, "specify --type or --file")),
    };
    if args.print {
        for event in source {
            terminal::line(event?);
        }
        return Ok(());
    }
    super::block_on(send_all(source, &args))
}

fn lines_of(path: &Path) -> Result<Vec<String>, Failure> {
    let lines: Vec<String> =
        read_text(path)?.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    if lines.is_empty() {
        return Err(Failure::message(Exit::Failed, format!("{} contains no event", path.display())));
    }
    Ok(lines)
}

fn sample_source<'a>(
    name: &str,
    args: &'a EmitArgs,
) -> Result<impl Iterator<Item = Result<String, Failure>> + use<'a>, Failure> {
    let usage = |error: samples::SampleError| {
        Failure::new(Exit::Usage, error).hint("`postrider emit --list` lists the known types")
    };
    let event_type = samples::event_type(name).map_err(usage)?;
    Ok((0..args.count).map(move |_| {
        let mut event = samples::event(&event_type).map_err(usage)?;
        for change in &args.changes {
            samples::set(&mut event, change).map_err(|error| Failure::new(Exit::Usage, error))?;
        }
        Ok(event.to_canonical())
    }))
}

async fn send_all(source: impl Iterator<Item = Result<String, Failure>>, args: &EmitArgs) -> Result<(), Failure> {
    let mut source = source.peekable();
    let mut producer = Producer::new(args)?;
    // A slow stream is sent event by event: batches would turn it into bursts.
    let size = if args.rate.is_some() { 1 } else { args.batch.clamp(1, MAX_BATCH) };
    let started = Instant::now();
    while source.peek().is_some() {
        let mut batch = Vec::with_capacity(size);
        let mut bytes = 0;
        while batch.len() < size && bytes < MAX_REQUEST {
            match source.next() {
                Some(event) => {
                    let event = event?;
                    bytes += event.len() + 1;
                    batch.push(event);
                }
                None => break,
            }
        }
        if let Some(PerSecond(rate)) = args.rate {
            let due = started + Duration::from_secs_f64(producer.sent as f64 / rate);
            tokio::time::sleep_until(due).await;
        }
        producer.post(&batch).await?;
    }
    producer.report(started.elapsed());
    Ok(())
}

/// Posts batches and counts the platform's results.
struct Producer {
    client: HttpClient,
    url: String,
    headers: HeaderMap,
    sent: u64,
    accepted: u64,
    duplicates: u64,
    unknown_types: Vec<String>,
}

impl Producer {
    fn new(args: &EmitArgs) -> Result<Producer, Failure> {
        let base = BaseUrl::parse(&args.url).ok_or_else(|| {
            Failure::message(Exit::Usage, format!("{:?} is not the http:// or https:// URL of a platform", args.url))
        })?;
        let client = http_client::client()?;
        let url = format!("{}/api/v1/events", base.0);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/cloudevents-batch+json"));
        let key = secret_input::given(args.key.as_deref(), args.key_file.as_deref())?.unwrap_or_default();
        let key = format!("Bearer {key}");
        let mut key = HeaderValue::from_str(&key)
            .map_err(|_| Failure::message(Exit::Usage, "the key contains invalid characters"))?;
        key.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, key);
        Ok(Producer { client, url, headers, sent: 0, accepted: 0, duplicates: 0, unknown_types: Vec::new() })
    }

    async fn post(&mut self, batch: &[String]) -> Result<(), Failure> {
        let body = Bytes::from(format!("[{}]", batch.join(",")));
        for _ in 0..MAX_TRIES {
            let call = http_client::call(Method::POST, self.url.clone(), self.headers.clone(), body.clone());
            let answer = self.client.fetch(call).await.map_err(|error| {
                Failure::new(Exit::Failed, error)
                    .hint("is the platform running? `postrider serve` prints its URL; specify it with --url")
            })?;
            match answer.status {
                StatusCode::ACCEPTED => {
                    self.take_note(&answer)?;
                    self.sent += batch.len() as u64;
                    return Ok(());
                }
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                    let pause =
                        answer.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                    tokio::time::sleep(Duration::from_secs(pause.unwrap_or(1))).await;
                }
                StatusCode::UNAUTHORIZED => {
                    return Err(Failure::message(Exit::Failed, "the platform does not accept this key").hint(
                        "`postrider pim list` shows the prefixes of valid keys, `postrider pim rotate-key` \
                               creates a new one",
                    ));
                }
                status => return Err(self.refused(status, &answer)),
            }
        }
        Err(Failure::message(
            Exit::Failed,
            format!("the platform is full: it rejected the same events {MAX_TRIES} times"),
        ))
    }

    fn take_note(&mut self, answer: &Fetched) -> Result<(), Failure> {
        let json = http_client::json(answer)?;
        let number = |name: &str| json.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
        self.accepted += number("accepted");
        self.duplicates += number("duplicates");
        for name in json.get("unknown_types").and_then(serde_json::Value::as_array).into_iter().flatten() {
            let name = name.as_str().unwrap_or_default().to_owned();
            if !self.unknown_types.contains(&name) {
                self.unknown_types.push(name);
            }
        }
        Ok(())
    }

    fn refused(&self, status: StatusCode, answer: &Fetched) -> Failure {
        let mut message = format!("the platform rejected the events with {status}");
        if self.sent > 0 {
            message.push_str(&format!(" (the first {} were accepted)", self.sent));
        }
        message.push_str(&http_client::errors(answer));
        Failure::message(Exit::Failed, message)
    }

    fn report(&self, took: Duration) {
        let rate = self.accepted as f64 / took.as_secs_f64().max(0.001);
        let seconds = took.as_secs_f64();
        terminal::line(format_args!(
            "{} accepted, {} duplicates, in {seconds:.2} s ({rate:.0} per second)",
            self.accepted, self.duplicates
        ));
        if !self.unknown_types.is_empty() {
            terminal::note(format_args!("note: unknown event types {}", self.unknown_types.join(", ")));
        }
    }
}
