//! How answers are made: objects with their fields in order, secrets masked.

use domain::Secret;

use crate::json::Value;

/// Whether a value is made for an answer, or to be merged with a patch and read again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Secrets as masks, or left out.
    Masked,
    /// With secrets.
    Whole,
}

impl Shown {
    /// A secret as it is shown.
    pub(super) fn secret(self, secret: &Secret) -> Value {
        match self {
            Shown::Masked => Secret::MASK.into(),
            Shown::Whole => secret.expose().into(),
        }
    }
}

/// An object with fields in this order.
pub(super) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
