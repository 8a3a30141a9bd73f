//! The archive for systems without a package: a `tar.gz` with one folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::contents::{Contents, SHELLS, Scratch, Tree};
use crate::{Release, command};

/// Writes it and returns its path.
pub(crate) fn write(release: &Release, contents: &Contents, name: &str, out: &Path) -> anyhow::Result<PathBuf> {
    let scratch = Scratch::make("postrider-archive")?;
    let tree = Tree::new(&scratch.0.join(name))?;
    tree.program("postrider", fs::read(&release.binary)?)?;
    tree.documents("", contents)?;
    tree.file("THIRD-PARTY-LICENSES.txt", &contents.licences)?;
    tree.file("postrider.cdx.json", &contents.sbom)?;
    tree.file("postrider.toml", &contents.reference)?;
    tree.file("postrider.service", fs::read(release.source.join("docs/operators/postrider.service"))?)?;
    for (page, text) in &contents.manual {
        tree.file(&format!("man/man1/{page}"), text)?;
    }
    for ((_, file), script) in SHELLS.iter().zip(&contents.completions) {
        tree.file(&format!("completions/{file}"), script)?;
    }
    let archive = out.join(format!("{name}.tar.gz"));
    pack(release, &scratch.0, name, &archive)?;
    Ok(archive)
}

/// Writes the folder `name` in `parent` to the archive `file`.
pub(crate) fn pack(release: &Release, parent: &Path, name: &str, file: &Path) -> anyhow::Result<()> {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=ustar"]);
    // By default, gzip stores a timestamp.
    tar.arg(format!("--mtime=@{}", release.epoch))
        .arg(format!("--use-compress-program=gzip -{} --no-name", release.compression));
    command::output(tar.arg("--file").arg(file).arg("--directory").arg(parent).arg(name))?;
    Ok(())
}
