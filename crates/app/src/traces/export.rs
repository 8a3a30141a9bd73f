//! Export of spans: a bounded queue, and one task that sends them in batches by OTLP. Spans that don't fit are dropped
//! and counted; a hanging collector costs only the queue's memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use meter::{Counters, Names};
use opentelemetry::{Key, KeyValue};
use opentelemetry_http::HttpError;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use sinks::client::{Call, HttpClient};
use store::NodeId;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::plan::Plan;

/// Maximum size of a collector's response, which at most lists rejected spans.
const ANSWER_LIMIT: usize = 64 * 1024;
/// Maximum wait for the last spans at a stop.
pub(crate) const STOP_AT_MOST: Duration = Duration::from_secs(3);
/// Minimum interval between warnings about a collector that does not accept spans.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// Result of a span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// Accepted by the collector.
    Exported,
    /// Dropped because the queue was full.
    Dropped,
    /// Not accepted by the collector.
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

/// Entry of the queue. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Spans {
    queue: mpsc::Sender<SpanData>,
    fates: Arc<Counters<Fate>>,
}

impl Spans {
    /// Queues a span; never waits.
    pub(super) fn send(&self, span: SpanData) {
        if self.queue.try_send(span).is_err() {
            self.fates.of(Fate::Dropped).one();
        }
    }
}

/// Attribute of the node that recorded a span.
const INSTANCE: Key = Key::from_static_str("service.instance.id");

/// The export task.
#[derive(Debug)]
pub(super) struct Export {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Export {
    /// Starts the export task.
    pub(super) fn start(
        plan: &Plan,
        node: NodeId,
        client: HttpClient,
        fates: Arc<Counters<Fate>>,
    ) -> anyhow::Result<(Spans, Export)> {
        let calls = Calls { client, timeout: plan.timeout };
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(calls)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&plan.endpoint)
            .with_timeout(plan.timeout)
            .build()
            .context("cannot create the trace exporter")?;
        exporter.set_resource(&resource(plan, node));
        let (queue, spans) = mpsc::channel(plan.queue);
        let sender = Sender {
            exporter,
            endpoint: plan.endpoint.clone(),
            batch: plan.batch,
            delay: plan.delay,
            timeout: plan.timeout,
            fates: Arc::clone(&fates),
            reported: None,
        };
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(sender.run(spans, stopped));
        Ok((Spans { queue, fates }, Export { stop, running }))
    }

    /// Accepts no more spans, and waits until the last ones are sent.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(STOP_AT_MOST, self.running).await.is_err() {
            tracing::warn!("could not send the last spans in time; they are lost");
        }
    }
}

fn resource(plan: &Plan, node: NodeId) -> Resource {
    // Includes OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME.
    let of_environment = Resource::builder().build();
    let mut builder = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if of_environment.get(&INSTANCE).is_none() {
        builder = builder.with_attribute(KeyValue::new(INSTANCE, node.to_string()));
    }
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
    reported: Option<Instant>,
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
                    // An error means that the sender is gone, which is a stop as well.
                    _ = stopped.wait_for(|stopped| *stopped), if !stopping => {
                        stopping = true;
                        // Drains the queue.
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
            Err(_) => Err(format!("no response within {} s", self.timeout.as_secs_f64())),
        };
        let fate = if exported.is_ok() { Fate::Exported } else { Fate::Failed };
        self.fates.of(fate).add(count);
        if let Err(why) = exported
            && self.reported.is_none_or(|reported| reported.elapsed() >= REPORT_EVERY)
        {
            self.reported = Some(Instant::now());
            tracing::warn!(endpoint = self.endpoint, %why, "spans are lost: the collector does not accept them");
        }
    }
}

/// Calls the collector with the platform's own client: no other TLS stack, no other pool.
struct Calls {
    client: HttpClient,
    timeout: Duration,
}

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Calls")
    }
}

#[async_trait]
impl opentelemetry_http::HttpClient for Calls {
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
