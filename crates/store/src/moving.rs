//! Moving a platform's data from one backend to another: rows as both sides exchange them.

use tokio::sync::mpsc;

/// A value in a row.
#[derive(Clone, PartialEq, Debug)]
pub enum Cell {
    /// None.
    Null,
    /// A number.
    Number(i64),
    /// Text.
    Text(String),
    /// Bytes, such as those of a UUID.
    Bytes(Vec<u8>),
}

/// Type of a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A number.
    Number,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// The bytes of a UUID.
    Id,
}

/// A table, or part of one.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns, in order. `pim` tells the shard.
    pub columns: &'static [(&'static str, Kind)],
}

/// A row, as [`Table::columns`] says.
pub type Row = Vec<Cell>;

/// Rows on their way, in chunks.
pub type Rows = mpsc::Sender<Vec<Row>>;

/// Numbers that belong to the platform as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Whole {
    /// Head of the log.
    pub head: u64,
    /// Mark of the ledger.
    pub mark: u64,
    /// Version of the catalogue.
    pub version: u64,
    /// Number of changes of registrations.
    pub pims_version: u64,
    /// Latest number of a PIM.
    pub last_pim: u32,
    /// Hours of service, and milliseconds of the one that has begun.
    pub service: (u32, u64),
    /// Secret of known ids.
    pub dedup_secret: Vec<u8>,
    /// First position of kept events.
    pub kept_since: u64,
}

use Kind::{Bytes, Id, Number, Text};

/// All tables with one row per object, in an order that needs no row of a later table.
pub const TABLES: [Table; 17] = [
    Table {
        name: "pims",
        columns: &[("id", Number), ("name", Text), ("url_key", Text), ("body", Text), ("sealed", Bytes)],
    },
    Table { name: "clients", columns: &[("pim", Number), ("client_id", Text), ("body", Text)] },
    Table {
        name: "subscribers",
        columns: &[
            ("id", Id),
            ("pim", Number),
            ("client_id", Text),
            ("status", Text),
            ("created_at", Number),
            ("hour", Number),
            ("body", Text),
            ("sealed", Bytes),
        ],
    },
    Table {
        name: "subscriptions",
        columns: &[
            ("id", Id),
            ("subscriber_id", Id),
            ("pim", Number),
            ("status", Text),
            ("destination_type", Text),
            ("generation", Number),
            ("version", Number),
            ("created_at", Number),
            ("hour", Number),
            ("body", Text),
            ("sealed", Bytes),
        ],
    },
    Table {
        name: "entries",
        columns: &[
            ("id", Id),
            ("pim", Number),
            ("client_id", Text),
            ("subscriber_id", Id),
            ("subscription_id", Id),
            ("timestamp", Number),
            ("count", Number),
            ("operation", Text),
            ("error_reason", Text),
            ("error_key", Bytes),
            ("hour", Number),
            ("body", Text),
        ],
    },
    Table {
        name: "notifications",
        columns: &[
            ("seq", Number),
            ("id", Id),
            ("pim", Number),
            ("client_id", Text),
            ("due_at", Number),
            ("body", Text),
            ("sealed", Bytes),
        ],
    },
    Table {
        name: "lanes",
        columns: &[
            ("subscription", Id),
            ("pim", Number),
            ("generation", Number),
            ("cursor", Number),
            ("memory", Bytes),
        ],
    },
    Table { name: "exceptions", columns: &[("subscription", Id), ("position", Number), ("body", Text)] },
    Table {
        name: "snapshots",
        columns: &[("pim", Number), ("kind", Number), ("key", Text), ("revision", Number), ("body", Bytes)],
    },
    Table { name: "bridge_notes", columns: &[("pim", Number), ("note", Text), ("revision", Number)] },
    Table {
        name: "keeping",
        columns: &[("pim", Number), ("floor", Number), ("kept_from", Number), ("swept", Number), ("bytes", Number)],
    },
    Table {
        name: "eras",
        columns: &[
            ("subscription", Id),
            ("begins", Number),
            ("ends", Number),
            ("pim", Number),
            ("creation", Number),
            ("size", Number),
            ("body", Text),
        ],
    },
    Table { name: "given_up", columns: &[("subscription", Id), ("position", Number), ("pim", Number), ("body", Text)] },
    Table {
        name: "dropped",
        columns: &[
            ("seq", Number),
            ("subscription", Id),
            ("pim", Number),
            ("first", Number),
            ("until", Number),
            ("reason", Text),
            ("uncertain", Number),
            ("size", Number),
            ("body", Text),
        ],
    },
    Table { name: "delivered_late", columns: &[("subscription", Id), ("position", Number), ("pim", Number)] },
    Table {
        name: "outcome_counts",
        columns: &[
            ("subscription", Id),
            ("begins", Number),
            ("pim", Number),
            ("hour", Number),
            ("delivered", Number),
            ("failed", Number),
            ("throttled", Number),
        ],
    },
    Table {
        name: "replays",
        columns: &[
            ("seq", Number),
            ("id", Id),
            ("pim", Number),
            ("subscription", Id),
            ("version", Number),
            ("running", Number),
            ("body", Text),
            ("progress", Text),
        ],
    },
];

/// The log.
pub const FRAMES: Table = Table {
    name: "frames",
    columns: &[("pos", Number), ("pim", Number), ("count", Number), ("hour", Number), ("body", Bytes)],
};

/// Known ids: the hash, and the hour of acceptance.
pub const IDS: Table = Table { name: "ids", columns: &[("key", Id), ("hour", Number)] };
