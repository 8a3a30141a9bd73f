//! Parses the output of Rust's test programs, and adds up their counts.

use std::collections::VecDeque;

use crate::shell;
use crate::tally::Tally;

/// Printed by a test that skips something.
const LEFT_OUT: &str = "left out:";

/// Lines of a failed test's output that are repeated at the end of the run.
const REPEATED: usize = 30;

/// Parser of `cargo test … -- --show-output`.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) tally: Tally,
    /// Within the output of successful tests: only skipped parts matter.
    in_successes: bool,
    /// The test whose output is being parsed, and whether it was already counted as skipped.
    section: Option<(String, bool)>,
    /// Tests of this program that skipped something: its counts include them as passed.
    not_quite_passed: usize,
    /// Whether to show the output of successful tests.
    talkative: bool,
    /// The latest lines of the failed test whose output is being parsed.
    latest: VecDeque<String>,
}

impl Reader {
    /// Parses a line; returns it if it should be shown.
    pub(crate) fn take(&mut self, line: &str) -> bool {
        if line == "successes:" {
            self.in_successes = true;
            // The second time it is a list of names.
            self.section = None;
            return false;
        }
        if line == "failures:" {
            self.in_successes = false;
            self.end_section();
        }
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.in_successes = false;
            self.end_section();
            self.count(counts);
            return true;
        }
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.end_section();
            self.section = Some((name.to_owned(), false));
            self.repeat(line);
            return !self.in_successes;
        }
        if let Some((name, state)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            if let Some(why) = state.strip_prefix("ignored") {
                self.tally.reasons.push(format!("skipped: {name}{}", why.replacen(", ", ": ", 1)));
            }
            if state == "FAILED" {
                self.tally.failures.push(name.to_owned());
                return true;
            }
            // Thousands of "ok" lines hide the one that isn't.
            return state != "ok";
        }
        if let Some(at) = line.find(LEFT_OUT) {
            self.left_out(line.get(at..).unwrap_or(line));
        }
        self.repeat(line);
        let shown = !self.in_successes || (self.talkative && self.section.is_some());
        shown && !line.is_empty() && !line.starts_with("running ")
    }

    /// Keeps the latest lines of a failed test, which say why it failed.
    fn repeat(&mut self, line: &str) {
        if self.in_successes || self.section.is_none() || line.is_empty() {
            return;
        }
        if self.latest.len() == REPEATED {
            self.latest.pop_front();
        }
        self.latest.push_back(line.to_owned());
    }

    fn end_section(&mut self) {
        self.section = None;
        self.tally.printed.extend(self.latest.drain(..));
    }

    /// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`
    fn count(&mut self, counts: &str) {
        for part in counts.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next().and_then(|word| word.parse::<usize>().ok()), words.next())
            else {
                continue;
            };
            match what {
                "passed" => self.tally.passed += number,
                "failed" => self.tally.failed += number,
                "ignored" => self.tally.skipped += number,
                _ => {}
            }
        }
        let not_quite = std::mem::take(&mut self.not_quite_passed);
        self.tally.passed = self.tally.passed.saturating_sub(not_quite);
        self.tally.skipped += not_quite;
    }

    /// A test that skips something has not fully passed: it counts as skipped.
    fn left_out(&mut self, reason: &str) {
        let Some((name, counted)) = &mut self.section else { return };
        self.tally.reasons.push(format!("{reason} ({name})"));
        if !*counted && self.in_successes {
            *counted = true;
            self.not_quite_passed += 1;
        }
    }
}

/// Runs `cargo test` with `args` and counts.
pub(crate) fn cargo_test(name: &str, args: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Tally> {
    run(name, args, environment, Reader::default())
}

/// The same, showing the output of successful tests.
pub(crate) fn talkative_cargo_test(name: &str, args: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Tally> {
    run(name, args, environment, Reader { talkative: true, ..Reader::default() })
}

fn run(name: &str, args: &[&str], environment: &[(&str, &str)], mut reader: Reader) -> anyhow::Result<Tally> {
    let mut command = shell::cargo(&["test", "--locked", "--no-fail-fast"]);
    command.args(args);
    if !args.contains(&"--") {
        command.arg("--");
    }
    command.arg("--show-output").envs(environment.iter().copied());
    let succeeded = shell::lines(&mut command, |line| {
        if reader.take(line) {
            shell::say(line);
        }
    })?;
    let mut tally = reader.tally;
    if !succeeded && tally.failed == 0 {
        tally.check(&format!("{name}: does not compile, or a test program died"), false);
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str) -> Tally {
        let mut reader = Reader::default();
        for line in output.lines() {
            reader.take(line);
        }
        reader.tally
    }

    #[test]
    fn counts_over_several_programs() {
        let tally = read(
            "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\nfailures:\n\n---- b stdout ----\nboom\n\n\
             failures:\n    b\n\n\
             test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             running 1 test\ntest c ... ignored, needs a disk\n\
             test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );
        assert_eq!((tally.passed, tally.failed, tally.skipped), (1, 1, 1));
        assert_eq!(tally.failures, ["b"]);
        assert_eq!(tally.printed, ["---- b stdout ----", "boom"]);
        assert_eq!(tally.reasons, ["skipped: c: needs a disk"]);
    }

    #[test]
    fn partial_tests_count_as_skipped() {
        let tally = read(
            "test a ... ok\ntest b ... ok\n\nsuccesses:\n\n---- a stdout ----\nleft out: ../shared is missing\nleft \
             out: more\n\n\
             ---- b stdout ----\nall fine\n\nsuccesses:\n    a\n    b\n\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );
        assert_eq!((tally.passed, tally.failed, tally.skipped), (1, 0, 1));
        assert_eq!(tally.reasons, ["left out: ../shared is missing (a)", "left out: more (a)"]);
    }

    #[test]
    fn in_ci_missing_shared_data_is_a_failure() {
        let mut tally =
            Tally { reasons: vec!["left out: ../shared/realdata is missing (a)".into()], ..Tally::default() };
        tally.judge_for_ci();
        assert_eq!(tally.failed, 1);
    }
}
