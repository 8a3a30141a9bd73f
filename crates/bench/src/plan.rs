//! Extent of a run.

use std::path::PathBuf;
use std::time::Duration;

/// Extent of the measurements.
pub(crate) struct Plan {
    pub(crate) server: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) round: Duration,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
}
