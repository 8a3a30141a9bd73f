//! The key file: created at the first start, readable by its owner only. One key per line, `id base64`; the first one
//! seals, all of them open.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{MasterKey, MasterKeyError, Vault, VaultError};

/// The key file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Reading or writing failed.
    #[error("key file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Others can read the file.
    #[error(
        "key file {}: others than its owner can read or write it (mode {mode:03o}); `chmod 600 {}` closes it. If \
         somebody may have read it, change the secrets that it protects",
        path.display(), path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// An invalid line.
    #[error("key file {}, line {line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The problem.
        problem: String,
    },
    /// The file has no key.
    #[error(
        "key file {}: there is no key in it; a line is `id base64`, the first one is used for sealing",
        .0.display()
    )]
    Empty(PathBuf),
    /// The keys are incompatible.
    #[error("key file {}: {source}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// The problem.
        source: VaultError,
    },
    /// No key could be generated.
    #[error(transparent)]
    Key(#[from] MasterKeyError),
}

/// Opens the vault of a key file, and creates the file with a new key if it doesn't exist.
///
/// `group_may_read`: whether its group may read it as well, as with Kubernetes' `fsGroup`.
pub fn open_key_file(path: &Path, group_may_read: bool) -> Result<Vault, KeyFileError> {
    let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
    match File::open(path) {
        Ok(file) => read(path, file, group_may_read),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match create(path) {
            Ok(vault) => Ok(vault),
            // A concurrent process created it; its key counts.
            Err(KeyFileError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                read(path, File::open(path).map_err(failed)?, group_may_read)
            }
            Err(error) => Err(error),
        },
        Err(error) => Err(failed(error)),
    }
}

fn read(path: &Path, mut file: File, group_may_read: bool) -> Result<Vault, KeyFileError> {
    let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
    refuse_exposed(path, &file, group_may_read)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    let mut keys = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_text = line.trim();
        if line_text.is_empty() || line_text.starts_with('#') {
            continue;
        }
        let wrong = |problem: String| KeyFileError::Line { path: path.to_owned(), line: index + 1, problem };
        let (id, key) = line_text
            .split_once(char::is_whitespace)
            .ok_or_else(|| wrong("a line is an id, a blank and 32 bytes in base64".to_owned()))?;
        keys.push(MasterKey::from_base64(id, key).map_err(|error| wrong(error.to_string()))?);
    }
    let mut keys = keys.into_iter();
    let current = keys.next().ok_or_else(|| KeyFileError::Empty(path.to_owned()))?;
    Vault::new(current, keys).map_err(|source| KeyFileError::Keys { path: path.to_owned(), source })
}

/// Writes a temporary file and links it into place, so that no half-written key is visible and no key is replaced.
fn create(path: &Path) -> Result<Vault, KeyFileError> {
    let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
    let key = MasterKey::generate()?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", key.id()));
    let beside = PathBuf::from(name);
    let written = write_new(&beside, &key).and_then(|()| fs::hard_link(&beside, path));
    // The link is what counts; the temporary name is useless either way.
    let removed = fs::remove_file(&beside);
    written.and(removed).map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    tracing::info!(
        path = %path.display(),
        key.id = key.id(),
        "generated an encryption key; back it up: secrets cannot be read without it"
    );
    Vault::new(key, []).map_err(|source| KeyFileError::Keys { path: path.to_owned(), source })
}

fn write_new(path: &Path, key: &MasterKey) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(
        file,
        "# Master keys that protect stored secrets: id and 32 bytes in base64. The first one seals, all of them \
         open.\n{} {}",
        key.id(),
        key.expose_base64()
    )?;
    file.sync_all()
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, file: &File, group_may_read: bool) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(|source| KeyFileError::Io { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    let closed = if group_may_read { 0o037 } else { 0o077 };
    if mode & closed == 0 { Ok(()) } else { Err(KeyFileError::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn refuse_exposed(_: &Path, _: &File, _: bool) -> Result<(), KeyFileError> {
    Ok(())
}
