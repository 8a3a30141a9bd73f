//! Calls other nodes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::{Clock, Timestamp};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use meter::{Counter, Counters, Names};
use parking_lot::Mutex;
use sinks::client::{Call, FetchError, HttpClient};
use store::NodeId;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::question::{Answer, Question};
use super::seal::{self, Keys, Seal, Sealed};
use super::{AT_ONCE, MAX_ANSWER, NODE, NUDGE, QUESTION, SEAL, TIME, TIME_LIMIT};

/// Known differences of clocks; forgotten all at once above this number.
const MOST_SKEWS: usize = 256;

/// Another node.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Peer {
    /// Its id.
    pub node: NodeId,
    /// Its address for calls, as `host:port`.
    pub address: String,
}

/// A call without an answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The node does not own the shard, or another one has its address by now: look again who does.
    #[error("it is not the owner")]
    NotOwner,
    /// No answer.
    #[error(transparent)]
    NoAnswer(#[from] FetchError),
    /// No answer in time.
    #[error("no answer within {} s", TIME_LIMIT.as_secs())]
    TooLate,
    /// As many calls as allowed are in progress.
    #[error("too many calls at once")]
    Busy,
    /// The call was refused.
    #[error("it answered {status}: {message}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The beginning of what it said.
        message: String,
    },
    /// The answer is not that of a node of this platform.
    #[error("the answer has no valid seal; have all nodes the same encryption keys?")]
    NotGenuine,
    /// The answer cannot be read.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
}

/// Result of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallResult {
    /// Answered.
    Answered,
    /// By a node that is not the owner.
    NotOwner,
    /// Refused.
    Refused,
    /// No answer, none in time, or not a genuine one.
    Failed,
}

impl Names for CallResult {
    const ALL: &'static [CallResult] =
        &[CallResult::Answered, CallResult::NotOwner, CallResult::Refused, CallResult::Failed];

    fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        match self {
            CallResult::Answered => "answered",
            CallResult::NotOwner => "not_owner",
            CallResult::Refused => "refused",
            CallResult::Failed => "failed",
        }
    }
}

/// Counters of calls.
#[derive(Debug, Default)]
pub struct Meters {
    /// Questions to other nodes, by result.
    pub calls: Counters<CallResult>,
    /// Nudges of other nodes, by result.
    pub nudges: Counters<CallResult>,
    /// Nudges by other nodes.
    pub nudged: Counter,
}

/// Makes calls.
pub struct Caller {
    client: HttpClient,
    keys: Keys,
    clock: Clock,
    places: Semaphore,
    /// By how many microseconds the clock of a node is ahead of ours, if it refused our time.
    skews: Mutex<HashMap<NodeId, i64>>,
    meters: Arc<Meters>,
}

impl Caller {
    /// A caller; `client` must be able to reach any host that the operator names.
    pub fn new(client: HttpClient, keys: Keys, clock: Clock, meters: Arc<Meters>) -> Caller {
        Caller { client, keys, clock, places: Semaphore::new(AT_ONCE), skews: Mutex::default(), meters }
    }

    /// Asks a node.
    pub async fn ask(&self, peer: &Peer, question: &Question) -> Result<Answer, CallError> {
        let body = serde_json::to_vec(question).map_err(|error| CallError::Unreadable(error.to_string()))?;
        let answered = self
            .call(peer, QUESTION, body.into())
            .await
            .and_then(|body| serde_json::from_slice(&body).map_err(|error| CallError::Unreadable(error.to_string())));
        self.meters.calls.of(result(&answered)).one();
        answered
    }

    /// Tells a node that something was written for it.
    pub async fn nudge(&self, peer: &Peer) -> Result<(), CallError> {
        let answered = self.call(peer, NUDGE, Bytes::new()).await.map(|_| ());
        self.meters.nudges.of(result(&answered)).one();
        answered
    }

