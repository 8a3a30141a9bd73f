//! Scripted endpoints, subscriptions that point at them, and sinks that may connect to them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::address::AddressPolicy;
use domain::destination::{CustomHeaders, Destination, EndpointUrl, HttpsDestination};
use domain::outcome::{ErrorReason, Failure, Outcome};
use domain::subscription::Subscription;
use domain::{Clock, LoggedEvent, Secret, testing};
use rustls::pki_types::CertificateDer;
use sinks::connect::Connector;
use sinks::https::{HttpsSettings, HttpsSink};
use sinks::resolve::Resolver;
use sinks::tls::TlsClient;
use sinks::{Delivery, Sink};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wire::envelope::EnvelopeStyle;

pub(crate) const OK: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// A listener whose connections are scripted; the script gets the number of the connection, from 1.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Endpoint {
    pub(crate) async fn start<F, S>(script: S) -> Endpoint
    where
        S: Fn(usize, TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(script(number, stream));
            }
        });
        Endpoint { address, connections }
    }

    /// Sends the same bytes in response to every request.
    pub(crate) async fn answering(answer: &'static [u8]) -> Endpoint {
        Endpoint::start(move |_, mut stream| async move {
            while read_request(&mut stream).await.is_some() {
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// One request with its body, as text; `None` when the connection ends.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        let mut part = [0; 16 * 1024];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&part[..read]),
        }
    }
}

/// Reads a request and responds to it; returns whether that worked.
pub(crate) async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &[u8]) -> bool {
    read_request(stream).await.is_some() && stream.write_all(answer).await.is_ok()
}

pub(crate) fn connector(allow: &[&str], roots: &[CertificateDer<'static>]) -> Connector {
    connector_with(Resolver::system(), allow, roots)
}

pub(crate) fn connector_with(resolver: Resolver, allow: &[&str], roots: &[CertificateDer<'static>]) -> Connector {
    let policy = AddressPolicy::allowing(allow.iter().map(|network| network.parse().unwrap()).collect());
    Connector::new(Arc::new(resolver), policy, TlsClient::new(roots).unwrap())
}

pub(crate) fn style() -> EnvelopeStyle {
    EnvelopeStyle::new("akeneo-event-platform", "https://events.example")
}

pub(crate) fn sink_on(connector: Connector, settings: HttpsSettings) -> HttpsSink {
    HttpsSink::new(connector, style(), settings, Clock::system())
}

/// A sink that may connect to this machine.
pub(crate) fn sink(settings: HttpsSettings) -> HttpsSink {
    sink_on(connector(&["127.0.0.0/8"], &[]), settings)
}

/// Short time limits for tests that wait for them: the real 5 s would only make the tests slow.
pub(crate) fn impatient() -> HttpsSettings {
    HttpsSettings { attempt_timeout: Duration::from_secs(1), ..HttpsSettings::default() }
}

pub(crate) fn subscription(url: &str) -> Subscription {
    let destination = HttpsDestination {
        url: EndpointUrl::parse(url, true).unwrap(),
        primary: Secret::new("your_primary_secret"),
        secondary: None,
        headers: CustomHeaders(Vec::new()),
    };
    testing::subscription(Destination::Https(destination))
}

pub(crate) fn delivery(subscription: &Subscription) -> Delivery {
    let data = r#"{"product":{"uuid":"4c9e5b1e-9a0f-4f4e-8e52-000000000002"}}"#;
    let event = testing::event("018e32e0-5c1e-7f4b-9a3b-000000000001", "com.akeneo.pim.v1.product.created", data);
    let event = LoggedEvent { accepted_at: Clock::system().wall(), ..testing::logged(1, event) };
    Delivery {
        subscription: Arc::new(subscription.clone()),
        events: vec![Arc::new(event)],
        replay: None,
        traces: Vec::new(),
        answers: Default::default(),
    }
}

/// The outcome of one delivery.
pub(crate) async fn deliver(sink: &HttpsSink, subscription: &Subscription) -> Outcome {
    let outcomes = sink.deliver(delivery(subscription)).await;
    let [outcome] = <[Outcome; 1]>::try_from(outcomes).expect("one event, one outcome");
    outcome
}

/// The same outcome, without the endpoint's response.
pub(crate) fn without_answer(outcome: Outcome) -> Outcome {
    let without = |failure: Failure| Failure { answer: None, ..failure };
    match outcome {
        Outcome::Failed(failure) => Outcome::Failed(without(failure)),
        Outcome::Refused(failure) => Outcome::Refused(without(failure)),
        Outcome::Broken(failure) => Outcome::Broken(without(failure)),
        other => other,
    }
}

/// Checks that an attempt fails for this reason, without an HTTP status, and again with the same message.
pub(crate) async fn check_failed(sink: &HttpsSink, url: &str, reason: ErrorReason, message: &str) {
    let failure = Failure { reason, code: 500, message: message.to_owned(), answer: None };
    check_ended(sink, url, Outcome::Failed(failure)).await;
}

/// Checks that an attempt got no response, which may be caused by the platform.
pub(crate) async fn check_silent(sink: &HttpsSink, url: &str, reason: ErrorReason, message: &str) {
    let failure = Failure { reason, code: 500, message: message.to_owned(), answer: None };
    check_ended(sink, url, Outcome::Silent(failure)).await;
}

/// Checks that an attempt ends like this, twice.
pub(crate) async fn check_ended(sink: &HttpsSink, url: &str, expect: Outcome) {
    let subscription = subscription(url);
    assert_eq!(without_answer(deliver(sink, &subscription).await), expect, "{url}");
    assert_eq!(without_answer(deliver(sink, &subscription).await), expect, "{url}, again");
}
