//! What was counted over all tests and checks, and why some were skipped.

use crate::shell;

/// The counts, the reasons for what was skipped, and what failed.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// Lines `skipped: …` and `left out: …`, to be listed at the end.
    pub(crate) reasons: Vec<String>,
    /// What failed, by name.
    pub(crate) failures: Vec<String>,
}

impl Tally {
    /// A check that is no test of its own.
    pub(crate) fn check(&mut self, name: &str, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
            self.failures.push(name.to_owned());
        }
    }

    /// Something that was not run.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        self.reasons.push(format!("skipped: {name}: {why}"));
    }

    /// Adds what another one counted.
    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.reasons.extend(other.reasons);
        self.failures.extend(other.failures);
    }

    /// In continuous integration everything is there, so what a test leaves out for want of it is a failure.
    pub(crate) fn judge_for_ci(&mut self) {
        let wanting = self.reasons.iter().filter(|reason| reason.starts_with("left out:") && reason.contains("shared"));
        for reason in wanting.cloned().collect::<Vec<_>>() {
            self.failed += 1;
            self.failures.push(format!("with CI=true nothing may be left out for want of ../shared: {reason}"));
        }
    }

    /// Lists reasons and failures, and ends with the one line of counts. Whether all is well.
    pub(crate) fn conclude(&self) -> bool {
        shell::say("");
        for failure in &self.failures {
            shell::say(format_args!("failed: {failure}"));
        }
        for reason in &self.reasons {
            shell::say(reason);
        }
        shell::say(format_args!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped));
        self.failed == 0
    }
}
