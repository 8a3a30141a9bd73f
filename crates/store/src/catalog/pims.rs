//! Port of PIM registrations.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::pim::Pim;
use domain::{PimId, Timestamp};

use crate::catalog::page::{Page, PimQuery};
use crate::error::{ChangeError, StoreError};

/// Page size of [`Pims::all_pims`].
const AT_ONCE: usize = 500;

/// The registered PIMs.
#[async_trait]
pub trait Pims: Send + Sync + 'static {
    /// A registered PIM.
    async fn pim(&self, id: PimId) -> Result<Option<Pim>, StoreError>;

    /// The PIM with this name.
    async fn pim_named(&self, name: &str) -> Result<Option<Pim>, StoreError>;

    /// Names of the registered PIMs among these.
    async fn pim_names(&self, of: Vec<PimId>) -> Result<HashMap<PimId, String>, StoreError>;

    /// A page of the registered PIMs.
    async fn pims(&self, query: &PimQuery) -> Result<Page<Pim>, StoreError>;

    /// All registered PIMs, read page by page: for in-memory copies, never for a response.
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

    /// Number of registered PIMs.
    async fn count_pims(&self) -> Result<u64, StoreError>;

    /// A number that differs after each change of a registration. Takes less than a microsecond, so that each request
    /// can be checked against the current registrations. Changes by other processes (`postrider pim add`, other nodes)
    /// may come with a delay: [`Pims::look_for_changed_pims`].
    fn pims_version(&self) -> Result<u64, StoreError>;

    /// Looks for changes by other processes. Called before something is rejected as unknown, or checked again because
    /// it is outdated: from then on [`Pims::pims_version`] tells of everything committed before the call.
    async fn look_for_changed_pims(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Registers a PIM. The store chooses its id and ignores the given one.
    async fn add_pim(&self, pim: Pim) -> Result<Pim, ChangeError>;

    /// Replaces a registration made from revision [`Pim::revision`]: a [`ChangeError::Conflict`] if there is a newer
    /// one. The revision is incremented. [`edit_pim`](crate::edit_pim) reads and retries.
    async fn update_pim(&self, pim: Pim) -> Result<(), ChangeError>;

    /// Removes a PIM. Its active subscribers and their subscriptions become revoked, with the corresponding entries and
    /// notifications. A backend may do that in several commits, each of some subscribers with all of theirs, the last
    /// one with the PIM: if it fails in between, the PIM is still registered, and its removal can be repeated.
    async fn remove_pim(&self, id: PimId, now: Timestamp) -> Result<(), ChangeError>;
}
