//! The frame of tests that kill a process at random moments. A test starts itself as a child, which prints
//! `acknowledged …` for each answer.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use domain::Clock;

const ROUNDS: u64 = 8;

/// In a child: its data folder and its round.
pub(crate) fn child() -> Option<(PathBuf, String)> {
    Some((std::env::var_os("KILL_CHILD")?.into(), std::env::var("KILL_ROUND").ok()?))
}

/// Called by the child for each answer.
pub(crate) fn acknowledge(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "acknowledged {what}").unwrap();
    out.flush().unwrap();
}

/// Runs and kills the child of a test, after 20 to 20 + `answers` acknowledgements each time. `each` gets what was
/// acknowledged with the number of the round, `check` looks at the folder after it.
#[expect(clippy::print_stdout, reason = "the seed repeats a failed run")]
pub(crate) fn kill_again_and_again(
    test: &str,
    answers: u64,
    mut each: impl FnMut(u64, &str),
    mut check: impl FnMut(u64, &Path),
) {
    let folder = tempfile::tempdir().unwrap();
    let mut seed = Clock::system().wall().as_micros() as u64;
    if let Ok(given) = std::env::var("KILL_SEED") {
        seed = given.parse().unwrap();
    }
    println!("KILL_SEED={seed}");
    for round in 0..ROUNDS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env("KILL_CHILD", folder.path())
            .env("KILL_ROUND", round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Counted in acknowledgements, so that a slow machine isn't killed before its first; then a delay unrelated to
        // them.
        let answers = 20 + (seed >> 33) % answers;
        let moment = Duration::from_micros((seed >> 45) % 3000);
        let mut seen = 0;
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some((_, what)) = line.split_once("acknowledged ") else { continue };
            each(round, what);
            seen += 1;
            if seen == answers {
                let killed_at = Instant::now() + moment;
                while Instant::now() < killed_at {
                    std::hint::spin_loop();
                }
                process.kill().unwrap();
            }
        }
        process.wait().unwrap();
        assert!(seen >= answers, "the child ended by itself");
        check(round, folder.path());
    }
}
