//! Jars from Maven repositories: the dependencies of a `pom.xml` of this crate, in one folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::place::{fetched, source};
use crate::tool::{JAVA, MAVEN, run};

/// The plugin that copies jars, pinned like the jars themselves.
const COPY_DEPENDENCIES: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// Folder with the jars of `pom`, a file of this crate; they are downloaded to the part `name`.
pub fn jars(name: &str, pom: &str) -> anyhow::Result<PathBuf> {
    JAVA.require()?;
    let pom = fs::read_to_string(source(pom))?;
    let folder = fetched(name, &pom, |folder| {
        MAVEN.require()?;
        fs::write(folder.join("pom.xml"), &pom)?;
        run(Command::new("mvn")
            .args(["-q", "-B", COPY_DEPENDENCIES, "-DincludeScope=runtime", "-DoutputDirectory=jars"])
            .current_dir(folder))?;
        Ok(())
    })?;
    Ok(folder.join("jars"))
}
