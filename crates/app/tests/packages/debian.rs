//! The Debian package.

use std::process::Command;

use parts::tool::{self, Tool};

use crate::release::{release, root, version};

const DPKG: Tool = Tool { program: "dpkg-deb", version: "--version", package: "dpkg" };

#[test]
fn the_package_is_unpacked_by_dpkg_and_holds_a_service() {
    if let Err(error) = DPKG.require() {
        return parts::left_out("dpkg", &error);
    }
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let package = release().join(format!("postrider_{}_{architecture}.deb", version()));
    let fields = tool::run(Command::new("dpkg-deb").arg("--field").arg(&package).args(["Package", "Version"])).unwrap();
    assert_eq!(fields, format!("Package: postrider\nVersion: {}\n", version()));
    let listed = tool::run(Command::new("dpkg-deb").arg("--contents").arg(&package)).unwrap();
    assert!(listed.lines().all(|line| line.contains(" root/root ")), "{listed}");

    // dpkg unpacks it below another root. Maintainer scripts would change this machine, so none is run.
    let folder = tempfile::tempdir().unwrap();
    let below = |path: &str| folder.path().join(path);
    for made in ["var/lib/dpkg/info", "var/lib/dpkg/updates"] {
        std::fs::create_dir_all(below(made)).unwrap();
    }
    std::fs::write(below("var/lib/dpkg/status"), "").unwrap();
    let mut unpack = Command::new("dpkg");
    unpack.arg("--root").arg(folder.path()).args(["--log", "/dev/null", "--force-not-root", "--force-depends"]);
    tool::run(unpack.arg("--unpack").arg(&package)).unwrap();

    let binary = below("usr/bin/postrider");
    let printed = tool::run(Command::new(&binary).arg("--version")).unwrap();
    assert_eq!(printed, format!("postrider {}\n", version()));
    let unit = std::fs::read_to_string(below("lib/systemd/system/postrider.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/postrider serve --config /etc/postrider/postrider.toml "), "{unit}");
    assert!(below("usr/share/man/man1/postrider-serve.1.gz").is_file());
    assert!(below("usr/share/bash-completion/completions/postrider").is_file());
    assert!(below("usr/share/doc/postrider/docs/README.md").is_file());
    let copyright = std::fs::read_to_string(below("usr/share/doc/postrider/copyright")).unwrap();
    assert!(copyright.contains("Apache License") && copyright.contains("SQLite"), "{}", &copyright[..200]);

    // The configuration is a conffile that lists all settings and sets none.
    assert_eq!(
        std::fs::read_to_string(below("var/lib/dpkg/info/postrider.conffiles")).unwrap(),
        "/etc/postrider/postrider.toml\n"
    );
    let configuration = folder.path().join("etc/postrider/postrider.toml.dpkg-new");
    let set = std::fs::read_to_string(&configuration).unwrap();
    assert!(set.contains("\n# rate_first = 10\n"), "{set}");
    let effective =
        |file: &std::path::Path| tool::run(Command::new(&binary).args(["config", "--config"]).arg(file)).unwrap();
    let values =
        |text: String| text.lines().map(|line| line.split('#').next().unwrap().trim().to_owned()).collect::<Vec<_>>();
    assert_eq!(values(effective(&configuration)), values(effective("/dev/null".as_ref())));
}

#[test]
fn maintainer_scripts_are_posix_shell() {
    for script in ["postinst", "prerm", "postrm"] {
        let script = root().join("deploy/debian").join(script);
        tool::run(Command::new("sh").arg("-n").arg(&script)).unwrap();
        assert!(std::fs::read_to_string(&script).unwrap().starts_with("#!/bin/sh\nset -e\n"), "{}", script.display());
    }
}
