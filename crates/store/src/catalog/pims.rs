//! The port of PIMs' registrations.

use async_trait::async_trait;
use domain::pim::Pim;
use domain::{PimId, Timestamp};

use crate::error::{ChangeError, StoreError};

/// The registered PIMs.
#[async_trait]
pub trait Pims: Send + Sync + 'static {
    /// All registered PIMs.
    async fn pims(&self) -> Result<Vec<Pim>, StoreError>;

    /// A number that differs after each change of [`Pims::pims`], also by another process (`postrider pim add`).
    /// Takes microseconds, so that each request can be judged by the registrations of its moment.
    fn pims_version(&self) -> Result<u64, StoreError>;

    /// Registers a PIM; its id is chosen by the store (the given one is ignored).
    async fn add_pim(&self, pim: Pim) -> Result<Pim, ChangeError>;

    /// Replaces a PIM's registration, which was made from that of [`Pim::revision`]: a [`ChangeError::Conflict`] if
    /// there is a newer one. The revision is counted up. [`edit_pim`](crate::edit_pim) reads and tries again.
    async fn update_pim(&self, pim: Pim) -> Result<(), ChangeError>;

    /// Removes a PIM; its subscribers and subscriptions that are not deleted become revoked, with the entries and notifications that
    /// tell so.
    async fn remove_pim(&self, id: PimId, now: Timestamp) -> Result<(), ChangeError>;
}
