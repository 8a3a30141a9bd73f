//! Rendering of responses: objects with their fields in order, secrets masked.

use domain::Secret;

use crate::json::Value;

/// Purpose of a rendered value: a response, or a merge with a patch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Secrets masked or left out.
    Masked,
    /// With secrets.
    Whole,
}

impl Shown {
    /// A secret in this form.
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
