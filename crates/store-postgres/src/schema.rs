//! The schema: its migrations, and what makes a database unusable, in the operator's words.

use store::vault::VaultError;

use crate::args::args;
use crate::failure::Failure;
use crate::link::Link;

/// All migrations, in order; `schema_version` has the number of applied ones. Migrations only add: an older version of
/// the platform may be running on the same database.
const MIGRATIONS: [&str; 3] = [
    include_str!("../migrations/0001_initial.sql"),
    include_str!("../migrations/0002_cluster.sql"),
    include_str!("../migrations/0003_backlog.sql"),
];

/// Held while the schema is changed.
const MIGRATION_LOCK: i64 = 0x706f_7374_7269;

/// The oldest server: `DETACH … CONCURRENTLY`.
const OLDEST: i32 = 140_000;

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Written by a newer version.
    #[error(
        "the database {name} was written by a newer version (schema {found}, this version knows {known}): run that \
         version or a newer one, or restore a backup from before the upgrade"
    )]
    Newer {
        /// The database.
        name: String,
        /// Its schema version.
        found: i32,
        /// The newest known version.
        known: i32,
    },
    /// The platform has never used the database.
    #[error("the database {0} is empty: it has none of the platform's tables")]
    Empty(String),
    /// Data are being moved to the database.
    #[error(
        "the data of the database {0} have not arrived yet: complete the move with `postrider migrate`, run where the \
         data folder is"
    )]
    Arriving(String),
    /// Other data are there.
    #[error("the database {0} has data already: move the platform to an empty one")]
    Occupied(String),
    /// The server is too old.
    #[error("the server of {name} is PostgreSQL {found}; at least version 14 is required")]
    TooOld {
        /// The database.
        name: String,
        /// The server's version.
        found: String,
    },
    /// The database has other tables.
    #[error(
        "the database {name} belongs to another program (its schema {schema:?} has the table {table:?}): give the \
         platform a database of its own, or a schema by `ALTER ROLE … SET search_path`"
    )]
    Foreign {
        /// The database.
        name: String,
        /// The schema.
        schema: String,
        /// A table in it.
        table: String,
    },
    /// A secret cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The data were sealed by another key.
    #[error(
        "the secrets of the database {name} were sealed with other encryption keys: {problem}; all processes on one \
         database need the same keys"
    )]
    OtherKeys {
        /// The database.
        name: String,
        /// The vault's error.
        problem: VaultError,
    },
    /// The database cannot be used.
    #[error("the database {name}: {problem}")]
    Database {
        /// The database.
        name: String,
        /// The cause.
        problem: String,
    },
}

impl OpenError {
    pub(crate) fn of(name: &str, failure: Failure) -> OpenError {
        OpenError::Database { name: name.to_owned(), problem: failure.to_string() }
    }
}

/// Checks the server, and brings the schema up to date. Without `create`, an empty database is an error.
pub(crate) async fn prepare(link: &Link, name: &str, create: bool) -> Result<(), OpenError> {
    let failed = |failure| OpenError::of(name, failure);
    let facts = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
                 coalesce(current_schema()::text, ''), to_regclass('schema_version') IS NOT NULL";
    let facts = link.query(facts, &[]).await.map_err(failed)?;
    let Some(facts) = facts.first() else { return Err(failed(Failure::Corrupt("no answer".to_owned()))) };
    let (version, schema): (i32, String) = (facts.get(0), facts.get(2));
    if version < OLDEST {
        return Err(OpenError::TooOld { name: name.to_owned(), found: facts.get(1) });
    }
    if schema.is_empty() {
        let problem = "the user's search_path has no schema that exists".to_owned();
        return Err(OpenError::Database { name: name.to_owned(), problem });
    }
    if !facts.get::<_, bool>(3) {
        if !create {
            return Err(OpenError::Empty(name.to_owned()));
        }
        let other = "SELECT relname::text FROM pg_class WHERE relnamespace = $1::text::regnamespace \
                     AND relkind IN ('r', 'p') AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_class.oid \
                     AND deptype = 'e') LIMIT 1";
        let other = link.query(other, args![schema]).await.map_err(failed)?;
        // Another process may be creating the schema at this moment.
        if let Some(table) = other.first().map(|row| row.get::<_, String>(0)).filter(|table| table != "schema_version")
        {
            return Err(OpenError::Foreign { name: name.to_owned(), schema, table });
        }
    }
    let found = migrate(link).await.map_err(failed)?;
    let known = MIGRATIONS.len() as i32;
    if found > known {
        return Err(OpenError::Newer { name: name.to_owned(), found, known });
    }
    Ok(())
}

/// Applies what is missing, in one transaction; returns the version found.
async fn migrate(link: &Link) -> Result<i32, Failure> {
    let read = "SELECT number FROM schema_version";
    if let Ok(rows) = link.query(read, &[]).await
        && let Some(found) = rows.first().map(|row| row.get::<_, i32>(0))
        && found >= MIGRATIONS.len() as i32
    {
        return Ok(found);
    }
    link.batch(&format!(
        "BEGIN; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({MIGRATION_LOCK}); \
         CREATE TABLE IF NOT EXISTS schema_version (number integer NOT NULL); \
         INSERT INTO schema_version SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM schema_version)"
    ))
    .await?;
    let work = async {
        let rows = link.query(read, &[]).await?;
        let found = rows.first().map_or(0, |row| row.get::<_, i32>(0));
        for (migration, number) in MIGRATIONS.iter().zip(1..) {
            if number > found {
                link.batch(migration).await?;
                link.execute("UPDATE schema_version SET number = $1", args![number]).await?;
            }
        }
        Ok(found)
    };
    let found = work.await;
    link.batch(if found.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    found
}
