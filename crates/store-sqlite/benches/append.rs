//! Durable appends per second, compared with the limit of the same disk in the same run: a plain file with `fdatasync`
//! after every 64 records. Also measures bytes on disk per byte of event.
//!
//! `cargo bench -p store-sqlite --bench append [-- FOLDER]`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark for a person's eyes")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::{Clock, Event, PimId, Position, testing};
use store::vault::MasterKey;
use store::{EventLog, Shard, Vault};
use store_sqlite::{Settings, SqliteStore};

/// Seconds per measurement.
const SECONDS: u64 = 3;

fn event(number: u64, data: &str) -> Event {
    let id = format!("{number:08x}-0000-7000-8000-{number:012x}");
    testing::event(&id, testing::UPDATED, data)
}

/// `data` that makes the event about 1 KB of JSON.
fn data() -> String {
    let text = "abcdefghij klmnopqrst uvwxyz ".repeat(26);
    format!("{{\"product\":{{\"uuid\":\"4a40cffc-a02d-5dd1-877c-5876596015f4\"}},\"text\":\"{text}\"}}")
}

/// Size of the event as sent by a producer.
fn json_bytes(event: &Event) -> u64 {
    let around = r#"{"specversion":"1.0","id":"","source":"pim","type":"","time":"","datacontenttype":"application/json","data":}"#;
    (event.size() + around.len()) as u64
}

/// Records per second written to a plain file with a sync per 64 records.
fn ceiling(folder: &Path, record: &[u8]) -> f64 {
    let mut file = File::create(folder.join("ceiling")).unwrap();
    let (start, mut records) = (Instant::now(), 0u64);
    while start.elapsed() < Duration::from_secs(SECONDS) {
        let batch = record.repeat(64);
        file.write_all(&batch).unwrap();
        file.sync_data().unwrap();
        records += 64;
    }
    std::fs::remove_file(folder.join("ceiling")).unwrap();
    records as f64 / start.elapsed().as_secs_f64()
}

struct Figures {
    a_second: f64,
    p50: Duration,
    p99: Duration,
    worst: Duration,
    bytes: f64,
}

fn measure(folder: &Path, callers: usize, batch: usize) -> Figures {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let vault = Vault::new(MasterKey::generate().unwrap(), []).unwrap();
    let store = Arc::new(SqliteStore::open_exclusive(folder.path(), Settings::new(vault)).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (numbers, data) = (Arc::new(AtomicU64::new(0)), Arc::new(data()));
    let start = Instant::now();
    let end = start + Duration::from_secs(SECONDS);
    let mut took: Vec<Duration> = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for caller in 0..callers {
            let (store, numbers, data) = (Arc::clone(&store), Arc::clone(&numbers), Arc::clone(&data));
            tasks.spawn(async move {
                let mut took = Vec::new();
                while Instant::now() < end {
                    let first = numbers.fetch_add(batch as u64, Ordering::Relaxed);
                    let events = (first..first + batch as u64).map(|number| event(number, &data)).collect();
                    let asked = Instant::now();
                    store.append(PimId(caller as u32 % 4), events, Clock::system().wall()).await.unwrap();
                    took.push(asked.elapsed());
                }
                took
            });
        }
        tasks.join_all().await.into_iter().flatten().collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    took.sort_unstable();
    let events = (took.len() * batch) as u64;
    assert_eq!(store.tail(Shard::FIRST).head(), Position(events + 1));
    drop(store);
    drop(runtime);
    let on_disk: u64 =
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    let at = |share: f64| took.get((took.len() as f64 * share) as usize).or(took.last()).copied().unwrap_or_default();
    Figures {
        a_second: events as f64 / seconds,
        p50: at(0.5),
        p99: at(0.99),
        worst: at(1.0),
        bytes: on_disk as f64 / (events * json_bytes(&event(1, &data))) as f64,
    }
}

fn main() {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let folder = given.map_or_else(std::env::temp_dir, std::path::PathBuf::from);
    let record = vec![b'x'; json_bytes(&event(1, &data())) as usize];
    println!("events of {} bytes as JSON, {SECONDS} s each, in {}", record.len(), folder.display());
    println!("callers  batch   events/s  of ceiling       p50       p99     worst  bytes/byte");
    for batch in [1, 100] {
        for callers in [1, 16, 64] {
            let ceiling = ceiling(&folder, &record);
            let figures = measure(&folder, callers, batch);
            let ratio = figures.a_second / ceiling;
            let [p50, p99, worst] = [figures.p50, figures.p99, figures.worst].map(|took| took.as_secs_f64() * 1000.0);
            println!(
                "{callers:7}  {batch:5}  {:9.0}  {ratio:10.2}  {p50:6.2} ms {p99:6.2} ms {worst:6.2} ms  {:10.3}",
                figures.a_second, figures.bytes
            );
        }
    }
}
