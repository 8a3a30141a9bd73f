//! The backend of all tests of this program: the embedded one, or with `POSTRIDER_TEST_BACKEND=postgres` a PostgreSQL
//! server that the tests start, with a database per data folder.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use parts::postgres::Postgres;

/// Seals in all tests.
const KEYS: &str = "tests:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Whether the data are in a database.
pub(crate) fn is_postgres() -> bool {
    std::env::var("POSTRIDER_TEST_BACKEND").as_deref() == Ok("postgres")
}

/// The server, which lives as long as this program.
pub(crate) fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start(&[]).unwrap())
}

/// Environment of a command with these arguments: the database of its data folder.
pub(crate) fn environment(args: &[&str]) -> Vec<(&'static str, String)> {
    static DATABASES: Mutex<Option<HashMap<String, String>>> = Mutex::new(None);
    let folder = args.iter().zip(args.iter().skip(1)).find(|(name, _)| **name == "--data-dir");
    let Some((_, folder)) = folder.filter(|_| is_postgres()) else { return Vec::new() };
    let mut databases = DATABASES.lock().unwrap();
    let databases = databases.get_or_insert_default();
    let number = databases.len();
    let url =
        databases.entry((*folder).to_owned()).or_insert_with(|| server().create(&format!("e2e_{number}")).unwrap());
    vec![
        ("POSTRIDER_STORE_BACKEND", "postgres".to_owned()),
        ("POSTRIDER_STORE_URL", url.clone()),
        // A process that was killed is succeeded soon.
        ("POSTRIDER_STORE_LEASE", "2s".to_owned()),
        ("POSTRIDER_ENCRYPTION_KEYS", KEYS.to_owned()),
    ]
}
