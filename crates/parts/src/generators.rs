//! Generators of client libraries from an OpenAPI document, for releases and for their tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tool::{self, NODE};
use crate::{maven, node};

const PACKAGE: &str = include_str!("../node/clients/package.json");
const LOCK: &str = include_str!("../node/clients/package-lock.json");

/// Folder whose `node_modules` has openapi-typescript, TypeScript's compiler, and openapi-fetch, the library behind the
/// generated types.
pub fn typescript() -> anyhow::Result<PathBuf> {
    node::with_packages("clients", PACKAGE, LOCK)
}

/// Folder with the jar of OpenAPI Generator.
pub fn php() -> anyhow::Result<PathBuf> {
    maven::jars("openapi-generator", "openapi-generator/pom.xml")
}

/// Writes the types of `document` to `out` by openapi-typescript.
pub fn openapi_typescript(document: &Path, out: &Path) -> anyhow::Result<()> {
    let program = typescript()?.join("node_modules/openapi-typescript/bin/cli.js");
    tool::run(Command::new(NODE.program).arg(program).arg(document).arg("--output").arg(out))?;
    Ok(())
}

/// Runs OpenAPI Generator for `document` into the folder `out`; `options` say what to write.
pub fn openapi_generator(document: &Path, out: &Path, options: &[&str]) -> anyhow::Result<()> {
    let mut java = Command::new("java");
    java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    java.arg("-cp").arg(php()?.join("*")).args(["org.openapitools.codegen.OpenAPIGenerator", "generate"]);
    java.arg("--input-spec").arg(document).arg("--output").arg(out).args(options);
    tool::run(&mut java)?;
    Ok(())
}
