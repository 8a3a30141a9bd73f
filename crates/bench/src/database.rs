//! PostgreSQL for the platform, with or without a synchronous standby, near or far; and PostgreSQL alone, with the same
//! rows.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use parts::postgres::Postgres;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

use crate::delay;
use crate::sample::EVENT_BYTES;

/// A standby follows within this time.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(30);

/// A server.
pub(crate) struct Database {
    primary: Postgres,
    _standby: Option<Postgres>,
    port: u16,
}

impl Database {
    /// Starts it. `delay` is added to each round trip with it, and of it with its standby.
    pub(crate) fn start(with_standby: bool, delay: Duration) -> anyhow::Result<Database> {
        let mut primary = Postgres::start(&["wal_level = replica", "max_wal_size = 4GB"])?;
        let port = if delay.is_zero() { primary.port } else { delay::proxy(primary.port, delay)? };
        let standby = if with_standby { Some(primary.standby_through(port, "second", &[])?) } else { None };
        if with_standby {
            primary.set("synchronous_standby_names = '*'")?;
            let start = Instant::now();
            let synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
            while primary.query("postgres", synchronous)? != "1" {
                if start.elapsed() > FOLLOWS_WITHIN {
                    bail!("the standby does not follow");
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(Database { primary, _standby: standby, port })
    }

    /// Output of a statement, a line per row.
    pub(crate) fn query(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        self.primary.query(database, sql)
    }

    /// URL of a new database.
    pub(crate) fn create(&self, name: &str) -> anyhow::Result<String> {
        self.primary.create(name)?;
        Ok(format!("postgres://postgres@127.0.0.1:{}/{name}", self.port))
    }
}

const TABLES: &str = "
    CREATE TABLE head (shard smallint PRIMARY KEY, pos bigint NOT NULL) WITH (fillfactor = 10);
    INSERT INTO head VALUES (0, 1);
    CREATE TABLE ids (key uuid PRIMARY KEY, hour integer NOT NULL);
    CREATE TABLE frames (
        shard smallint, pos bigint, pim integer, count integer, bytes integer, body bytea, PRIMARY KEY (shard, pos)
    );
    ALTER TABLE frames ALTER COLUMN body SET STORAGE EXTERNAL;";

/// One group: a row per event, one frame, and the head, in one round trip.
const APPEND: &str = "
    WITH moved AS (UPDATE head SET pos = pos + $1 WHERE shard = 0 RETURNING pos),
        known AS (INSERT INTO ids SELECT key, 0 FROM unnest($2) AS key)
    INSERT INTO frames SELECT 0, pos - $1, 1, $1, octet_length($3), $3 FROM moved";

/// PostgreSQL alone: one connection that commits group after group, as the platform does for a shard.
pub(crate) struct Bare {
    client: Client,
    append: Statement,
}

impl Bare {
    /// Connects to an empty database.
    pub(crate) async fn start(url: &str) -> anyhow::Result<Bare> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(TABLES).await?;
        let append = client.prepare_typed(APPEND, &[Type::INT4, Type::UUID_ARRAY, Type::BYTEA]).await?;
        Ok(Bare { client, append })
    }

    async fn group(&self, events: usize) -> anyhow::Result<()> {
        let keys: Vec<Uuid> = (0..events).map(|_| Uuid::new_v4()).collect();
        let count = i32::try_from(events).context("a large group")?;
        self.client.execute(&self.append, &[&count, &keys, &vec![b'x'; events * EVENT_BYTES]]).await?;
        Ok(())
    }

    /// Events per second in groups of this size.
    pub(crate) async fn groups(&self, events: usize, time: Duration) -> anyhow::Result<f64> {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < time {
            self.group(events).await?;
            count += events;
        }
        Ok(count as f64 / start.elapsed().as_secs_f64())
    }

    /// Milliseconds of single events, at the rate of the latency measurement.
    pub(crate) async fn commits(&self, time: Duration, pause: Duration) -> anyhow::Result<Vec<f64>> {
        let (start, mut took) = (Instant::now(), Vec::new());
        while start.elapsed() < time {
            let begun = Instant::now();
            self.group(1).await?;
            took.push(begun.elapsed().as_secs_f64() * 1000.0);
            tokio::time::sleep(pause).await;
        }
        Ok(took)
    }
}
