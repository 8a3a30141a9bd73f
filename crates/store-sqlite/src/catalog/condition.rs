//! Conditions of a request, checked in its transaction.

use domain::PimId;
use domain::subscriber::Owner;
use rusqlite::OptionalExtension;
use store::Condition;

use crate::batch::Batch;
use crate::failure::Failure;

/// Whether all of the conditions hold.
pub(crate) fn hold(batch: &Batch<'_>, conditions: &[Condition]) -> Result<bool, Failure> {
    for condition in conditions {
        let holds = match condition {
            Condition::Pim { id, revision } => pim_revision(batch, *id)? == Some(*revision),
            Condition::Client { owner, revision } => client_revision(batch, owner)? == *revision,
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Revision of a PIM's registration; rows that predate revisions have none in their bodies.
pub(super) fn pim_revision(batch: &Batch<'_>, id: PimId) -> Result<Option<u64>, Failure> {
    let sql = "SELECT coalesce(json_extract(body, '$.revision'), 0) FROM pims WHERE id = ?1";
    Ok(batch.sql(sql)?.query_row([id.0], |row| row.get(0)).optional()?)
}

/// Revision of a client record; 0 if there is none.
pub(super) fn client_revision(batch: &Batch<'_>, owner: &Owner) -> Result<u64, Failure> {
    let sql = "SELECT coalesce(json_extract(body, '$.revision'), 0) FROM clients WHERE pim = ?1 AND client_id = ?2";
    let known = batch.sql(sql)?.query_row((owner.pim.0, &owner.client_id.0), |row| row.get(0)).optional()?;
    Ok(known.unwrap_or(0))
}
