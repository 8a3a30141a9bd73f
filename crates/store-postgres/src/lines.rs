//! A fixed number of connections per role, so that appends never wait for reads, and transactions on them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::PimId;
use domain::subscriber::Owner;
use fair::{Holder, Permit, Places};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_postgres::Row;

use crate::args::Arg;
use crate::failure::Failure;
use crate::link::{Link, Lost};
use crate::target::Target;

/// Longest pause within a transaction: a node that is stopped must not hold a lock for long.
const IDLE_AT_MOST: &str = "2s";

/// The number of connections that were lost so far: everything that was learned before the last loss may be outdated,
/// because after a failover the log may have gone back.
#[derive(Clone, Debug)]
pub(crate) struct Losses {
    count: Arc<AtomicU64>,
    told: watch::Sender<u64>,
}

impl Losses {
    pub(crate) fn new() -> Losses {
        Losses { count: Arc::default(), told: watch::Sender::new(0) }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Counts a loss.
    pub(crate) fn one(&self) {
        let now = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        self.told.send_replace(now);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }
}

/// The connections of one role.
pub(crate) struct Lines {
    target: Target,
    patience: Duration,
    losses: Losses,
    free: Arc<Mutex<Vec<Link>>>,
    places: Arc<Semaphore>,
}

/// A connection in use; it returns to its role unless it is broken.
pub(crate) struct Line {
    link: Option<Link>,
    free: Arc<Mutex<Vec<Link>>>,
    _place: OwnedSemaphorePermit,
    turn: Option<Permit>,
}

impl Lines {
    pub(crate) fn new(target: &Target, patience: Duration, losses: &Losses, connections: usize) -> Lines {
        Lines {
            target: target.clone(),
            patience,
            losses: losses.clone(),
            free: Arc::default(),
            places: Arc::new(Semaphore::new(connections.max(1))),
        }
    }

    /// The next free connection.
    pub(crate) async fn line(&self) -> Result<Line, Failure> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| Failure::Unavailable("the store is closed".to_owned()))?;
        let link = match self.pooled() {
            Some(link) => link,
            None => self.connect().await?,
        };
        Ok(Line { link: Some(link), free: Arc::clone(&self.free), _place: place, turn: None })
    }

    fn pooled(&self) -> Option<Link> {
        let mut free = self.free.lock();
        while let Some(link) = free.pop() {
            if link.is_sound() {
                return Some(link);
            }
        }
        None
    }

    /// A new connection of this role.
    pub(crate) async fn connect(&self) -> Result<Link, Failure> {
        let losses = self.losses.clone();
        let lost: Lost = Arc::new(move || losses.one());
        self.target.connect(self.patience, &lost).await
    }

    /// A transaction that waits for nobody: reads what is committed, and locks what it names.
    pub(crate) async fn begin(&self) -> Result<Tx, Failure> {
        let begin = format!("BEGIN; SET LOCAL idle_in_transaction_session_timeout = '{IDLE_AT_MOST}'");
        Tx::begin(self.line().await?, &begin).await
    }
}

impl Line {
    fn link(&self) -> Result<&Link, Failure> {
        self.link.as_ref().ok_or_else(|| Failure::Lost("the connection is in use".to_owned()))
    }

    pub(crate) async fn query(&self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<Row>, Failure> {
        self.link()?.query(sql, args).await
    }

    pub(crate) async fn execute(&self, sql: &str, args: &[Arg<'_>]) -> Result<u64, Failure> {
        self.link()?.execute(sql, args).await
    }

    pub(crate) async fn batch(&self, sql: &str) -> Result<(), Failure> {
        self.link()?.batch(sql).await
    }

    fn is_sound(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_sound)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(link) = self.link.take().filter(Link::is_sound) {
            self.free.lock().push(link);
        }
    }
}

/// An open transaction. Dropped without an end, its connection ends, and the server rolls it back.
pub(crate) struct Tx {
    line: Line,
    ended: bool,
}

impl Tx {
    async fn begin(line: Line, sql: &str) -> Result<Tx, Failure> {
        let tx = Tx { line, ended: false };
        tx.line.batch(sql).await?;
        Ok(tx)
    }

    pub(crate) async fn query(&self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<Row>, Failure> {
        self.line.query(sql, args).await
    }

    /// The only row, if there is one.
    pub(crate) async fn row(&self, sql: &str, args: &[Arg<'_>]) -> Result<Option<Row>, Failure> {
        Ok(self.query(sql, args).await?.pop())
    }

    pub(crate) async fn execute(&self, sql: &str, args: &[Arg<'_>]) -> Result<u64, Failure> {
        self.line.execute(sql, args).await
    }

    /// Its connection.
    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    /// Commits and returns when it is on stable storage.
    pub(crate) async fn commit(mut self) -> Result<(), Failure> {
        self.line.batch("COMMIT").await?;
        self.ended = true;
        Ok(())
    }

    /// Commits a success, and undoes everything after an error.
    pub(crate) async fn end<T, E: From<Failure>>(mut self, result: Result<T, E>) -> Result<T, E> {
        if result.is_ok() {
            self.commit().await?;
        } else if self.line.is_sound() {
            // If it fails, the connection ends, and the transaction with it.
            self.ended = self.line.batch("ROLLBACK").await.is_ok();
        }
        result
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if !self.ended {
            self.line.link = None;
        }
    }
}

/// The connections for reads, shared fairly by PIM, and within a PIM by client.
pub(crate) struct Readers {
    lines: Lines,
    places: Places,
}

/// On behalf of the platform, or of an unknown holder.
pub(crate) const PLATFORM: Holder = Holder { pim: u64::MAX, part: 0 };

impl Readers {
    pub(crate) fn new(lines: Lines, connections: usize) -> Readers {
        Readers { lines, places: Places::new(connections.max(1) as u64) }
    }

    /// A connection for reads, when it is the holder's turn.
    pub(crate) async fn line(&self, holder: Holder) -> Result<Line, Failure> {
        let turn = self.places.one(holder).await;
        let mut line = self.lines.line().await?;
        line.turn = Some(turn);
        Ok(line)
    }

    /// Several reads of one moment.
    pub(crate) async fn snapshot(&self, holder: Holder) -> Result<Tx, Failure> {
        let line = self.line(holder).await?;
        Tx::begin(line, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }
}

/// On behalf of a PIM's deliveries.
pub(crate) fn of_pim(pim: PimId) -> Holder {
    Holder { pim: u64::from(pim.0), part: 0 }
}

/// On behalf of a client.
pub(crate) fn of_client(owner: &Owner) -> Holder {
    let mut hasher = DefaultHasher::new();
    owner.client_id.0.hash(&mut hasher);
    Holder { pim: u64::from(owner.pim.0), part: hasher.finish() }
}
