//! One connection: statements in one round trip each, with a time limit. A connection that doesn't answer in time is
//! left to itself, never cancelled: a cancelled commit that waits for a standby would report success.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::poll_fn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client, Connection, Row};

use crate::args::Arg;
use crate::failure::Failure;

/// What the server says of a commit that nobody but the primary has: a wait for its standby was cancelled.
const WARNING: &str = "01000";

/// Facts about a connection, shared with the task that drives it.
#[derive(Debug, Default)]
struct State {
    /// The server has warned: a commit may exist on the primary alone.
    warned: AtomicBool,
    /// It is of no more use.
    broken: AtomicBool,
    /// Statements whose answers are awaited, or were not awaited to the end.
    pending: AtomicUsize,
    /// Its loss was told.
    told: AtomicBool,
}

impl State {
    /// Tells the loss once.
    fn lose(&self, lost: &Lost) {
        self.broken.store(true, Ordering::SeqCst);
        if !self.told.swap(true, Ordering::SeqCst) {
            lost();
        }
    }
}

/// A connection in use by one caller at a time.
pub(crate) struct Link {
    client: Client,
    state: Arc<State>,
    patience: Duration,
    lost: Lost,
}

/// Called when a connection is lost.
pub(crate) type Lost = Arc<dyn Fn() + Send + Sync>;

/// The server's own limit comes first: it keeps the connection.
const LONGER: Duration = Duration::from_millis(500);

impl Link {
    /// Starts the task that drives the connection. `lost` is called if it ends while it is not closed by us.
    pub(crate) fn start<S, T>(client: Client, mut connection: Connection<S, T>, patience: Duration, lost: Lost) -> Link
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let state = Arc::new(State::default());
        let (shared, told) = (Arc::clone(&state), Arc::clone(&lost));
        tokio::spawn(async move {
            let problem = loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notice(notice))) => {
                        if notice.code().code() == WARNING || notice.code().code().starts_with("57P") {
                            tracing::error!(notice = notice.message(), "the database warns of a commit");
                            shared.warned.store(true, Ordering::SeqCst);
                        }
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break Some(error),
                    // We have closed it.
                    None => break None,
                }
            };
            shared.broken.store(true, Ordering::SeqCst);
            if let Some(error) = problem {
                tracing::warn!(error = %Failure::from(error), "a connection to the database has ended");
                shared.lose(&told);
            }
        });
        Link { client, state, patience: patience + LONGER, lost }
    }

    /// Whether it can be used again.
    pub(crate) fn is_sound(&self) -> bool {
        let idle = self.state.pending.load(Ordering::SeqCst) == 0;
        idle && !self.client.is_closed() && !self.state.broken.load(Ordering::SeqCst)
    }

    async fn settle<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>> + Send,
    ) -> Result<T, Failure> {
        // Not counted down if the caller leaves, or the time is over.
        self.state.pending.fetch_add(1, Ordering::SeqCst);
        let Ok(result) = timeout(self.patience, work).await else {
            let waited = self.patience.as_secs();
            self.state.lose(&self.lost);
            return Err(Failure::Lost(format!("the database has not answered for {waited} s")));
        };
        self.state.pending.fetch_sub(1, Ordering::SeqCst);
        let result = result.map_err(Failure::from);
        if result.as_ref().is_err_and(Failure::is_lost) {
            self.state.lose(&self.lost);
        }
        if self.state.warned.load(Ordering::SeqCst) {
            self.state.lose(&self.lost);
            return Err(Failure::Lost("the database has not confirmed a commit by its standby".to_owned()));
        }
        result
    }

    /// Rows of a statement.
    pub(crate) async fn query(&self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<Row>, Failure> {
        self.settle(self.client.query_typed(sql, args)).await
    }

    /// Number of rows that a statement has changed.
    pub(crate) async fn execute(&self, sql: &str, args: &[Arg<'_>]) -> Result<u64, Failure> {
        self.settle(self.client.execute_typed(sql, args)).await
    }

    /// Statements without parameters and answers.
    pub(crate) async fn batch(&self, sql: &str) -> Result<(), Failure> {
        self.settle(self.client.batch_execute(sql)).await
    }
}
