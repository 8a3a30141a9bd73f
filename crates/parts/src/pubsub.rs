//! Google Pub/Sub: Google's fake server (`pstest`) as a separate program, and Google's Python client as a consumer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Process, golang, place, port, python};

/// Project of all topics of tests.
pub const PROJECT: &str = "postrider-tests";

const SOURCES: [&str; 5] = ["go.mod", "go.sum", "main.go", "fault.go", "control.go"];
/// Maximum duration of a start.
const START_AT_MOST: Duration = Duration::from_secs(20);

/// A certificate chain and its key, PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The chain.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// A running server.
#[derive(Debug)]
pub struct Emulator {
    process: Process,
    port: u16,
    control: u16,
    receiving: Mutex<Option<Arc<Process>>>,
}

/// A fault injected into publish requests for a topic.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Fault {
    /// Only for requests with a message whose data contains this text.
    pub holding: String,
    /// Status code of the response, such as `UNAVAILABLE`. Empty: success after the delay.
    pub code: &'static str,
    /// Message of the response.
    pub message: &'static str,
    /// Delay before the response.
    pub delay_ms: u64,
    /// No response at all.
    pub hang: bool,
    /// Accept the messages first.
    pub after: bool,
    /// Number of occurrences; 0: always.
    pub times: u32,
}

/// Counts of publish requests for a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Counts {
    /// Requests, whether successful or not.
    pub calls: u64,
    /// Messages of successful ones.
    pub messages: u64,
    /// Bytes of their data.
    pub bytes: u64,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: String,
    counts: Option<Counts>,
}

impl Emulator {
    /// Starts a server without TLS and without authentication.
    pub fn start() -> anyhow::Result<Emulator> {
        Emulator::start_with(None)
    }

    /// Starts a server. With TLS, publish requests need a token, like Google's.
    pub fn start_with(tls: Option<&Tls>) -> anyhow::Result<Emulator> {
        let program = program()?;
        let folder = place::scratch("pubsub")?;
        let (port, control) = (port::free(), port::free());
        let mut command = Command::new(program);
        command.args(["-port", &port.to_string(), "-control", &control.to_string()]);
        if let Some(tls) = tls {
            let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
            fs::write(&certificate, &tls.certificate)?;
            fs::write(&key, &tls.key)?;
            command.arg("-certificate").arg(certificate).arg("-key").arg(key);
        }
        let process = Process::start(&command, &folder.join("emulator.log"))?;
        let emulator = Emulator { process, port, control, receiving: Mutex::default() };
        port::accepts(control, START_AT_MOST).with_context(|| emulator.process.printed())?;
        Ok(emulator)
    }

    /// `host:port`, for `PUBSUB_EMULATOR_HOST`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process, for tests that suspend or kill it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Creates a topic; returns its full name.
    pub fn create_topic(&self, id: &str) -> anyhow::Result<String> {
        let topic = format!("projects/{PROJECT}/topics/{id}");
        self.command(&json!({ "create_topic": topic }))?;
        Ok(topic)
    }

    /// Deletes a topic by its full name.
    pub fn delete_topic(&self, topic: &str) -> anyhow::Result<()> {
        self.command(&json!({ "delete_topic": topic })).map(drop)
    }

    /// Injects a fault for a topic from now on. Of several, the first matching one applies.
    pub fn fault(&self, topic: &str, fault: &Fault) -> anyhow::Result<()> {
        let mut fault = serde_json::to_value(fault)?;
        fault["topic"] = topic.into();
        self.command(&json!({ "fault": fault })).map(drop)
    }

    /// Removes all faults of a topic.
    pub fn heal(&self, topic: &str) -> anyhow::Result<()> {
        self.command(&json!({ "heal": topic })).map(drop)
    }

    /// Counts of requests.
    pub fn counts(&self, topic: &str) -> anyhow::Result<Counts> {
        self.command(&json!({ "counts": topic }))?.counts.context("the emulator returned no counts")
    }

