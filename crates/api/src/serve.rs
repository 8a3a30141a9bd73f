//! The server: accepts connections, limits their cost, and stops gracefully.

mod answer;
mod crowd;
mod heads;
mod pace;
mod stream;

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use meter::Seldom;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use crate::origin::{Origin, Peer};
use crate::refusal::{Refusal, because};
use crate::seldom::now;
use crate::settings::ServerBounds;
use crate::{Api, requests, router};
use answer::{Answer, By, UnderWay};
use crowd::Crowd;
use heads::Fault;
use pace::Pace;
use stream::Stream;

/// Maximum number of header fields of a request; above it 431. Hyper has a table of this size on the stack.
const MAX_HEADERS: usize = 100;
/// Maximum bytes of a request's head, and of read-ahead for a body.
const READ_BUFFER: usize = 64 * 1024;
/// Bytes of a response buffered for an HTTP/2 stream whose client reads nothing.
const SEND_BUFFER: usize = 32 * 1024;
/// Concurrent requests on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// Pause after a failed accept: most likely no file descriptor is left, and an immediate retry would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Longest interval between checks of a connection.
const LOOK: Duration = Duration::from_secs(5);

/// Serves `api` on `listener` until `stop` completes; then accepts no more connections, waits for requests in flight,
/// and returns.
pub async fn serve(listener: TcpListener, api: Arc<Api>, stop: impl Future<Output = ()>) {
    serve_with(listener, api, Router::new(), stop).await;
}

/// Like [`serve`], with further routes beside those of the API.
pub async fn serve_with(listener: TcpListener, api: Arc<Api>, further: Router, stop: impl Future<Output = ()>) {
    let bounds = api.settings.server;
    let (commits, bridge) = (api.commits.clone(), Arc::clone(&api.bridge));
    let stop = async move {
        stop.await;
        bridge.end_waiting();
    };
    let routes =
        Routes { events: Some(Arc::clone(&api)), router: TowerToHyperService::new(router(api).merge(further)) };
    serve_routes(listener, routes, bounds, stop).await;
    // Work begun for clients that have disconnected.
    if timeout(bounds.drain, commits.ended()).await.is_err() {
        tracing::warn!("requests with events are still being stored; their clients have disconnected");
    }
}

/// Like [`serve`], for other routes than the API's.
pub async fn serve_router(listener: TcpListener, router: Router, bounds: ServerBounds, stop: impl Future<Output = ()>) {
    serve_routes(listener, Routes { events: None, router: TowerToHyperService::new(router) }, bounds, stop).await;
}

async fn serve_routes(listener: TcpListener, routes: Routes, bounds: ServerBounds, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let crowd = Crowd::new(bounds.connections);
    let (not_accepted, crowded) = (Seldom::new(), Seldom::new());
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
            Ok((stream, peer)) => {
                let origin = Origin::of(peer.ip());
                let Some(member) = crowd.enter(origin) else {
                    if let Some(times) = crowded.note(now(), 1) {
                        tracing::warn!(
                            address = %peer.ip(),
                            times,
                            "closed connections: their address holds three quarters of all slots"
                        );
                    }
                    continue;
                };
                let connection = connection(stream, Peer(peer.ip()), routes.clone(), bounds, stopped.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop((place, member));
                });
            }
            Err(error) => {
                if let Some(times) = not_accepted.note(now(), 1) {
                    tracing::warn!(%error, times, "could not accept connections");
                }
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
            "requests in flight did not complete in time and are cut off"
        );
    }
}

/// One connection, from its first to its last byte.
async fn connection(
    stream: TcpStream,
    peer: Peer,
    routes: Routes,
    bounds: ServerBounds,
    mut stopped: watch::Receiver<bool>,
) {
    // Responses are small and complete: waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    let under_way = Arc::new(UnderWay::new(bounds));
    let service = Service { routes, peer, under_way: under_way.clone() };
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_timeout)
        .max_buf_size(READ_BUFFER)
        // A client that has closed its sending side may still read.
        .half_close(true)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(READ_BUFFER as u32)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(bounds.header_timeout)
        .keep_alive_timeout(bounds.header_timeout);
    let stream = Stream::new(stream, Pace::new(bounds.answer_pace, bounds.answer_grace));
    let mut served = pin!(server.serve_connection(TokioIo::new(stream), service));
    let mut ending = false;
    let mut seen = Some(0);
    let mut quiet_since = Instant::now();
    loop {
        tokio::select! {
            end = served.as_mut() => {
                if let Err(error) = end {
                    let error = error.as_ref() as &dyn std::error::Error;
                    tracing::debug!(error, "a connection ended with an error");
                }
                return;
            }
            _ = stopped.wait_for(|stopped| *stopped), if !ending => {
                served.as_mut().graceful_shutdown();
                ending = true;
            }
            () = tokio::time::sleep(LOOK.min(bounds.header_timeout / 4)) => {
                let now = Instant::now();
                if under_way.is_late(now) {
                    tracing::debug!("closing a connection: its client reads a response too slowly");
                    return;
                }
                let at_rest = under_way.at_rest();
                if at_rest.is_none() || at_rest != seen {
                    (seen, quiet_since) = (at_rest, now);
                } else if now - quiet_since >= bounds.header_timeout {
                    // Nothing arrived in all that time: neither a first request, whose head may be incomplete, nor
                    // another one on an HTTP/2 connection whose client only answers pings.
                    if ending {
                        return;
                    }
                    served.as_mut().graceful_shutdown();
                    ending = true;
                    quiet_since = now;
                }
            }
        }
    }
}

/// Where requests go.
#[derive(Clone)]
struct Routes {
    /// Takes the requests of producers. They are most of all, and the layers of the router would be a tenth of their
    /// cost.
    events: Option<Arc<Api>>,
    /// Takes all others.
    router: TowerToHyperService<Router>,
}

/// Wraps every request, before and after its route.
#[derive(Clone)]
struct Service {
    routes: Routes,
    peer: Peer,
    under_way: Arc<UnderWay>,
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer<<TowerToHyperService<Router> as hyper::service::Service<Request<Incoming>>>::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let started = Some(self.under_way.start());
        if request.headers().len() > MAX_HEADERS {
            let message = format!("a request may have at most {MAX_HEADERS} header fields");
            let refusal = Refusal::new(because::TOO_MANY_HEADERS, message);
            return Answer { by: By::Server(Some(refusal)), request: started };
        }
        if let Some(api) = &self.routes.events
            && requests::is_event(&request)
        {
            let taken = requests::take_event(Arc::clone(api), request.map(Body::new));
            return Answer { by: By::Events(Box::pin(taken)), request: started };
        }
        request.extensions_mut().insert(self.peer);
        // Routing itself runs no code of ours, so a panic can only come from polling.
        Answer { by: By::Router(Box::pin(self.routes.router.call(request))), request: started }
    }
}

/// Response to an unreadable request; the connection ends with it.
#[expect(clippy::disallowed_methods, reason = "a Date header as hyper writes it")]
fn refused(fault: &Fault) -> Bytes {
    let status = fault.code.status;
    let body = Refusal::new(fault.code, fault.message.clone()).said().body();
    let date = httpdate::fmt_http_date(SystemTime::now());
    let reason = status.canonical_reason().unwrap_or_default();
    Bytes::from(format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\
         date: {date}\r\n\r\n{body}",
        status.as_u16(),
        body.len(),
    ))
}
