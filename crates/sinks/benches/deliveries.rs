//! Deliveries per second to a receiver on this machine, next to requests of a bare hyper client on its own connections,
//! in the same run: the ratio is the sink's cost. `cargo bench -p sinks`; `-- quick` for a short run.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::address::AddressPolicy;
use domain::outcome::Outcome;
use domain::{Clock, LoggedEvent, testing};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sinks::connect::Connector;
use sinks::https::{HttpsSettings, HttpsSink};
use sinks::resolve::Resolver;
use sinks::tls::TlsClient;
use sinks::{Delivery, Sink};
use tokio::net::{TcpListener, TcpStream};
use wire::envelope::{self, EnvelopeStyle};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let quick = std::env::args().any(|argument| argument == "quick");
    let time = if quick { Duration::from_millis(300) } else { Duration::from_secs(3) };
    let receiver = receiver().await?;
    let policy = AddressPolicy::allowing(vec!["127.0.0.0/8".parse()?]);
    let connector = Connector::new(Arc::new(Resolver::system()), policy, TlsClient::new(&[])?);
    let style = EnvelopeStyle::new("akeneo-event-platform", "https://events.example");
    let settings = HttpsSettings { connections_per_subscription: 64, ..HttpsSettings::default() };
    let sink = Arc::new(HttpsSink::new(connector, style.clone(), settings, Clock::system()));
    let delivery = delivery(receiver);
    let body = envelope::body(&style, &delivery.events[0].event, &delivery.subscription.id, false);

    let mut out = std::io::stdout().lock();
    for concurrency in [1, 16, 64] {
        let bare = bare(receiver, &body, concurrency, time).await?;
        let ours = ours(&sink, &delivery, concurrency, time).await?;
        std::io::Write::write_fmt(
            &mut out,
            format_args!(
                "{concurrency:3} at once: {ours:8.0} deliveries/s, bare hyper {bare:8.0} requests/s, ratio {:.2}\n",
                ours / bare
            ),
        )?;
    }
    Ok(())
}

/// Rate per second of `count` workers that each run `once` until the time is up.
async fn rate<F>(count: usize, time: Duration, worker: impl Fn(Arc<AtomicU64>, Instant) -> F) -> Result<f64, Error>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let done = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let workers: Vec<_> = (0..count).map(|_| tokio::spawn(worker(Arc::clone(&done), start + time))).collect();
    for worker in workers {
        worker.await??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64())
}

async fn ours(sink: &Arc<HttpsSink>, delivery: &Delivery, count: usize, time: Duration) -> Result<f64, Error> {
    rate(count, time, |done, end| {
        let (sink, delivery) = (Arc::clone(sink), delivery.clone());
        async move {
            while Instant::now() < end {
                let outcomes = sink.deliver(delivery.clone()).await;
                if outcomes != [Outcome::Delivered] {
                    return Err(format!("{outcomes:?}").into());
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
    })
    .await
}

async fn bare(receiver: SocketAddr, body: &Bytes, count: usize, time: Duration) -> Result<f64, Error> {
    rate(count, time, |done, end| {
        let body = body.clone();
        async move {
            let stream = TcpStream::connect(receiver).await?;
            stream.set_nodelay(true)?;
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            while Instant::now() < end {
                let request = Request::post("/hook")
                    .header("host", "127.0.0.1")
                    .header("content-type", "application/json")
                    .body(Full::new(body.clone()))?;
                sender.ready().await?;
                sender.send_request(request).await?.into_body().collect().await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
    })
    .await
}

async fn receiver() -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The result of setting the option doesn't matter: the measurement is the same for both sides.
            let _nodelay = stream.set_nodelay(true);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(
                TokioIo::new(stream),
                service_fn(|request: Request<Incoming>| async move {
                    let _read = request.into_body().collect().await;
                    Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                }),
            ));
        }
    });
    Ok(address)
}

fn delivery(receiver: SocketAddr) -> Delivery {
    let subscription = testing::subscription(testing::https(&format!("http://{receiver}/hook")));
    // About 1 KB, typical by design and contract.
    let data =
        format!(r#"{{"product":{{"uuid":"4c9e5b1e-9a0f-4f4e-8e52-000000000002"}},"more":"{}"}}"#, "x".repeat(700));
    let event = testing::event("018e32e0-5c1e-7f4b-9a3b-000000000001", testing::UPDATED, &data);
    let event = LoggedEvent { accepted_at: Clock::system().wall(), ..testing::logged(1, event) };
    Delivery {
        subscription: Arc::new(subscription),
        events: vec![Arc::new(event)],
        replay: None,
        traces: Vec::new(),
        answers: Default::default(),
    }
}
