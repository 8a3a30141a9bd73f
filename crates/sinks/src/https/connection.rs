//! An HTTP connection: HTTP/1.1 driven by the attempt that uses it, or HTTP/2 shared by several.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use crate::connect::Stream;

/// Status line and headers of an answer together; more is not an answer of an endpoint.
const MAX_HEAD: usize = 64 * 1024;
/// Headers of an answer.
const MAX_HEADERS: usize = 100;

/// The place of a connection among those that the platform may have open; free again when dropped.
pub(crate) type Slot = Option<OwnedSemaphorePermit>;

/// A connection that is ready for a request.
pub(crate) enum Connection {
    Http1(Box<Http1>),
    Http2(Http2),
}

impl Connection {
    /// Speaks HTTP on `stream`, in the version that was agreed upon.
    pub(crate) async fn open(stream: Stream, slot: Slot) -> hyper::Result<Connection> {
        if stream.is_http2() {
            Http2::open(stream, slot).await.map(Connection::Http2)
        } else {
            Http1::open(stream, slot).await.map(|http1| Connection::Http1(Box::new(http1)))
        }
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Connection::Http1(http1) => http1.send(request).await,
            Connection::Http2(http2) => http2.send(request).await,
        }
    }

    /// Reads the body until it ends or `limit` bytes are reached. `take` gets what arrives.
    pub(crate) async fn read(
        &mut self,
        mut body: Incoming,
        limit: usize,
        mut take: impl FnMut(&Bytes),
    ) -> hyper::Result<BodyEnd> {
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
            match frame.await {
                None => return Ok(BodyEnd::Complete),
                Some(frame) => {
                    if let Some(data) = frame?.data_ref() {
                        length += data.len();
                        take(data);
                    }
                }
            }
        }
    }
}

/// How reading a body ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BodyEnd {
    /// With its last byte.
    Complete,
    /// At the limit.
    Cut,
}

/// HTTP/1.1. There is no task for the connection: whoever uses it polls it, which saves two wake-ups a request.
pub(crate) struct Http1 {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<Stream>, Full<Bytes>>,
    ended: bool,
    received: Arc<AtomicBool>,
    slot: Slot,
}

impl Http1 {
    async fn open(stream: Stream, slot: Slot) -> hyper::Result<Http1> {
        let received = stream.received();
        let mut builder = http1::Builder::new();
        builder.max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD);
        let (sender, driver) = builder.handshake(TokioIo::new(stream)).await?;
        Ok(Http1 { sender, driver, ended: false, received, slot })
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        self.received.store(false, Ordering::Relaxed);
        let mut answer = pin!(self.sender.send_request(request));
        let (driver, ended) = (&mut self.driver, &mut self.ended);
        poll_fn(|cx| {
            poll_driver(driver, ended, cx);
            answer.as_mut().poll(cx)
        })
        .await
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut Incoming,
    ) -> Poll<Option<hyper::Result<hyper::body::Frame<Bytes>>>> {
        // The body asks, the driver reads, the body has it.
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        poll_driver(&mut self.driver, &mut self.ended, cx);
        Pin::new(body).poll_frame(cx)
    }

    /// Whether the last request got any byte of an answer.
    pub(crate) fn has_received(&self) -> bool {
        self.received.load(Ordering::Relaxed)
    }

    /// Whether another request may be sent: asked after an answer, and again after a rest, for the other side may have
    /// closed the connection meanwhile. Registers nobody to be woken.
    pub(crate) fn is_usable(&mut self) -> bool {
        poll_driver(&mut self.driver, &mut self.ended, &mut Context::from_waker(Waker::noop()));
        !self.ended && self.sender.is_ready()
    }

    /// Closes the connection; its place is for another one.
    pub(crate) fn into_slot(self) -> Slot {
        self.slot
    }
}

fn poll_driver(driver: &mut http1::Connection<TokioIo<Stream>, Full<Bytes>>, ended: &mut bool, cx: &mut Context<'_>) {
    // An error of the connection is also the error of the request or body that waits for it.
    if !*ended && Pin::new(driver).poll(cx).is_ready() {
        *ended = true;
    }
}

/// HTTP/2, for several requests at once. The connection has tasks of its own, which end with the last handle.
#[derive(Clone)]
pub(crate) struct Http2 {
    sender: http2::SendRequest<Full<Bytes>>,
    shared: Arc<Shared>,
}

struct Shared {
    tasks: Tasks,
    _slot: Slot,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Without this, a peer that no longer answers would keep the socket open.
        self.tasks.0.lock().abort_all();
    }
}

/// Runs what hyper wants to run for one connection.
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
    async fn open(stream: Stream, slot: Slot) -> hyper::Result<Http2> {
        let tasks = Tasks::default();
        let mut builder = http2::Builder::new(tasks.clone());
        builder.max_header_list_size(MAX_HEAD as u32);
        let (sender, driver) = builder.handshake(TokioIo::new(stream)).await?;
        // An error of the connection is told to every request on it.
        hyper::rt::Executor::execute(&tasks, driver);
        Ok(Http2 { sender, shared: Arc::new(Shared { tasks, _slot: slot }) })
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }

    /// Whether the connection is still there.
    pub(crate) fn is_usable(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Whether both are handles of one connection.
    pub(crate) fn is_same(&self, other: &Http2) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Whether nobody else has a handle.
    pub(crate) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }
}
