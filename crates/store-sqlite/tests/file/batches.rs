//! Requests that share a transaction.

use rusqlite::Connection;
use store::{AppendError, Condition, EventLog, Pims};

use super::{event, now, open, pim};

/// Each append's condition holds or not by what was requested before it, even in the same transaction.
#[tokio::test]
async fn a_change_between_two_appends_counts_for_the_second() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut registered = store.add_pim(pim("a")).await.unwrap();
    let other = Connection::open(store_sqlite::database(folder.path())).unwrap();
    for round in 0..20 {
        let revision = registered.revision;
        let append = |number: u64| {
            let condition = Condition::Pim { id: registered.id, revision };
            store.append_if(registered.id, vec![event(10 * round + number, 10)], now(), vec![condition])
        };
        // The writer waits for another process with what it has taken; then it takes all that was requested meanwhile.
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let unblock = async { other.execute_batch("ROLLBACK").unwrap() };
        let (first, second, changed, last, ()) =
            tokio::join!(append(1), append(2), store.update_pim(registered.clone()), append(3), unblock);
        assert!(first.is_ok() && second.is_ok() && changed.is_ok(), "{first:?} {second:?} {changed:?}");
        assert!(matches!(last, Err(AppendError::Outdated)), "{last:?}");
        registered = store.pim(registered.id).await.unwrap().unwrap();
        assert_eq!(registered.revision, revision + 1);
    }
}
