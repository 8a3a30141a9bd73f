//! Throughput of ingest in single-event requests per second: `cargo bench -p api`. Server, store (in memory) and
//! senders share the machine's cores; each sender has one connection and waits for its response.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "what it measured is its output")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{
    Api, Deliveries, Gathered, LaneStatuses, Members, Nodes, Parts, PimGateway, Readiness, Settings, Tested, Tester,
    Unanswered, Verdict,
};
use async_trait::async_trait;
use aws_lc_rs::digest;
use domain::attempt::PastAttempts;
use domain::backlog;
use domain::event_type::EventTypes;
use domain::fate::{OutcomeCounts, Whereabouts};
use domain::lane_status::LaneStatus;
use domain::pim::{Origin, Pim, SourceKey};
use domain::subscription::Subscription;
use domain::traffic::{Traffic, Trouble};
use domain::{ClientId, Clock, LoggedEvent, PimId, Position, SubscriptionId, Timestamp, testing};
use intake::Bridge;
use store::memory::{MemorySettings, MemoryStore};
use store::{Pims, READS, StoreError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const KEY: &str = "key-of-the-bench";
const MEASURED: Duration = Duration::from_secs(5);
const SENDERS: [usize; 3] = [1, 16, 64];

struct Unused;

#[async_trait]
impl PimGateway for Unused {
    async fn verify(&self, _: &Pim, _: &ClientId, _: &str) -> Verdict {
        Verdict::WebApiForbidden
    }
}

#[async_trait]
impl LaneStatuses for Unused {
    async fn status(&self, _: &Subscription) -> Result<Option<LaneStatus>, Unanswered> {
        Ok(None)
    }

    async fn statuses(&self, _: PimId, of: Vec<SubscriptionId>) -> Result<Vec<Option<LaneStatus>>, Unanswered> {
        Ok(vec![None; of.len()])
    }
}

#[async_trait]
impl Deliveries for Unused {
    async fn whereabouts(&self, _: &Subscription, _: Position) -> Result<Option<Whereabouts>, Unanswered> {
        Ok(None)
    }

    async fn outcome_counts(&self, _: PimId, _: Vec<SubscriptionId>) -> Result<Vec<OutcomeCounts>, Unanswered> {
        Ok(Vec::new())
    }

    async fn backlog(&self, _: backlog::Of) -> Gathered<Vec<backlog::Step>> {
        Gathered { all: Vec::new(), missing: Vec::new() }
    }

    async fn traffic_of(&self, _: PimId) -> Result<Traffic, Unanswered> {
        Err(Unanswered)
    }

    async fn traffic(&self) -> Gathered<Traffic> {
        Gathered { all: Traffic::new(Traffic::STEP), missing: Vec::new() }
    }

    async fn troubled(&self, _: usize) -> Gathered<Vec<Trouble>> {
        Gathered { all: Vec::new(), missing: Vec::new() }
    }

    async fn attempts(&self, _: &Subscription) -> Result<PastAttempts, Unanswered> {
        Ok(PastAttempts { since: Timestamp::EPOCH, attempts: Vec::new() })
    }
}

#[async_trait]
impl Nodes for Unused {
    async fn members(&self) -> Result<Members, StoreError> {
        Ok(Members { nodes: Vec::new(), shards: Vec::new() })
    }

    async fn reads(&self) -> Result<u32, StoreError> {
        Ok(READS)
    }
}

#[async_trait]
impl Tester for Unused {
    async fn attempt(&self, _: Subscription, _: LoggedEvent) -> Option<Tested> {
        None
    }
}

#[async_trait]
impl Readiness for Unused {
    async fn ready(&self) -> Result<Vec<domain::outcome::Lack>, String> {
        Ok(Vec::new())
    }
}

fn pim() -> Pim {
    let sha256 = digest::digest(&digest::SHA256, KEY.as_bytes());
    Pim {
        keys: vec![SourceKey {
            prefix: "key".into(),
            sha256: sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
            created_at: Timestamp::EPOCH,
            origin: Origin::Command,
        }],
        ..testing::pim("pim")
    }
}

/// A request of about 1 KB.
fn request(sender: usize, number: usize) -> String {
    let filler = "x".repeat(600);
    let body = format!(
        r#"{{"specversion":"1.0","id":"{sender}-{number}","source":"pim","type":"com.akeneo.pim.v1.product.updated","time":"2026-11-02T08:00:00.716Z","data":{{"product":{{"uuid":"4a40cffc-a02d-5dd1-877c-5876596015f4","note":"{filler}"}},"author":{{"identifier":"peter","type":"user"}}}}}}"#
    );
    format!(
        "POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\ncontent-type: \
         application/cloudevents+json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn send(address: std::net::SocketAddr, sender: usize, until: Instant) -> usize {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = [0; 1024];
    let mut sent = 0;
    while Instant::now() < until {
        stream.write_all(request(sender, sent).as_bytes()).await.unwrap();
        // Responses are short and arrive in one piece.
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 202"), "{}", String::from_utf8_lossy(&answer[..read]));
        sent += 1;
    }
    sent
}

async fn measure(senders: usize) -> f64 {
    let settings = MemorySettings { max_log_bytes: u64::MAX, tail_bytes: 1 << 20, ..MemorySettings::default() };
    let store = Arc::new(MemoryStore::new(settings));
    store.add_pim(pim()).await.unwrap();
    let unused = Arc::new(Unused);
    let api = Arc::new(Api::new(Parts {
        store: store.clone(),
        gateway: unused.clone(),
        lanes: unused.clone(),
        deliveries: unused.clone(),
        nodes: unused.clone(),
        tester: unused.clone(),
        readiness: unused,
        event_types: Arc::new(EventTypes::new()),
        settings: Settings::default(),
        clock: Clock::system(),
        bridge: Arc::new(Bridge::new(store, None, None, Clock::system())),
        counters: Arc::default(),
        tracer: None,
        metrics: None,
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(api::serve(listener, api, std::future::pending()));
    let start = Instant::now();
    let running: Vec<_> = (0..senders).map(|sender| tokio::spawn(send(address, sender, start + MEASURED))).collect();
    let mut events = 0;
    for sender in running {
        events += sender.await.unwrap();
    }
    server.abort();
    events as f64 / start.elapsed().as_secs_f64()
}

#[tokio::main]
async fn main() {
    for senders in SENDERS {
        println!("{senders:>3} senders: {:>7.0} requests/s", measure(senders).await);
    }
}
