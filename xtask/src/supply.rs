//! Permitted dependencies of the product: only crates from crates.io with compatible licences. `cargo deny` checks the
//! same and more, but takes minutes to build; this uses cargo's own data.

use anyhow::{Context, bail};
use serde_json::Value;

use crate::shell;

/// Licences permitted in an Apache-2.0 product without conditions beyond a notice.
const LICENCES: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Permitted sources of crates.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Runs the check and reports violations.
pub(crate) fn run() -> anyhow::Result<bool> {
    let output = shell::cargo(&["metadata", "--format-version", "1", "--locked"]).output()?;
    if !output.status.success() {
        bail!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("cargo metadata has no packages")?;
    let wrong: Vec<String> = packages.iter().filter_map(judge).collect();
    for line in &wrong {
        shell::say(line);
    }
    if wrong.is_empty() {
        shell::say(format_args!("{} crates, all from crates.io and with compatible licences", packages.len()));
    }
    Ok(wrong.is_empty())
}

/// Violation by a package, if any.
fn judge(package: &Value) -> Option<String> {
    let text = |name: &str| package.get(name).and_then(Value::as_str);
    let name = text("name").unwrap_or("a package without a name");
    if let Some(source) = text("source").filter(|source| *source != REGISTRY) {
        return Some(format!("{name} comes from {source}; only crates from crates.io are permitted"));
    }
    match text("license") {
        Some(licence) if is_allowed(licence) => None,
        Some(licence) => Some(format!("{name} has the licence {licence}, which is not listed in xtask/src/supply.rs")),
        None => Some(format!("{name} declares no licence")),
    }
}

/// Whether a licence expression (SPDX, or with the older `/`) can be satisfied with permitted licences.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(&mut rest) && rest.is_empty()
}

fn either(words: &mut &[&str]) -> bool {
    let mut met = both(words);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        // Not short-circuited: the other side must be parsed as well.
        met |= both(words);
    }
    met
}

fn both(words: &mut &[&str]) -> bool {
    let mut met = one(words);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        met &= one(words);
    }
    met
}

fn one(words: &mut &[&str]) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let met = either(words);
            let [")", rest @ ..] = *words else { return false };
            *words = rest;
            met
        }
        [licence, "WITH", exception, rest @ ..] => {
            *words = rest;
            LICENCES.contains(&format!("{licence} WITH {exception}").as_str())
        }
        [licence, rest @ ..] => {
            *words = rest;
            LICENCES.contains(licence)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_licence(expression: &str, allowed: bool) {
        assert_eq!(is_allowed(expression), allowed, "{expression}");
    }

    #[test]
    fn an_expression_is_met_by_allowed_licences() {
        check_licence("MIT", true);
        check_licence("MIT OR Apache-2.0", true);
        check_licence("MIT/Apache-2.0", true);
        check_licence("GPL-3.0-only", false);
        check_licence("GPL-3.0-only OR MIT", true);
        check_licence("MIT AND GPL-3.0-only", false);
        check_licence("(MIT OR GPL-3.0-only) AND Unicode-3.0", true);
        check_licence("(MIT OR Apache-2.0) AND GPL-3.0-only", false);
        check_licence("MIT OR GPL-3.0-only AND ISC", true);
        check_licence("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only", true);
        check_licence("GPL-2.0-only WITH Classpath-exception-2.0", false);
        check_licence("(MIT", false);
        check_licence("", false);
    }

    #[test]
    fn crates_come_from_the_registry_and_say_their_licence() {
        assert_eq!(judge(&json!({"name": "a", "license": "MIT", "source": REGISTRY})), None);
        assert_eq!(judge(&json!({"name": "ours", "license": "Apache-2.0", "source": null})), None);
        let from_git = judge(&json!({"name": "a", "license": "MIT", "source": "git+https://example.com/a"}));
        assert!(from_git.unwrap().contains("only crates from crates.io"));
        assert!(judge(&json!({"name": "a", "license": null, "source": REGISTRY})).unwrap().contains("licence"));
        assert!(judge(&json!({"name": "a", "license": "AGPL-3.0", "source": REGISTRY})).unwrap().contains("AGPL"));
    }
}
