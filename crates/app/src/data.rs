//! The data folder: the key that protects its secrets, and the store in it. The only place that names the backend.

use std::path::{Path, PathBuf};

use domain::Secret;
use store::vault::{MasterKey, Vault, open_key_file};
use store_sqlite::{BackupError, OpenError, SqliteStore};

use crate::config::Config;
use crate::failure::{Exit, Failure};

/// The key file in the data folder.
const KEY_FILE: &str = "encryption.keys";

/// Opens the data folder for the process that serves.
pub(crate) fn open_to_serve(config: &Config) -> Result<SqliteStore, Failure> {
    let folder = &config.settings.top.data_dir;
    SqliteStore::open_exclusive(folder, store_settings(config)?).map_err(|error| cannot_open(folder, error))
}

/// Opens the data folder beside the process that serves, or without one: the catalogue can be changed.
pub(crate) fn open_beside(config: &Config) -> Result<SqliteStore, Failure> {
    let folder = &config.settings.top.data_dir;
    SqliteStore::open(folder, store_settings(config)?).map_err(|error| cannot_open(folder, error))
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
    let mut store = store_sqlite::Settings::new(vault(config)?);
    store.tail_bytes = usize::try_from(settings.delivery.hot_tail.0).unwrap_or(usize::MAX);
    store.max_log_bytes = settings.storage.max_log_size.0;
    store.min_free_disk_bytes = settings.storage.min_free_disk.0;
    store.dedup_window = settings.ingest.dedup_window;
    Ok(store)
}

/// The configured keys, or those of the key file, which is made at the first start.
fn vault(config: &Config) -> Result<Vault, Failure> {
    let folder = &config.settings.top.data_dir;
    let keys = config.settings.encryption.keys.iter().map(master_key).collect::<Result<Vec<_>, _>>()?;
    let mut keys = keys.into_iter();
    match keys.next() {
        Some(current) => Vault::new(current, keys).map_err(|error| Failure::new(Exit::Configuration, error)),
        None => {
            store_sqlite::make_folder(folder).map_err(|error| {
                let error =
                    anyhow::Error::from(error).context(format!("cannot make the data folder {}", folder.display()));
                Failure::new(Exit::Data, error).hint("name another folder by --data-dir")
            })?;
            open_key_file(&folder.join(KEY_FILE)).map_err(|error| Failure::new(Exit::Data, error))
        }
    }
}

fn master_key(typed: &Secret) -> Result<MasterKey, Failure> {
    let hint = "a key is `<id>:<base64 of 32 bytes>`, such as `2026:$(openssl rand -base64 32)`";
    let Some((id, text)) = typed.expose().split_once(':') else {
        let message = "`encryption.keys`: a key has no id";
        return Err(Failure::message(Exit::Configuration, message).hint(hint));
    };
    MasterKey::from_base64(id, text).map_err(|error| Failure::new(Exit::Configuration, error).hint(hint))
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
