//! The backend of all tests of this program: the embedded one, or with `POSTRIDER_TEST_BACKEND=postgres` a PostgreSQL
//! server that the tests start, with a database per data folder.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use parts::postgres::Postgres;

/// Seals in all tests.
pub(crate) const KEYS: &str = "tests:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Whether the data are in a database.
pub(crate) fn is_postgres() -> bool {
    std::env::var("POSTRIDER_TEST_BACKEND").as_deref() == Ok("postgres")
}

/// The server, which lives as long as this program.
pub(crate) fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start(&[]).unwrap())
}

/// Names of databases by data folder.
static DATABASES: Mutex<Option<HashMap<String, String>>> = Mutex::new(None);

/// The database of a data folder, created when it is first named.
fn database(folder: &str) -> String {
    let mut databases = DATABASES.lock().unwrap();
    let databases = databases.get_or_insert_default();
    let name = format!("e2e_{}", databases.len());
    let create = || {
        server().create(&name).unwrap();
        name
    };
    databases.entry(folder.to_owned()).or_insert_with(create).clone()
}

/// Environment of a command with these arguments: the database of its data folder.
pub(crate) fn environment(args: &[&str]) -> Vec<(&'static str, String)> {
    let folder = args.iter().zip(args.iter().skip(1)).find(|(name, _)| **name == "--data-dir");
    let Some((_, folder)) = folder.filter(|_| is_postgres()) else { return Vec::new() };
    vec![
        ("POSTRIDER_STORE_BACKEND", "postgres".to_owned()),
        ("POSTRIDER_STORE_URL", server().url(&database(folder))),
        // A process that was killed is succeeded soon.
        ("POSTRIDER_STORE_LEASE", "2s".to_owned()),
        ("POSTRIDER_ENCRYPTION_KEYS", KEYS.to_owned()),
    ]
}

/// Waits until the process that was started last on a data folder delivers for all PIMs: the leases of one that was
/// killed must run out first.
pub(crate) fn wait_until_delivering(folder: &str) {
    if !is_postgres() {
        return;
    }
    let others = "SELECT count(*) FROM lease \
                  WHERE owner IS DISTINCT FROM (SELECT id FROM node ORDER BY id DESC LIMIT 1)";
    let (database, by) = (database(folder), Instant::now() + Duration::from_secs(30));
    while server().query(&database, others).unwrap() != "0" {
        assert!(Instant::now() < by, "the new process has not taken the shards over");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}
