//! What was judged before a commit and must still hold in it (contract page 7, "Judged at the commit").

use domain::PimId;
use domain::subscriber::Owner;

/// What a request was judged by, in the version that was looked at. A commit that names it is refused once it has
/// changed: the caller looks again, and judges again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// The registration of a PIM: its keys and tokens, and that it is registered at all.
    Pim {
        /// Which one.
        id: PimId,
        /// [`Pim::revision`](domain::pim::Pim::revision).
        revision: u64,
    },
    /// What is known of a client: its permission, and that it was not removed.
    Client {
        /// Which one.
        owner: Owner,
        /// [`ClientRecord::revision`](crate::ClientRecord::revision); 0 if nothing was known.
        revision: u64,
    },
}
