//! The state of the log as stored.

use domain::{Position, ServiceHour};
use rusqlite::Connection;
use store::Backlog;

use crate::failure::Failure;
use crate::kept::keeping;

/// Stored hour of service.
pub(crate) fn stored_hour(connection: &Connection) -> Result<ServiceHour, Failure> {
    let sql = "SELECT value FROM meta WHERE name = 'service_hour'";
    Ok(ServiceHour(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?))
}

/// Stored head of the log.
pub(crate) fn stored_head(connection: &Connection) -> Result<Position, Failure> {
    let sql = "SELECT max(value, coalesce((SELECT pos + count FROM frames ORDER BY pos DESC LIMIT 1), 0)) \
               FROM meta WHERE name = 'head_floor'";
    Ok(Position(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?))
}

/// Stored usage of the log by PIM.
pub(crate) fn stored_backlog(connection: &Connection, bound: u64) -> Result<Backlog, Failure> {
    let mut backlog = Backlog::new(bound);
    // From an index alone, and without the kept frames before the floor.
    let mut sum =
        connection.prepare("SELECT coalesce(sum(length(body)), 0) FROM frames WHERE pim = ?1 AND pos >= ?2")?;
    for pim in keeping::pims(connection)? {
        let floor = keeping::floor(connection, pim)?;
        backlog.count(pim, sum.query_row((pim.0, floor.0), |row| row.get(0))?);
    }
    Ok(backlog)
}
