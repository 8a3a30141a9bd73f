//! Kept events: how long a search takes within 1 GiB of them, and what keeping costs an append.
//!
//! `cargo bench -p store-sqlite --bench kept [-- FOLDER]`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark for a person's eyes")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::event::EventParts;
use domain::{Clock, Event, PimId, Position, Timestamp};
use store::vault::MasterKey;
use store::{EventLog, Floors, KeepBounds, Kept, KeptQuery, Shard, Shards, Vault};
use store_sqlite::{Settings, SqliteStore};
use tokio::runtime::Runtime;

const PIM: PimId = PimId(1);
/// Number of events: about 1 GiB.
const EVENTS: u64 = 1_000_000;
/// Products that the events are about.
const PRODUCTS: u64 = 100_000;
const AUTHORS: u64 = 500;
const TYPES: [&str; 4] = ["product.updated", "product.created", "product.updated.delta", "product.deleted"];
/// Searches per kind.
const SEARCHES: u64 = 300;
/// Seconds per round of appends.
const SECONDS: u64 = 3;
/// Rounds of appends, each with and without keeping.
const ROUNDS: usize = 5;

fn id(number: u64) -> String {
    format!("{number:08x}-0000-7000-8000-{number:012x}")
}

/// A number that looks random, the same in each run.
fn scattered(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
}

fn event(number: u64, text: &str) -> Event {
    let data = format!(
        r#"{{"product":{{"uuid":"{:08x}-a02d-5dd1-877c-5876596015f4"}},"text":"{text}","author":{{"identifier":"user-{}"}}}}"#,
        scattered(number) % PRODUCTS,
        scattered(number + 7) % AUTHORS,
    );
    Event::new(EventParts {
        id: &id(number),
        // The last type is rare.
        event_type: &format!(
            "com.akeneo.pim.v1.{}",
            TYPES[if number.is_multiple_of(9_973) { 3 } else { number % 3 } as usize]
        ),
        time: "2026-11-02T08:00:00.716Z",
        extensions: "",
        data: &data,
        product_identifier: None,
    })
}

/// Text that makes the event about 1 KB of JSON.
fn text() -> String {
    "abcdefghij klmnopqrst uvwxyz ".repeat(26)
}

fn open(folder: &Path, keep: KeepBounds) -> Arc<SqliteStore> {
    let vault = Vault::new(MasterKey::generate().unwrap(), []).unwrap();
    let settings = Settings { keep, ..Settings::new(vault) };
    Arc::new(SqliteStore::open_exclusive(folder, settings).unwrap())
}

async fn trim(store: &SqliteStore) {
    let tenure = store.take(Shard::FIRST).await.unwrap();
    let floors = Floors { pims: Vec::new(), rest: store.tail(Shard::FIRST).head() };
    while store.trim(&tenure, &floors).await.unwrap() > 0 {}
}

fn at(number: u64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000 + (number * 86_400_000_000 / EVENTS).cast_signed())
}

/// Fills a store with kept events over a day, most from one PIM.
fn fill(runtime: &Runtime, store: &SqliteStore) {
    let text = text();
    runtime.block_on(async {
        for first in (0..EVENTS).step_by(50) {
            let pim = if first % 1_000 == 0 { PimId(2) } else { PIM };
            let events = (first..first + 50).map(|number| event(number, &text)).collect();
            store.append(pim, events, at(first)).await.unwrap();
        }
        trim(store).await;
        // Indexed behind the head.
        tokio::time::sleep(Duration::from_secs(2)).await;
        println!("{} bytes kept", store.kept_bytes().await.unwrap());
    });
}

/// Searches of one kind: p50, p99 and the longest.
fn search(runtime: &Runtime, store: &SqliteStore, kind: &str, query: impl Fn(u64) -> KeptQuery) {
    let (mut took, mut found, mut calls) = (Vec::new(), 0, 0u64);
    for number in 0..SEARCHES {
        let mut query = KeptQuery { limit: 50, ..query(scattered(number)) };
        // A page may need several calls.
        let mut events = 0;
        loop {
            let started = Instant::now();
            let page = runtime.block_on(store.find(PIM, &query)).unwrap();
            took.push(started.elapsed());
            calls += 1;
            events += page.events.len();
            query.before = page.next;
            if events > 0 || page.next.is_none() {
                break;
            }
        }
        found += events;
    }
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    let [p50, p99, worst] = [0.5, 0.99, 1.0].map(at);
    let (found, calls) = (found as f64 / SEARCHES as f64, calls as f64 / SEARCHES as f64);
    println!("{kind:24} {p50:8.2} ms {p99:8.2} ms {worst:8.2} ms {found:8.1} {calls:8.1}");
}

