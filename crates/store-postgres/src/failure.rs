//! Mapping of PostgreSQL's errors to those of the ports, in the operator's words.

use std::error::Error as _;

use domain::outcome::Lack;
use store::StoreError;
use tokio_postgres::error::SqlState;

/// An error of PostgreSQL or of stored data, on its way to a [`StoreError`].
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server refused a statement. The connection goes on.
    #[error("{message}")]
    Refused { code: String, message: String },
    /// The connection is lost, or it doesn't answer in time: it is unknown what was committed.
    #[error("{0}")]
    Lost(String),
    /// Nothing was done.
    #[error("{0}")]
    Unavailable(String),
    /// Stored data cannot be read.
    #[error("{0}")]
    Corrupt(String),
}

impl Failure {
    /// The missing resource that a write needs.
    pub(crate) fn lack(&self) -> Lack {
        match self {
            Failure::Refused { code, .. } if code == SqlState::DISK_FULL.code() => Lack::Disk,
            _ => Lack::Store,
        }
    }

    /// Whether the connection is of no more use.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Failure::Lost(_) => true,
            // The server is going away, or is no primary any more.
            Failure::Refused { code, .. } => {
                code.starts_with("57P") || code == SqlState::READ_ONLY_SQL_TRANSACTION.code()
            }
            Failure::Unavailable(_) | Failure::Corrupt(_) => false,
        }
    }
}

/// What to do about an error of the server, where that is known.
fn advice(code: &SqlState) -> Option<&'static str> {
    Some(match code {
        c if *c == SqlState::DISK_FULL => {
            "the disk of the database server is full: free some space there; operation then resumes by itself"
        }
        c if *c == SqlState::INSUFFICIENT_PRIVILEGE => {
            "the user of store.url lacks a right: it needs CREATE on the database's schema and owns the platform's \
             tables"
        }
        c if *c == SqlState::READ_ONLY_SQL_TRANSACTION => {
            "the server is read-only, such as a standby: name the primary, or all servers, in store.url"
        }
        c if *c == SqlState::INVALID_CATALOG_NAME => {
            "the database of store.url does not exist: create it, such as with `createdb`"
        }
        c if *c == SqlState::INVALID_PASSWORD || *c == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "the server refuses the user or the password: see store.url, store.password and the server's pg_hba.conf"
        }
        c if *c == SqlState::TOO_MANY_CONNECTIONS => {
            "the server has no free connection: raise its max_connections, or lower store.connections"
        }
        c if *c == SqlState::CANNOT_CONNECT_NOW => "the server is starting or stopping",
        c if *c == SqlState::UNDEFINED_TABLE || *c == SqlState::UNDEFINED_FUNCTION => {
            "a table or function of the platform is missing: was the schema changed or restored in part?"
        }
        _ => return None,
    })
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        if let Some(refused) = error.as_db_error() {
            let said = format!("{} ({})", refused.message(), refused.code().code());
            let message = match advice(refused.code()) {
                Some(advice) => format!("{advice}: {said}"),
                None => said,
            };
            return Failure::Refused { code: refused.code().code().to_owned(), message };
        }
        let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
        if error.is_closed() || error.source().is_some_and(|cause| cause.is::<std::io::Error>()) {
            return Failure::Lost(format!("the connection to the database is lost: {error}{cause}"));
        }
        Failure::Corrupt(format!("{error}{cause}"))
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
            Failure::Refused { message, .. } | Failure::Lost(message) | Failure::Unavailable(message) => {
                StoreError::Unavailable(message)
            }
        }
    }
}

impl From<Failure> for store::ChangeError {
    fn from(failure: Failure) -> store::ChangeError {
        store::ChangeError::Store(failure.into())
    }
}

impl From<Failure> for store::TenureError {
    fn from(failure: Failure) -> store::TenureError {
        store::TenureError::Store(failure.into())
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
