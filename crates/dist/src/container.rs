//! The build context of the container image.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;

use crate::Release;
use crate::contents::{Contents, Tree};

/// Writes it to `folder`.
pub(crate) fn write(release: &Release, contents: &Contents, folder: &Path) -> anyhow::Result<()> {
    let tree = Tree::new(folder)?;
    let containerfile = release.source.join("deploy/container/Containerfile");
    let recipe = fs::read(&containerfile).with_context(|| format!("cannot read {}", containerfile.display()))?;
    tree.file("Containerfile", recipe)?;
    tree.program("postrider", fs::read(&release.binary)?)?;
    tree.file("THIRD-PARTY-LICENSES.txt", &contents.licences)?;
    // New volumes copy its content, owner and mode.
    let data = tree.folder("volume/data")?;
    Ok(fs::set_permissions(data, fs::Permissions::from_mode(0o700))?)
}
