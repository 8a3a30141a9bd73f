//! Where parts lie: a folder each under `target/parts`, fetched once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// What `POSTRIDER_PARTS` says where nothing is to be fetched.
const NONE: &str = "none";

/// The folder of all parts, shared by all test programs of a checkout. `POSTRIDER_PARTS` names another, which several checkouts may share.
pub fn root() -> PathBuf {
    if let Some(folder) = std::env::var_os("POSTRIDER_PARTS").filter(|folder| folder != NONE) {
        return folder.into();
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")).join("parts")
}

/// Files of this crate that parts are made from.
pub fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The folder `name`, made by `fetch` unless it was made before from the same `recipe` (versions, hashes: whatever decides what is in it).
/// Test programs that ask at the same time wait for the first.
/// With `POSTRIDER_PARTS=none` no part is had: the tests that need one are left out (`cargo xtask test --fast`).
pub fn fetched(name: &str, recipe: &str, fetch: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
    if std::env::var_os("POSTRIDER_PARTS").is_some_and(|parts| parts == NONE) {
        bail!("POSTRIDER_PARTS={NONE}");
    }
    let folder = root().join(name);
    fs::create_dir_all(root()).with_context(|| format!("cannot make {}", root().display()))?;
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
    fetch(&folder).with_context(|| format!("{name} could not be fetched"))?;
    fs::write(made_from, recipe)?;
    Ok(folder)
}

/// A fresh folder for what a part writes while it runs.
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
