//! Google's client: its credentials, its connections, and all of its tasks, in a separate runtime.
//!
//! The library sends from its own tasks, limits a request's time only once there is a connection, and connecting not at
//! all. So that nothing continues behind an attempt that has ended, all of its tasks are in a runtime that can be shut
//! down.

use std::sync::Arc;
use std::time::Duration;

use domain::outcome::Lack;
use futures_util::future::join_all;
use google_cloud_auth::credentials::{self, Credentials, anonymous};
use google_cloud_gax::retry_policy::{NeverRetry, RetryPolicyExt};
use google_cloud_pubsub::client::BasePublisher;
use google_cloud_pubsub::error::PublishError;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::{Instant, timeout};

use super::request::{MAX_MESSAGES, Request};
use super::{Access, PubsubSettings};
use crate::lack;

/// The host of Google's global endpoint.
const GOOGLE: &str = "pubsub.googleapis.com";
/// Number of connections; each carries at most [`REQUESTS_PER_CONNECTION`].
const CONNECTIONS: usize = 4;
/// The library's own limit.
const REQUESTS_PER_CONNECTION: usize = 100;
/// Maximum number of requests in flight, so that none waits within the library, where its time would not count.
pub(super) const REQUESTS: usize = CONNECTIONS * REQUESTS_PER_CONNECTION;
/// A token from a file or the metadata server is available at once, from other services within a second or two.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(8);
/// For encoding and encryption; waiting needs no thread.
const THREADS_AT_MOST: usize = 4;

/// Cause of a missing client. Texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("no usable Google credentials for Pub/Sub: {0}")]
    Credentials(String),
    #[error("cannot set up the Pub/Sub client: {0}")]
    Client(String),
    #[error("cannot set up the Pub/Sub client: the platform lacks {0}")]
    Lacks(Lack),
}

/// The client of all subscriptions.
pub(super) struct Client {
    publisher: BasePublisher,
    credentials: Credentials,
    room: Room,
    /// `pubsub.googleapis.com`, for messages.
    pub(super) endpoint: String,
    pub(super) opened_at: Instant,
    request_timeout: Duration,
}

/// A runtime that can be dropped anywhere.
struct Room {
    runtime: Mutex<Option<Runtime>>,
    handle: Handle,
}

impl Room {
    fn open() -> std::io::Result<Room> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores.min(THREADS_AT_MOST))
            .max_blocking_threads(THREADS_AT_MOST)
            .thread_name("pubsub")
            .enable_all()
            .build()?;
        Ok(Room { handle: runtime.handle().clone(), runtime: Mutex::new(Some(runtime)) })
    }

    /// Ends all of its tasks at their next step.
    fn close(&self) {
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.close();
    }
}

impl Client {
    /// Creates a client and gets its first token; it connects with the first request.
    pub(super) async fn open(settings: &PubsubSettings) -> Result<Arc<Client>, OpenError> {
        let room = Room::open().map_err(|error| match lack::of_io(&error) {
            Some(lack) => OpenError::Lacks(lack),
            // A thread could not be started.
            None if error.kind() == std::io::ErrorKind::WouldBlock => OpenError::Lacks(Lack::Memory),
            None => OpenError::Client(error.to_string()),
        })?;
        let (access, request_timeout) = (settings.access.clone(), settings.request_timeout);
        let making = room.handle.spawn(async move {
            let credentials = match &access {
                Access::Google { .. } => credentials::Builder::default()
                    .build()
                    .map_err(|error| OpenError::Credentials(with_sources(&error)))?,
                Access::Anonymous { .. } => anonymous::Builder::new().build(),
            };
            let token = credentials.headers(http::Extensions::new()).await;
            token.map_err(|error| OpenError::Credentials(with_sources(&error)))?;
            let endpoint = match access {
                Access::Google { endpoint } => endpoint,
                Access::Anonymous { endpoint } => Some(endpoint),
            };
            let builder = BasePublisher::builder()
                .with_credentials(credentials.clone())
                // Retries are decided by the lane.
                .with_retry_policy(NeverRetry.with_time_limit(request_timeout))
                .with_grpc_subchannel_count(CONNECTIONS);
            let builder = endpoint.into_iter().fold(builder, |builder, endpoint| builder.with_endpoint(endpoint));
            let publisher = builder.build().await.map_err(|error| OpenError::Client(with_sources(&error)))?;
            Ok((publisher, credentials))
        });
        let (publisher, credentials) = match timeout(TOKEN_TIMEOUT, making).await {
            Ok(Ok(made)) => made?,
            Ok(Err(panicked)) => return Err(OpenError::Client(panicked.to_string())),
            Err(_elapsed) => return Err(OpenError::Credentials(no_token_in_time())),
        };
        let endpoint = match &settings.access {
            Access::Google { endpoint: None } => GOOGLE.to_owned(),
            Access::Google { endpoint: Some(endpoint) } | Access::Anonymous { endpoint } => {
                endpoint.split_once("://").map_or(endpoint.as_str(), |(_, host)| host).trim_end_matches('/').to_owned()
            }
        };
        Ok(Arc::new(Client { publisher, credentials, room, endpoint, opened_at: Instant::now(), request_timeout }))
    }

    /// Whether it has a usable token; it refreshes the token by itself.
    pub(super) async fn has_token(&self) -> Result<(), OpenError> {
        let credentials = self.credentials.clone();
        let token = self.room.handle.spawn(async move { credentials.headers(http::Extensions::new()).await });
        match timeout(TOKEN_TIMEOUT, token).await {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(Ok(Err(error))) => Err(OpenError::Credentials(with_sources(&error))),
            // Closed meanwhile, because a request hung.
            Ok(Err(ended)) => Err(OpenError::Client(ended.to_string())),
            Err(_elapsed) => Err(OpenError::Credentials(no_token_in_time())),
        }
    }

    /// Sends a request. `None`: the library did not end it in time, and the client is closed now.
    pub(super) async fn publish(&self, topic: &str, request: Request) -> Option<Result<(), PublishError>> {
        let count = request.messages.len();
        let answers = {
            let _in_its_room = self.room.handle.enter();
            // One publisher per request: the library keeps a task for each ordering key that a publisher has ever seen,
            // and pauses a failed key; so a long-lived publisher would grow with the number of entities. It sends when
            // it has all messages.
            let publisher = self
                .publisher
                .publisher(topic)
                .set_message_count_threshold(u32::try_from(count.min(MAX_MESSAGES)).unwrap_or(u32::MAX))
                // The sizes are already checked.
                .set_byte_threshold(u32::MAX)
                .set_delay_threshold(self.request_timeout)
                .build();
            join_all(request.messages.into_iter().map(|message| publisher.publish(message)))
        };
        // Half as long again, to allow for a busy machine and the library's own delay.
        match timeout(self.request_timeout.mul_f32(1.5), answers).await {
            Ok(answers) => Some(answers.into_iter().try_for_each(|answer| answer.map(drop))),
            Err(_elapsed) => {
                self.room.close();
                None
            }
        }
    }
}

fn no_token_in_time() -> String {
    format!("no access token within {} s", TOKEN_TIMEOUT.as_secs())
}

/// The library's messages say little without their causes.
fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let mut texts: Vec<String> = chain.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}
