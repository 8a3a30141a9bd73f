//! The data folder: the key that protects its secrets, and the store in it. The only place that names the backend.

use std::path::{Path, PathBuf};

use store::vault::{KeyFileError, Vault, open_key_file};
use store_sqlite::{BackupError, OpenError, SqliteStore};

use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::vault;

/// The key file in the data folder.
const KEY_FILE: &str = "encryption.keys";

/// Opens the data folder for the process that serves.
pub(crate) fn open_to_serve(config: &Config) -> Result<SqliteStore, Failure> {
    let folder = &config.settings.top.data_dir;
    SqliteStore::open_exclusive(folder, store_settings(config)?).map_err(|error| cannot_open(folder, error))
}

/// Opens the data folder beside the process that serves, or without one: the catalogue can be changed. A folder that is
/// not there is not made, for it is almost always the wrong one.
pub(crate) fn open_beside(config: &Config) -> Result<SqliteStore, Failure> {
    let folder = &config.settings.top.data_dir;
    if !store_sqlite::has_database(folder) {
        let message = format!("{} is not a data folder: there is no database in it", absolute(folder).display());
        return Err(Failure::message(Exit::Data, message).hint(
            "name the service's folder by --data-dir, or its configuration by --config; `postrider serve` makes a new one, and so \
             does `postrider pim add --create`",
        ));
    }
    open(config, folder)
}

/// The same, where the operator said that the folder may be made.
pub(crate) fn open_or_create(config: &Config) -> Result<SqliteStore, Failure> {
    open(config, &config.settings.top.data_dir)
}

fn open(config: &Config, folder: &Path) -> Result<SqliteStore, Failure> {
    refuse_root(folder)?;
    SqliteStore::open(folder, store_settings(config)?).map_err(|error| cannot_open(folder, error))
}

/// The folder as it is told to people.
pub(crate) fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// What root writes into the folder of a service with a user of its own, that user cannot open.
#[cfg(unix)]
fn refuse_root(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt;
    let owner = |path: &Path| std::fs::metadata(path).ok().map(|found| found.uid());
    // The process as Linux shows it belongs to its effective user.
    if owner(Path::new("/proc/self")) != Some(0) {
        return Ok(());
    }
    let theirs = owner(&store_sqlite::database(folder)).or_else(|| owner(folder)).filter(|owner| *owner != 0);
    let Some(theirs) = theirs else { return Ok(()) };
    let message = format!(
        "{} belongs to another user (uid {theirs}), who could not open what root writes into it",
        absolute(folder).display()
    );
    Err(Failure::message(Exit::Data, message).hint(format!("run it as that user: `sudo -u '#{theirs}' postrider …`")))
}

#[cfg(not(unix))]
fn refuse_root(_: &Path) -> Result<(), Failure> {
    Ok(())
}

/// A copy of the data folder, for the folder `to`.
pub(crate) struct Copy {
    /// The copied database.
    pub(crate) database: PathBuf,
    /// The key file that belongs to it, where there is one.
    pub(crate) key_file: Option<PathBuf>,
}

/// Copies the database to the folder `to`, also while another process serves.
pub(crate) fn back_up(config: &Config, to: &Path) -> Result<Copy, Failure> {
    let folder = &config.settings.top.data_dir;
    store_sqlite::make_folder(to).map_err(|error| {
        Failure::new(Exit::Failed, anyhow::Error::from(error).context(format!("cannot make {}", to.display())))
    })?;
    let database = store_sqlite::backup(folder, to).map_err(|error| {
        let hint = match &error {
            BackupError::Nothing(_) => Some("name the platform's data folder by --data-dir"),
            BackupError::Exists(_) => Some("name a folder that is not there yet, such as one with the day in its name"),
            BackupError::Io { .. } | BackupError::Database { .. } | BackupError::Damaged { .. } => None,
        };
        let failure = Failure::new(Exit::Failed, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    let key_file =
        Some(folder.join(KEY_FILE)).filter(|file| config.settings.encryption.keys.is_empty() && file.exists());
    Ok(Copy { database, key_file })
}

/// Copies a key file into the folder `to`, readable by its owner only.
pub(crate) fn copy_key_file(file: &Path, to: &Path) -> Result<PathBuf, Failure> {
    let copy = to.join(KEY_FILE);
    let copied = || -> std::io::Result<()> {
        // A copy has the mode of its original, 0600.
        std::fs::copy(file, &copy)?;
        std::fs::File::open(&copy)?.sync_all()
    };
    copied().map_err(|error| {
        Failure::new(
            Exit::Failed,
            anyhow::Error::from(error).context(format!("cannot copy the key file to {}", copy.display())),
        )
    })?;
    Ok(copy)
}

fn store_settings(config: &Config) -> Result<store_sqlite::Settings, Failure> {
    let settings = &config.settings;
    let mut store = store_sqlite::Settings::new(vault(config, &settings.top.data_dir)?);
    store.tail_bytes = usize::try_from(settings.delivery.hot_tail.0).unwrap_or(usize::MAX);
    store.max_log_bytes = settings.storage.max_log_size.0;
    store.max_state_bytes = settings.storage.max_product_states.0;
    store.min_free_disk_bytes = settings.storage.min_free_disk.0;
    store.dedup_window = settings.ingest.dedup_window;
    Ok(store)
}

/// The vault of the configured keys, or that of the key file. The key file is made together with a new database, never
/// beside one that is there: its secrets are sealed with another key.
fn vault(config: &Config, folder: &Path) -> Result<Vault, Failure> {
    let settings = &config.settings;
    let configured = vault::configured(settings).map_err(|problem| Failure::message(Exit::Configuration, problem))?;
    if let Some(vault) = configured {
        return Ok(vault);
    }
    let file = folder.join(KEY_FILE);
    if store_sqlite::has_database(folder) && !file.exists() {
        let message = format!(
            "{} is sealed with a key that is not given here: neither `encryption.keys` nor the key file {} is there",
            folder.display(),
            file.display()
        );
        return Err(Failure::message(Exit::Data, message).hint(
            "run it with the configuration and the environment of the service, such as POSTRIDER_ENCRYPTION_KEYS, or put the \
             key file back",
        ));
    }
    store_sqlite::make_folder(folder).map_err(|error| {
        let error = anyhow::Error::from(error).context(format!("cannot make the data folder {}", folder.display()));
        Failure::new(Exit::Data, error).hint("name another folder by --data-dir")
    })?;
    open_key_file(&file, settings.encryption.group_may_read).map_err(|error| {
        let exposed = matches!(error, KeyFileError::Exposed { .. });
        let failure = Failure::new(Exit::Data, error);
        if exposed {
            failure.hint(
                "where a group must be able to read it, as under Kubernetes' fsGroup, set `encryption.group_may_read = true` and \
                 mode 640; or give the keys by POSTRIDER_ENCRYPTION_KEYS, or by a file that POSTRIDER_ENCRYPTION_KEYS_FILE names",
            )
        } else {
            failure
        }
    })
}

fn cannot_open(folder: &Path, error: OpenError) -> Failure {
    let hint = match &error {
        OpenError::Locked(_) => Some(
            "`postrider pim …` works while `postrider serve` runs; a second `serve` needs another --data-dir"
                .to_owned(),
        ),
        OpenError::Vault(_) => Some(format!(
            "keys come from `encryption.keys` of the configuration, else from {}",
            folder.join(KEY_FILE).display()
        )),
        OpenError::Newer { .. } | OpenError::Io { .. } | OpenError::Database { .. } => None,
    };
    let failure = Failure::new(Exit::Data, error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
