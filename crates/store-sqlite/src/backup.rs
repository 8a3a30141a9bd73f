//! Copy of the database, made while another process reads and writes it.
//!
//! The copy is a snapshot: everything committed before it began, and nothing later. SQLite rewrites the database
//! (`VACUUM INTO`) instead of copying pages, because after a long backlog most of the file is free pages, kept for the
//! next backlog.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::database::{BUSY, DATABASE};
use crate::private;

/// The backup failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is nothing to copy.
    #[error("there is no database in {}", .0.display())]
    Nothing(PathBuf),
    /// The target exists.
    #[error("{} already exists, and a backup is never overwritten", .0.display())]
    Exists(PathBuf),
    /// A file cannot be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The database cannot be read, or the copy cannot be written.
    #[error("{}: {source}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The copy is damaged.
    #[error("the copy is damaged, and {} may be, too: {problem}", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The first problem found.
        problem: String,
    },
}

/// Copies the database of the data folder `from` to the folder `to` and returns the copy's path. It gets its final name
/// once it is complete and on stable storage.
pub fn backup(from: &Path, to: &Path) -> Result<PathBuf, BackupError> {
    let (database, copy) = (from.join(DATABASE), to.join(DATABASE));
    if !database.is_file() {
        return Err(BackupError::Nothing(from.to_owned()));
    }
    if copy.exists() {
        return Err(BackupError::Exists(copy));
    }
    let unfinished = to.join(format!("{DATABASE}.unfinished"));
    let done = write(&database, &unfinished).and_then(|()| {
        let renamed = fs::rename(&unfinished, &copy).and_then(|()| File::open(to)?.sync_all());
        renamed.map_err(|source| BackupError::Io { path: copy.clone(), source })
    });
    if done.is_err() {
        // Best effort; the first error is reported.
        _ = fs::remove_file(&unfinished);
    }
    done.map(|()| copy)
}

fn write(database: &Path, copy: &Path) -> Result<(), BackupError> {
    let failed = |source| BackupError::Database { path: database.to_owned(), source };
    let io = |source| BackupError::Io { path: copy.to_owned(), source };
    // Truncates the remains of an earlier run: SQLite wants an empty file.
    let file = private::options().write(true).create(true).truncate(true).open(copy).map_err(io)?;
    private::tighten(copy);
    // No migration: this may be the backup before an upgrade. Nothing is written, but after a crash the index of the
    // write-ahead log must be rebuilt.
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()]).map_err(failed)?;
    // SQLite doesn't sync the copy itself.
    file.sync_all().map_err(io)?;
    let copied = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let check: String = copied.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    match check.as_str() {
        "ok" => Ok(()),
        problem => Err(BackupError::Damaged { path: database.to_owned(), problem: problem.to_owned() }),
    }
}
