//! A local webhook receiver, used by `listen` and `demo`. It verifies both kinds of signatures and gives configured
//! responses.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::{Clock, Secret, Timestamp};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use wire::json::{self, Value};
use wire::signature::{self, SigningKey};

/// More than any event: 1 MiB and its envelope (contract page 6).
const MAX_BODY: usize = 8 << 20;
/// Maximum age of a delivery before it counts as a replay, as in the Standard Webhooks libraries.
const TOLERANCE: Duration = Duration::from_secs(300);
/// Duration of a slow response: longer than the 5 s of an attempt (contract page 4).
const SLOW: Duration = Duration::from_secs(10);

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) at: Timestamp,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body, if it is JSON.
    pub(crate) event: Option<Value>,
}

impl Received {
    /// A text attribute of the event, such as `id`.
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.event.as_ref().and_then(|event| event.get(name)).and_then(Value::as_str).unwrap_or("")
    }

    /// Age of the change that the event reports.
    pub(crate) fn age(&self) -> Option<Duration> {
        Timestamp::parse(self.attribute("time")).map(|time| self.at.since(time))
    }
}

/// How to respond.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    /// With a status.
    Status(StatusCode),
    /// With 200, too late.
    Slow,
    /// Not at all: closes the connection.
    Close,
}

/// Result of the signature check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Signature {
    /// Both kinds are genuine.
    Genuine,
    /// Not checked, without a secret.
    Unchecked,
    /// At least one is invalid, with the reason.
    Wrong(String),
}

/// Verifies signatures with a receiver's secrets.
#[derive(Clone, Debug)]
pub(crate) struct Verifier(Vec<SigningKey>);

impl Verifier {
    /// Accepts signatures by any of the secrets: there are two during a rotation.
    pub(crate) fn new(secrets: &[Secret]) -> Verifier {
        Verifier(secrets.iter().map(SigningKey::new).collect())
    }

    /// Checks `X-AKENEO-SIGNATURE-*` and the Standard Webhooks headers.
    pub(crate) fn check(&self, received: &Received) -> Signature {
        if self.0.is_empty() {
            return Signature::Unchecked;
        }
        match self.akeneo(received).and_then(|()| self.standard(received)) {
            Ok(()) => Signature::Genuine,
            Err(why) => Signature::Wrong(why),
        }
    }

    fn akeneo(&self, received: &Received) -> Result<(), String> {
        let headers = [signature::PRIMARY, signature::SECONDARY];
        let sent: Vec<_> = headers.iter().filter_map(|name| received.headers.get(*name)).collect();
        if sent.is_empty() {
            return Err(format!("missing header {}", signature::PRIMARY));
        }
        let checks =
            sent.iter().flat_map(|value| self.0.iter().map(|key| key.verify_akeneo(value.as_bytes(), &received.body)));
        first_success(checks).map_err(|error| format!("{}: {error}", signature::PRIMARY))
    }

    fn standard(&self, received: &Received) -> Result<(), String> {
        let header = |name: &str| {
            received.headers.get(name).map(http::HeaderValue::as_bytes).ok_or_else(|| format!("missing header {name}"))
        };
        let id = header(signature::WEBHOOK_ID)?;
        let timestamp = header(signature::WEBHOOK_TIMESTAMP)?;
        let signatures = header(signature::WEBHOOK_SIGNATURE)?;
        let checks = self
            .0
            .iter()
            .map(|key| key.verify_standard((id, timestamp, signatures), &received.body, received.at, TOLERANCE));
        first_success(checks).map_err(|error| format!("{}: {error}", signature::WEBHOOK_SIGNATURE))
    }
}

fn first_success<E: std::fmt::Display>(checks: impl Iterator<Item = Result<(), E>>) -> Result<(), String> {
    let mut last = "nothing was checked".to_owned();
    for check in checks {
        match check {
            Ok(()) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

/// Serves on `listener` until it is dropped; calls `answer` for each request.
pub(crate) async fn serve<A, F>(listener: TcpListener, answer: A) -> Infallible
where
    A: Fn(Received) -> F + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let answer = Arc::new(answer);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // No file descriptors left: wait for some to be freed.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // Responses are tiny; waiting for more data would only delay them.
        _ = stream.set_nodelay(true);
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = Arc::clone(&answer);
                async move { respond(request, answer.as_ref()).await }
            });
            // An error here means that the client disconnected.
            _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Makes hyper close a connection without a response.
#[derive(Debug, thiserror::Error)]
#[error("closed on purpose")]
struct ClosedOnPurpose;

async fn respond<A, F>(request: Request<Incoming>, answer: &A) -> Result<Response<Full<Bytes>>, ClosedOnPurpose>
where
    A: Fn(Received) -> F,
    F: Future<Output = Reply>,
{
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else { return Err(ClosedOnPurpose) };
    let body = body.to_bytes();
    let event = json::parse(&body).ok();
    let path = head.uri.path().to_owned();
    let status = match answer(Received { at: Clock::system().wall(), path, headers: head.headers, body, event }).await {
        Reply::Status(status) => status,
        Reply::Slow => {
            tokio::time::sleep(SLOW).await;
            StatusCode::OK
        }
        Reply::Close => return Err(ClosedOnPurpose),
    };
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::signature::Signer;

    fn received(signed_with: &[&str], body: &str, at: Timestamp) -> Received {
        let mut headers = HeaderMap::new();
        if let [primary, rest @ ..] = signed_with {
            let secondary = rest.first().map(|secret| Secret::new(*secret));
            let signer = Signer::new(&Secret::new(*primary), secondary.as_ref());
            for (name, value) in signer.sign("id-1", at, body.as_bytes()).headers() {
                headers.insert(name, value.parse().unwrap());
            }
        }
        let body = Bytes::from(body.to_owned());
        Received { at, path: "/".into(), headers, event: json::parse(&body).ok(), body }
    }

    fn check(secrets: &[&str], received: &Received, expect: Result<Signature, &str>) {
        let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
        match (Verifier::new(&secrets).check(received), expect) {
            (Signature::Wrong(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (got, Ok(expect)) => assert_eq!(got, expect),
            (got, Err(_)) => panic!("{got:?}"),
        }
    }

    #[test]
    fn signatures_of_either_secret_are_genuine() {
        let now = Clock::system().wall();
        check(&["a"], &received(&["a"], "{}", now), Ok(Signature::Genuine));
        check(&["b"], &received(&["a", "b"], "{}", now), Ok(Signature::Genuine));
        check(&["a", "b"], &received(&["b"], "{}", now), Ok(Signature::Genuine));
        check(&[], &received(&["a"], "{}", now), Ok(Signature::Unchecked));
        check(&["b"], &received(&["a"], "{}", now), Err("does not match"));
        check(&["a"], &received(&[], "{}", now), Err("missing header x-akeneo-signature-primary"));
    }

    #[test]
    fn a_changed_body_and_a_replay_are_noticed() {
        let now = Clock::system().wall();
        let mut changed = received(&["a"], "{}", now);
        changed.body = Bytes::from_static(b"{} ");
        check(&["a"], &changed, Err("does not match"));
        let mut replayed = received(&["a"], "{}", now);
        replayed.at = now + Duration::from_secs(301);
        check(&["a"], &replayed, Err("off the clock"));
        let mut half = received(&["a"], "{}", now);
        half.headers.remove(signature::WEBHOOK_SIGNATURE);
        check(&["a"], &half, Err("missing header webhook-signature"));
    }
}
