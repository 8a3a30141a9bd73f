//! TypeScript: types by openapi-typescript for openapi-fetch, as a package of npm.

use std::path::{Path, PathBuf};

use parts::generators;
use serde_json::Value;

use super::Package;
use crate::Release;

/// Written by hand, since the document does not say what a token is: `name` and content.
const FILES: [(&str, &str); 4] = [
    ("package.json", include_str!("../../clients/typescript/package.json")),
    ("README.md", include_str!("../../clients/typescript/README.md")),
    ("index.js", include_str!("../../clients/typescript/index.js")),
    ("index.d.ts", include_str!("../../clients/typescript/index.d.ts")),
];

/// Writes the archive and returns its path.
pub(super) fn write(release: &Release, document: &Value, version: &str, out: &Path) -> anyhow::Result<PathBuf> {
    // npm expects this name of the folder.
    let package = Package::new(release, "typescript", "package")?;
    for (name, text) in FILES {
        package.template(name, text, version)?;
    }
    let types = package.output("schema.d.ts");
    generators::openapi_typescript(&package.input(document)?, &types)?;
    package.tree.file("schema.d.ts", std::fs::read(&types)?)?;
    package.archive(release, out.join(format!("postrider-client-typescript-{version}.tgz")))
}
