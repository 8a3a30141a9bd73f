//! The receiver: an HTTP server that reads, counts and answers 200.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use crate::sample;
use crate::tls::{Speaks, Tls};

/// Time without an arrival after which missing events count as lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Arrivals.
#[derive(Default)]
struct Arrived {
    count: AtomicU64,
    /// Whether arrival times are recorded.
    timed: AtomicBool,
    times: std::sync::Mutex<Vec<(u64, Instant)>>,
}

/// A running receiver.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) speaks: Speaks,
    pub(crate) tls: Option<Arc<Tls>>,
    arrived: Arc<Arrived>,
}

impl Receiver {
    pub(crate) async fn start(speaks: Speaks) -> anyhow::Result<Receiver> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let arrived = Arc::new(Arrived::default());
        let tls = if speaks == Speaks::Plain { None } else { Some(Arc::new(Tls::new(speaks)?)) };
        tokio::spawn(accept(listener, tls.clone(), Arc::clone(&arrived)));
        Ok(Receiver { address, speaks, tls, arrived })
    }

    /// URL of its endpoint.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/hook", self.address)
    }

    pub(crate) fn count(&self) -> u64 {
        self.arrived.count.load(Ordering::Relaxed)
    }

    /// Waits until `count` events have arrived in total.
    pub(crate) async fn wait_for(&self, count: u64) -> anyhow::Result<()> {
        let (mut last, mut moved_at) = (self.count(), Instant::now());
        loop {
            let now = self.count();
            if now >= count {
                return Ok(());
            }
            if now > last {
                (last, moved_at) = (now, Instant::now());
            } else if moved_at.elapsed() > PATIENCE {
                bail!("{now} of {count} events arrived, and no more came for {} s", PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Starts to record arrival times.
    pub(crate) fn time_arrivals(&self, timed: bool) {
        self.arrived.timed.store(timed, Ordering::Relaxed);
    }

    /// Numbers and times of the arrivals since the recording started.
    pub(crate) fn take_times(&self) -> Vec<(u64, Instant)> {
        self.arrived.times.lock().map(|mut times| std::mem::take(&mut *times)).unwrap_or_default()
    }
}

async fn accept(listener: TcpListener, tls: Option<Arc<Tls>>, arrived: Arc<Arrived>) {
    while let Ok((stream, _)) = listener.accept().await {
        // If the kernel rejects the option, all measurements are affected equally.
        let _nodelay = stream.set_nodelay(true);
        let arrived = Arc::clone(&arrived);
        let service = service_fn(move |request| receive(request, Arc::clone(&arrived)));
        let Some(tls) = tls.clone() else {
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            continue;
        };
        tokio::spawn(async move {
            // A failed handshake is an error of the client, which reports it.
            let Ok(stream) = tls.accept(stream).await else { return };
            let server = auto::Builder::new(TokioExecutor::new());
            _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn receive(request: Request<Incoming>, arrived: Arc<Arrived>) -> Result<Response<Empty<Bytes>>, Infallible> {
    if let Ok(body) = request.into_body().collect().await {
        if arrived.timed.load(Ordering::Relaxed) {
            let now = Instant::now();
            if let (Some(number), Ok(mut times)) = (sample::number_of(&body.to_bytes()), arrived.times.lock()) {
                times.push((number, now));
            }
        }
        arrived.count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(Response::new(Empty::new()))
}
