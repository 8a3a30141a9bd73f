//! Limits of the log's size and of the disk.

use super::*;

async fn fill(store: &SqliteStore, of: PimId, first: u64, expect: &str) -> u64 {
    for id in first..first + 1000 {
        match store.append(of, vec![event(id, 10_000)], now()).await {
            Ok(_) => {}
            Err(AppendError::BacklogFull { message, retry_after }) => {
                assert!(message.starts_with(expect) && message.contains("(storage.max_log_size)"), "{message}");
                assert!(retry_after > Duration::ZERO);
                return id;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("never full");
}

const FULL_FOR_ONE: &str = "the backlog of this PIM is full: its events take 2.0 MiB, and one PIM may have half of";

#[tokio::test]
async fn a_full_backlog_says_so_and_empties_again() {
    let folder = tempfile::tempdir().unwrap();
    let bounded = || Settings { max_log_bytes: 4 << 20, keep: KeepBounds::NONE, ..settings() };
    let store = SqliteStore::open_exclusive(folder.path(), bounded()).unwrap();
    let full = fill(&store, PimId(1), 1, FULL_FOR_ONE).await;
    // Known events need no room, and rejected ones are not known.
    assert_eq!(store.append(PimId(1), vec![event(1, 10_000)], now()).await.unwrap().duplicates, 1);
    assert!(store.append(PimId(1), vec![event(full, 10_000)], now()).await.is_err());
    let database = folder.path().join("postrider.db");
    for round in 0..5 {
        while store
            .trim(&sample::own(&store).await, &Floors { pims: Vec::new(), rest: Position(u64::MAX) })
            .await
            .unwrap()
            > 0
        {}
        assert_eq!(store.backlog().total(), 0);
        assert_eq!(
            store.append(PimId(1), vec![event(full, 10_000)], now()).await.unwrap().duplicates,
            usize::from(round > 0)
        );
        fill(&store, PimId(1), 1_000_000 * (round + 1), FULL_FOR_ONE).await;
    }
    // A start counts the stored events with the same result.
    let counted = store.backlog();
    drop(store);
    let store = SqliteStore::open_exclusive(folder.path(), bounded()).unwrap();
    assert_eq!(store.backlog(), counted);
    drop(store);
    let size = std::fs::metadata(database).unwrap().len();
    assert!(size <= (2 << 20) + (3 << 18), "pages are used again: {size}");
}

/// A PIM that fills its half doesn't affect others until the whole bound is used.
#[tokio::test]
async fn a_pim_with_half_of_the_backlog_is_refused_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open_exclusive(folder.path(), Settings { max_log_bytes: 4 << 20, ..settings() }).unwrap();
    fill(&store, PimId(1), 1, FULL_FOR_ONE).await;
    store.append(PimId(2), (1..=80).map(|id| event(id, 10_000)).collect(), now()).await.unwrap();
    assert!(store.append(PimId(1), vec![event(77_777, 10_000)], now()).await.is_err());
    store.append(PimId(3), vec![event(1, 10_000)], now()).await.unwrap();
    fill(&store, PimId(3), 2, "the backlog is full: the events of all PIMs take 4.0 MiB").await;
}

/// Log entries, snapshots and notifications use no room of events.
#[tokio::test]
async fn only_events_count_as_backlog() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open_exclusive(folder.path(), Settings { max_log_bytes: 1 << 20, ..settings() }).unwrap();
    let mut change = sample::change(Vec::new());
    change.entries = (0..2000).map(|number| sample::error(&format!("{number}{}", "x".repeat(1000)), now())).collect();
    store.change(change).await.unwrap();
    let large = SnapshotSave {
        key: SnapshotKey { kind: SnapshotKind::Product, key: "p".to_owned() },
        seen: None,
        body: Some(vec![b'x'; 2 << 20]),
    };
    store.append_new(PimId(1), Vec::new(), vec![large], now()).await.unwrap();
    assert!(store.figures().await.unwrap().used_bytes > 4 << 20);
    store.append(PimId(1), vec![event(1, 10_000)], now()).await.unwrap();
}

/// Rolled-back writes are not counted.
#[tokio::test]
async fn a_failed_write_leaves_the_backlog_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let nothing_kept = Settings { keep: KeepBounds::NONE, ..settings() };
    let store = SqliteStore::open_exclusive(folder.path(), nothing_kept).unwrap();
    store.append(PimId(1), vec![event(1, 10)], now()).await.unwrap();
    let before = store.backlog();
    let other = rusqlite::Connection::open(folder.path().join("postrider.db")).unwrap();
    let trigger = "CREATE TRIGGER full BEFORE INSERT ON frames BEGIN SELECT RAISE(ROLLBACK, 'no room'); END";
    other.execute_batch(trigger).unwrap();
    store.append(PimId(1), vec![event(2, 1000)], now()).await.unwrap_err();
    other
        .execute_batch(
            "DROP TRIGGER full; CREATE TRIGGER kept BEFORE DELETE ON frames BEGIN SELECT RAISE(ROLLBACK, ''); END",
        )
        .unwrap();
    store.trim(&sample::own(&store).await, &Floors { pims: Vec::new(), rest: Position(u64::MAX) }).await.unwrap_err();
    assert_eq!(store.backlog(), before);
    other.execute_batch("DROP TRIGGER kept").unwrap();
    store.trim(&sample::own(&store).await, &Floors { pims: Vec::new(), rest: Position(u64::MAX) }).await.unwrap();
    assert_eq!(store.backlog().total(), 0);
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bounded = Settings { min_free_disk_bytes: u64::MAX / 2, ..settings() };
    let store = SqliteStore::open_exclusive(folder.path(), bounded).unwrap();
    let error = store.append(PimId(1), vec![event(1, 10)], now()).await.unwrap_err();
    assert!(error.to_string().starts_with("the disk is nearly full: "), "{error}");
}
