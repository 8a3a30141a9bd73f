//! Third-party programs test the real binary against its own description: schemathesis sends valid and invalid
//! requests, Newman runs the complete Postman collection.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "what was found or left out is shown by `cargo xtask test`")]

mod platform;

use std::path::{Path, PathBuf};
use std::process::Command;

use platform::{EVENTS_API_SECRET, PIM_URL, Platform};
use rcgen::{CertificateParams, KeyPair};

/// Pinned with its dependencies, for reproducible results.
const SCHEMATHESIS: &str = include_str!("requirements.txt");
/// Its lock file pins Newman and its dependencies.
const NEWMAN: [&str; 2] = [include_str!("newman/package.json"), include_str!("newman/package-lock.json")];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi").join(name)
}

/// `cargo xtask test --fast` skips these tests: both programs take a while, and minutes to download the first time.
fn left_out(part: &str) -> bool {
    let fast = std::env::var("POSTRIDER_E2E").as_deref() == Ok("small");
    if fast {
        println!("left out: {part}: it takes long");
    }
    fast
}

/// Runs a program to its end; returns its output.
fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn schemathesis_finds_nothing() {
    if left_out("schemathesis") {
        return;
    }
    let python = match parts::python::with_packages("schemathesis", SCHEMATHESIS) {
        Ok(python) => python,
        Err(why) => return parts::left_out("schemathesis", &why),
    };
    let platform = Platform::start("");
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["client.example.com".to_owned()]).unwrap().self_signed(&key).unwrap();
    let config = file("schemathesis.toml");
    let address = format!("http://{}/openapi.json", platform.address);
    let mut command = Command::new(python.with_file_name("st"));
    command
        .args(["--config-file", config.to_str().unwrap(), "run", &address])
        .args(["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--no-color"])
        .current_dir(file(""))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PIM_URL", PIM_URL)
        .env("EVENTS_API_SECRET", EVENTS_API_SECRET)
        .env("CERTIFICATE", certificate.pem())
        .env("PRIVATE_KEY", key.serialize_pem());
    let (succeeded, said) = run(&mut command);
    assert!(succeeded, "{said}");
    println!("{}", said.lines().filter(|line| line.contains("cases")).collect::<Vec<_>>().join("\n"));
    platform.must_be_well();
}

#[test]
fn newman_runs_the_whole_postman_collection() {
    if left_out("Newman") {
        return;
    }
    let folder = parts::tool::NPM.require().and_then(|()| {
        parts::place::fetched("newman", &NEWMAN.concat(), |folder| {
            std::fs::write(folder.join("package.json"), NEWMAN[0])?;
            std::fs::write(folder.join("package-lock.json"), NEWMAN[1])?;
            parts::tool::run(
                Command::new("npm").args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(folder),
            )?;
            Ok(())
        })
    });
    let folder = match folder {
        Ok(folder) => folder,
        Err(why) => return parts::left_out("Newman", &why),
    };
    let platform = Platform::start("");
    let mut command = Command::new(folder.join("node_modules/.bin/newman"));
    command.args(["run", &format!("http://{}/docs/postman.json", platform.address), "--color", "off", "--bail"]);
    for (name, value) in platform.variables() {
        command.args(["--env-var", &format!("{name}={value}")]);
    }
    let (succeeded, said) = run(&mut command);
    assert!(succeeded, "{said}");
    platform.must_be_well();
}
