//! The packages of a release, made from a binary that is already built: an archive, a Debian package, the folder that a
//! container image is built from, an SBOM, the licences of all dependencies, and client libraries. The same inputs give
//! the same bytes.
//!
//! Reading order: the components of the binary ([`bill`]), documents about them ([`sbom`], [`licences`]), the contents
//! of all packages ([`contents`]), one file per package, and the client libraries ([`clients`]).

mod bill;
mod command;

mod licences;
mod sbom;

mod contents;

mod archive;
mod container;
mod debian;

mod clients;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use bill::Bill;
use contents::Contents;

/// Inputs of a release.
#[derive(Clone, Debug)]
pub struct Release {
    /// The project's root.
    pub source: PathBuf,
    /// The binary.
    pub binary: PathBuf,
    /// Target that it was built for, such as `x86_64-unknown-linux-gnu`.
    pub target: String,
    /// Timestamp of everything in the packages, in seconds since 1970.
    pub epoch: u64,
    /// Compression level from 1 (fast) to 9 (small).
    pub compression: u8,
    /// Whether to generate client libraries, too. Their generators are downloaded and need Node.js, Java and Maven.
    pub clients: bool,
}

impl Release {
    /// `SOURCE_DATE_EPOCH`, or else the time of the last commit.
    pub fn epoch_of(source: &Path) -> anyhow::Result<u64> {
        if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
            return epoch.parse().with_context(|| format!("SOURCE_DATE_EPOCH is not a number: {epoch:?}"));
        }
        let printed = command::output(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(source))?;
        printed.trim().parse().with_context(|| format!("unexpected commit time from git: {printed:?}"))
    }

    /// Writes all packages to the folder `out`, which is emptied first. Returns their files, `SHA256SUMS` last.
    pub fn write(&self, out: &Path) -> anyhow::Result<Vec<PathBuf>> {
        if out.exists() {
            fs::remove_dir_all(out).with_context(|| format!("cannot empty {}", out.display()))?;
        }
        fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
        let bill = Bill::of(&self.source, &self.target)?;
        self.check_version(&bill)?;
        let contents = Contents::of(self, &bill)?;
        let name = format!("postrider-{}-{}", bill.version, self.target);
        let mut files = vec![
            archive::write(self, &contents, &name, out)?,
            debian::write(self, &contents, &bill.version, out)?,
            write(out.join(format!("{name}.cdx.json")), &contents.sbom)?,
            write(out.join("THIRD-PARTY-LICENSES.txt"), &contents.licences)?,
        ];
        container::write(self, &contents, &out.join("container"))?;
        if self.clients {
            files.extend(clients::write(self, &bill.version, out)?);
        }
        files.push(checksums(out, &files)?);
        Ok(files)
    }

    /// Writes only the client libraries, to an existing folder.
    pub fn write_clients(&self, out: &Path) -> anyhow::Result<Vec<PathBuf>> {
        clients::write(self, &Bill::of(&self.source, &self.target)?.version, out)
    }

    fn check_version(&self, bill: &Bill) -> anyhow::Result<()> {
        let printed = command::output(Command::new(&self.binary).arg("--version"))?;
        let expected = format!("postrider {}", bill.version);
        if printed.trim() != expected {
            bail!("{} reports {:?}, but the sources are {expected:?}", self.binary.display(), printed.trim());
        }
        Ok(())
    }
}

/// Writes the input of `sha256sum --check`.
fn checksums(out: &Path, files: &[PathBuf]) -> anyhow::Result<PathBuf> {
    let mut names: Vec<_> = files.iter().filter_map(|file| file.file_name()).collect();
    names.sort();
    let sums = command::output(Command::new("sha256sum").args(names).current_dir(out))?;
    write(out.join("SHA256SUMS"), &sums)
}

fn write(file: PathBuf, text: &str) -> anyhow::Result<PathBuf> {
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}
