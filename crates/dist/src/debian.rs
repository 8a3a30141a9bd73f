//! The Debian package: the binary, the systemd unit with its user, manual pages and completions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::contents::{Contents, SHELLS, Scratch, Tree};
use crate::{Release, command};

/// Debian's names of the architectures that binaries are built for.
const ARCHITECTURES: [(&str, &str); 2] = [("x86_64-", "amd64"), ("aarch64-", "arm64")];

/// Maintainer scripts in `deploy/debian`.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// The configuration file; dpkg preserves the operator's changes.
const CONFIGURATION: &str = "etc/postrider/postrider.toml";

/// Writes it and returns its path.
pub(crate) fn write(release: &Release, contents: &Contents, version: &str, out: &Path) -> anyhow::Result<PathBuf> {
    let Some((_, architecture)) = ARCHITECTURES.iter().find(|(prefix, _)| release.target.starts_with(prefix)) else {
        bail!("no Debian architecture known for {}", release.target);
    };
    let scratch = Scratch::make("postrider-debian")?;
    let tree = Tree::new(&scratch.0)?;
    tree.program("usr/bin/postrider", fs::read(&release.binary)?)?;
    let unit = fs::read_to_string(release.source.join("docs/operators/postrider.service"))?;
    let installed = unit.replace("/usr/local/bin/postrider", "/usr/bin/postrider");
    if installed == unit {
        bail!("the unit does not start /usr/local/bin/postrider");
    }
    tree.file("lib/systemd/system/postrider.service", installed)?;
    tree.file(CONFIGURATION, commented(&contents.reference))?;
    for (page, text) in &contents.manual {
        let page = format!("usr/share/man/man1/{page}");
        tree.file(&page, text)?;
        command::output(Command::new("gzip").args(["-9", "--no-name"]).arg(scratch.0.join(&page)))?;
    }
    let completions = ["bash-completion/completions", "fish/vendor_completions.d", "zsh/vendor-completions"];
    for (((_, file), folder), script) in SHELLS.iter().zip(completions).zip(&contents.completions) {
        tree.file(&format!("usr/share/{folder}/{file}"), script)?;
    }
    let licence = fs::read_to_string(release.source.join("LICENSE"))?;
    tree.file("usr/share/doc/postrider/copyright", format!("{licence}\n\n{}", contents.licences))?;
    tree.file("usr/share/doc/postrider/postrider.cdx.json", &contents.sbom)?;
    tree.documents("usr/share/doc/postrider/", contents)?;
    for script in SCRIPTS {
        let from = release.source.join("deploy/debian").join(script);
        let script_text = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        tree.program(&format!("DEBIAN/{script}"), script_text)?;
    }
    tree.file("DEBIAN/conffiles", format!("/{CONFIGURATION}\n"))?;
    tree.file("DEBIAN/control", control(version, architecture))?;
    let package = out.join(format!("postrider_{version}_{architecture}.deb"));
    let mut build = Command::new("dpkg-deb");
    // The output depends on the number of threads.
    build
        .args(["--build", "--root-owner-group", "--threads-max=1", "-Zxz"])
        .arg(format!("-z{}", release.compression))
        .arg(&scratch.0)
        .arg(&package);
    command::output(build.env("SOURCE_DATE_EPOCH", release.epoch.to_string()))?;
    Ok(package)
}

fn control(version: &str, architecture: &str) -> String {
    format!(
        "Package: postrider\n\
         Version: {version}\n\
         Architecture: {architecture}\n\
         Maintainer: The Postrider authors <postrider@example.invalid>\n\
         Section: net\n\
         Priority: optional\n\
         Pre-Depends: init-system-helpers\n\
         Depends: passwd\n\
         Description: event platform for product information systems\n \
         Postrider stores the events of a PIM and delivers them to every matching\n \
         subscription: filtered, signed, rate-limited and at least once.\n"
    )
}

/// The reference with every setting commented out, so that later versions can change defaults.
fn commented(reference: &str) -> String {
    let line = |line: &str| match line {
        "" => "\n".to_owned(),
        line if line.starts_with('#') || line.starts_with('[') => format!("{line}\n"),
        line => format!("# {line}\n"),
    };
    reference.lines().map(line).collect()
}
