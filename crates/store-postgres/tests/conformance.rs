//! The conformance suites against a real server: one per test program, a database per test.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use parts::postgres::Postgres;
use store::conformance::{ENTRY_BYTES, STATE_BYTES};
use store::vault::MasterKey;
use store::{KeepBounds, Vault};
use store_postgres::{PostgresStore, Settings, Target};

fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    // Nothing here crashes.
    SERVER.get_or_init(|| Postgres::start(&["fsync = off", "synchronous_commit = off"]).unwrap())
}

/// Seals in all tests.
fn key() -> MasterKey {
    static KEY: OnceLock<MasterKey> = OnceLock::new();
    KEY.get_or_init(|| MasterKey::generate().unwrap()).clone()
}

fn new_database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    server().create(&format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed))).unwrap()
}

fn settings(url: &str, keep: KeepBounds) -> Settings {
    let target = Target::parse(url, None, &[], true).unwrap();
    Settings {
        max_state_bytes: STATE_BYTES,
        max_entry_bytes: ENTRY_BYTES,
        keep,
        connections: 4,
        ..Settings::new(target, Vault::new(key(), []).unwrap())
    }
}

/// A store on the runtime of its test.
struct Opened(PostgresStore);

impl Deref for Opened {
    type Target = PostgresStore;

    fn deref(&self) -> &PostgresStore {
        &self.0
    }
}

/// The suites open stores synchronously, within a runtime of their own: the tasks of a store run in this one.
fn wait<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME
        .get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
    std::thread::spawn(move || runtime.block_on(work)).join().unwrap()
}

fn open(keep: KeepBounds) -> Opened {
    let url = new_database();
    Opened(wait(PostgresStore::open_to_serve(settings(&url, keep))).unwrap())
}

fn two_processes() -> (Opened, Opened) {
    let url = new_database();
    let one = || Opened(wait(PostgresStore::open_to_serve(settings(&url, KeepBounds::NONE))).unwrap());
    (one(), one())
}

store::store_conformance!(open);

mod shared {
    use super::two_processes;

    store::takeover_conformance!(two_processes());
}
