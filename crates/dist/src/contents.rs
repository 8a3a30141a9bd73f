//! Contents shared by all packages, and the staging folder of a package.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::bill::Bill;
use crate::{Release, command, licences, sbom};

/// Shells with completions, and the file name for each.
pub(crate) const SHELLS: [(&str, &str); 3] = [("bash", "postrider"), ("fish", "postrider.fish"), ("zsh", "_postrider")];

/// Generated texts of a release.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) sbom: String,
    pub(crate) licences: String,
    /// The configuration reference: every setting with its default.
    pub(crate) reference: String,
    /// File names and manual pages.
    pub(crate) manual: Vec<(String, String)>,
    /// One script per shell, in the order of [`SHELLS`].
    pub(crate) completions: Vec<String>,
    /// Documents of the project, by their paths in the repository: links between them work in a package.
    pub(crate) documents: Vec<(String, Vec<u8>)>,
}

/// Files and folders that packages contain as documentation. The folders include what the guides refer to.
const DOCUMENTS: [&str; 7] = ["README.md", "CHANGELOG.md", "ARCHITECTURE.md", "LICENSE", "docs", "examples", "deploy"];

impl Contents {
    /// Generates them with the release's binary.
    pub(crate) fn of(release: &Release, bill: &Bill) -> anyhow::Result<Contents> {
        let licence = fs::read_to_string(release.source.join("LICENSE")).context("cannot read LICENSE")?;
        let completions = SHELLS.iter().map(|(shell, _)| ask(release, &["completions", shell]));
        Ok(Contents {
            sbom: sbom::document(bill, release.epoch)?,
            licences: licences::text(bill, &licence)?,
            reference: ask(release, &["config", "--reference"])?,
            manual: manual(release)?,
            completions: completions.collect::<anyhow::Result<_>>()?,
            documents: documents(release)?,
        })
    }
}

/// Committed files only: others may be anything.
fn documents(release: &Release) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--"]).args(DOCUMENTS).current_dir(&release.source);
    let listed = command::output(&mut git)?;
    let mut documents = Vec::new();
    for path in listed.split_terminator('\0') {
        let content = fs::read(release.source.join(path)).with_context(|| format!("cannot read {path}"))?;
        documents.push((path.to_owned(), content));
    }
    Ok(documents)
}

/// Output of the binary, without this environment: help texts show environment variables.
fn ask(release: &Release, arguments: &[&str]) -> anyhow::Result<String> {
    command::output(Command::new(&release.binary).env_clear().args(arguments))
}

fn manual(release: &Release) -> anyhow::Result<Vec<(String, String)>> {
    let folder = Scratch::make("postrider-manual")?;
    ask(release, &["man", &folder.0.to_string_lossy()])?;
    let mut pages = Vec::new();
    for entry in fs::read_dir(&folder.0)? {
        let entry = entry?;
        pages.push((entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path())?));
    }
    pages.sort();
    Ok(pages)
}

/// A temporary folder.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn make(name: &str) -> anyhow::Result<Scratch> {
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The system cleans up temporary files.
        _ = fs::remove_dir_all(&self.0);
    }
}

/// The staging folder of a package. File modes don't depend on the umask.
pub(crate) struct Tree(PathBuf);

impl Tree {
    /// A tree in the given folder.
    pub(crate) fn new(folder: &Path) -> anyhow::Result<Tree> {
        let tree = Tree(folder.to_owned());
        tree.folder("")?;
        Ok(tree)
    }

    /// Creates a folder and its parents.
    pub(crate) fn folder(&self, path: &str) -> anyhow::Result<PathBuf> {
        let mut folder = self.0.clone();
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            folder.push(part);
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        }
        Ok(folder)
    }

    /// Adds a file.
    pub(crate) fn file(&self, path: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        self.put(path, content.as_ref(), 0o644)
    }

    /// Adds the documents below `folder`, which ends with `/` or is empty. Scripts remain executable.
    pub(crate) fn documents(&self, folder: &str, contents: &Contents) -> anyhow::Result<()> {
        for (path, content) in &contents.documents {
            let mode = if content.starts_with(b"#!") { 0o755 } else { 0o644 };
            self.put(&format!("{folder}{path}"), content, mode)?;
        }
        Ok(())
    }

    /// Adds an executable.
    pub(crate) fn program(&self, path: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        self.put(path, content.as_ref(), 0o755)
    }

    fn put(&self, path: &str, content: &[u8], mode: u32) -> anyhow::Result<()> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let file = self.folder(folder)?.join(name);
        fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(fs::set_permissions(&file, fs::Permissions::from_mode(mode))?)
    }
}
