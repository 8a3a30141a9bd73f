//! An HTTP connection: HTTP/1.1 driven by its current attempt, or HTTP/2 shared by several.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use domain::outcome::ErrorReason;
use fair::{Holder, Permit};
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::frames::Frames;
use super::heads::{Heads, Turn};
use super::lost::Lost;
use crate::connect::Stream;

/// Maximum size of a response's status line and headers together (contract page 4, "The answer's status decides").
pub(super) const MAX_HEAD: usize = 64 * 1024;
/// HTTP/2 counts 32 bytes per header on top of its name and value; many short ones are accepted as well.
const MAX_HEADER_LIST: u32 = 4 * MAX_HEAD as u32;

/// A connection's slot among the platform's open connections; free again when dropped.
pub(crate) type Slot = Option<Permit>;

/// A connection ready for a request.
pub(crate) enum Connection {
    Http1(Box<Http1>),
    Http2(Http2),
}

impl Connection {
    /// Speaks HTTP on `stream`, in the negotiated version.
    pub(crate) async fn open(stream: Stream, slot: Slot) -> Result<Connection, Lost> {
        if stream.is_http2() {
            Http2::open(stream, slot).await.map(Connection::Http2)
        } else {
            Http1::open(stream, slot).await.map(|http1| Connection::Http1(Box::new(http1)))
        }
    }

    /// Sends a request and waits for the head of the response.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Lost> {
        match self {
            Connection::Http1(http1) => http1.send(request).await,
            Connection::Http2(http2) => http2.send(request).await,
        }
    }

    /// Reads the body until it ends or `limit` bytes are reached. `take` receives the data.
    pub(crate) async fn read(
        &mut self,
        mut body: Incoming,
        limit: usize,
        mut take: impl FnMut(&Bytes),
    ) -> Result<BodyEnd, Lost> {
        let declared = body.size_hint().exact();
        let mut length = 0;
        loop {
            if body.is_end_stream() {
                return Ok(BodyEnd::Complete);
            }
            if length >= limit {
                return Ok(BodyEnd::Cut);
            }
            let frame = poll_fn(|cx| match self {
                Connection::Http1(http1) => http1.poll_frame(cx, &mut body),
                Connection::Http2(_) => Pin::new(&mut body).poll_frame(cx),
            });
            let missing =
                |length| declared.is_some_and(|declared| length < usize::try_from(declared).unwrap_or(usize::MAX));
            match frame.await {
                None if missing(length) => return Err(Lost::short_body()),
                None => return Ok(BodyEnd::Complete),
                // The declared length is complete: whatever follows doesn't matter.
                Some(Err(_)) if declared.is_some() && !missing(length) => return Ok(BodyEnd::Complete),
                Some(Err(error)) => {
                    let lost = self.lost(&error);
                    // The library resets a stream whose body is too short.
                    let short = lost.stream_only && lost.reason == ErrorReason::DestinationFailure && missing(length);
                    return Err(if short { Lost::short_body() } else { lost });
                }
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        length += data.len();
                        take(data);
                    }
                }
            }
        }
    }

    fn lost(&self, error: &hyper::Error) -> Lost {
        match self {
            Connection::Http1(_) => Lost::of(error, false),
            Connection::Http2(http2) => http2.lost(error),
        }
    }
}

/// Result of reading a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BodyEnd {
    /// With its last byte.
    Complete,
    /// At the limit.
    Cut,
}

type Driver = http1::Connection<TokioIo<Heads>, Full<Bytes>>;

/// HTTP/1.1. The connection has no task: its user polls it, which saves two wake-ups per request.
pub(crate) struct Http1 {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Driver,
    ended: bool,
    turn: Arc<Turn>,
    slot: Slot,
}

