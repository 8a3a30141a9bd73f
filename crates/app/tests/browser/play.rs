//! A chapter: a script that drives the browser on a stage.

use std::path::{Path, PathBuf};
use std::process::Command;

use parts::browser;
use serde_json::Value;

/// What a chapter plays on: a running platform.
pub(crate) trait Stage {
    /// What the chapter is told: addresses and credentials.
    fn told(&self) -> Value;

    /// Checks that it still runs, without internal errors.
    fn must_be_well(&mut self);
}

/// The checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where pictures are left.
pub(crate) fn gallery() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("console")
}

/// Plays a chapter, unless the browser is missing or long suites are left out; whether it was played.
pub(crate) fn play<S: Stage>(chapter: &str, stage: impl FnOnce() -> S) -> bool {
    if std::env::var("POSTRIDER_E2E").as_deref() == Ok("small") {
        println!("left out: {chapter} in a browser: it takes long");
        return false;
    }
    let modules = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/chapters")).unwrap();
    let modules: Vec<PathBuf> = modules.map(|entry| entry.unwrap().path()).collect();
    let folder = match browser::scripts(&modules) {
        Ok(folder) => folder,
        Err(why) => {
            parts::left_out("the console in a browser", &why);
            return false;
        }
    };
    let mut stage = stage();
    std::fs::create_dir_all(gallery()).unwrap();
    let output = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "node"])
        .arg(folder.join(chapter))
        .env("STAGE", stage.told().to_string())
        .env("GALLERY", gallery())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{printed}");
    stage.must_be_well();
    std::fs::remove_dir_all(folder).unwrap();
    true
}
