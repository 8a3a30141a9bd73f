//! The conformance suite, with a separate file per test.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::ops::Deref;

use store::conformance::{ENTRY_BYTES, STATE_BYTES};
use store::vault::MasterKey;
use store::{KeepBounds, Vault};
use store_sqlite::{Settings, SqliteStore};

struct Opened {
    store: SqliteStore,
    // Dropped after the store.
    _folder: tempfile::TempDir,
}

impl Deref for Opened {
    type Target = SqliteStore;

    fn deref(&self) -> &SqliteStore {
        &self.store
    }
}

fn open(keep: KeepBounds) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::new(MasterKey::generate().unwrap(), []).unwrap();
    let settings = Settings {
        min_free_disk_bytes: 0,
        max_state_bytes: STATE_BYTES,
        max_entry_bytes: ENTRY_BYTES,
        keep,
        ..Settings::new(vault)
    };
    Opened { store: SqliteStore::open_exclusive(folder.path(), settings).unwrap(), _folder: folder }
}

store::store_conformance!(open);
