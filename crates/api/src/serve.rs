//! The server: accepts connections, bounds what each may cost, and ends gracefully.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::refusal::{Refusal, because};
use crate::settings::ServerBounds;
use crate::{Api, router};

/// The most header fields of a request; beyond that 431.
const MAX_HEADERS: usize = 100;
/// Header fields that are read at all, so that 431 can be said in the usual shape.
const MAX_HEADERS_READ: usize = 256;
/// Bytes of a request's head, and of what is read ahead of a body.
const READ_BUFFER: usize = 64 * 1024;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// Pause after a failed accept: most likely no file descriptor is left, and trying at once again would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `api` on `listener` until `stop` is done; then takes no more connections, lets requests under way end, and returns.
pub async fn serve(listener: TcpListener, api: Arc<Api>, stop: impl Future<Output = ()>) {
    let bounds = api.settings.server;
    serve_router(listener, router(api), bounds, stop).await;
}

/// The same for other routes than the API's.
pub async fn serve_router(listener: TcpListener, router: Router, bounds: ServerBounds, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let (stopping, stopped) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let next = async {
            // The semaphore is never closed.
            let place = places.clone().acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(stream, router.clone(), bounds, stopped.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    drop(stopped);
    stopping.send_replace(true);
    // All connections hold a receiver until they end.
    if timeout(bounds.drain, stopping.closed()).await.is_err() {
        tracing::warn!(
            connections = stopping.receiver_count(),
            "requests under way did not end in time and are cut off"
        );
    }
}

/// One connection, from its first byte to its end.
async fn connection(stream: TcpStream, router: Router, bounds: ServerBounds, mut stopped: watch::Receiver<bool>) {
    // Answers are small and complete: waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was not set");
    }
    let requests = Arc::new(Requests::default());
    let service = Service { router: TowerToHyperService::new(router), requests: requests.clone() };
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_timeout)
        .max_headers(MAX_HEADERS_READ)
        .max_buf_size(READ_BUFFER)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(READ_BUFFER as u32)
        .keep_alive_interval(bounds.header_timeout)
        .keep_alive_timeout(bounds.header_timeout);
    let mut served = pin!(server.serve_connection(TokioIo::new(stream), service));
    let mut ending = false;
    let mut seen = 0;
    loop {
        let idle = tokio::time::sleep(bounds.header_timeout);
        tokio::select! {
            end = served.as_mut() => {
                if let Err(error) = end {
                    tracing::debug!(error = error.as_ref() as &dyn std::error::Error, "a connection ended with an error");
                }
                return;
            }
            _ = stopped.wait_for(|stopped| *stopped), if !ending => {
                served.as_mut().graceful_shutdown();
                ending = true;
            }
            () = idle => {
                // Nothing came in all that time: neither a first request (hyper waits for the first byte without an
                // end) nor another one on an HTTP/2 connection whose client only answers pings.
                let started = requests.started.load(Ordering::Relaxed);
                if started == seen && started == requests.ended.load(Ordering::Relaxed) {
                    if ending {
                        return;
                    }
                    served.as_mut().graceful_shutdown();
                    ending = true;
                }
                seen = started;
            }
        }
    }
}

/// Counts the requests of a connection.
#[derive(Default)]
struct Requests {
    started: AtomicU64,
    ended: AtomicU64,
}

/// What every request goes through before and after the router.
#[derive(Clone)]
struct Service {
    router: TowerToHyperService<Router>,
    requests: Arc<Requests>,
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer<<TowerToHyperService<Router> as hyper::service::Service<Request<Incoming>>>::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.requests.started.fetch_add(1, Ordering::Relaxed);
        let requests = self.requests.clone();
        if request.headers().len() > MAX_HEADERS {
            return Answer { state: State::Refused, requests };
        }
        // Routing itself runs no code of ours, so a panic can only come from polling.
        Answer { state: State::Routed(Box::pin(self.router.call(request))), requests }
    }
}

/// The answer to one request. A panic in a handler becomes a 500 that says nothing of its inside.
struct Answer<F> {
    state: State<F>,
    requests: Arc<Requests>,
}

enum State<F> {
    Refused,
    Routed(Pin<Box<F>>),
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for Answer<F> {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Refused => Poll::Ready(Ok(too_many_headers())),
            State::Routed(future) => match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
                Ok(polled) => polled,
                Err(panic) => Poll::Ready(Ok(after_panic(panic.as_ref()))),
            },
        }
    }
}

impl<F> Drop for Answer<F> {
    fn drop(&mut self) {
        self.requests.ended.fetch_add(1, Ordering::Relaxed);
    }
}

fn too_many_headers() -> Response<Body> {
    let message = format!("a request may have {MAX_HEADERS} header fields");
    Refusal::new(because::TOO_MANY_HEADERS, message).into_response()
}

fn after_panic(panic: &(dyn Any + Send)) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    tracing::error!(panic = text, "a request could not be answered because of a fault in the platform");
    Refusal::new(
        because::INTERNAL_ERROR,
        "the platform failed to answer this request; its operator finds the reason in the log",
    )
    .into_response()
}