    async fn call(&self, peer: &Peer, path: &str, body: Bytes) -> Result<Bytes, CallError> {
        let Ok(_place) = self.places.try_acquire() else { return Err(CallError::Busy) };
        let calling = async {
            let skew = self.skews.lock().get(&peer.node).copied().unwrap_or_default();
            match self.once(peer, path, body.clone(), skew).await? {
                Said::Answer(body) => Ok(body),
                Said::OtherTime(skew) => {
                    self.saw_skew(peer.node, skew);
                    match self.once(peer, path, body, skew).await? {
                        Said::Answer(body) => Ok(body),
                        Said::OtherTime(_) => Err(refused(StatusCode::PRECONDITION_FAILED, b"its clock is not steady")),
                    }
                }
            }
        };
        match timeout(TIME_LIMIT, calling).await {
            Ok(called) => called,
            Err(_elapsed) => Err(CallError::TooLate),
        }
    }

    async fn once(&self, peer: &Peer, path: &str, body: Bytes, skew: i64) -> Result<Said, CallError> {
        let ours = self.clock.wall();
        let time = Timestamp::from_micros(ours.as_micros().saturating_add(skew));
        let seals = self.keys.seal(Sealed { method: &Method::POST, path, to: peer.node, time, body: &body });
        let call = Call {
            method: Method::POST,
            url: format!("http://{}{path}", peer.address),
            headers: headers(peer.node, time, &seals),
            body,
            limit: MAX_ANSWER,
            timeout: TIME_LIMIT,
        };
        let fetched = self.client.fetch(call).await?;
        let seal = fetched.headers.get(SEAL).and_then(|seal| seal::read(seal.to_str().ok()?).first().copied());
        let is_genuine = seal.is_some_and(|seal| self.keys.is_answer(&seals, fetched.status, &fetched.body, &seal));
        if !is_genuine {
            // An unsealed refusal says what is wrong, but is nothing to act on.
            return Err(match seal {
                None if !fetched.status.is_success() => refused(fetched.status, &fetched.body),
                None | Some(_) => CallError::NotGenuine,
            });
        }
        match fetched.status {
            StatusCode::OK => Ok(Said::Answer(fetched.body)),
            StatusCode::CONFLICT | StatusCode::MISDIRECTED_REQUEST => Err(CallError::NotOwner),
            StatusCode::PRECONDITION_FAILED => {
                let theirs = std::str::from_utf8(&fetched.body).ok().and_then(|text| text.parse::<i64>().ok());
                let theirs = theirs.ok_or_else(|| CallError::Unreadable("no time".to_owned()))?;
                Ok(Said::OtherTime(theirs.saturating_sub(ours.as_micros())))
            }
            status => Err(refused(status, &fetched.body)),
        }
    }

    fn saw_skew(&self, node: NodeId, skew: i64) {
        let mut skews = self.skews.lock();
        if skews.len() >= MOST_SKEWS {
            // Each restart of a node makes another id.
            skews.clear();
        }
        skews.insert(node, skew);
        let seconds = Duration::from_micros(skew.unsigned_abs()).as_secs();
        tracing::debug!(%node, seconds, "the clock of another node differs from ours");
    }
}

/// A genuine response.
enum Said {
    Answer(Bytes),
    /// Ours is too far off: the difference.
    OtherTime(i64),
}

fn headers(node: NodeId, time: Timestamp, seals: &[Seal]) -> HeaderMap {
    let texts = [(NODE, node.to_string()), (TIME, time.as_micros().to_string()), (SEAL, seal::write(seals))];
    let value = |(name, text): (&'static str, String)| {
        Some((http::HeaderName::from_static(name), HeaderValue::from_str(&text).ok()?))
    };
    texts.into_iter().filter_map(value).collect()
}

fn refused(status: StatusCode, body: &[u8]) -> CallError {
    let message: String = String::from_utf8_lossy(body).trim().chars().take(200).collect();
    CallError::Refused { status, message }
}

fn result<T>(of: &Result<T, CallError>) -> CallResult {
    match of {
        Ok(_) => CallResult::Answered,
        Err(CallError::NotOwner) => CallResult::NotOwner,
        Err(CallError::Refused { .. }) => CallResult::Refused,
        Err(
            CallError::NoAnswer(_)
            | CallError::TooLate
            | CallError::Busy
            | CallError::NotGenuine
            | CallError::Unreadable(_),
        ) => CallResult::Failed,
    }
}
