//! The faults of a body while it is read.

use crate::fault::{Fault, code};

/// As many faults are listed one by one: a body of 256 KiB that is wrong throughout needs no answer of megabytes.
const LISTED: usize = 100;

/// All faults so far.
#[derive(Default)]
pub(super) struct Faults {
    listed: Vec<Fault>,
    more: usize,
}

impl Faults {
    /// Notes a fault; it is made only if it will be listed.
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

    /// All that are listed, and how many are not.
    pub(super) fn into_vec(mut self) -> Vec<Fault> {
        if self.more > 0 {
            self.listed.push(Fault::new(code::MORE_FAULTS, format!("{} further faults are not listed", self.more)));
        }
        self.listed
    }
}
