//! An example that was run to its end.

use std::collections::HashMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use parts::tool::Tool;
use serde_json::Value;
use tempfile::TempDir;

/// An example takes 15 seconds; the first time it also downloads its clients and servers, on a busy machine.
const AT_MOST: Duration = Duration::from_secs(600);

/// Its folder and output. Written files are deleted with it.
pub(crate) struct Played {
    folder: TempDir,
    pub(crate) printed: String,
}

/// A shell and all its programs, ended together.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Usually it has ended by itself.
        _ = Command::new("kill").args(["--", &format!("-{}", self.0.id())]).stderr(Stdio::null()).status();
        _ = self.0.wait();
    }
}

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_postrider");

/// The program that starts the brokers. Built with its own tests: another selection of packages has other features, and
/// compiles half of the dependencies a second time.
fn parts_binary() -> PathBuf {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--quiet", "--locked", "--workspace", "--no-run", "--test", "pubsub"]);
    parts::tool::run(cargo.current_dir(env!("CARGO_MANIFEST_DIR"))).unwrap();
    Path::new(BINARY).with_file_name("parts")
}

/// Folder of the examples.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// Runs `examples/{name}/run`; `None` if this machine lacks requirements.
pub(crate) fn play(name: &str, needs: &[Tool]) -> Option<Played> {
    if std::env::var("POSTRIDER_PARTS").is_ok_and(|parts| parts == "none") {
        parts::left_out(&format!("examples/{name}"), &anyhow::anyhow!("POSTRIDER_PARTS=none"));
        return None;
    }
    if let Some(missing) = needs.iter().find_map(|tool| tool.require().err()) {
        parts::left_out(&format!("examples/{name}"), &missing);
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("printed");
    let file = std::fs::File::create(&output).unwrap();
    let started = Instant::now();
    let shell = Command::new(examples().join(name).join("run"))
        .arg(folder.path().join("out"))
        .env("POSTRIDER", BINARY)
        .env("PARTS", parts_binary())
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .process_group(0)
        .spawn()
        .unwrap();
    let mut group = Group(shell);
    let status = loop {
        if let Some(status) = group.0.try_wait().unwrap() {
            break Some(status);
        }
        if started.elapsed() > AT_MOST {
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let printed = std::fs::read_to_string(&output).unwrap();
    assert!(status.is_some_and(|status| status.success()), "examples/{name}/run: {status:?}\n{printed}");
    println!("examples/{name}: {:.1} s", started.elapsed().as_secs_f64());
    Some(Played { folder, printed })
}

impl Played {
    /// Text of a file it wrote.
    pub(crate) fn written(&self, name: &str) -> String {
        let path = self.folder.path().join("out").join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A file of JSON objects, one per line; other lines are skipped.
    pub(crate) fn json_lines(&self, name: &str) -> Vec<Value> {
        self.written(name).lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
    }
}

/// Runs an example's own tests; running the example has downloaded their libraries.
pub(crate) fn own_tests(name: &str, command: &[&str], environment: &[(&str, &str)]) {
    let mut tests = Command::new(command[0]);
    tests.args(&command[1..]).envs(environment.iter().copied()).current_dir(examples().join(name));
    let output = tests.output().unwrap();
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}\n{errors}");
}

/// Text of a member; empty if absent.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Number of occurrences of each text.
pub(crate) fn tally<'a>(texts: impl Iterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    let mut counts = HashMap::new();
    for text in texts {
        *counts.entry(text).or_default() += 1;
    }
    counts
}
