//! Conditions of a request, checked in its transaction under the lock of its shard's head: every change of a
//! registration or a client holds that lock as well.

use domain::PimId;
use domain::subscriber::Owner;
use store::Condition;

use crate::args::{args, int, natural};
use crate::failure::Failure;
use crate::lines::Tx;

/// Whether all of the conditions hold.
pub(crate) async fn hold(tx: &Tx, conditions: &[Condition]) -> Result<bool, Failure> {
    for condition in conditions {
        let holds = match condition {
            Condition::Pim { id, revision } => pim_revision(tx, *id).await? == Some(*revision),
            Condition::Client { owner, revision } => client_revision(tx, owner).await? == *revision,
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Revision of a PIM's registration.
pub(super) async fn pim_revision(tx: &Tx, id: PimId) -> Result<Option<u64>, Failure> {
    let row = tx.row("SELECT revision FROM pims WHERE id = $1", args![int(id.0)]).await?;
    Ok(row.map(|row| natural(row.get(0))))
}

/// Revision of a client record; 0 if there is none.
pub(super) async fn client_revision(tx: &Tx, owner: &Owner) -> Result<u64, Failure> {
    let sql = "SELECT revision FROM clients WHERE pim = $1 AND client_id = $2";
    let row = tx.row(sql, args![int(owner.pim.0), owner.client_id.0]).await?;
    Ok(row.map_or(0, |row| natural(row.get(0))))
}
