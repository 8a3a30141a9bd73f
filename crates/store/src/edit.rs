//! Read, change, write back, and again if somebody else was faster: so that no change is lost to another one made at
//! the same time.

use domain::PimId;
use domain::pim::Pim;
use domain::subscriber::Owner;

use crate::catalog::{ClientRecord, Clients, Pims};
use crate::error::ChangeError;

/// Each round is lost to a change that somebody else made.
const MAX_ROUNDS: usize = 100;

/// Changes the registration of a PIM and gives it as it is kept. `edit` may be called several times, each time with the
/// latest registration; an error of it ends the attempt.
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

/// Changes what is known of a client and gives it as it is kept. `edit` may be called several times, each time with
/// what is known by then; where it changes nothing, nothing is written.
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
