//! Components of the binary: the crates linked into it, and the C libraries bundled in two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::command;

/// The binary's package.
const PRODUCT: &str = "postrider";

/// Name and version.
pub(crate) type Id = (String, String);

/// A linked crate from the registry.
#[derive(Debug)]
pub(crate) struct Part {
    /// SPDX expression.
    pub(crate) licence: String,
    pub(crate) authors: Vec<String>,
    pub(crate) description: Option<String>,
    pub(crate) repository: Option<String>,
    /// SHA-256 of the crate file, from Cargo.lock.
    pub(crate) checksum: String,
    /// Its sources.
    pub(crate) folder: PathBuf,
    pub(crate) uses: BTreeSet<Id>,
    /// Name and version of a bundled C library.
    pub(crate) bundles: Option<Id>,
}

/// All components of the binary.
#[derive(Debug)]
pub(crate) struct Bill {
    /// The product's version.
    pub(crate) version: String,
    pub(crate) parts: BTreeMap<Id, Part>,
    /// Direct dependencies of the product's own crates.
    pub(crate) used_directly: BTreeSet<Id>,
}

/// A C library bundled in a crate, with the header and definition of its version.
struct Bundled {
    by: &'static str,
    library: &'static str,
    header: &'static str,
    definition: &'static str,
}

const BUNDLED: [Bundled; 2] = [
    Bundled {
        by: "libsqlite3-sys",
        library: "sqlite",
        header: "sqlite3/sqlite3.h",
        definition: "#define SQLITE_VERSION ",
    },
    Bundled {
        by: "aws-lc-sys",
        library: "aws-lc",
        header: "aws-lc/include/openssl/base.h",
        definition: "#define AWSLC_VERSION_NUMBER_STRING ",
    },
];

impl Bill {
    /// Queries cargo.
    pub(crate) fn of(source: &Path, target: &str) -> anyhow::Result<Bill> {
        let linked = linked(source, target)?;
        let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", target];
        let metadata: Value = serde_json::from_str(&command::output(cargo(source).args(arguments))?)?;
        let checksums = checksums(&fs::read_to_string(source.join("Cargo.lock"))?)?;
        Bill::from_metadata(&metadata, &linked, &checksums)
    }

    fn from_metadata(
        metadata: &Value,
        linked: &BTreeSet<Id>,
        checksums: &BTreeMap<Id, String>,
    ) -> anyhow::Result<Bill> {
        let packages = list(metadata, "packages")?;
        let by_package_id: BTreeMap<&str, Id> =
            packages.iter().filter_map(|package| Some((text(package, "id")?, id(package)?))).collect();
        let mut uses = BTreeMap::new();
        for node in list(metadata.get("resolve").context("cargo metadata has no resolve graph")?, "nodes")? {
            let Some(user) = text(node, "id").and_then(|id| by_package_id.get(id)) else { continue };
            let used = list(node, "dependencies")?.iter().filter_map(|used| by_package_id.get(used.as_str()?));
            let used: BTreeSet<Id> = used.filter(|used| linked.contains(*used)).cloned().collect();
            uses.insert(user.clone(), used);
        }
        let (mut version, mut parts, mut used_directly) = (None, BTreeMap::new(), BTreeSet::new());
        for package in packages {
            let Some(id) = id(package).filter(|id| linked.contains(id)) else { continue };
            let used = uses.remove(&id).unwrap_or_default();
            if text(package, "source").is_some() {
                parts.insert(id.clone(), part(package, &id, used, checksums)?);
            } else {
                used_directly.extend(used);
                if id.0 == PRODUCT {
                    version = Some(id.1);
                }
            }
        }
        // The product's own crates are not listed separately.
        used_directly.retain(|used| parts.contains_key(used));
        let missing: Vec<_> = linked.iter().filter(|id| !by_package_id.values().any(|known| known == *id)).collect();
        if !missing.is_empty() {
            bail!("missing in cargo metadata: {missing:?}");
        }
        Ok(Bill { version: version.context("the product is not a package of the workspace")?, parts, used_directly })
    }
}

fn cargo(source: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(source);
    cargo
}

/// Linked crates, without procedural macros and dependencies of tests and build scripts.
fn linked(source: &Path, target: &str) -> anyhow::Result<BTreeSet<Id>> {
    let arguments = ["tree", "--locked", "--package", PRODUCT, "--edges", "normal,no-proc-macro", "--target", target];
    let printed = command::output(cargo(source).args(arguments).args(["--prefix", "none", "--format", "{p}"]))?;
    let named = printed.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    });
    Ok(named.collect())
}

