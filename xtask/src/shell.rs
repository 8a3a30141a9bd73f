//! Runs other programs in the project's root, and reports progress.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

/// The project's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// Prints a line to standard output.
pub(crate) fn say(line: impl Display) {
    let mut out = std::io::stdout().lock();
    // The reader is gone: nothing left to do.
    _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A heading for the output of a step.
pub(crate) fn heading(text: impl Display) {
    say(format_args!("\n── {text}"));
}

/// `cargo` as used for this program, in the project's root.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    // Variables set by cargo for this program must not affect its children.
    for (name, _) in std::env::vars_os() {
        let own = name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR");
        if own {
            command.env_remove(name);
        }
    }
    command
}

/// A program built together with the tests.
pub(crate) fn built(name: &str) -> PathBuf {
    built_as("debug", name)
}

/// A program built with this profile.
pub(crate) fn built_as(profile: &str, name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join(profile).join(name)
}

/// Runs a command with visible output; whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> anyhow::Result<bool> {
    Ok(command.status().with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?.success())
}

/// Runs a command and passes each line of its standard output to `take`; whether it succeeded.
pub(crate) fn lines(command: &mut Command, mut take: impl FnMut(&str)) -> anyhow::Result<bool> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {name}"))?;
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        // Tests may print invalid UTF-8.
        while reader.read_until(b'\n', &mut line)? > 0 {
            take(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
            line.clear();
        }
    }
    Ok(child.wait()?.success())
}

/// Whether this runs in continuous integration, where nothing may be skipped.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}
