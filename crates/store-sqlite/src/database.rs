//! Opening the file: connections, migrations, and the lock of the serving process.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use store::vault::VaultError;

use crate::moving::{self, Whereabouts};
use crate::private;

/// File name of the database in the data folder.
pub(crate) const DATABASE: &str = "postrider.db";
/// File name of the lock in the data folder.
const LOCK: &str = "postrider.lock";
/// Timeout for another process's write transaction, which is short.
pub(crate) const BUSY: Duration = Duration::from_secs(10);
/// A compromise: larger pages waste less space with events of a few KB, smaller ones make single commits cheaper.
const PAGE_SIZE: u32 = 8192;

/// All migrations, in order; `user_version` of the database is the number of applied ones.
const MIGRATIONS: [&str; 11] = [
    include_str!("../migrations/0001_initial.sql"),
    include_str!("../migrations/0002_snapshots.sql"),
    include_str!("../migrations/0003_outbox.sql"),
    include_str!("../migrations/0004_revisions.sql"),
    include_str!("../migrations/0005_hours_of_service.sql"),
    include_str!("../migrations/0006_bounded_entries.sql"),
    include_str!("../migrations/0007_backlog.sql"),
    include_str!("../migrations/0008_pages.sql"),
    include_str!("../migrations/0009_bounded_outbox.sql"),
    include_str!("../migrations/0010_entries_of_a_pim.sql"),
    include_str!("../migrations/0011_kept.sql"),
];

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process serves from this folder.
    #[error(
        "another process is serving from {}: stop it first, or give this one a data folder of its own", .0.display()
    )]
    Locked(PathBuf),
    /// Written by a newer version.
    #[error(
        "{} was written by a newer version (schema {found}, this version knows {known}): run that version or a newer \
         one, \
         or restore a backup from before the upgrade",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The newest known version.
        known: u32,
    },
    /// The data are being moved.
    #[error(
        "the data in {} are being moved to a database: complete it with `postrider migrate`, or give it up with \
         `postrider migrate --cancel`",
        .0.display()
    )]
    Moving(PathBuf),
    /// The data were moved.
    #[error("the data in {} were moved to the database {to}: set store.backend and store.url", path.display())]
    Moved {
        /// The folder.
        path: PathBuf,
        /// The other database.
        to: String,
    },
    /// A secret cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The folder or the file cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// SQLite cannot use the file.
    #[error("{}: {problem}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// SQLite's error.
        problem: String,
    },
}

/// Creates a data folder accessible only to its owner, if it doesn't exist. An existing one keeps its mode, because an
/// operator may allow a group to read backups from it.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The database of a data folder.
pub fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}

/// Whether the folder is a data folder, with a database.
pub fn has_database(folder: &Path) -> bool {
    database(folder).exists()
}

/// The files of a data folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    folder: PathBuf,
    database: PathBuf,
}

impl Folder {
    /// Creates the folder if it doesn't exist.
    pub(crate) fn open(folder: &Path) -> Result<Folder, OpenError> {
        make_folder(folder).map_err(|source| OpenError::Io { path: folder.to_owned(), source })?;
        let folder = Folder { folder: folder.to_owned(), database: folder.join(DATABASE) };
        folder.close_to_others()?;
        Ok(folder)
    }

    /// SQLite creates the write-ahead log and its index with the mode of the database.
    fn close_to_others(&self) -> Result<(), OpenError> {
        private::check_folder(&self.folder);
        private::make(&self.database).map_err(|source| OpenError::Io { path: self.database.clone(), source })?;
        for name in [DATABASE.to_owned(), format!("{DATABASE}-wal"), format!("{DATABASE}-shm"), LOCK.to_owned()] {
            private::tighten(&self.folder.join(name));
        }
        Ok(())
    }

    /// Acquires the lock. It is released with the file handle, even if the process is killed.
    pub(crate) fn lock(&self) -> Result<File, OpenError> {
        let path = self.folder.join(LOCK);
        let failed = |source| OpenError::Io { path: path.clone(), source };
        let file = private::make(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked(self.folder.clone())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn problem(&self, problem: impl ToString) -> OpenError {
        OpenError::Database { path: self.database.clone(), problem: problem.to_string() }
    }

    /// A writing connection, with an up-to-date schema.
    pub(crate) fn writer(&self) -> Result<Connection, OpenError> {
        let mut connection = Connection::open(&self.database).map_err(|error| self.problem(error))?;
        prepare_writer(&connection).map_err(|error| self.problem(error))?;
        self.migrate(&mut connection)?;
        Ok(connection)
    }

    /// Refuses to serve or change data that are elsewhere.
    pub(crate) fn must_be_here(&self, connection: &Connection) -> Result<(), OpenError> {
        match moving::whereabouts(connection).map_err(|error| self.problem(error))? {
            Whereabouts::Here => Ok(()),
            Whereabouts::Moving(_) => Err(OpenError::Moving(self.folder.clone())),
            Whereabouts::Moved(to) => Err(OpenError::Moved { path: self.folder.clone(), to }),
        }
    }

    /// A read-only connection.
    pub(crate) fn reader(&self) -> Result<Connection, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(&self.database, flags)?;
            connection.busy_timeout(BUSY)?;
            connection.set_prepared_statement_cache_capacity(64);
            // Little: each of the connections keeps what it once read, and the system caches the file as well.
            connection.pragma_update(None, "cache_size", -2_048)?;
            Ok(connection)
        };
        open().map_err(|error| self.problem(error))
    }

    /// A connection for looking up single values on threads that must not wait.
    pub(crate) fn glance(&self) -> Result<Connection, OpenError> {
        let connection = self.reader()?;
        let set = || -> rusqlite::Result<()> {
            connection.busy_timeout(Duration::ZERO)?;
            connection.pragma_update(None, "cache_size", -64)
        };
        set().map_err(|error| self.problem(error))?;
        Ok(connection)
    }

    /// A connection for checkpoints.
    pub(crate) fn checkpointer(&self) -> Result<Connection, OpenError> {
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(&self.database)?;
            prepare_writer(&connection)?;
            Ok(connection)
        };
        open().map_err(|error| self.problem(error))
    }

    fn migrate(&self, connection: &mut Connection) -> Result<(), OpenError> {
        let failed = |error: rusqlite::Error| self.problem(error);
        let known = MIGRATIONS.len() as u32;
        // Immediate: two processes that start concurrently migrate one after the other.
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failed)?;
        let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        if found > known {
            return Err(OpenError::Newer { path: self.database.clone(), found, known });
        }
        if found == 0 {
            let other = "SELECT name FROM sqlite_schema LIMIT 1";
            let other: Option<String> =
                transaction.query_row(other, [], |row| row.get(0)).optional().map_err(failed)?;
            if let Some(table) = other {
                return Err(self.problem(format!("this database belongs to another program (it has {table:?})")));
            }
        }
        for migration in MIGRATIONS.iter().skip(found as usize) {
            transaction.execute_batch(migration).map_err(failed)?;
        }
        transaction.pragma_update(None, "user_version", known).map_err(failed)?;
        transaction.commit().map_err(failed)
    }
}

fn prepare_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(128);
    // Only effective before the first table.
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // NORMAL isn't durable.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Checkpoints run on a separate thread, because they determine the latency of the slowest appends.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", 512 << 20, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}
