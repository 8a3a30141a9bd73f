//! Spans on their way out: a bounded queue, and one task that sends them in batches by OTLP. What does not fit is dropped and counted; a
//! collector that hangs costs the queue's memory and nothing else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use meter::{Counters, Names};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use sinks::client::{Call, Client};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::plan::Plan;

/// At most this much of a collector's answer is read: it says at most what it did not take.
const ANSWER_LIMIT: usize = 64 * 1024;
/// A stop waits this long for the last spans.
const STOP_AT_MOST: Duration = Duration::from_secs(3);
/// A collector that does not take spans is told of at most so often.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What became of a span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// The collector has it.
    Exported,
    /// The queue was full.
    Dropped,
    /// The collector did not take it.
    Failed,
}

impl Names for Fate {
    const ALL: &'static [Fate] = &[Fate::Exported, Fate::Dropped, Fate::Failed];

    fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        match self {
            Fate::Exported => "exported",
            Fate::Dropped => "dropped",
            Fate::Failed => "failed",
        }
    }
}

/// Where spans are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Spans {
    queue: mpsc::Sender<SpanData>,
    fates: Arc<Counters<Fate>>,
}

impl Spans {
    /// Hands a span in; never waits.
    pub(super) fn send(&self, span: SpanData) {
        if self.queue.try_send(span).is_err() {
            self.fates.of(Fate::Dropped).one();
        }
    }
}

/// The task that sends them.
#[derive(Debug)]
pub(super) struct Export {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Export {
    /// Starts it.
    pub(super) fn start(plan: &Plan, client: Client, fates: Arc<Counters<Fate>>) -> anyhow::Result<(Spans, Export)> {
        let calls = Calls { client, timeout: plan.timeout };
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(calls)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&plan.endpoint)
            .with_timeout(plan.timeout)
            .build()
            .context("the exporter of traces cannot be made")?;
        exporter.set_resource(&resource(plan));
        let (queue, spans) = mpsc::channel(plan.queue);
        let sender = Sender {
            exporter,
            endpoint: plan.endpoint.clone(),
            batch: plan.batch,
            delay: plan.delay,
            timeout: plan.timeout,
            fates: Arc::clone(&fates),
            told: None,
        };
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(sender.run(spans, stopped));
        Ok((Spans { queue, fates }, Export { stop, running }))
    }

    /// Takes no more spans, and waits until the last ones are sent.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(STOP_AT_MOST, self.running).await.is_err() {
            tracing::warn!("the last spans could not be sent in time and are lost");
        }
    }
}

fn resource(plan: &Plan) -> Resource {
    // With what OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say.
    let builder =
        Resource::builder().with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    match &plan.service_name {
        Some(name) => builder.with_service_name(name.clone()).build(),
        None => builder.build(),
    }
}

struct Sender {
    exporter: SpanExporter,
    endpoint: String,
    batch: usize,
    delay: Duration,
    timeout: Duration,
    fates: Arc<Counters<Fate>>,
    told: Option<Instant>,
}

impl Sender {
    async fn run(mut self, mut spans: mpsc::Receiver<SpanData>, mut stopped: watch::Receiver<bool>) {
        let mut stopping = false;
        loop {
            let mut batch = Vec::new();
            let mut more = true;
            let gathered = tokio::time::sleep(self.delay);
            tokio::pin!(gathered);
            while more && batch.len() < self.batch {
                let room = self.batch - batch.len();
                tokio::select! {
                    taken = spans.recv_many(&mut batch, room) => more = taken > 0,
                    // An error is the sender's end, which is a stop as well.
                    _ = stopped.wait_for(|stopped| *stopped), if !stopping => {
                        stopping = true;
                        // What is in the queue still comes.
                        spans.close();
                    }
                    () = gathered.as_mut() => break,
                }
            }
            if !batch.is_empty() {
                self.export(batch).await;
            }
            if !more {
                return;
            }
        }
    }

    async fn export(&mut self, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        let exported = match tokio::time::timeout(self.timeout, self.exporter.export(batch)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", self.timeout.as_secs_f64())),
        };
        let fate = if exported.is_ok() { Fate::Exported } else { Fate::Failed };
        self.fates.of(fate).add(count);
        if let Err(why) = exported
            && self.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY)
        {
            self.told = Some(Instant::now());
            tracing::warn!(endpoint = self.endpoint, %why, "spans are lost: the collector does not take them");
        }
    }
}

/// Calls the collector with the platform's own client: no other TLS, no other pool.
struct Calls {
    client: Client,
    timeout: Duration,
}

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Calls")
    }
}

#[async_trait]
impl HttpClient for Calls {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let call = Call {
            method: head.method,
            url: head.uri.to_string(),
            headers: head.headers,
            body,
            limit: ANSWER_LIMIT,
            timeout: self.timeout,
        };
        let fetched = self.client.fetch(call).await?;
        let mut answer = Response::new(fetched.body);
        *answer.status_mut() = fetched.status;
        *answer.headers_mut() = fetched.headers;
        Ok(answer)
    }
}
