//! The data folder with the encryption key, and the store: the embedded one in that folder, or a database. Beside
//! `database`, the only place that names backends.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use store::vault::{KeyFileError, Vault, open_key_file};
use store::{Backend, KeepBounds};
use store_sqlite::{BackupError, OpenError, SqliteStore};

use crate::config::{Config, Settings};
use crate::failure::{Exit, Failure};
use crate::{database, vault};

/// Key file in the data folder.
const KEY_FILE: &str = "encryption.keys";

/// Opens the store for `serve`.
pub(crate) async fn open_to_serve(config: &Config) -> Result<Arc<dyn Backend>, Failure> {
    if database::is_used(config) {
        return database::open_to_serve(config, vault(config)?).await;
    }
    let folder = &config.settings.top.data_dir;
    let store = SqliteStore::open_exclusive(folder, store_settings(config)?);
    Ok(Arc::new(store.map_err(|error| cannot_open(folder, error))?))
}

/// Opens the store to change the catalogue, also while `serve` runs. A missing folder is not created, because it is
/// almost always the wrong one; nor are the tables of an empty database.
pub(crate) async fn open_beside(config: &Config) -> Result<Arc<dyn Backend>, Failure> {
    if database::is_used(config) {
        return database::open_beside(config, vault(config)?, false).await;
    }
    let folder = &config.settings.top.data_dir;
    if !store_sqlite::has_database(folder) {
        let message = format!("{} is not a data folder: it contains no database", absolute(folder).display());
        return Err(Failure::message(Exit::Data, message).hint(
            "specify the service's folder with --data-dir, or its configuration with --config; `postrider serve` and \
             `postrider pim add --create` create a new one",
        ));
    }
    open(config, folder)
}

/// Like [`open_beside`], but may create the folder or the tables.
pub(crate) async fn open_or_create(config: &Config) -> Result<Arc<dyn Backend>, Failure> {
    if database::is_used(config) {
        return database::open_beside(config, vault(config)?, true).await;
    }
    open(config, &config.settings.top.data_dir)
}

fn open(config: &Config, folder: &Path) -> Result<Arc<dyn Backend>, Failure> {
    refuse_root(folder)?;
    let store = SqliteStore::open(folder, store_settings(config)?);
    Ok(Arc::new(store.map_err(|error| cannot_open(folder, error))?))
}

/// Where the data are, for messages.
pub(crate) fn location(config: &Config) -> String {
    match database::name(config) {
        Some(name) => format!("the database {name}"),
        None => absolute(&config.settings.top.data_dir).display().to_string(),
    }
}

/// The folder's absolute path, for messages.
fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// Root must not write into the folder of another user's service, who could not open the files.
#[cfg(unix)]
fn refuse_root(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt;
    let owner = |path: &Path| std::fs::metadata(path).ok().map(|found| found.uid());
    // On Linux, a process directory belongs to the effective user.
    if owner(Path::new("/proc/self")) != Some(0) {
        return Ok(());
    }
    let theirs = owner(&store_sqlite::database(folder)).or_else(|| owner(folder)).filter(|owner| *owner != 0);
    let Some(theirs) = theirs else { return Ok(()) };
    let message = format!(
        "{} belongs to another user (uid {theirs}), who could not open files written by root",
        absolute(folder).display()
    );
    Err(Failure::message(Exit::Data, message).hint(format!("run it as that user: `sudo -u '#{theirs}' postrider …`")))
}

#[cfg(not(unix))]
fn refuse_root(_: &Path) -> Result<(), Failure> {
    Ok(())
}

/// Result of a backup.
pub(crate) struct Copy {
    /// The copied database.
    pub(crate) database: PathBuf,
    /// The key file of the database, if any.
    pub(crate) key_file: Option<PathBuf>,
}

