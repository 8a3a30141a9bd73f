//! Mapping of SQLite errors to the errors of the ports.

use domain::outcome::Lack;
use rusqlite::ErrorCode;
use store::StoreError;

/// An error of SQLite or of stored data, on its way to a [`StoreError`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Corrupt(String),
    #[error("{0}")]
    Unavailable(String),
}

impl Failure {
    /// The missing resource that a write needs.
    pub(crate) fn lack(&self) -> Lack {
        match self {
            Failure::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => Lack::Disk,
            Failure::Sqlite(_) | Failure::Corrupt(_) | Failure::Unavailable(_) => Lack::Store,
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        Failure::Corrupt(format!("a row has unexpected content: {error}"))
    }
}

impl From<store::vault::VaultError> for Failure {
    fn from(error: store::vault::VaultError) -> Failure {
        match error {
            store::vault::VaultError::Sealing => Failure::Unavailable(error.to_string()),
            error => Failure::Corrupt(error.to_string()),
        }
    }
}

impl From<store::sealed::SealedError> for Failure {
    fn from(error: store::sealed::SealedError) -> Failure {
        match error {
            store::sealed::SealedError::Json(error) => error.into(),
            store::sealed::SealedError::Vault(error) => error.into(),
            store::sealed::SealedError::Corrupt(message) => Failure::Corrupt(message),
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> StoreError {
        match failure {
            Failure::Corrupt(message) => StoreError::Corrupt(message),
            Failure::Unavailable(message) => StoreError::Unavailable(message),
            Failure::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => StoreError::Unavailable(
                    "the disk is full: free some space; operation then resumes by itself".to_owned(),
                ),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    StoreError::Unavailable("another process has held the database for too long".to_owned())
                }
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(error.to_string()),
                Some(_) => StoreError::Unavailable(error.to_string()),
                // Not from SQLite itself: a value of a type other than the schema's.
                None => StoreError::Corrupt(error.to_string()),
            },
        }
    }
}

impl From<Failure> for store::ChangeError {
    fn from(failure: Failure) -> store::ChangeError {
        store::ChangeError::Store(failure.into())
    }
}

impl From<Failure> for store::AppendError {
    fn from(failure: Failure) -> store::AppendError {
        store::AppendError::Store(failure.into())
    }
}

impl From<Failure> for store::AppendNewError {
    fn from(failure: Failure) -> store::AppendNewError {
        StoreError::from(failure).into()
    }
}
