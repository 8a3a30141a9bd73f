//! The port of PIMs' registrations.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::pim::Pim;
use domain::{PimId, Timestamp};

use crate::catalog::page::{Page, PimQuery};
use crate::error::{ChangeError, StoreError};

/// PIMs that are read at once.
const AT_ONCE: usize = 500;

/// The registered PIMs.
#[async_trait]
pub trait Pims: Send + Sync + 'static {
    /// A registered PIM.
    async fn pim(&self, id: PimId) -> Result<Option<Pim>, StoreError>;

    /// The PIM with this name.
    async fn pim_named(&self, name: &str) -> Result<Option<Pim>, StoreError>;

    /// The names of these, as far as they are registered.
    async fn pim_names(&self, of: Vec<PimId>) -> Result<HashMap<PimId, String>, StoreError>;

    /// A page of the registered PIMs.
    async fn pims(&self, query: &PimQuery) -> Result<Page<Pim>, StoreError>;

    /// All registered PIMs, read page by page: for what is kept in memory, never for an answer.
    async fn all_pims(&self) -> Result<Vec<Pim>, StoreError> {
        let mut all: Vec<Pim> = Vec::new();
        loop {
            let query = PimQuery { text: None, after: all.last().map(|last| last.id), limit: AT_ONCE };
            let page = self.pims(&query).await?;
            all.extend(page.items);
            if !page.more {
                return Ok(all);
            }
        }
    }

    /// How many are registered.
    async fn count_pims(&self) -> Result<u64, StoreError>;

    /// A number that differs after each change of a registration, also by another process (`postrider pim add`).
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
