//! The software bill of materials, in CycloneDX 1.6.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use crate::bill::{Bill, Id, Part};
use crate::command;

/// The indented document.
pub(crate) fn document(bill: &Bill, epoch: u64) -> anyhow::Result<String> {
    let timestamp =
        command::output(Command::new("date").args(["-u", "-d", &format!("@{epoch}"), "+%Y-%m-%dT%H:%M:%SZ"]))?;
    let product = format!("postrider@{}", bill.version);
    let mut dependencies = vec![edge(&product, &bill.used_directly)];
    dependencies.extend(bill.parts.iter().map(|(id, part)| edge(&reference(id), &part.uses)));
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": timestamp.trim(),
            "lifecycles": [{"phase": "build"}],
            "component": {
                "type": "application",
                "bom-ref": product,
                "name": "postrider",
                "version": bill.version,
                "licenses": [{"expression": "Apache-2.0"}],
            },
        },
        "components": bill.parts.iter().map(|(id, part)| component(id, part)).collect::<Vec<_>>(),
        "dependencies": dependencies,
    });
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

/// Package URL of a crate, used by scanners.
fn reference((name, version): &Id) -> String {
    format!("pkg:cargo/{name}@{version}")
}

fn edge(of: &str, uses: &BTreeSet<Id>) -> Value {
    json!({"ref": of, "dependsOn": uses.iter().map(reference).collect::<Vec<_>>()})
}

fn component(id: &Id, part: &Part) -> Value {
    let (name, version) = id;
    let mut component = json!({
        "type": "library",
        "bom-ref": reference(id),
        "name": name,
        "version": version,
        "scope": "required",
        "hashes": [{"alg": "SHA-256", "content": part.checksum}],
        "licenses": [{"expression": part.licence}],
        "purl": reference(id),
    });
    if !part.authors.is_empty() {
        component["author"] = part.authors.join(", ").into();
    }
    if let Some(description) = &part.description {
        component["description"] = description.as_str().into();
    }
    if let Some(repository) = &part.repository {
        component["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
    }
    if let Some((library, version)) = &part.bundles {
        let purl = format!("pkg:generic/{library}@{version}");
        component["components"] =
            json!([{"type": "library", "bom-ref": purl, "name": library, "version": version, "purl": purl}]);
    }
    component
}
