//! A receiver that takes note of everything: what arrived at which path, and when.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// A delivery.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

impl Delivery {
    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

#[derive(Default)]
struct Notes {
    by_path: Mutex<HashMap<String, Vec<Delivery>>>,
    came: Notify,
}

/// A running receiver; each path is an endpoint of its own.
#[derive(Clone)]
pub(crate) struct Receiver {
    notes: Arc<Notes>,
    base: String,
}

impl Receiver {
    /// Starts on a free port; answers 200 after `delay`.
    pub(crate) async fn start(delay: Duration) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let notes = Arc::new(Notes::default());
        let receiver = Receiver { notes: Arc::clone(&notes), base };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let notes = Arc::clone(&notes);
                let service = service_fn(move |request| take(Arc::clone(&notes), delay, request));
                // The platform under test may be killed in the middle of a request.
                tokio::spawn(
                    async move { http1::Builder::new().serve_connection(TokioIo::new(stream), service).await },
                );
            }
        });
        receiver
    }

    /// The URL of an endpoint.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// What arrived at an endpoint.
    pub(crate) fn at(&self, path: &str) -> Vec<Delivery> {
        self.notes.by_path.lock().unwrap().get(path).cloned().unwrap_or_default()
    }

    /// How much arrived at an endpoint.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.notes.by_path.lock().unwrap().get(path).map_or(0, Vec::len)
    }

    /// Waits until `enough`, looked at after every arrival.
    pub(crate) async fn wait_until(&self, at_most: Duration, what: &str, mut enough: impl FnMut() -> bool) {
        let waited = tokio::time::timeout(at_most, async {
            loop {
                let came = self.notes.came.notified();
                if enough() {
                    return;
                }
                came.await;
            }
        });
        assert!(waited.await.is_ok(), "{what}: not within {at_most:?}");
    }

    /// Waits until nothing has arrived for a while: to be sure that nothing more comes.
    pub(crate) async fn wait_for_silence(&self, silence: Duration) {
        while tokio::time::timeout(silence, self.notes.came.notified()).await.is_ok() {}
    }
}

async fn take(
    notes: Arc<Notes>,
    delay: Duration,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let at = Instant::now();
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let path = head.uri.path().to_owned();
    notes.by_path.lock().unwrap().entry(path).or_default().push(Delivery { headers: head.headers, body, at });
    notes.came.notify_waiters();
    Ok(Response::new(Full::new(Bytes::new())))
}
