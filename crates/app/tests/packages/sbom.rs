//! The SBOM, validated by CycloneDX' own library, and the licences.

use std::process::Command;

use parts::{python, tool};
use serde_json::Value;

use crate::release::{name, release, version};

const REQUIREMENTS: &str = include_str!("cyclonedx.requirements.txt");

const VALIDATE: &str = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(None if error is None else str(error))
";

fn document() -> Value {
    let text = std::fs::read_to_string(release().join(format!("{}.cdx.json", name()))).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_sbom_is_cyclonedx() {
    let python = match python::with_packages("cyclonedx", REQUIREMENTS) {
        Ok(python) => python,
        Err(error) => return parts::left_out("CycloneDX' library", &error),
    };
    let file = release().join(format!("{}.cdx.json", name()));
    tool::run(Command::new(&python).args(["-c", VALIDATE]).arg(file)).unwrap();
    // The validator rejects invalid documents.
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.json");
    let mut document = document();
    document["components"][0]["type"] = "crate".into();
    std::fs::write(&wrong, document.to_string()).unwrap();
    assert!(tool::run(Command::new(&python).args(["-c", VALIDATE]).arg(wrong)).is_err());
}

#[test]
fn the_sbom_lists_linked_crates_with_their_licences() {
    let document = document();
    let product = &document["metadata"]["component"];
    assert_eq!((product["name"].as_str(), product["version"].as_str()), (Some("postrider"), Some(version())));
    let components = document["components"].as_array().unwrap();
    let find = |name: &str| components.iter().find(|component| component["name"] == name);
    // Linked crates and bundled C libraries are listed; crates for tests and builds, and our own, are not.
    assert_eq!(find("tokio").unwrap()["hashes"][0]["content"].as_str().unwrap().len(), 64);
    assert_eq!(find("libsqlite3-sys").unwrap()["components"][0]["name"], "sqlite");
    for absent in ["proptest", "rcgen", "serde_derive", "cc", "store"] {
        assert!(find(absent).is_none(), "{absent}");
    }
    let known: Vec<_> = components.iter().map(|component| component["bom-ref"].as_str().unwrap()).collect();
    for edge in document["dependencies"].as_array().unwrap() {
        for used in edge["dependsOn"].as_array().unwrap() {
            assert!(known.contains(&used.as_str().unwrap()), "{used}");
        }
    }
    let licences = std::fs::read_to_string(release().join("THIRD-PARTY-LICENSES.txt")).unwrap();
    for component in components {
        let named = format!("\n{} {} (", component["name"].as_str().unwrap(), component["version"].as_str().unwrap());
        assert!(licences.contains(&named), "{named}");
    }
}
