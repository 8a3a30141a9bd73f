//! A shell in a separate folder that runs the blocks of a page in order; all its programs write to one transcript, as
//! on a terminal.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Longer than any block takes, even on a busy machine.
const LONGEST: Duration = Duration::from_secs(120);
/// Longer than it takes until the effects of a block are visible.
const LONGEST_SHOWN: Duration = Duration::from_secs(30);
/// Interval of checking the shell: background programs keep its output open after its end.
const LOOK: Duration = Duration::from_millis(100);
/// Prefix of the line that ends a block's output; no program prints it.
const MARK: char = '\u{1}';

#[derive(Debug, Default)]
struct Transcript {
    text: Mutex<String>,
    more: Condvar,
}

impl Transcript {
    /// Waits until `done` accepts the output since `from`; returns its last verdict and the output. Gives up after
    /// `at_most`, and at the end of the shell.
    fn wait<T>(
        &self,
        from: usize,
        at_most: Duration,
        shell: &mut Child,
        mut done: impl FnMut(&str) -> Result<T, String>,
    ) -> Result<(T, String), (String, String)> {
        let until = Instant::now() + at_most;
        let mut text = self.text.lock().unwrap();
        loop {
            // Checked first: the last output counts.
            let over = Instant::now() >= until || shell.try_wait().is_ok_and(|ended| ended.is_some());
            let shown = text.get(from..).unwrap_or_default();
            match done(shown) {
                Ok(value) => return Ok((value, shown.to_owned())),
                Err(why) if over => return Err((why, shown.to_owned())),
                Err(_) => {}
            }
            text = self.more.wait_timeout(text, LOOK).unwrap().0;
        }
    }
}

/// A shell and all its programs, ended together.
pub(crate) struct Session {
    shell: Child,
    input: ChildStdin,
    transcript: Arc<Transcript>,
    folder: tempfile::TempDir,
    blocks: usize,
    /// Start of the last block's output.
    begin: usize,
}

impl Session {
    /// Starts a shell that finds the program under test, with `environment`.
    pub(crate) fn start(environment: &[(&str, String)]) -> Session {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("page")).unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_postrider")).parent().unwrap();
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
        let (output, write) = std::io::pipe().unwrap();
        // The kernel ends the shell with the test; its programs end with their process group.
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-u", "-o", "pipefail"]).current_dir(folder.path().join("page"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("POSTRIDER_")) {
            command.env_remove(name);
        }
        command.env("PATH", path).env("NO_COLOR", "1").envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(write.try_clone().unwrap()).stderr(write).process_group(0);
        let mut shell = command.spawn().unwrap();
        drop(command);
        let transcript = Arc::new(Transcript::default());
        let written = Arc::clone(&transcript);
        std::thread::spawn(move || read(output, &written));
        let input = shell.stdin.take().unwrap();
        Session { shell, input, transcript, folder, blocks: 0, begin: 0 }
    }

    /// Runs a block, which must exit with `code`. Background programs may continue to print.
    pub(crate) fn run(&mut self, text: &str, code: i32) -> Result<(), String> {
        self.blocks += 1;
        let file = self.folder.path().join(format!("block-{}.sh", self.blocks));
        std::fs::write(&file, text).unwrap();
        self.begin = self.transcript.text.lock().unwrap().len();
        // A block with a failing command has failed, unless its last command is expected to exit with a code.
        let (strict, loose) = if code == 0 { ("set -e; ", "set +e; ") } else { ("", "") };
        let line = format!("{strict}. '{}' </dev/null; {loose}printf '{MARK}%d\\n' $?\n", file.display());
        self.input.write_all(line.as_bytes()).map_err(|error| format!("the shell has ended: {error}"))?;
        let ended = self.transcript.wait(self.begin, LONGEST, &mut self.shell, |shown| {
            let mark = shown
                .lines()
                .find_map(|line| line.split_once(MARK))
                .ok_or("a command in it failed, or does not end")?;
            mark.1.parse::<i32>().map_err(|error| error.to_string())
        });
        match ended {
            Ok((ended_with, _)) if ended_with == code => Ok(()),
            Ok((ended_with, shown)) => Err(format!("it ended with {ended_with}, not {code}, and showed:\n{shown}")),
            Err((why, shown)) => Err(format!("{why}, and showed:\n{shown}")),
        }
    }

    /// Initial folder of the shell.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().join("page")
    }

    /// Waits until the output since the last block's start, including background programs, is as expected.
    pub(crate) fn shows(&mut self, mut fine: impl FnMut(&str) -> Result<(), String>) -> Result<(), String> {
        let waited =
            self.transcript.wait(self.begin, LONGEST_SHOWN, &mut self.shell, |shown| fine(&shown.replace(MARK, "\n")));
        waited.map(|_| ()).map_err(|(why, shown)| format!("{why}\nThis was shown:\n{shown}"))
    }
}

fn read(mut output: impl Read, transcript: &Transcript) {
    let mut buffer = [0; 4096];
    let mut pending = Vec::new();
    loop {
        let count = output.read(&mut buffer).unwrap_or(0);
        pending.extend_from_slice(&buffer[..count]);
        let valid = match std::str::from_utf8(&pending) {
            Ok(_) => pending.len(),
            Err(error) => error.valid_up_to(),
        };
        let text: Vec<u8> = pending.drain(..valid).collect();
        let mut written = transcript.text.lock().unwrap();
        written.push_str(&String::from_utf8_lossy(&text));
        transcript.more.notify_all();
        if count == 0 {
            return;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // KILL: nothing in the scratch folder needs a graceful end.
        _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.shell.id())]).status();
        _ = self.shell.wait();
    }
}

#[test]
fn a_failing_command_fails_its_block_and_the_shell_goes_on() {
    let mut session = Session::start(&[]);
    assert_eq!(session.run("A=1\necho $A", 0), Ok(()));
    session.shows(|shown| if shown.contains('1') { Ok(()) } else { Err("no 1".to_owned()) }).unwrap();
    assert_eq!(session.run("test $A = 1\n(exit 3)", 3), Ok(()));
    let failed = session.run("echo before\n(exit 3)", 0).unwrap_err();
    assert!(failed.contains("before"), "{failed}");
    let mut session = Session::start(&[]);
    let failed = session.run("false\necho after", 0).unwrap_err();
    assert!(!failed.contains("after"), "{failed}");
    let mut session = Session::start(&[]);
    let failed = session.run("true", 3).unwrap_err();
    assert!(failed.contains("it ended with 0, not 3"), "{failed}");
}
