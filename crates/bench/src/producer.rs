//! Producers: the given number of connections, each sending its next request after the previous response.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::task::JoinSet;

use crate::client::{Client, Peer};
use crate::receiver::Receiver;
use crate::sample::Samples;
use crate::tls::{Speaks, Tls};

/// Target of events.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    speaks: Speaks,
    tls: Option<Arc<Tls>>,
    path: &'static str,
    headers: HeaderMap,
    expect: StatusCode,
}

impl Target {
    /// The platform's ingest endpoint.
    pub(crate) fn platform(address: SocketAddr, key: &str, batch: usize) -> anyhow::Result<Target> {
        let media_type = if batch > 1 { "application/cloudevents-batch+json" } else { "application/cloudevents+json" };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(header::AUTHORIZATION, format!("Bearer {key}").parse()?);
        let path = "/api/v1/events";
        Ok(Target { address, speaks: Speaks::Plain, tls: None, path, headers, expect: StatusCode::ACCEPTED })
    }

    /// The receiver itself.
    pub(crate) fn receiver(receiver: &Receiver) -> Target {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let Receiver { address, speaks, ref tls, .. } = *receiver;
        Target { address, speaks, tls: tls.clone(), path: "/hook", headers, expect: StatusCode::OK }
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        let peer = Peer { address: self.address, speaks: self.speaks, tls: self.tls.as_deref() };
        Client::connect(peer, self.path, self.headers.clone()).await
    }

    /// Sends a body.
    pub(crate) async fn send(&self, client: &mut Client, body: bytes::Bytes) -> anyhow::Result<()> {
        client.post(body, self.expect).await
    }
}

/// Work of the producers.
pub(crate) struct Sent {
    pub(crate) events: u64,
    pub(crate) took: Duration,
}

impl Sent {
    pub(crate) fn a_second(&self) -> f64 {
        self.events as f64 / self.took.as_secs_f64()
    }
}

/// Sends for `time` on `connections`, `batch` events per request, and waits for the last responses.
pub(crate) async fn flood(
    target: &Target,
    samples: &Arc<Samples>,
    connections: usize,
    batch: usize,
    time: Duration,
) -> anyhow::Result<Sent> {
    let mut clients: Vec<Client> = Vec::with_capacity(connections);
    for _ in 0..connections {
        // Over HTTP/2, one connection carries all of them.
        let client = match clients.first().and_then(Client::share) {
            Some(shared) => shared,
            None => target.connect().await?,
        };
        clients.push(client);
    }
    let events = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for mut client in clients {
        let (target, samples, events) = (target.clone(), Arc::clone(samples), Arc::clone(&events));
        tasks.spawn(async move {
            while start.elapsed() < time {
                target.send(&mut client, samples.body(batch)).await?;
                events.fetch_add(batch as u64, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(Sent { events: events.load(Ordering::Relaxed), took: start.elapsed() })
}
