//! `cargo xtask dist`: a static binary and the packages of a release, the same bytes from the same commit.

use std::path::{Path, PathBuf};
use std::process::Command;

use ::dist::Release;
use anyhow::{Context, bail};
use clap::Args;

use crate::shell;

/// Build a release: archive, Debian package, container context, SBOM, licences, client libraries, checksums
///
/// Builds a static, stripped binary with glibc and puts everything into target/dist. Needs GNU tar, gzip, dpkg-deb and
/// git.
#[derive(Args)]
pub(crate) struct DistArgs {
    /// Package this binary instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,

    /// Build again from a copy of the last commit in another folder, and compare the binaries
    #[arg(long, conflicts_with = "binary")]
    twice: bool,

    /// Also generate the client libraries in TypeScript and PHP; needs Node.js, Java and Maven
    #[arg(long)]
    clients: bool,

    /// Output folder, emptied first
    #[arg(long, value_name = "FOLDER", default_value = "target/dist")]
    out: PathBuf,
}

/// Runs it.
pub(crate) fn run(args: &DistArgs) -> anyhow::Result<bool> {
    let root = shell::root();
    let (target, epoch) = (host()?, Release::epoch_of(&root)?);
    let binary = match &args.binary {
        Some(binary) => binary.clone(),
        None => build(&root, &root.join("target/static"), &target, epoch)?,
    };
    if args.twice && !same_again(&root, &binary, &target, epoch)? {
        return Ok(false);
    }
    let release = Release { source: root.clone(), binary, target, epoch, compression: 9, clients: args.clients };
    for file in release.write(&root.join(&args.out))? {
        shell::say(file.display());
    }
    Ok(true)
}

/// The target of this machine's compiler.
fn host() -> anyhow::Result<String> {
    let printed = Command::new("rustc").args(["--version", "--verbose"]).output().context("cannot run rustc")?;
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    let host = printed.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc did not print its host")?.to_owned())
}

/// Builds the static binary of the sources in `source` into the folder `into`.
fn build(source: &Path, into: &Path, target: &str, epoch: u64) -> anyhow::Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cargo")));
    let home = home.context("neither CARGO_HOME nor HOME is set")?;
    // Panics and assertions contain file names, which must not depend on the build folder. The last match wins.
    let renamed = [(home.as_path(), "/cargo"), (source, "/postrider"), (into, "/target")];
    let of_rust = renamed.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    let of_c = renamed.map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display()));
    let flags = [&["-Ctarget-feature=+crt-static".to_owned(), "-Cstrip=symbols".to_owned()], &of_rust[..]].concat();
    // With an explicit target the flags don't apply to build scripts and macros, which can't be static.
    let shipped = ["build", "--profile", "shipped", "--locked", "--package", "postrider", "--target", target];
    let mut cargo = shell::cargo(&shipped);
    cargo.current_dir(source).env("CARGO_TARGET_DIR", into);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).env("CFLAGS", of_c.join(" "));
    cargo.env("SOURCE_DATE_EPOCH", epoch.to_string());
    if !shell::succeeds(&mut cargo)? {
        bail!("building the static binary failed");
    }
    Ok(into.join(target).join("shipped/postrider"))
}

/// Whether a build in another folder gives the same bytes.
fn same_again(root: &Path, binary: &Path, target: &str, epoch: u64) -> anyhow::Result<bool> {
    let again = root.join("target/static-again");
    let (source, into) = (again.join("source"), again.join("target"));
    if source.exists() {
        std::fs::remove_dir_all(&source)?;
    }
    let mut clone = Command::new("git");
    clone.args(["clone", "--quiet", "--local"]).arg(root).arg(&source);
    if !shell::succeeds(&mut clone)? {
        bail!("cannot clone the last commit to {}", source.display());
    }
    let second = build(&source, &into, target, epoch)?;
    let same = std::fs::read(binary)? == std::fs::read(&second)?;
    let verdict = if same { "has the same bytes as" } else { "differs from" };
    shell::say(format_args!("the second build, {}, {verdict} the first", second.display()));
    Ok(same)
}
