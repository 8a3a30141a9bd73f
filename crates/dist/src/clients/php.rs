//! PHP: classes by OpenAPI Generator for Guzzle, as a package of Composer.

use std::fs;
use std::path::{Path, PathBuf};

use parts::generators;
use serde_json::Value;

use super::{Package, plain};
use crate::Release;
use crate::contents::Tree;

const FILES: [(&str, &str); 2] = [
    ("composer.json", include_str!("../../clients/php/composer.json")),
    ("README.md", include_str!("../../clients/php/README.md")),
];

/// Only classes: the generator's tests are empty, and its documentation repeats the API reference.
const OPTIONS: [&str; 4] = [
    "--generator-name=php",
    "--global-property=apis,models,supportingFiles,apiTests=false,modelTests=false,apiDocs=false,modelDocs=false",
    "--additional-properties=invokerPackage=Postrider,variableNamingConvention=camelCase,hideGenerationTimestamp=true",
    "--inline-schema-options=RESOLVE_INLINE_ENUMS=false",
];

/// Writes the archive and returns its path.
pub(super) fn write(release: &Release, document: &Value, version: &str, out: &Path) -> anyhow::Result<PathBuf> {
    let package = Package::new(release, "php", "postrider-client")?;
    for (name, text) in FILES {
        package.template(name, text, version)?;
    }
    let generated = package.output("generated");
    generators::openapi_generator(&package.input(&plain::document(document)?)?, &generated, &OPTIONS)?;
    copy(&generated.join("lib"), &package.tree, "lib")?;
    package.archive(release, out.join(format!("postrider-client-php-{version}.tar.gz")))
}

fn copy(from: &Path, tree: &Tree, to: &str) -> anyhow::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = format!("{to}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), tree, &to)?;
        } else {
            tree.file(&to, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}