    /// Closes all connections and stops listening.
    pub fn go_down(&self) -> anyhow::Result<()> {
        self.command(&json!({ "down": true })).map(drop)
    }

    /// Listens again, with all earlier topics and messages.
    pub fn come_up(&self) -> anyhow::Result<()> {
        self.command(&json!({ "down": false })).map(drop)
    }

    /// Receives messages published to the topic from now on.
    pub fn consume(&self, topic: &str) -> anyhow::Result<Consumer> {
        let process = self.receiving()?;
        let (project, id) = topic.split_once("/topics/").context("the topic's full name lacks its project")?;
        let subscription = format!("{project}/subscriptions/{id}");
        let create = json!({ "name": subscription, "topic": topic, "ordered": true });
        self.command(&json!({ "create_subscription": create }))?;
        Ok(Consumer { process, subscription })
    }

    /// The single process that receives for all consumers, because Python starts slowly.
    fn receiving(&self) -> anyhow::Result<Arc<Process>> {
        let mut receiving = self.receiving.lock().map_err(|_| anyhow!("a test failed within it"))?;
        if let Some(process) = receiving.as_ref() {
            return Ok(Arc::clone(process));
        }
        let python = python::with_packages("pubsub-python", include_str!("../python/pubsub.requirements.txt"))?;
        let mut command = Command::new(python);
        command.arg("-u").arg(place::source("python/pubsub_consumer.py")).arg(format!("projects/{PROJECT}"));
        command.env("PUBSUB_EMULATOR_HOST", self.host());
        let process = Process::start(&command, &place::scratch("pubsub-consumer")?.join("messages.jsonl"))?;
        Ok(Arc::clone(receiving.insert(Arc::new(process))))
    }

    fn command(&self, command: &serde_json::Value) -> anyhow::Result<Answer> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.control))?;
        stream.set_read_timeout(Some(START_AT_MOST))?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        let answer: Answer = serde_json::from_str(&line).with_context(|| format!("the emulator answered {line:?}"))?;
        if answer.error.is_empty() {
            return Ok(answer);
        }
        bail!("the emulator rejected {command}: {}", answer.error)
    }
}

/// Builds it, unless already built from the same sources.
fn program() -> anyhow::Result<PathBuf> {
    golang::program("pubsub-emulator", &SOURCES)
}

/// Google's Python client as a receiver.
#[derive(Debug)]
pub struct Consumer {
    process: Arc<Process>,
    subscription: String,
}

/// A received message.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Message {
    subscription: String,
    /// The data, always text here.
    pub data: String,
    /// The attributes.
    pub attributes: BTreeMap<String, String>,
    /// The ordering key; empty for none.
    pub ordering_key: String,
    /// The server's message id.
    pub id: String,
}

impl Consumer {
    /// Messages received so far, in order.
    pub fn received(&self) -> anyhow::Result<Vec<Message>> {
        let printed = self.process.printed();
        // The last line may be incomplete.
        let whole = printed.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut received = Vec::new();
        for line in whole.lines().filter(|line| line.starts_with('{')) {
            let message: Message = serde_json::from_str(line).with_context(|| line.to_owned())?;
            if message.subscription == self.subscription {
                received.push(message);
            }
        }
        Ok(received)
    }

    /// Waits until at least `count` messages were received.
    pub fn wait_for(&self, count: usize, at_most: Duration) -> anyhow::Result<Vec<Message>> {
        let by = Instant::now() + at_most;
        loop {
            let received = self.received()?;
            if received.len() >= count {
                return Ok(received);
            }
            if Instant::now() > by {
                let printed = self.process.printed();
                let said: Vec<_> = printed.lines().filter(|line| !line.starts_with('{')).collect();
                bail!("{} of {count} messages were received; the client says: {}", received.len(), said.join("\n"));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}
