//! Keys of the sealed rows: a probe that refuses a process with other keys, and resealing.

use store::Vault;
use store::sealed::{KINDS, Kind};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::args::args;
use crate::failure::Failure;
use crate::lines::{Line, Lines};
use crate::schema::OpenError;

/// What the probe contains, and the name that is sealed with it.
const PROBE: &str = "probe";

/// Seals the probe if there is none; otherwise opens it. Also checks that the keys of all sealed rows are at hand, so
/// that a missing one is reported at the start and not at the first delivery.
pub(crate) async fn check(line: &Line, vault: &Vault, name: &str) -> Result<(), OpenError> {
    let failed = |failure: Failure| OpenError::of(name, failure);
    let sealed = vault.seal(PROBE.as_bytes(), PROBE, PROBE)?;
    let put = "UPDATE platform SET probe = $1 WHERE probe IS NULL";
    line.execute(put, args![sealed]).await.map_err(failed)?;
    let rows = line.query("SELECT probe FROM platform", &[]).await.map_err(failed)?;
    let probe: Vec<u8> = rows.first().map(|row| row.get(0)).unwrap_or_default();
    vault.open(&probe, PROBE, PROBE).map_err(|problem| OpenError::OtherKeys { name: name.to_owned(), problem })?;
    for kind in KINDS {
        let id = id_of(&kind);
        // Format, and the id of the key: one row of each is enough.
        let sql = format!(
            "SELECT DISTINCT ON (substr(sealed, 1, 2 + get_byte(sealed, 1))) {id}, sealed FROM {} \
             WHERE octet_length(sealed) > 2",
            kind.table
        );
        for row in line.query(&sql, &[]).await.map_err(failed)? {
            vault.check(row.get(1), &kind.row(row.get(0)))?;
        }
    }
    Ok(())
}

/// Name of a row as sealed: a number, or the digits of a UUID.
fn id_of(kind: &Kind) -> &'static str {
    if kind.table == store::sealed::PIM.table { "id::text" } else { "replace(id::text, '-', '')" }
}

/// Name of an id in the sealed value's context.
pub(crate) fn name(id: &Uuid) -> String {
    id.simple().to_string()
}

/// Reseals all rows that are not sealed with the current key and bound to their owner. Returns their number.
pub(crate) async fn reseal_all(lines: &Lines, vault: &Vault) -> Result<u64, Failure> {
    let mut count = 0;
    for kind in KINDS {
        let id = id_of(&kind);
        let line = lines.line().await?;
        let sql = format!("SELECT {id}, body, sealed FROM {}", kind.table);
        for row in line.query(&sql, &[]).await? {
            count += u64::from(reseal(&line, vault, &kind, &row).await?);
        }
    }
    let line = lines.line().await?;
    let sealed = vault.seal(PROBE.as_bytes(), PROBE, PROBE)?;
    line.execute("UPDATE platform SET probe = $1", args![sealed]).await?;
    Ok(count)
}

async fn reseal(line: &Line, vault: &Vault, kind: &Kind, row: &Row) -> Result<bool, Failure> {
    let (id, body, sealed): (String, String, Vec<u8>) = (row.get(0), row.get(1), row.get(2));
    let name = kind.row(&id);
    if vault.is_current(&sealed, &name)? {
        return Ok(false);
    }
    let owner = kind.owner(&serde_json::from_str(&body)?);
    let resealed = vault.seal(&vault.open(&sealed, &name, &owner)?, &name, &owner)?;
    // A row that was changed meanwhile is sealed with the current key already.
    let sql = format!("UPDATE {} SET sealed = $1 WHERE {} = $2 AND sealed = $3", kind.table, id_of(kind));
    Ok(line.execute(&sql, args![resealed, id, sealed]).await? > 0)
}