fn part(package: &Value, id: &Id, uses: BTreeSet<Id>, checksums: &BTreeMap<Id, String>) -> anyhow::Result<Part> {
    let manifest = text(package, "manifest_path").with_context(|| format!("{} has no manifest", id.0))?;
    let folder = Path::new(manifest).parent().context("a manifest is in a folder")?.to_owned();
    let authors = list(package, "authors")?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let bundled = BUNDLED.iter().find(|bundled| bundled.by == id.0);
    Ok(Part {
        // Older manifests separate alternatives with a slash.
        licence: text(package, "license").with_context(|| format!("{} has no licence", id.0))?.replace('/', " OR "),
        authors,
        description: text(package, "description").map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")),
        repository: text(package, "repository").map(str::to_owned),
        checksum: checksums.get(id).with_context(|| format!("{} has no checksum in Cargo.lock", id.0))?.clone(),
        uses,
        bundles: bundled.map(|bundled| version_of(bundled, &folder)).transpose()?,
        folder,
    })
}

fn version_of(bundled: &Bundled, folder: &Path) -> anyhow::Result<Id> {
    let header = folder.join(bundled.header);
    let text = fs::read_to_string(&header).with_context(|| format!("cannot read {}", header.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix(bundled.definition));
    let version = line.with_context(|| format!("no version in {}", header.display()))?;
    Ok((bundled.library.to_owned(), version.trim().trim_matches('"').to_owned()))
}

fn checksums(lock: &str) -> anyhow::Result<BTreeMap<Id, String>> {
    let lock: toml::Table = lock.parse().context("Cargo.lock is not TOML")?;
    let packages = lock.get("package").and_then(toml::Value::as_array).context("Cargo.lock lists no packages")?;
    let checksum = |package: &toml::Value| {
        let text = |name: &str| Some(package.get(name)?.as_str()?.to_owned());
        Some(((text("name")?, text("version")?), text("checksum")?))
    };
    Ok(packages.iter().filter_map(checksum).collect())
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn id(package: &Value) -> Option<Id> {
    Some((text(package, "name")?.to_owned(), text(package, "version")?.to_owned()))
}

fn list<'a>(value: &'a Value, name: &str) -> anyhow::Result<&'a Vec<Value>> {
    value.get(name).and_then(Value::as_array).with_context(|| format!("cargo metadata has no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, version: &str, registry: bool) -> Value {
        json!({"name": name, "version": version, "id": format!("{name}#{version}"), "license": "MIT/Apache-2.0",
               "authors": ["A"], "manifest_path": format!("/sources/{name}/Cargo.toml"),
               "source": registry.then_some("registry+https://github.com/rust-lang/crates.io-index")})
    }

    #[test]
    fn only_linked_crates_of_the_product_are_listed() {
        let metadata = json!({
            "packages": [
                package("postrider", "1.2.3", false), package("store", "1.2.3", false), package("bytes", "1.0.0", true),
                package("serde", "1.0.0", true), package("cc", "1.0.0", true)],
            "resolve": {"nodes": [
                {"id": "postrider#1.2.3", "dependencies": ["store#1.2.3", "serde#1.0.0"]},
                {"id": "store#1.2.3", "dependencies": ["bytes#1.0.0", "cc#1.0.0"]},
                {"id": "bytes#1.0.0", "dependencies": ["serde#1.0.0"]}]},
        });
        let of = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let linked: BTreeSet<Id> =
            [of("postrider", "1.2.3"), of("store", "1.2.3"), of("bytes", "1.0.0"), of("serde", "1.0.0")].into();
        let lock = "[[package]]\nname = \"bytes\"\nversion = \"1.0.0\"\nchecksum = \"ab\"\n\
                    [[package]]\nname = \"serde\"\nversion = \"1.0.0\"\nchecksum = \"cd\"\n\
                    [[package]]\nname = \"store\"\nversion = \"1.2.3\"\n";
        let bill = Bill::from_metadata(&metadata, &linked, &checksums(lock).unwrap()).unwrap();
        assert_eq!(bill.version, "1.2.3");
        assert_eq!(bill.parts.keys().cloned().collect::<Vec<_>>(), [of("bytes", "1.0.0"), of("serde", "1.0.0")]);
        assert_eq!(bill.used_directly, BTreeSet::from([of("bytes", "1.0.0"), of("serde", "1.0.0")]));
        let bytes = &bill.parts[&of("bytes", "1.0.0")];
        assert_eq!((bytes.licence.as_str(), bytes.checksum.as_str()), ("MIT OR Apache-2.0", "ab"));
        assert_eq!(bytes.uses, BTreeSet::from([of("serde", "1.0.0")]));
    }
}
