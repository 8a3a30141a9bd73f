//! `postrider demo`: platform, receiver and a small sample PIM in one process, communicating over HTTP as usual.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use domain::{Secret, SubscriptionId};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::json;
use sinks::client::{Fetched, HttpClient};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::json::Value;

use crate::commands::listen::{readable, short_type};
use crate::config::Config;
use crate::failure::Failure;
use crate::platform::Platform;
use crate::receiver::{self, Received, Reply, Signature, Verifier};
use crate::signals::Stop;
use crate::terminal::{self, BAD, BOLD, DIM, GOOD, styled};
use crate::{http_client, registration};

mod sample_pim;

use sample_pim::SamplePim;

/// Event types of the demo's subscription.
const SUBSCRIBED: [&str; 4] = ["product.created", "product.updated", "product.updated.delta", "product.deleted"];
/// The demo's filter: changes by people and programs, not by the PIM itself.
const FILTER: &str = "not user_type=\"system\"";
/// Pause between events, below the initial rate of 10 events per second (contract page 4): the latency should be
/// visible, not the pacing.
const PAUSE: Duration = Duration::from_millis(120);
/// Time after which a missing event is an error.
const PATIENCE: Duration = Duration::from_secs(20);

/// Run a demo: a platform, a receiver and a small sample PIM in this terminal
///
/// Starts all three on free ports with a temporary data folder, creates a subscriber and a subscription through the
/// public API, lets the PIM send events, and shows each signed event arrive, verified, with its latency. Leaves nothing
/// behind.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Keep running afterwards; stop with Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// Runs the command.
pub(crate) fn run(args: &DemoArgs) -> Result<(), Failure> {
    super::block_on(demo(args.keep))
}

async fn demo(keep: bool) -> Result<(), Failure> {
    let stop = Stop::listen()?;
    let folder =
        tempfile::Builder::new().prefix("postrider-demo-").tempdir().context("cannot create a temporary folder")?;
    let stage = Stage::set(folder.path()).await?;
    let played = stage.play().await;
    let invited = match &played {
        Ok(subscriber) if keep => stage.invite(subscriber).await,
        _ => Ok(()),
    };
    if keep && played.is_ok() && invited.is_ok() {
        stop.wait().await;
    }
    stage.platform.stop().await;
    played?;
    invited?;
    if !keep {
        suggest();
    }
    Ok(())
}

/// All participants.
struct Stage {
    platform: Platform,
    url: String,
    pim: SamplePim,
    /// Producer key of the sample PIM.
    key: Secret,
    operator_key: Secret,
    client: HttpClient,
    receiver_url: String,
    secret: Secret,
    arrivals: tokio::sync::Mutex<mpsc::UnboundedReceiver<(Received, Instant)>>,
}

impl Stage {
    async fn set(folder: &std::path::Path) -> Result<Stage, Failure> {
        let pim = SamplePim::start().await?;
        let (key, _) = registration::new_key()?;
        let (operator_key, _) = registration::new_key()?;
        let config = format!(
            "data_dir = {folder}\nlisten = \"127.0.0.1:0\"\nallow_networks = \
             [\"127.0.0.0/8\"]\nallow_http_destinations = true\n\
             [[pims]]\nname = \"demo\"\nurl = \"{url}\"\nkeys = [\"{key}\"]\ntoken_check = \"token-info\"\n\
             [api]\noperator_key = \"{operator_key}\"\n",
            operator_key = operator_key.expose(),
            folder = toml::Value::String(folder.to_string_lossy().into_owned()),
            url = pim.url,
            key = key.expose(),
        );
        let platform = Platform::start(&Config::from_text("demo.toml", &config)?).await?;
        let url = format!("http://{}", platform.address);

        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no free port for the receiver")?;
        let receiver_url = format!("http://{}/webhook", listener.local_addr().context("unknown address")?);
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let arrived = Arc::new(arrived);
        tokio::spawn(receiver::serve(listener, move |received| {
            // Nothing receives any more when the demo ends.
            _ = arrived.send((received, Instant::now()));
            std::future::ready(Reply::Status(StatusCode::OK))
        }));
        terminal::line(format_args!(
            "{}  {url}   {}",
            styled(BOLD, "platform"),
            styled(DIM, "embedded store in a temporary folder")
        ));
        terminal::line(format_args!("{}  {receiver_url}", styled(BOLD, "receiver")));
        terminal::line(format_args!(
            "{}  {}   {}",
            styled(BOLD, "sample PIM"),
            pim.url,
            styled(DIM, "issues tokens, answers token checks, sends events")
        ));
        Ok(Stage {
            platform,
            url,
            pim,
            key,
            operator_key,
            client: http_client::client()?,
            receiver_url,
            secret: registration::new_key()?.0,
            arrivals: tokio::sync::Mutex::new(arrivals),
        })
    }