fn find(folder: &Path) {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let runtime = Runtime::new().unwrap();
    let store = open(folder.path(), KeepBounds { hours: 24, bytes: 2 << 30 });
    fill(&runtime, &store);
    println!("search by                     p50         p99       worst    found   calls");
    let any = KeptQuery::default;
    let of_type = |index: usize| vec![format!("com.akeneo.pim.v1.{}", TYPES[index])];
    search(&runtime, &store, "nothing", |_| any());
    search(&runtime, &store, "entity", |number| KeptQuery {
        entity: Some(format!("{:08x}-a02d-5dd1-877c-5876596015f4", number % PRODUCTS)),
        ..any()
    });
    search(&runtime, &store, "unknown entity", |number| KeptQuery { entity: Some(number.to_string()), ..any() });
    search(&runtime, &store, "type", |_| KeptQuery { types: of_type(1), ..any() });
    search(&runtime, &store, "rare type", |_| KeptQuery { types: of_type(3), ..any() });
    search(&runtime, &store, "author", |number| KeptQuery {
        author: Some(format!("user-{}", number % AUTHORS)),
        ..any()
    });
    search(&runtime, &store, "id", |number| KeptQuery { ids: vec![id(number % EVENTS)], ..any() });
    search(&runtime, &store, "minute", |number| {
        let since = at(number % EVENTS);
        KeptQuery { since: Some(since), until: Some(since + Duration::from_secs(60)), ..any() }
    });
    search(&runtime, &store, "entity within an hour", |number| {
        let since = at(number % EVENTS);
        KeptQuery {
            entity: Some(format!("{:08x}-a02d-5dd1-877c-5876596015f4", number % PRODUCTS)),
            since: Some(since),
            until: Some(since + Duration::from_secs(3600)),
            ..any()
        }
    });
}

/// Processor time used by this process, in seconds.
fn processor_time() -> f64 {
    // Fields 14 and 15, in ticks of 10 ms; the second one, the name, ends in the last parenthesis.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Events per second, and processor time per event in microseconds.
fn append(folder: &Path, keep: KeepBounds, callers: u64, batch: u64) -> (f64, f64) {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let store = open(folder.path(), keep);
    let runtime = Runtime::new().unwrap();
    let (numbers, text) = (Arc::new(AtomicU64::new(0)), Arc::new(text()));
    let ended = Arc::new(AtomicBool::new(false));
    let used = processor_time();
    let start = Instant::now();
    let end = start + Duration::from_secs(SECONDS);
    runtime.block_on(async {
        let (trimmed, done) = (Arc::clone(&store), Arc::clone(&ended));
        let trims = tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_secs(1)).await;
                trim(&trimmed).await;
            }
        });
        let mut tasks = tokio::task::JoinSet::new();
        for caller in 0..callers {
            let (store, numbers, text) = (Arc::clone(&store), Arc::clone(&numbers), Arc::clone(&text));
            tasks.spawn(async move {
                while Instant::now() < end {
                    let first = numbers.fetch_add(batch, Ordering::Relaxed);
                    let events = (first..first + batch).map(|number| event(number, &text)).collect();
                    store.append(PimId(caller as u32 % 4), events, Clock::system().wall()).await.unwrap();
                }
            });
        }
        tasks.join_all().await;
        ended.store(true, Ordering::Relaxed);
        let took = start.elapsed().as_secs_f64();
        trims.await.unwrap();
        let events = (store.tail(Shard::FIRST).head().0 - Position::FIRST.0) as f64;
        (events / took, (processor_time() - used) * 1e6 / events)
    })
}

fn medians(of: Vec<(f64, f64)>) -> (f64, f64) {
    let median = |mut of: Vec<f64>| {
        of.sort_by(f64::total_cmp);
        of[of.len() / 2]
    };
    let (rates, times) = of.into_iter().unzip();
    (median(rates), median(times))
}

fn main() {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let folder = given.map_or_else(std::env::temp_dir, std::path::PathBuf::from);
    find(&folder);
    println!("callers  batch  events/s kept  deleted    ratio  µs per event kept  deleted");
    for (callers, batch) in [(16, 1), (64, 1), (16, 100)] {
        let (mut kept, mut deleted) = (Vec::new(), Vec::new());
        // Alternating, so that the machine's mood is the same for both.
        for _ in 0..ROUNDS {
            deleted.push(append(&folder, KeepBounds::NONE, callers, batch));
            kept.push(append(&folder, KeepBounds::CONTRACT, callers, batch));
        }
        let ((kept, kept_time), (deleted, deleted_time)) = (medians(kept), medians(deleted));
        let ratio = kept / deleted;
        println!("{callers:7}  {batch:5}  {kept:13.0} {deleted:8.0}  {ratio:7.3}  {kept_time:17.1} {deleted_time:8.1}");
    }
}
