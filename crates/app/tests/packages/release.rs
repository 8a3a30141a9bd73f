//! A release of the binary under test, made once for all tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use dist::Release;
use parts::tool;

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The target of the binary under test.
fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Packages a binary; returns the folder of the packages.
fn write(folder: &Path, binary: PathBuf) -> PathBuf {
    let (epoch, compression) = (1_700_000_000, 1);
    let release = Release { source: root(), binary, target: target(), epoch, compression, clients: false };
    let out = folder.join("dist");
    let files = release.write(&out).unwrap();
    assert_eq!(files.last().unwrap(), &out.join("SHA256SUMS"));
    out
}

/// The folder of the release shared by all tests, beside the binary that it holds: a stripped copy of the binary under
/// test, which is much larger with symbols.
pub(crate) fn release() -> &'static Path {
    static OUT: OnceLock<PathBuf> = OnceLock::new();
    OUT.get_or_init(|| {
        // Not a temporary folder, which nothing would remove: statics are not dropped. The next run overwrites it.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release");
        std::fs::create_dir_all(&folder).unwrap();
        let binary = folder.join("postrider");
        std::fs::copy(env!("CARGO_BIN_EXE_postrider"), &binary).unwrap();
        tool::run(Command::new("strip").arg(&binary)).unwrap();
        write(&folder, binary)
    })
}

pub(crate) fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Prefix of the release's file names.
pub(crate) fn name() -> String {
    format!("postrider-{}-{}", version(), target())
}

#[test]
fn the_archive_holds_a_binary_that_describes_itself() {
    let folder = tempfile::tempdir().unwrap();
    let archive = release().join(format!("{}.tar.gz", name()));
    tool::run(Command::new("tar").arg("-xzf").arg(&archive).current_dir(folder.path())).unwrap();
    let folder = folder.path().join(name());
    let printed = tool::run(Command::new(folder.join("postrider")).arg("--version")).unwrap();
    assert_eq!(printed, format!("postrider {}\n", version()));
    let files: BTreeSet<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let expected = [
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "THIRD-PARTY-LICENSES.txt",
        "completions",
        "deploy",
        "docs",
        "examples",
        "man",
        "postrider",
        "postrider.cdx.json",
        "postrider.service",
        "postrider.toml",
    ];
    assert_eq!(files, expected.map(str::to_owned).into());
    assert!(folder.join("man/man1/postrider-serve.1").is_file() && folder.join("completions/_postrider").is_file());
    // As committed: links between the documents work.
    for document in ["docs/README.md", "examples/clients/subscribe.ts", "deploy/compose/compose.yaml"] {
        assert!(std::fs::read(folder.join(document)).unwrap() == std::fs::read(root().join(document)).unwrap());
    }
    let owners = tool::run(Command::new("tar").args(["--numeric-owner", "-tvzf"]).arg(&archive)).unwrap();
    assert!(owners.lines().all(|line| line.contains(" 0/0 ")), "{owners}");
    assert!(owners.lines().all(|line| line.contains(" 2023-11-14 ")), "not the release's time:\n{owners}");
}

#[test]
fn the_newest_version_of_the_changelog_is_this_one() {
    let changelog = std::fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let mut headings = changelog.lines().filter(|line| line.starts_with("## "));
    assert_eq!(headings.next(), Some("## [Unreleased]"));
    let newest = headings.next().unwrap();
    let date = newest.strip_prefix(&format!("## [{}] - ", version()));
    let midnight = domain::Timestamp::parse(&format!("{}T00:00:00Z", date.unwrap_or("no date")));
    assert!(midnight.is_some(), "{newest}");
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let sums = std::fs::read_to_string(release().join("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count(), 4, "{sums}");
    tool::run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(release())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // The copy: a build beside the tests may replace the binary under test.
    let again = write(folder.path(), release().with_file_name("postrider"));
    assert_eq!(std::fs::read_to_string(again.join("SHA256SUMS")).unwrap(), sums);
}