    /// Plays the story; returns the id of the subscriber.
    async fn play(&self) -> anyhow::Result<String> {
        terminal::line("");
        let subscriber = self
            .create("/api/v1/subscribers", &json!({"name": "Demo", "contact": {"technical_email": "demo@example.com"}}))
            .await?;
        let types: Vec<_> = SUBSCRIBED.iter().map(|name| format!("{}{name}", domain::event_type::PIM_PREFIX)).collect();
        let subscription = self
            .create(
                &format!("/api/v1/subscribers/{subscriber}/subscriptions"),
                &json!({
                    "source": "pim",
                    "type": "https",
                    "events": types,
                    "filter": FILTER,
                    "config": {"url": self.receiver_url, "secret": {"primary": self.secret.expose()}},
                }),
            )
            .await?;
        let id = SubscriptionId::parse(&subscription).context("the subscription id is not a UUID")?;
        terminal::line(styled(DIM, format_args!("     events {}", SUBSCRIBED.join(", "))));
        terminal::line(styled(DIM, format_args!("     filter {FILTER}\n")));
        self.stream(id).await?;
        Ok(subscriber)
    }

    /// Creates an object through the public API and returns its id.
    async fn create(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<String> {
        let created = self.created(path, body).await?;
        let id = created.get("id").and_then(serde_json::Value::as_str).context("the response has no id")?.to_owned();
        let what = path.rsplit('/').next().unwrap_or(path);
        terminal::line(format_args!(
            "created in {what:<14} {}  {}",
            styled(GOOD, StatusCode::CREATED.as_u16()),
            styled(DIM, &id)
        ));
        Ok(id)
    }

    /// What a request of the demo's client created.
    async fn created(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<serde_json::Value> {
        let mut headers = HeaderMap::new();
        headers.insert("x-pim-url", HeaderValue::from_str(&self.pim.url)?);
        headers.insert("x-pim-token", HeaderValue::from_str(self.pim.token.expose())?);
        headers.insert("x-pim-client-id", HeaderValue::from_static(sample_pim::CLIENT_ID));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.post(path, headers, body.to_string()).await?;
        if answer.status != StatusCode::CREATED {
            bail!("POST {path} was answered with {}{}", answer.status, http_client::errors(&answer));
        }
        http_client::json(&answer)
    }

    async fn post(&self, path: &str, headers: HeaderMap, body: String) -> anyhow::Result<Fetched> {
        let call = http_client::call(Method::POST, format!("{}{path}", self.url), headers, Bytes::from(body));
        Ok(self.client.fetch(call).await?)
    }

    /// Sends the PIM's events one by one and shows the fate of each.
    async fn stream(&self, subscription: SubscriptionId) -> anyhow::Result<()> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let mut latencies = Vec::new();
        let verifier = Verifier::new(std::slice::from_ref(&self.secret));
        for event in sample_pim::story() {
            let event = event?;
            let name = short_type(event.get("type").and_then(Value::as_str).unwrap_or_default()).to_owned();
            let sent = Instant::now();
            self.send(&event).await?;
            let end = self.end_of(&event, &name, subscription, &counts).await?;
            let (kind, text) = match end {
                End::Arrived(received, at) => {
                    let latency = at.duration_since(sent);
                    latencies.push(latency);
                    match verifier.check(&received) {
                        Signature::Genuine => (
                            "delivered",
                            format!("{} {:>9}", styled(GOOD, "delivered, signatures verified"), readable(latency)),
                        ),
                        Signature::Wrong(why) => {
                            ("not genuine", styled(BAD, format_args!("delivered, invalid signature: {why}")))
                        }
                        Signature::Unchecked => ("not genuine", styled(BAD, "delivered, not verified")),
                    }
                }
                End::FilteredOut => ("filtered", styled(DIM, "filtered out")),
                End::NotSubscribed => ("not subscribed", styled(DIM, "not subscribed")),
            };
            *counts.entry(kind).or_default() += 1;
            let author = event.get("data").and_then(|data| data.get("author")).and_then(|author| author.get("type"));
            let author = author.and_then(Value::as_str).unwrap_or_default();
            terminal::line(format_args!("  {name:<24} {:<14} {text}", format!("by {author}")));
            tokio::time::sleep_until(sent + PAUSE).await;
        }
        latencies.sort();
        let count = |kind: &str| counts.get(kind).copied().unwrap_or_default();
        let latency = |share: f64| {
            readable(latencies.get((latencies.len() as f64 * share) as usize).copied().unwrap_or_default())
        };
        terminal::line(format_args!(
            "\n{} delivered and verified (latency: median {}, maximum {}), {} filtered out, {} not subscribed",
            styled(BOLD, count("delivered")),
            latency(0.5),
            readable(latencies.last().copied().unwrap_or_default()),
            count("filtered"),
            count("not subscribed"),
        ));
        match count("not genuine") {
            0 => Ok(()),
            wrong => bail!("{wrong} events arrived with invalid signatures"),
        }
    }

    async fn send(&self, event: &Value) -> anyhow::Result<()> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json"));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {}", self.key.expose()))?);
        let answer = self.post("/api/v1/events", headers, event.to_canonical()).await?;
        if answer.status != StatusCode::ACCEPTED {
            bail!("POST /api/v1/events was answered with {}{}", answer.status, http_client::errors(&answer));
        }
        Ok(())
    }

    /// Waits for the fate of an accepted event.
    async fn end_of(
        &self,
        event: &Value,
        name: &str,
        subscription: SubscriptionId,
        counts: &HashMap<&str, usize>,
    ) -> anyhow::Result<End> {
        if !SUBSCRIBED.contains(&name) {
            return Ok(End::NotSubscribed);
        }
        let id = event.get("id").and_then(Value::as_str).unwrap_or_default();
        let filtered_before = counts.get("filtered").copied().unwrap_or_default();
        let mut arrivals = self.arrivals.lock().await;
        let give_up = Instant::now() + PATIENCE;
        while Instant::now() < give_up {
            // An arrival wakes us immediately; a filtered-out event only shows in the lane's counters.
            match tokio::time::timeout(Duration::from_millis(50), arrivals.recv()).await {
                Ok(Some((received, at))) if received.attribute("id") == id => {
                    return Ok(End::Arrived(Box::new(received), at));
                }
                Ok(Some(_)) => {}
                Ok(None) => bail!("the receiver stopped"),
                Err(_) => {
                    let status = self.platform.status(subscription).await.unwrap_or_default();
                    if status.filtered_out > filtered_before as u64 {
                        return Ok(End::FilteredOut);
                    }
                }
            }
        }
        bail!("the event {id} ({name}) was accepted but did not arrive within {} s", PATIENCE.as_secs())
    }

    /// Things to try with the running platform.
    async fn invite(&self, subscriber: &str) -> anyhow::Result<()> {
        let wanted = json!({"subscriber_id": subscriber, "read_only": false, "minutes": 60});
        let link = self.created("/api/v1/console-links", &wanted).await?;
        let link = link.get("url").and_then(serde_json::Value::as_str).context("the response has no url")?;
        terminal::line(format_args!(
            "\n{} until Ctrl-C. The console, signed in (the link works once):\n",
            styled(BOLD, "Keeps running")
        ));
        terminal::line(format_args!("  {link}\n"));
        terminal::line(format_args!("  {}/console/operator with the key {}", self.url, self.operator_key.expose()));
        terminal::line("\nTry, in another terminal:\n");
        terminal::line(format_args!(
            "  postrider emit --url {} --key {} --type product.created",
            self.url,
            self.key.expose()
        ));
        terminal::line(format_args!(
            "  curl {}/api/v1/subscribers -H 'X-PIM-URL: {}' \\\n    -H 'X-PIM-TOKEN: {}' -H 'X-PIM-CLIENT-ID: {}'",
            self.url,
            self.pim.url,
            self.pim.token.expose(),
            sample_pim::CLIENT_ID
        ));
        terminal::line(format_args!("  curl {}/health/ready", self.url));
        Ok(())
    }
}

/// Fate of an event.
enum End {
    Arrived(Box<Received>, Instant),
    FilteredOut,
    NotSubscribed,
}

/// Suggested next commands.
fn suggest() {
    terminal::line(format_args!("\n{} next:\n", styled(BOLD, "Try")));
    for (command, what) in [
        ("postrider demo --keep", "the same demo, which keeps running, with a link to its console"),
        ("postrider serve", "your own platform, on http://127.0.0.1:8080, data in ./data"),
        ("postrider pim add main --url https://pim.example.com", "registers your PIM and prints its producer key"),
        ("postrider listen --help", "a development receiver: verifies, forwards, simulates failures"),
    ] {
        terminal::line(format_args!("  {command:<54} {}", styled(DIM, what)));
    }
}
