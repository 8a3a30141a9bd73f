//! Files of a data folder are for their owner only: made so, and made so again at a start where they are not.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Options that make a file for its owner only.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes an empty file if there is none: what SQLite makes by itself others can read.
pub(crate) fn make(path: &Path) -> io::Result<File> {
    options().write(true).create(true).truncate(false).open(path)
}

/// Takes a file from everybody but its owner, and says so. One that is not there is fine; one that is somebody else's
/// is only told of.
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

/// Says so if others than its owner can put files into the data folder. Who may only look into it stays as the operator
/// set it.
#[cfg(unix)]
pub(crate) fn check_folder(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let Ok(found) = std::fs::metadata(folder) else { return };
    let mode = found.permissions().mode() & 0o7777;
    // With the sticky bit, nobody can replace what is another's.
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
