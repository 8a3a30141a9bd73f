//! The response to one request: a panic becomes a 500, and the body is sent in pieces, so that a connection knows its
//! pending responses and their age.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::refusal::{Refusal, because};
use crate::settings::ServerBounds;

/// Bytes of a body sent at once: over HTTP/2, the next piece is requested when the client has window space.
const PIECE: usize = 16 * 1024;

/// The requests of a connection.
#[derive(Debug)]
pub(super) struct UnderWay {
    bounds: ServerBounds,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    started: u64,
    ended: u64,
    /// Responses not yet read completely, with their deadlines.
    answering: Vec<(u64, Instant)>,
}

impl UnderWay {
    pub(super) fn new(bounds: ServerBounds) -> UnderWay {
        UnderWay { bounds, state: Mutex::default() }
    }

    /// Number of started requests; `None` while one is pending.
    pub(super) fn at_rest(&self) -> Option<u64> {
        let state = self.state.lock();
        (state.started == state.ended).then_some(state.started)
    }

    /// Whether a client reads a response too slowly.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.state.lock().answering.iter().any(|(_, until)| *until < now)
    }

    /// Adds a request.
    pub(super) fn start(self: &Arc<UnderWay>) -> OneRequest {
        let mut state = self.state.lock();
        state.started += 1;
        OneRequest { number: state.started, under_way: Arc::clone(self) }
    }
}

/// A request from its head to the end of the response body.
#[derive(Debug)]
pub(super) struct OneRequest {
    number: u64,
    under_way: Arc<UnderWay>,
}

impl OneRequest {
    fn is_answered(&self, size: u64) {
        let bounds = &self.under_way.bounds;
        let worth = Duration::from_secs(size / u64::from(bounds.answer_pace.max(1)));
        let until = Instant::now() + bounds.answer_grace + worth;
        self.under_way.state.lock().answering.push((self.number, until));
    }
}

impl Drop for OneRequest {
    fn drop(&mut self) {
        let mut state = self.under_way.state.lock();
        state.ended += 1;
        state.answering.retain(|(number, _)| *number != self.number);
    }
}

/// A pending response.
pub(super) struct Answer<F> {
    pub(super) by: By<F>,
    pub(super) request: Option<OneRequest>,
}

/// Source of the response.
pub(super) enum By<F> {
    /// The server, for this reason.
    Server(Option<Refusal>),
    /// Event ingest.
    Events(Pin<Box<dyn Future<Output = Response> + Send>>),
    /// The router.
    Router(Pin<Box<F>>),
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for Answer<F> {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match &mut self.by {
            By::Server(refusal) => refusal.take().map_or_else(Response::default, IntoResponse::into_response),
            By::Events(future) => ready!(survive(|| future.as_mut().poll(context).map(Ok)))?,
            By::Router(future) => ready!(survive(|| future.as_mut().poll(context)))?,
        };
        let Some(request) = self.request.take() else { return Poll::Ready(Ok(response)) };
        request.is_answered(response.body().size_hint().upper().unwrap_or(0));
        Poll::Ready(Ok(response.map(|body| Body::new(Pieces { body, left: Bytes::new(), request }))))
    }
}

/// Polls; a panic becomes a response.
fn survive(poll: impl FnOnce() -> Poll<Result<Response, Infallible>>) -> Poll<Result<Response, Infallible>> {
    catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|panic| Poll::Ready(Ok(after_panic(panic.as_ref()))))
}

fn after_panic(panic: &(dyn Any + Send)) -> Response {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    tracing::error!(panic = text, "a request handler panicked");
    Refusal::new(because::INTERNAL_ERROR, "internal error; the operator finds the cause in the platform's log")
        .into_response()
}

/// A body in pieces; the request ends with it.
struct Pieces {
    body: Body,
    left: Bytes,
    #[expect(dead_code, reason = "dropping it ends the request")]
    request: OneRequest,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if this.left.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.left = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        let piece = this.left.split_to(this.left.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, left) = (self.body.size_hint(), self.left.len() as u64);
        match rest.exact() {
            Some(rest) => SizeHint::with_exact(rest + left),
            None => SizeHint::default(),
        }
    }
}
