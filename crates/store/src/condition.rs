//! Preconditions of a commit: the state a request was judged by (contract page 7, "Judged at the commit").

use domain::PimId;
use domain::subscriber::Owner;

/// State that a request was judged by, with its revision. A commit with this condition is rejected once the state has
/// changed; the caller then reads and judges again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// The registration of a PIM, with its keys and tokens.
    Pim {
        /// The PIM.
        id: PimId,
        /// [`Pim::revision`](domain::pim::Pim::revision).
        revision: u64,
    },
    /// The record of a client, with its permission and removal.
    Client {
        /// The client.
        owner: Owner,
        /// [`ClientRecord::revision`](crate::ClientRecord::revision); 0 if there was no record.
        revision: u64,
    },
}
