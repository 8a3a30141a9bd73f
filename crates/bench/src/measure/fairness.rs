//! The latency cost to a tenant of another tenant with 400 subscriptions whose endpoints hold every connection allowed.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;

use super::Bench;
use crate::catalogue::{self, SOURCE_KEY, Subscriptions};
use crate::platform::Stage;
use crate::producer::Target;
use crate::table::{Aim, Row, Table, share};

/// Key of the hostile tenant.
const HOSTILE_KEY: &str = "another-key-for-benchmarks-only";
/// Its subscriptions, each with its own host: a shared host would be limited by its rate.
const HOSTILE: u16 = 400;
/// Interval between its events, each of which goes to all its subscriptions: slightly more than its connections can
/// carry.
const HOSTILE_PAUSE: Duration = Duration::from_millis(500);
/// Response time of its endpoints: just within the timeout of an attempt.
const SLOW: Duration = Duration::from_millis(4_500);
/// The default number of connections (`delivery.max_connections`); a PIM may hold three quarters of them.
const CONNECTIONS: usize = 4_096;
/// Connections held when the measurement begins: all allowed, except those just being reused.
const HELD: usize = CONNECTIONS * 3 / 4 * 9 / 10;
/// Longest wait for that.
const UNTIL_HELD: Duration = Duration::from_secs(120);
/// Interval between events of the other tenant.
const PAUSE: Duration = Duration::from_millis(20);
/// Highest acceptable latency of the other tenant's events, as a multiple of the latency alone.
const SLOWER_AT_MOST: f64 = 2.0;

/// Endpoints that answer late, on all addresses of this machine.
struct SlowEndpoints {
    port: u16,
    held: Arc<AtomicUsize>,
}

impl SlowEndpoints {
    async fn start() -> anyhow::Result<SlowEndpoints> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        let (port, held) = (listener.local_addr()?.port(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&held);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counted = Arc::clone(&counted);
                let service = service_fn(move |request| answer_late(request, Arc::clone(&counted)));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(SlowEndpoints { port, held })
    }

    /// One URL for each subscription.
    fn urls(&self) -> impl Iterator<Item = String> {
        (0..HOSTILE).map(|number| format!("http://127.1.{}.{}:{}/hook", number / 256, number % 256, self.port))
    }

    /// Waits until this many requests are in flight.
    async fn wait_until_held(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        while self.held.load(Ordering::Relaxed) < HELD {
            if start.elapsed() > UNTIL_HELD {
                let held = self.held.load(Ordering::Relaxed);
                bail!("the hostile tenant holds {held} connections, expected {HELD}: are there enough descriptors?");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

async fn answer_late(request: Request<Incoming>, held: Arc<AtomicUsize>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let _held = Held::new(held);
    let read = request.into_body().collect().await;
    tokio::time::sleep(SLOW).await;
    drop(read);
    Ok(Response::new(Empty::new()))
}

/// A request in flight. Dropped with its connection when the client gives up.
struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(count: Arc<AtomicUsize>) -> Held {
        count.fetch_add(1, Ordering::Relaxed);
        Held(count)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Bench<'_> {
    /// The latency of another tenant's events, alone and beside the hostile one, on the same platform.
    pub(super) async fn fairness(&self, table: &mut Table) -> anyhow::Result<()> {
        open_files(4 * CONNECTIONS as u64);
        let slow = SlowEndpoints::start().await?;
        let stage = Stage::new(&self.plan.server, &self.plan.folder, 64)?.paced();
        let store = stage.store().await?;
        let subscriptions = Subscriptions { matching: 1, ..Subscriptions::default() };
        catalogue::fill(store.as_ref(), &self.receiver.url(), subscriptions).await?;
        catalogue::fill_another(store.as_ref(), HOSTILE_KEY, slow.urls()).await?;
        tokio::task::spawn_blocking(move || drop(store)).await?;
        let platform = stage.start(&[]).await?;

        let target = Target::platform(platform.address, SOURCE_KEY, 1)?;
        let time = self.plan.round * self.plan.rounds as u32;
        self.latencies(&target, PAUSE, self.plan.round / 3).await?;
        let alone = self.latencies(&target, PAUSE, time).await?;

        let hostile = Target::platform(platform.address, HOSTILE_KEY, 1)?;
        let samples = Arc::clone(&self.samples);
        let flood = tokio::spawn(async move {
            let mut client = hostile.connect().await?;
            let mut tick = tokio::time::interval(HOSTILE_PAUSE);
            loop {
                tick.tick().await;
                let body = samples.event(samples.take(1));
                hostile.send(&mut client, body).await?;
            }
            #[expect(unreachable_code, reason = "gives the type of the errors")]
            anyhow::Ok(())
        });
        slow.wait_until_held().await?;
        let beside = self.latencies(&target, PAUSE, time).await?;
        let held = slow.held.load(Ordering::Relaxed);
        if flood.is_finished() {
            flood.await??;
            bail!("the hostile tenant's events have ended");
        }
        flood.abort();
        platform.stop().await?;

        for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
            let (alone, beside) = (share(&alone, part), share(&beside, part));
            table.row(&Row {
                name: format!("fairness: latency of another, {name} (alone)"),
                figure: beside,
                unit: "ms",
                ceiling: Some(alone),
                ratio: Some(beside / alone),
                aim: Aim::RatioAtMost(SLOWER_AT_MOST),
            });
        }
        let name = format!("  held by {HOSTILE} hostile subscriptions, of {CONNECTIONS}");
        table.row(&Row { name, figure: held as f64, unit: "", ceiling: None, ratio: None, aim: Aim::None });
        Ok(())
    }
}

/// Raises the limit of open files as far as the system allows; the platform inherits it.
fn open_files(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let most = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        // If it is not enough, the measurement reports it.
        _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum });
    }
}
