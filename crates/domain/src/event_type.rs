//! Event types: their names, their peculiarities, and the [`known`] of known types.

pub mod known;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use known::{DataField, EventTypes, RegisteredType};

/// Common prefix of all type names of source `pim`.
pub const PIM_PREFIX: &str = "com.akeneo.pim.v1.";

/// A product changed, with the changes.
pub const PRODUCT_UPDATED_DELTA: &str = "com.akeneo.pim.v1.product.updated.delta";
/// A product model changed, with the changes.
pub const PRODUCT_MODEL_UPDATED_DELTA: &str = "com.akeneo.pim.v1.product-model.updated.delta";
/// The types that carry the changes; only they have the filter fields `attribute`, `scope`, `channel` and `locale`
/// (contract page 3).
pub const DELTA_TYPES: [&str; 2] = [PRODUCT_UPDATED_DELTA, PRODUCT_MODEL_UPDATED_DELTA];

/// An app was removed from the PIM: its subscribers are revoked. `data.app.client_id` identifies it.
pub const APP_DELETED: &str = "com.akeneo.pim.v1.app.deleted";
/// A connection was removed from the PIM: its subscribers are revoked. `data.connection.client_id` identifies it.
pub const CONNECTION_DELETED: &str = "com.akeneo.pim.v1.connection.deleted";

/// The types whose `data.product.identifier` is delivered only if `send_product_identifier` is on (contract page 2).
pub const PRODUCT_IDENTIFIER_TYPES: [&str; 6] = [
    "com.akeneo.pim.v1.product.created",
    "com.akeneo.pim.v1.product.updated",
    PRODUCT_UPDATED_DELTA,
    "com.akeneo.pim.v1.product.deleted",
    "com.akeneo.pim.v1.product.became-complete",
    "com.akeneo.pim.v1.product.became-incomplete",
];

/// Whether events of the type carry the changes.
pub fn is_delta(event_type: &str) -> bool {
    DELTA_TYPES.contains(&event_type)
}

/// Whether `data.product.identifier` of the type depends on `send_product_identifier`.
pub fn takes_product_identifier(event_type: &str) -> bool {
    PRODUCT_IDENTIFIER_TYPES.contains(&event_type)
}

/// The name of an event type, such as `com.akeneo.pim.v1.product.updated`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventType(Arc<str>);

impl EventType {
    /// A type with this name, known to the known or not.
    pub fn new(name: &str) -> EventType {
        EventType(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for EventType {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