impl Http1 {
    async fn open(stream: Stream, slot: Slot) -> Result<Http1, Lost> {
        let turn = Arc::new(Turn::default());
        let mut builder = http1::Builder::new();
        // Slightly more than `Heads` passes.
        builder.max_buf_size(MAX_HEAD + 1_024);
        let heads = Heads::new(stream, Arc::clone(&turn));
        let opened = builder.handshake(TokioIo::new(heads)).await;
        let (sender, driver) = opened.map_err(|error| Lost::of(&error, false))?;
        Ok(Http1 { sender, driver, ended: false, turn, slot })
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Lost> {
        self.turn.begin();
        let mut answer = pin!(self.sender.send_request(request));
        let (driver, ended) = (&mut self.driver, &mut self.ended);
        poll_fn(|cx| {
            poll_driver(driver, ended, cx);
            answer.as_mut().poll(cx)
        })
        .await
        .map_err(|error| Lost::of(&error, false))
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut Incoming,
    ) -> Poll<Option<hyper::Result<hyper::body::Frame<Bytes>>>> {
        // The body requests data, the driver reads, the body has it.
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        poll_driver(&mut self.driver, &mut self.ended, cx);
        Pin::new(body).poll_frame(cx)
    }

    /// Whether the last request got any byte of a response.
    pub(crate) fn has_received(&self) -> bool {
        self.turn.has_received()
    }

    /// Whether another request may be sent: checked after a response, and again after idling, because the other side
    /// may have closed the connection meanwhile. Registers no waker.
    pub(crate) fn is_usable(&mut self) -> bool {
        poll_driver(&mut self.driver, &mut self.ended, &mut Context::from_waker(Waker::noop()));
        !self.ended && self.sender.is_ready()
    }

    /// Holder of its slot.
    pub(crate) fn holder(&self) -> Option<Holder> {
        self.slot.as_ref().map(Permit::holder)
    }

    /// Closes the connection and returns its slot for another one.
    pub(crate) fn into_slot(self) -> Slot {
        self.slot
    }
}

fn poll_driver(driver: &mut Driver, ended: &mut bool, cx: &mut Context<'_>) {
    // A connection error is also the error of the request or body waiting for it.
    if !*ended && Pin::new(driver).poll(cx).is_ready() {
        *ended = true;
    }
}

/// HTTP/2, for several requests at once. The connection has its own tasks, which end with the last handle.
#[derive(Clone)]
pub(crate) struct Http2 {
    sender: http2::SendRequest<Full<Bytes>>,
    shared: Arc<Shared>,
}

struct Shared {
    tasks: Tasks,
    /// The server has sent a GOAWAY.
    goaway: Arc<AtomicBool>,
    _slot: Slot,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Without this, an unresponsive peer would keep the socket open.
        self.tasks.0.lock().abort_all();
    }
}

/// Runs hyper's tasks for one connection.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let mut tasks = self.0.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let _ended = future.await;
        });
    }
}

impl Http2 {
    async fn open(stream: Stream, slot: Slot) -> Result<Http2, Lost> {
        let tasks = Tasks::default();
        let goaway = Arc::new(AtomicBool::new(false));
        let mut builder = http2::Builder::new(tasks.clone());
        builder.max_header_list_size(MAX_HEADER_LIST);
        let opened = builder.handshake(TokioIo::new(Frames::new(stream, Arc::clone(&goaway)))).await;
        let (sender, driver) = opened.map_err(|error| Lost::of(&error, goaway.load(Ordering::Relaxed)))?;
        // A connection error is reported to every request on it.
        hyper::rt::Executor::execute(&tasks, driver);
        Ok(Http2 { sender, shared: Arc::new(Shared { tasks, goaway, _slot: slot }) })
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Lost> {
        let sent = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        let answer = sent.await.map_err(|error| self.lost(&error))?;
        if length(answer.headers()) > MAX_HEAD { Err(Lost::head_too_long()) } else { Ok(answer) }
    }

    fn lost(&self, error: &hyper::Error) -> Lost {
        Lost::of(error, self.has_said_goodbye())
    }

    /// Whether the server has sent a GOAWAY.
    pub(crate) fn has_said_goodbye(&self) -> bool {
        self.shared.goaway.load(Ordering::Relaxed)
    }

    /// Whether the connection accepts new requests.
    pub(crate) fn is_usable(&self) -> bool {
        !self.sender.is_closed() && !self.has_said_goodbye()
    }

    /// Whether both are handles of one connection.
    pub(crate) fn is_same(&self, other: &Http2) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Whether there is no other handle.
    pub(crate) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }
}

/// The length of headers as written by HTTP/1.1.
fn length(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum()
}
