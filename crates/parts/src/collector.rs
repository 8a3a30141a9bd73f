//! The OpenTelemetry Collector: receives spans by OTLP over HTTP and writes them to a file.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use crate::{Process, golang, place, port};

/// Maximum duration of a start.
const START_AT_MOST: Duration = Duration::from_secs(20);

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    process: Process,
    port: u16,
    file: PathBuf,
}

/// A received span.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// 16 hex digits, or empty.
    #[serde(default)]
    pub parent_span_id: String,
    /// Its name.
    pub name: String,
    /// Internal 1, server 2, client 3, producer 4, consumer 5.
    pub kind: u32,
    /// Nanoseconds since 1970.
    pub start_time_unix_nano: String,
    /// Nanoseconds since 1970.
    pub end_time_unix_nano: String,
    #[serde(default)]
    attributes: Vec<Attribute>,
    /// Linked contexts.
    #[serde(default)]
    pub links: Vec<Link>,
    #[serde(default)]
    status: Value,
    /// Attributes of the sender.
    #[serde(skip)]
    pub resource: Vec<(String, String)>,
}

/// A linked context.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Attribute {
    key: String,
    value: Value,
}

impl Attribute {
    fn text(&self) -> String {
        let value = self.value.as_object().and_then(|value| value.values().next());
        value.map_or_else(String::new, |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }
}

impl Span {
    /// An attribute as text.
    pub fn attribute(&self, key: &str) -> Option<String> {
        self.attributes.iter().find(|attribute| attribute.key == key).map(Attribute::text)
    }

    /// Names of all attributes.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|attribute| attribute.key.as_str())
    }

    /// Whether its status is an error.
    pub fn failed(&self) -> bool {
        self.status.get("code").and_then(Value::as_u64) == Some(2)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    #[serde(default)]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans {
    resource: Resource,
    #[serde(default)]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
struct ScopeSpans {
    #[serde(default)]
    spans: Vec<Span>,
}

impl Collector {
    /// Starts a collector.
    pub fn start() -> anyhow::Result<Collector> {
        let program = golang::program("collector", &["go.mod", "go.sum", "main.go"])?;
        let folder = place::scratch("collector")?;
        let (port, file) = (port::free(), folder.join("spans.jsonl"));
        let config = folder.join("config.yaml");
        let text = format!(
            "receivers:\n  otlp:\n    protocols:\n      http:\n        endpoint: 127.0.0.1:{port}\n\
             exporters:\n  file:\n    path: {}\n\
             service:\n  telemetry:\n    metrics:\n      level: none\n  pipelines:\n    traces:\n      receivers: \
             [otlp]\n      exporters: [file]\n",
            file.display()
        );
        fs::write(&config, text)?;
        let mut command = Command::new(program);
        command.arg("--config").arg(format!("file:{}", config.display()));
        let process = Process::start(&command, &folder.join("collector.log"))?;
        let collector = Collector { process, port, file };
        port::accepts(port, START_AT_MOST).with_context(|| collector.process.printed())?;
        Ok(collector)
    }

    /// URL for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process, for tests that suspend it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// All spans received so far, with the attributes of their resource.
    pub fn spans(&self) -> anyhow::Result<Vec<Span>> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let mut spans = Vec::new();
        // The last line may be incomplete.
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let batch: Batch = serde_json::from_str(line).with_context(|| format!("not a batch: {line}"))?;
            for of_resource in batch.resource_spans {
                let attributes = &of_resource.resource.attributes;
                let resource: Vec<_> = attributes.iter().map(|found| (found.key.clone(), found.text())).collect();
                for span in of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans) {
                    spans.push(Span { resource: resource.clone(), ..span });
                }
            }
        }
        Ok(spans)
    }
}
