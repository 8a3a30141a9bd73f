//! A receiver that records all deliveries, with path and time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
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
    /// Time when its head had arrived.
    pub(crate) at: Instant,
    /// Status of the response.
    pub(crate) status: StatusCode,
}

impl Delivery {
    /// Text of a header.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The event's id, from the event itself; empty for a notification.
    pub(crate) fn id(&self) -> String {
        let event: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        event["id"].as_str().unwrap_or_default().to_owned()
    }
}

/// Chooses the response by path and event id.
type Answers = dyn Fn(&str, &str) -> StatusCode + Send + Sync;

struct Notes {
    by_path: Mutex<HashMap<String, Vec<Delivery>>>,
    came: Notify,
    delay: Duration,
    answers: Box<Answers>,
}

/// A running receiver; each path is a separate endpoint.
#[derive(Clone)]
pub(crate) struct Receiver {
    notes: Arc<Notes>,
    base: String,
}

impl Receiver {
    /// Starts on a free port; answers 200 after `delay`.
    pub(crate) async fn start(delay: Duration) -> Receiver {
        Receiver::answering(delay, |_, _| StatusCode::OK).await
    }

    /// The same with custom responses, each chosen after `delay` by path and event id.
    pub(crate) async fn answering(
        delay: Duration,
        answers: impl Fn(&str, &str) -> StatusCode + Send + Sync + 'static,
    ) -> Receiver {
        Receiver::answering_at(TcpListener::bind("127.0.0.1:0").await.unwrap(), delay, answers)
    }

    /// The same at an address of its own.
    pub(crate) fn answering_at(
        listener: TcpListener,
        delay: Duration,
        answers: impl Fn(&str, &str) -> StatusCode + Send + Sync + 'static,
    ) -> Receiver {
        let base = format!("http://{}", listener.local_addr().unwrap());
        let notes =
            Arc::new(Notes { by_path: Mutex::default(), came: Notify::new(), delay, answers: Box::new(answers) });
        let receiver = Receiver { notes: Arc::clone(&notes), base };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let notes = Arc::clone(&notes);
                let service = service_fn(move |request| take(Arc::clone(&notes), request));
                // The platform under test may be killed during a request.
                tokio::spawn(
                    async move { http1::Builder::new().serve_connection(TokioIo::new(stream), service).await },
                );
            }
        });
        receiver
    }

    /// URL of an endpoint.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Deliveries to an endpoint.
    pub(crate) fn at(&self, path: &str) -> Vec<Delivery> {
        self.notes.by_path.lock().unwrap().get(path).cloned().unwrap_or_default()
    }

    /// Number of deliveries to an endpoint.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.notes.by_path.lock().unwrap().get(path).map_or(0, Vec::len)
    }

    /// Waits until `enough`, checked after every arrival.
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

    /// Waits until nothing has arrived for a while, to be sure that nothing more follows.
    pub(crate) async fn wait_for_silence(&self, silence: Duration) {
        while tokio::time::timeout(silence, self.notes.came.notified()).await.is_ok() {}
    }
}

async fn take(notes: Arc<Notes>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let at = Instant::now();
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    // In a separate task: arrivals are recorded even if the platform is killed before the response.
    let noted = tokio::spawn(async move {
        if !notes.delay.is_zero() {
            tokio::time::sleep(notes.delay).await;
        }
        let path = head.uri.path().to_owned();
        let mut delivery = Delivery { headers: head.headers, body, at, status: StatusCode::OK };
        let mut by_path = notes.by_path.lock().unwrap();
        let status = (notes.answers)(&path, &delivery.id());
        delivery.status = status;
        by_path.entry(path).or_default().push(delivery);
        drop(by_path);
        notes.came.notify_waiters();
        status
    });
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = noted.await.unwrap();
    Ok(answer)
}
