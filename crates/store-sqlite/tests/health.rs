//! Reports of the store while it isn't writable: another program holds the database, or the disk is full.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use domain::outcome::Lack;
use domain::{Event, PimId, testing};
use store::conformance::sample;
use store::vault::MasterKey;
use store::{EventLog, Vault};
use store_sqlite::{Settings, SqliteStore};

/// Longer than the writer's lock timeout.
const LONG: Duration = Duration::from_secs(20);

fn open(folder: &Path) -> SqliteStore {
    let key = MasterKey::new("test", &[7; 32]).unwrap();
    let settings = Settings { min_free_disk_bytes: 0, ..Settings::new(Vault::new(key, []).unwrap()) };
    SqliteStore::open_exclusive(folder, settings).unwrap()
}

fn event(id: u64, bytes: usize) -> Event {
    let data = format!("{{\"text\":\"{}\"}}", "x".repeat(bytes));
    testing::event(&id.to_string(), "com.example.happened", &data)
}

async fn append(store: &SqliteStore, id: u64) -> bool {
    store.append(PimId(1), vec![event(id, 100_000)], sample::at(0)).await.is_ok()
}

#[track_caller]
fn in_time(started: Instant, seen: &[Lack], expect: &[Lack]) {
    assert!(started.elapsed() < LONG, "it says {seen:?}, not {expect:?}");
}

async fn until(store: &SqliteStore, expect: &[Lack]) {
    let started = Instant::now();
    loop {
        let seen = store.lacks().await;
        if seen == expect {
            return;
        }
        in_time(started, &seen, expect);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_database_that_another_program_holds() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(store.lacks().await, []);
    let other = rusqlite::Connection::open(folder.path().join("postrider.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    until(&store, &[Lack::Store]).await;
    other.execute_batch("ROLLBACK").unwrap();
    until(&store, &[]).await;
    assert!(append(&store, 1).await);
}

/// A small disk, removed when this is dropped.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount(at: &Path) -> Option<SmallDisk<'_>> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(at).output().ok()?;
        mount.status.success().then_some(SmallDisk(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0).status().ok();
    }
}

#[tokio::test]
async fn a_disk_that_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_disk) = SmallDisk::mount(folder.path()) else {
        println!("left out: no tmpfs can be mounted here");
        return;
    };
    let store = open(folder.path());
    assert!(append(&store, 1).await);
    let filler = folder.path().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    let mut id = 2;
    while append(&store, id).await {
        id += 1;
    }
    let started = Instant::now();
    // Over several probes, each of which checks for free space again.
    while started.elapsed() < Duration::from_secs(3) {
        assert_eq!(store.lacks().await, [Lack::Disk]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // An open file keeps its space.
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    until(&store, &[]).await;
    assert!(append(&store, id).await);
}
