//! The filter language: one optional expression a subscription, parsed when it is set, evaluated for each event.

use serde::{Deserialize, Serialize};

/// A parsed filter expression.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Filter(String);
