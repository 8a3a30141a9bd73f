//! Debian's Chromium, driven by Playwright, and axe, which finds what is not accessible.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::tool::CHROMIUM;
use crate::{node, place};

/// The lock file pins Playwright and axe.
const PACKAGES: [&str; 2] =
    [include_str!("../node/browser/package.json"), include_str!("../node/browser/package-lock.json")];

/// A new folder with these modules, which can import `playwright-core` and `axe-core`, and find `chromium` by its name.
pub fn scripts(modules: &[PathBuf]) -> anyhow::Result<PathBuf> {
    CHROMIUM.require()?;
    let packages = node::with_packages("browser", PACKAGES[0], PACKAGES[1])?;
    let folder = place::scratch("browser")?;
    // Modules resolve imports from their own location.
    symlink(packages.join("node_modules"), folder.join("node_modules"))?;
    for module in modules {
        std::fs::copy(module, folder.join(module.file_name().unwrap_or_else(|| Path::new("").as_os_str())))?;
    }
    Ok(folder)
}
