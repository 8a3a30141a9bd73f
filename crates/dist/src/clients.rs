//! Client libraries for integrators, generated from the OpenAPI document of the release's binary: one archive per
//! language. What a generator cannot know, such as the credentials' names, is added from `crates/dist/clients`.
//!
//! Reading order: the part of the API that they cover ([`document`]), what PHP makes of it ([`plain`]), the packages.

mod document;
mod plain;

mod php;
mod typescript;

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use crate::contents::{Scratch, Tree};
use crate::{Release, archive, command};

/// Generates them in the folder `out`; returns their archives.
pub(crate) fn write(release: &Release, version: &str, out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut description = std::process::Command::new(&release.binary);
    let description = command::output(description.env_clear().arg("openapi"))?;
    let document = document::for_integrators(serde_json::from_str(&description).context("invalid OpenAPI document")?)?;
    Ok(vec![typescript::write(release, &document, version, out)?, php::write(release, &document, version, out)?])
}

/// The package of one language: a tree in a temporary folder, with the project's licence.
struct Package {
    scratch: Scratch,
    folder: &'static str,
    tree: Tree,
}

impl Package {
    fn new(release: &Release, language: &str, folder: &'static str) -> anyhow::Result<Package> {
        let scratch = Scratch::make(&format!("postrider-client-{language}"))?;
        let tree = Tree::new(&scratch.0.join(folder))?;
        tree.file("LICENSE", std::fs::read(release.source.join("LICENSE"))?)?;
        Ok(Package { scratch, folder, tree })
    }

    /// Adds a file of `crates/dist/clients`, with its place holders replaced.
    fn template(&self, name: &str, text: &str, version: &str) -> anyhow::Result<()> {
        self.tree.file(name, text.replace("{version}", version))
    }

    /// Writes the document for the generator, outside the package.
    fn input(&self, document: &Value) -> anyhow::Result<PathBuf> {
        let file = self.scratch.0.join("openapi.json");
        std::fs::write(&file, serde_json::to_string(document)?)?;
        Ok(file)
    }

    /// A place for the generator's output.
    fn output(&self, name: &str) -> PathBuf {
        self.scratch.0.join(name)
    }

    fn archive(self, release: &Release, file: PathBuf) -> anyhow::Result<PathBuf> {
        archive::pack(release, &self.scratch.0, self.folder, &file)?;
        Ok(file)
    }
}
