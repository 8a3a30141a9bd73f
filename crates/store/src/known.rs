//! Keys of known events, the same in all backends.

use aws_lc_rs::digest;
use domain::PimId;

/// Hash of (pim, identity of the event).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key(pub u128);

/// Creates keys. The secret belongs to the database, so that colliding ids can't be searched for outside.
#[derive(Clone, Debug)]
pub struct Keyed {
    secret: Vec<u8>,
}

impl Keyed {
    /// With the database's secret.
    pub fn new(secret: Vec<u8>) -> Keyed {
        Keyed { secret }
    }

    /// The key of an event. Stored, so it never changes.
    pub fn key(&self, pim: PimId, identity: &str) -> Key {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.secret);
        context.update(&pim.0.to_le_bytes());
        context.update(identity.as_bytes());
        let hash = context.finish();
        let first = hash.as_ref().first_chunk::<16>().copied().unwrap_or_default();
        Key(u128::from_be_bytes(first))
    }
}
