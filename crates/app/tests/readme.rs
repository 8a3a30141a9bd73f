//! The README's walk, run in a shell block by block as it stands there; only the ports are replaced by free ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A shell and all that it started; ended together.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["--", &format!("-{}", self.0.id())]).status();
        let _ = self.0.wait();
    }
}

/// The shell blocks between the two marks, without the indent of the list that they stand in.
fn walk(readme: &str) -> String {
    let begin = readme.find("<!-- walk").unwrap();
    let end = readme.find("<!-- /walk").unwrap();
    let mut script = String::new();
    let mut inside = false;
    for line in readme[begin..end].lines() {
        let line = line.strip_prefix("   ").unwrap_or(line);
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    script
}

#[test]
fn the_walk_ends_with_three_verified_events() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).unwrap();
    let script = walk(&readme);
    assert!(script.matches("postrider ").count() >= 4, "the walk is gone from the README:\n{script}");
    let (api, receiver) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = (api.local_addr().unwrap().port(), receiver.local_addr().unwrap().port());
    drop((api, receiver));
    let script = script
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{}", ports.0))
        .replace("127.0.0.1:4000", &format!("127.0.0.1:{}", ports.1))
        .replace("postrider listen ", &format!("postrider listen --port {} ", ports.1));
    let folder = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_postrider")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    // A person needs a moment between two blocks; the shell waits for what they would see.
    let up = |port: u16| format!("until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do :; done\n");
    let script = script
        .replace("postrider serve &\n", &format!("postrider serve &\n{}", up(ports.0)))
        .replace("my_primary_secret &\n", &format!("my_primary_secret &\n{}", up(ports.1)));
    let mut shell = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &format!("{script}\nwait")])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("POSTRIDER_LISTEN", format!("127.0.0.1:{}", ports.0))
        .env("POSTRIDER_URL", format!("http://127.0.0.1:{}", ports.0))
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let output = BufReader::new(shell.stdout.take().unwrap());
    let _group = Group(shell);
    let (lines, shown) = mpsc::channel();
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    let mut seen = Vec::new();
    while seen.iter().filter(|line: &&String| line.contains("verified")).count() < 3 {
        match shown.recv_timeout(Duration::from_secs(60)) {
            Ok(line) => seen.push(line),
            Err(_) => panic!("no three verified events; this was shown:\n{}", seen.join("\n")),
        }
    }
}
