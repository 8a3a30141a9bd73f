//! The file as the source of a move to another backend. It is marked while it is moved and afterwards, so that at most
//! one of both serves.

use std::fs::File;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};
use store::moving::{Cell, FRAMES, IDS, Row, Rows, Table, Whole};
use uuid::Uuid;

use crate::database::{Folder, OpenError};
use crate::dedup;
use crate::failure::Failure;
use crate::log_writer;

/// Rows per chunk.
const CHUNK: usize = 500;

/// Whether the data are still here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whereabouts {
    /// Here.
    Here,
    /// They are being moved; the move has this number.
    Moving(Uuid),
    /// They were moved to this database.
    Moved(String),
}

/// The whereabouts of the data of a database.
pub(crate) fn whereabouts(connection: &Connection) -> rusqlite::Result<Whereabouts> {
    let read = |name: &str| -> rusqlite::Result<Option<String>> {
        connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()
    };
    if let Some(to) = read("moved")? {
        return Ok(Whereabouts::Moved(to));
    }
    let id = read("moving")?.and_then(|id| Uuid::parse_str(&id).ok());
    Ok(id.map_or(Whereabouts::Here, Whereabouts::Moving))
}

/// The data folder of a platform that does not serve.
#[derive(Debug)]
pub struct Source {
    connection: Connection,
    folder: Folder,
    _lock: File,
}

impl Source {
    /// Opens the database of a folder, unless a process serves from it.
    pub fn open(folder: &Path) -> Result<Source, OpenError> {
        let folder = Folder::open(folder)?;
        let lock = folder.lock()?;
        let connection = folder.writer()?;
        Ok(Source { connection, folder, _lock: lock })
    }

    fn problem(&self, failure: Failure) -> OpenError {
        self.folder.problem(store::StoreError::from(failure))
    }

    /// Whether the data are still here.
    pub fn whereabouts(&self) -> Result<Whereabouts, OpenError> {
        whereabouts(&self.connection).map_err(|error| self.folder.problem(error))
    }

    /// Marks the data; from then on nobody serves from this file, or again after [`Whereabouts::Here`].
    pub fn mark(&self, whereabouts: &Whereabouts) -> Result<(), OpenError> {
        let mark = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            transaction.execute("DELETE FROM meta WHERE name IN ('moving', 'moved')", [])?;
            let (name, value) = match whereabouts {
                Whereabouts::Here => return transaction.commit(),
                Whereabouts::Moving(id) => ("moving", id.to_string()),
                Whereabouts::Moved(to) => ("moved", to.clone()),
            };
            transaction.execute("INSERT INTO meta VALUES (?1, ?2)", (name, &value))?;
            transaction.commit()
        };
        mark().map_err(|error| self.folder.problem(error))
    }

    /// Numbers of the platform as a whole.
    pub fn whole(&self) -> Result<Whole, OpenError> {
        self.read_whole().map_err(|failure| self.problem(failure))
    }

    fn read_whole(&self) -> Result<Whole, Failure> {
        let number = |name: &str| -> Result<u64, Failure> {
            Ok(self.connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))?)
        };
        let last_pim = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'pims'), 0)";
        Ok(Whole {
            head: log_writer::stored_head(&self.connection)?.0,
            mark: number("mark")?,
            version: number("version")?,
            pims_version: number("pims_version")?,
            last_pim: self.connection.query_row(last_pim, [], |row| row.get(0))?,
            service: (log_writer::stored_hour(&self.connection)?.0, number("service_rest")?),
            dedup_secret: self.connection.query_row(
                "SELECT value FROM meta WHERE name = 'dedup_secret'",
                [],
                |row| row.get(0),
            )?,
            kept_since: number("kept_since")?,
        })
    }

    /// Sends all rows of a table, frames from a position on. Blocks; returns their number.
    pub fn send(&self, table: Table, from: u64, rows: &Rows) -> Result<u64, OpenError> {
        self.send_all(table, from, rows).map_err(|failure| self.problem(failure))
    }

    fn send_all(&self, table: Table, from: u64, rows: &Rows) -> Result<u64, Failure> {
        let (mut chunk, mut sent) = (Vec::with_capacity(CHUNK), 0);
        let mut add = |row: Row| {
            chunk.push(row);
            sent += 1;
            // The receiver is gone after a failure of its own, which it reports.
            if chunk.len() == CHUNK { rows.blocking_send(std::mem::take(&mut chunk)).is_ok() } else { true }
        };
        if table.name == IDS.name {
            dedup::each_known(&self.connection, |key, hour| {
                add(vec![Cell::Bytes(key.to_be_bytes().to_vec()), Cell::Number(i64::from(hour.0))])
            })?;
        } else {
            let mut select = self.connection.prepare(select(table))?;
            let mut found = if table.name == FRAMES.name { select.query([from])? } else { select.query([])? };
            while let Some(row) = found.next()? {
                let cells = (0..table.columns.len()).map(|column| -> rusqlite::Result<Cell> {
                    Ok(match row.get_ref(column)? {
                        ValueRef::Integer(number) => Cell::Number(number),
                        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
                        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
                        ValueRef::Null | ValueRef::Real(_) => Cell::Null,
                    })
                });
                if !add(cells.collect::<rusqlite::Result<_>>()?) {
                    break;
                }
            }
        }
        if !chunk.is_empty() {
            _ = rows.blocking_send(chunk);
        }
        Ok(sent)
    }
}