/// Copies the database to the folder `to`, also while another process serves.
pub(crate) fn back_up(config: &Config, to: &Path) -> Result<Copy, Failure> {
    if let Some(name) = database::name(config) {
        let message = format!("the data are in the database {name}, which this command does not copy");
        return Err(Failure::message(Exit::Failed, message).hint(
            "copy it with `pg_dump`, or use the server's continuous archiving, and keep the encryption keys with the \
             configuration: see docs/operators/postgresql.md",
        ));
    }
    let folder = &config.settings.top.data_dir;
    store_sqlite::make_folder(to).map_err(|error| {
        Failure::new(Exit::Failed, anyhow::Error::from(error).context(format!("cannot create {}", to.display())))
    })?;
    let database = store_sqlite::backup(folder, to).map_err(|error| {
        let hint = match &error {
            BackupError::Nothing(_) => Some("specify the platform's data folder with --data-dir"),
            BackupError::Exists(_) => Some("specify a new folder, such as one with the date in its name"),
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
        // A copy has the mode of the original, 0600.
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
    let mut store = store_sqlite::Settings::new(vault(config)?);
    store.tail_bytes = usize::try_from(settings.delivery.hot_tail.0).unwrap_or(usize::MAX);
    store.max_log_bytes = settings.storage.max_log_size.0;
    store.max_state_bytes = settings.storage.max_product_states.0;
    store.max_entry_bytes = settings.storage.max_log_entries.0;
    store.min_free_disk_bytes = settings.storage.min_free_disk.0;
    store.dedup_window = settings.ingest.dedup_window;
    store.keep = keep_bounds(settings);
    Ok(store)
}

/// Bounds of delivered events.
pub(crate) fn keep_bounds(settings: &Settings) -> KeepBounds {
    let hours = settings.storage.keep_delivered.as_secs_f64() / 3600.0;
    KeepBounds { hours: hours.ceil() as u32, bytes: settings.storage.keep_delivered_size.0 }
}

/// The vault of a data folder that is open: its keys also seal the sessions of the console.
pub(crate) fn session_vault(config: &Config) -> Result<Vault, Failure> {
    vault(config)
}

/// The vault of the configured keys, or of the key file. A key file is only created together with a new database,
/// because an existing database is encrypted with another key.
fn vault(config: &Config) -> Result<Vault, Failure> {
    let (settings, folder) = (&config.settings, &config.settings.top.data_dir);
    let configured = vault::configured(settings).map_err(|problem| Failure::message(Exit::Configuration, problem))?;
    if let Some(vault) = configured {
        return Ok(vault);
    }
    let file = folder.join(KEY_FILE);
    if let Some(name) = database::name(config).filter(|_| !file.exists()) {
        let message = format!(
            "the encryption key of the database {name} is missing: neither `encryption.keys` nor the key file {} \
             exists",
            file.display()
        );
        return Err(Failure::message(Exit::Data, message).hint(
            "all processes on one database need the same keys, so none is generated: `openssl rand -base64 32` makes \
             one for POSTRIDER_ENCRYPTION_KEYS, as `<id>:<key>`",
        ));
    }
    if store_sqlite::has_database(folder) && !file.exists() {
        let message = format!(
            "the encryption key of {} is missing: neither `encryption.keys` nor the key file {} exists",
            folder.display(),
            file.display()
        );
        return Err(Failure::message(Exit::Data, message).hint(
            "run the command with the service's configuration and environment, such as POSTRIDER_ENCRYPTION_KEYS, or \
             restore \
             the key file",
        ));
    }
    store_sqlite::make_folder(folder).map_err(|error| {
        let error = anyhow::Error::from(error).context(format!("cannot create the data folder {}", folder.display()));
        Failure::new(Exit::Data, error).hint("specify another folder with --data-dir")
    })?;
    open_key_file(&file, settings.encryption.group_may_read).map_err(|error| {
        let exposed = matches!(error, KeyFileError::Exposed { .. });
        let failure = Failure::new(Exit::Data, error);
        if exposed {
            failure.hint(
                "if a group must be able to read it, as with Kubernetes' fsGroup, set `encryption.group_may_read = \
                 true` and mode \
                 640; or pass the keys in POSTRIDER_ENCRYPTION_KEYS, or in a file named by \
                 POSTRIDER_ENCRYPTION_KEYS_FILE",
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
            "keys are read from the setting `encryption.keys`, or else from {}",
            folder.join(KEY_FILE).display()
        )),
        OpenError::Newer { .. }
        | OpenError::Moving(_)
        | OpenError::Moved { .. }
        | OpenError::Io { .. }
        | OpenError::Database { .. } => None,
    };
    let failure = Failure::new(Exit::Data, error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
