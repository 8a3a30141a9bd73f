//! The faults of a body during reading.

use crate::fault::{Fault, code};

/// Maximum number of listed faults: a body of 256 KiB full of faults does not need a response of megabytes.
const LISTED: usize = 100;

/// All faults so far.
#[derive(Default)]
pub(super) struct Faults {
    listed: Vec<Fault>,
    more: usize,
}

impl Faults {
    /// Records a fault; it is built only if it will be listed.
    pub(super) fn note(&mut self, fault: impl FnOnce() -> Fault) {
        if self.listed.len() < LISTED {
            self.listed.push(fault());
        } else {
            self.more += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// All listed faults, and the number of the others.
    pub(super) fn into_vec(mut self) -> Vec<Fault> {
        if self.more > 0 {
            self.listed.push(Fault::new(code::MORE_FAULTS, format!("{} further faults are not listed", self.more)));
        }
        self.listed
    }
}
