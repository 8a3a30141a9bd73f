//! The catalogue, one file per port.

mod change;
mod clients;
mod condition;
mod entries;
mod filter;
mod glance;
mod outbox;
mod pages;
mod pims;
mod rows;
mod subscriptions;

use rusqlite::Connection;

pub(crate) use condition::hold;
pub(crate) use entries::add as add_entry;
pub(crate) use glance::Glance;
pub(crate) use rows::{begin_histories, fill_in_types, generation, pim_of};

use crate::failure::Failure;

/// Version of the catalogue.
pub(crate) fn version(connection: &Connection) -> Result<u64, Failure> {
    let sql = "SELECT value FROM meta WHERE name = 'version'";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}