/// The columns of a table, as both sides exchange them.
fn select(table: Table) -> &'static str {
    match table.name {
        "pims" => "SELECT id, name, url_key, body, sealed FROM pims",
        "clients" => "SELECT pim, client_id, body FROM clients",
        "subscribers" => "SELECT id, pim, client_id, status, created_at, hour, body, sealed FROM subscribers",
        "subscriptions" => {
            "SELECT id, subscriber_id, pim, status, destination_type, generation, version, created_at, hour, body, \
             sealed FROM subscriptions"
        }
        "entries" => {
            "SELECT id, pim, client_id, subscriber_id, subscription_id, timestamp, count, operation, error_reason, \
             error_key, hour, body FROM entries"
        }
        // What is left of a subscriber that is gone belongs to nobody.
        "notifications" => {
            "SELECT seq, id, pim, client_id, due_at, body, sealed FROM notifications WHERE pim IS NOT NULL ORDER BY seq"
        }
        "lanes" => {
            "SELECT subscription, pim, lanes.generation, cursor, memory FROM lanes \
             JOIN subscriptions ON subscriptions.id = subscription"
        }
        "exceptions" => "SELECT subscription, position, body FROM exceptions",
        "snapshots" => "SELECT pim, kind, key, revision, body FROM snapshots",
        "bridge_notes" => "SELECT pim, note, revision FROM bridge_notes",
        // Without the keys of events, which the other backend has beside their frames.
        "keeping" => {
            "SELECT pim, floor, kept_from, swept, max(0, bytes - coalesce((SELECT sum(16 * events + 100) \
             FROM key_segments s WHERE s.pim = keeping.pim AND s.until <= keeping.floor), 0)) FROM keeping"
        }
        "eras" => "SELECT subscription, begins, ends, pim, creation, size, body FROM eras",
        "given_up" => "SELECT subscription, position, pim, body FROM given_up",
        "dropped" => {
            "SELECT seq, subscription, pim, first, until, reason, uncertain, size, body FROM dropped ORDER BY seq"
        }
        "delivered_late" => "SELECT subscription, position, pim FROM delivered_late",
        "outcome_counts" => {
            "SELECT subscription, begins, pim, outcome_counts.hour, delivered, failed, throttled FROM outcome_counts \
             JOIN subscriptions ON subscriptions.id = subscription"
        }
        "replays" => {
            "SELECT seq, replays.id, pim, subscription, replays.version, running, replays.body, progress FROM replays \
             JOIN subscriptions ON subscriptions.id = subscription ORDER BY seq"
        }
        _ => "SELECT pos, pim, count, hour, body FROM frames WHERE pos >= ?1 ORDER BY pos",
    }
}
