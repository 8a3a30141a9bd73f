//! Locations of parts: one folder each under `target/parts`, downloaded once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Value of `POSTRIDER_PARTS` that disables downloads.
const NONE: &str = "none";

/// Folder of all parts, shared by all test programs of a checkout. `POSTRIDER_PARTS` sets another one, which several
/// checkouts may share.
pub fn root() -> PathBuf {
    if let Some(folder) = std::env::var_os("POSTRIDER_PARTS").filter(|folder| folder != NONE) {
        return folder.into();
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")).join("parts")
}

/// Files of this crate that parts are built from.
pub fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The folder `name`, created by `fetch` unless it was created before from the same `recipe` (versions, hashes:
/// everything that determines its content). Concurrent test programs wait for the first. With `POSTRIDER_PARTS=none` no
/// part is available: tests that need one are skipped (`cargo xtask test --fast`).
pub fn fetched(name: &str, recipe: &str, fetch: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
    if std::env::var_os("POSTRIDER_PARTS").is_some_and(|parts| parts == NONE) {
        bail!("POSTRIDER_PARTS={NONE}");
    }
    let folder = root().join(name);
    fs::create_dir_all(root()).with_context(|| format!("cannot create {}", root().display()))?;
    let lock = File::create(root().join(format!("{name}.lock")))?;
    lock.lock()?;
    let made_from = folder.join(".recipe");
    if fs::read_to_string(&made_from).is_ok_and(|made_from| made_from == recipe) {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    fetch(&folder).with_context(|| format!("cannot download {name}"))?;
    fs::write(made_from, recipe)?;
    Ok(folder)
}

/// A new folder for the files of a running part.
pub fn scratch(name: &str) -> anyhow::Result<PathBuf> {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = root().join("run").join(format!("{name}-{}-{number}", std::process::id()));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
