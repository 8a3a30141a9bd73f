//! Read, change, write back, and retry after a conflict, so that no concurrent change is lost.

use domain::PimId;
use domain::pim::Pim;
use domain::subscriber::Owner;

use crate::catalog::{ClientRecord, Clients, Pims};
use crate::error::ChangeError;

/// Each round is lost to a concurrent change.
const MAX_ROUNDS: usize = 100;

/// Changes the registration of a PIM and returns it as stored. `edit` may be called several times, each time with the
/// latest registration. Its error ends the attempt.
pub async fn edit_pim<E: From<ChangeError>>(
    pims: &dyn Pims,
    id: PimId,
    mut edit: impl FnMut(&mut Pim) -> Result<(), E> + Send,
) -> Result<Pim, E> {
    for _ in 0..MAX_ROUNDS {
        let registered = pims.pim(id).await.map_err(ChangeError::Store)?;
        let mut pim = registered.ok_or(ChangeError::Missing("PIM"))?;
        edit(&mut pim)?;
        match pims.update_pim(pim.clone()).await {
            Ok(()) => {
                pim.revision += 1;
                return Ok(pim);
            }
            Err(ChangeError::Conflict) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(ChangeError::Conflict.into())
}

/// Changes the record of a client and returns it as stored. `edit` may be called several times, each time with the
/// latest record. Without a change nothing is written.
pub async fn edit_client(
    clients: &dyn Clients,
    owner: &Owner,
    mut edit: impl FnMut(&mut ClientRecord) + Send,
) -> Result<ClientRecord, ChangeError> {
    for _ in 0..MAX_ROUNDS {
        let known = clients.client(owner).await?;
        let mut client = known.clone();
        edit(&mut client);
        if client == known {
            return Ok(known);
        }
        match clients.put_client(owner, client.clone()).await {
            Ok(()) => {
                client.revision += 1;
                return Ok(client);
            }
            Err(ChangeError::Conflict) => {}
            Err(other) => return Err(other),
        }
    }
    Err(ChangeError::Conflict)
}
