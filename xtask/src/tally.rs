//! Counts over all tests and checks, with the reasons of skipped ones.

use crate::shell;

/// Counts, reasons of skipped tests, and failures.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// Lines `skipped: …` and `left out: …`, listed at the end.
    pub(crate) reasons: Vec<String>,
    /// Names of failures.
    pub(crate) failures: Vec<String>,
    /// The end of what failed tests printed: the output of later suites hides it otherwise.
    pub(crate) printed: Vec<String>,
}

impl Tally {
    /// A check that is not a test.
    pub(crate) fn check(&mut self, name: &str, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
            self.failures.push(name.to_owned());
        }
    }

    /// A skipped item.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        self.reasons.push(format!("skipped: {name}: {why}"));
    }

    /// Adds another tally.
    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.reasons.extend(other.reasons);
        self.failures.extend(other.failures);
        self.printed.extend(other.printed);
    }

    /// Continuous integration has everything, so a test skipped for lack of it is a failure.
    pub(crate) fn judge_for_ci(&mut self) {
        let wanting = self.reasons.iter().filter(|reason| reason.starts_with("left out:") && reason.contains("shared"));
        for reason in wanting.cloned().collect::<Vec<_>>() {
            self.failed += 1;
            self.failures.push(format!("with CI=true nothing may be skipped for lack of ../shared: {reason}"));
        }
    }

    /// Lists what failed tests printed, failures and reasons, and ends with one line of counts. Returns whether all is
    /// well.
    pub(crate) fn conclude(&self) -> bool {
        shell::say("");
        for line in &self.printed {
            shell::say(line);
        }
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
