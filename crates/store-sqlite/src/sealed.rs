//! All sealed rows: their keys are checked at the start, and they can be resealed.

use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;
use store::Vault;
use store::sealed::{KINDS, Kind};
use store::vault::VaultError;

use crate::failure::Failure;

/// A sealed row: id as stored, id as named in the sealed value's context, readable part, and sealed value.
type Row = (SqlValue, String, String, Vec<u8>);

/// All sealed rows of a kind.
fn rows(connection: &Connection, kind: &Kind) -> Result<Vec<Row>, Failure> {
    // Ids are numbers or the bytes of a UUID.
    let name = "CASE typeof(id) WHEN 'blob' THEN lower(hex(id)) ELSE CAST(id AS TEXT) END";
    let mut select = connection.prepare(&format!("SELECT id, {name}, body, sealed FROM {}", kind.table))?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Checks that the vault has the keys of all sealed rows, so that a missing key is reported at the start and not at the
/// first delivery.
pub(crate) fn check_all(connection: &Connection, vault: &Vault) -> Result<Result<(), VaultError>, Failure> {
    for kind in KINDS {
        for (_, id, _, sealed) in rows(connection, &kind)? {
            if let Err(error) = vault.check(&sealed, &kind.row(&id)) {
                return Ok(Err(error));
            }
        }
    }
    Ok(Ok(()))
}

/// Reseals all rows that are not sealed with the current key and bound to their owner. Returns their number.
pub(crate) fn reseal_all(connection: &Connection, vault: &Vault) -> Result<u64, Failure> {
    let mut count = 0;
    for kind in KINDS {
        let mut update = connection.prepare(&format!("UPDATE {} SET sealed = ?2 WHERE id = ?1", kind.table))?;
        for (id, name, body, sealed) in rows(connection, &kind)? {
            let row = kind.row(&name);
            if !vault.is_current(&sealed, &row)? {
                let owner = kind.owner(&serde_json::from_str(&body)?);
                update.execute((id, vault.seal(&vault.open(&sealed, &row, &owner)?, &row, &owner)?))?;
                count += 1;
            }
        }
    }
    Ok(count)
}
