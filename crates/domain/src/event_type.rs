//! Event types: their names, and the catalogue of those that are known.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of an event type, such as `com.akeneo.pim.v1.product.updated`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventType(Arc<str>);

impl EventType {
    /// Names a type. Whether it is known is the catalogue's question.
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
