//! Files of a data folder are accessible only to their owner. Their mode is set when they are created and corrected at
//! each start.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Options to create a file accessible only to its owner.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates an empty file if there is none, because files created by SQLite are readable by others.
pub(crate) fn make(path: &Path) -> io::Result<File> {
    options().write(true).create(true).truncate(false).open(path)
}

/// Removes other users' access to a file, with a log line. A missing file is fine; for a file of another owner it only
/// logs.
#[cfg(unix)]
pub(crate) fn tighten(path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let Ok(found) = std::fs::metadata(path) else { return };
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return;
    }
    let path_shown = path.display();
    match std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o700)) {
        Ok(()) => tracing::warn!(
            path = %path_shown, mode = format_args!("{mode:03o}"),
            "other users had access to a file of the data folder; the permissions were fixed"
        ),
        Err(error) => tracing::warn!(
            path = %path_shown, mode = format_args!("{mode:03o}"), %error,
            "other users have access to a file of the data folder, and its permissions cannot be changed: run `chmod \
             600` on it as its owner"
        ),
    }
}

/// Warns if other users can write to the data folder. Read access remains as set by the operator.
#[cfg(unix)]
pub(crate) fn check_folder(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let Ok(found) = std::fs::metadata(folder) else { return };
    let mode = found.permissions().mode() & 0o7777;
    // With the sticky bit, users cannot replace each other's files.
    if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        tracing::warn!(
            path = %folder.display(), mode = format_args!("{mode:03o}"),
            "other users can replace files of the data folder: run `chmod go-w` on it"
        );
    }
}

#[cfg(not(unix))]
pub(crate) fn tighten(_: &Path) {}

#[cfg(not(unix))]
pub(crate) fn check_folder(_: &Path) {}
