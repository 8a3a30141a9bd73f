//! Answers the calls of other nodes.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use domain::{Clock, Timestamp};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::LengthLimitError;
use meter::Seldom;
use store::NodeId;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use uuid::Uuid;

use super::question::{Answer, Question};
use super::seal::{self, Keys, Opened, Sealed};
use super::{AT_ONCE, MAX_ANSWER, MAX_BODY, MAX_SKEW, NODE, NUDGE, QUESTION, SEAL, TIME, TIME_LIMIT};

/// What a node answers.
#[async_trait]
pub trait Answers: Send + Sync + 'static {
    /// Answers a question; `None` if this node does not own the shard.
    async fn answer(&self, question: Question) -> Option<Answer>;

    /// Another node has written something that this node should look for.
    fn nudged(&self);
}

/// The listener for calls.
pub struct Listener {
    node: NodeId,
    keys: Keys,
    clock: Clock,
    answers: Arc<dyn Answers>,
    places: Semaphore,
    not_genuine: Seldom,
    skewed: Seldom,
}

/// An answer, yet to be sealed.
struct Said {
    status: StatusCode,
    body: Bytes,
}

impl Listener {
    /// A listener of a node.
    pub fn new(node: NodeId, keys: Keys, clock: Clock, answers: Arc<dyn Answers>) -> Listener {
        let (not_genuine, skewed) = (Seldom::new(), Seldom::new());
        Listener { node, keys, clock, answers, places: Semaphore::new(AT_ONCE), not_genuine, skewed }
    }

    /// The routes, for a server with bounds of its own.
    pub fn router(self) -> Router {
        Router::new().fallback(handle).with_state(Arc::new(self))
    }

    pub(super) async fn respond(&self, request: Request) -> Response {
        let Ok(_place) = self.places.try_acquire() else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "too many calls at once\n");
        };
        match timeout(TIME_LIMIT, self.judge(request)).await {
            Ok(response) => response,
            Err(_elapsed) => plain(StatusCode::REQUEST_TIMEOUT, "the call took too long\n"),
        }
    }

    async fn judge(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        if parts.method != Method::POST {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "calls between nodes are POST requests\n");
        }
        let Some((to, time, seals)) = head(&parts.headers) else {
            return plain(StatusCode::UNAUTHORIZED, "only for the nodes of a platform: the call is not sealed\n");
        };
        let body = match to_bytes(body, MAX_BODY).await {
            Ok(body) => body,
            Err(error) => {
                return match error.into_inner().is::<LengthLimitError>() {
                    true => plain(StatusCode::PAYLOAD_TOO_LARGE, "a call has at most 64 KiB\n"),
                    false => plain(StatusCode::BAD_REQUEST, "the body is incomplete\n"),
                };
            }
        };
        // What is not a path alone cannot be sealed.
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
        let call = Sealed { method: &parts.method, path, to, time, body: &body };
        let Some(opened) = self.keys.open(call, &seals) else {
            if let Some(times) = self.not_genuine.note(Instant::now(), 1) {
                tracing::warn!(times, "refused calls with a wrong seal; have all nodes the same encryption keys?");
            }
            return plain(StatusCode::UNAUTHORIZED, "the seal is not that of a node of this platform\n");
        };
        let said = self.answer(path, to, time, body).await;
        self.seal(opened, said)
    }

    /// Answers a genuine call.
    async fn answer(&self, path: &str, to: NodeId, time: Timestamp, body: Bytes) -> Said {
        let now = self.clock.wall();
        if now.since(time).max(time.since(now)) > MAX_SKEW {
            if let Some(times) = self.skewed.note(Instant::now(), 1) {
                let (theirs, ours) = (time.to_string(), now.to_string());
                tracing::warn!(theirs, ours, times, "the clocks of two nodes differ by more than a minute");
            }
            return Said::text(StatusCode::PRECONDITION_FAILED, now.as_micros().to_string());
        }
        if to != self.node {
            return Said::text(StatusCode::MISDIRECTED_REQUEST, "another node has this address now\n");
        }
        match path {
            NUDGE => {
                self.answers.nudged();
                Said::text(StatusCode::OK, "")
            }
            QUESTION => self.ask(&body).await,
            _ => Said::text(StatusCode::NOT_FOUND, "unknown path; this node may be older\n"),
        }
    }

    async fn ask(&self, body: &[u8]) -> Said {
        let question: Question = match serde_json::from_slice(body) {
            Ok(question) => question,
            Err(error) => return Said::text(StatusCode::BAD_REQUEST, format!("unknown question: {error}\n")),
        };
        let Some(answer) = self.answers.answer(question).await else {
            return Said::text(StatusCode::CONFLICT, "this node does not own the shard\n");
        };
        match serde_json::to_vec(&answer) {
            Ok(text) if text.len() <= MAX_ANSWER => Said { status: StatusCode::OK, body: text.into() },
            Ok(text) => {
                let message = format!("the answer would have {} bytes\n", text.len());
                Said::text(StatusCode::INTERNAL_SERVER_ERROR, message)
            }
            Err(error) => Said::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    fn seal(&self, opened: Opened, said: Said) -> Response {
        let Some(seal) = self.keys.seal_answer(opened, said.status, &said.body) else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be sealed\n");
        };
        let mut response = Response::new(Body::from(said.body));
        *response.status_mut() = said.status;
        if let Ok(seal) = seal::write(&[seal]).parse() {
            response.headers_mut().insert(SEAL, seal);
        }
        response
    }
}

impl Said {
    fn text(status: StatusCode, text: impl Into<Bytes>) -> Said {
        Said { status, body: text.into() }
    }
}

async fn handle(State(listener): State<Arc<Listener>>, request: Request) -> Response {
    listener.respond(request).await
}

/// Who is called, when, and the seals.
fn head(headers: &HeaderMap) -> Option<(NodeId, Timestamp, Vec<seal::Seal>)> {
    let text = |name| headers.get(name)?.to_str().ok();
    let node = NodeId::from_uuid(Uuid::try_parse(text(NODE)?).ok()?);
    let time = Timestamp::from_micros(text(TIME)?.parse().ok()?);
    Some((node, time, seal::read(text(SEAL)?)))
}

/// A response without a seal.
fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
