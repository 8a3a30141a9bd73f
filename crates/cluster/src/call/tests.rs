//! Calls over loopback, and requests that no caller makes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use domain::address::AddressPolicy;
use domain::time::Now;
use domain::{Clock, PimId, SubscriptionId, Timestamp};
use http::{Method, StatusCode};
use parking_lot::Mutex;
use sinks::client::HttpClient;
use sinks::connect::Connector;
use sinks::resolve::Resolver;
use sinks::tls::TlsClient;
use store::vault::MasterKey;
use store::{NodeId, Vault};
use tokio::net::TcpListener;

use super::seal::{self, Sealed};
use super::*;

const NOW: i64 = 1_790_000_000_000_000;

fn clock(seconds: i64) -> Clock {
    let now = Timestamp::from_micros(NOW + seconds * 1_000_000);
    Clock::new(move || Now { steady: now, wall: now })
}

fn keys(key: u8) -> Keys {
    Keys::of(&Vault::new(MasterKey::new(&format!("key-{key}"), &[key; 32]).unwrap(), []).unwrap())
}

/// What a node was asked.
#[derive(Default)]
struct Asked {
    questions: Mutex<Vec<Question>>,
    nudges: AtomicUsize,
    /// Whether it owns what it is asked about.
    owns: bool,
    /// Bytes of an answer.
    size: usize,
}

#[async_trait::async_trait]
impl Answers for Asked {
    async fn answer(&self, question: Question) -> Option<Answer> {
        self.questions.lock().push(question);
        let attempts = vec![domain::attempt::PastAttempt {
            position: domain::Position(1),
            event_id: "x".repeat(self.size),
            event_type: String::new(),
            started_at: Timestamp::EPOCH,
            duration: Duration::ZERO,
            outcome: domain::attempt::AttemptOutcome::Delivered,
            error_reason: None,
            status: None,
            body: None,
            replay: None,
        }];
        let since = Timestamp::EPOCH;
        self.owns.then_some(Answer::Attempts(domain::attempt::PastAttempts { since, attempts }))
    }

    fn nudged(&self) {
        self.nudges.fetch_add(1, Ordering::SeqCst);
    }
}

fn asked(owns: bool, size: usize) -> Arc<Asked> {
    Arc::new(Asked { owns, size, ..Asked::default() })
}

async fn serve(listener: Listener) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(socket, listener.router()).await });
    address
}

fn caller(keys: Keys, clock: Clock) -> Caller {
    let tls = TlsClient::new(&[]).unwrap();
    let connector = Connector::new(Arc::new(Resolver::system()), AddressPolicy::default(), tls);
    Caller::new(HttpClient::new(connector.exempt()), keys, clock, Arc::default())
}

fn question() -> Question {
    Question::Subscription { pim: PimId(3), id: SubscriptionId::generate(), about: About::Attempts }
}

/// A node with a listener, and how it is called.
async fn node(answers: &Arc<Asked>, key: u8, seconds: i64) -> Peer {
    let node = NodeId::generate();
    let listener = Listener::new(node, keys(key), clock(seconds), answers.clone());
    Peer { node, address: serve(listener).await.to_string() }
}

#[tokio::test]
async fn a_question_is_answered_and_a_nudge_arrives() {
    let answers = asked(true, 5);
    let (peer, caller) = (node(&answers, 1, 0).await, caller(keys(1), clock(0)));
    let question = question();
    let answer = caller.ask(&peer, &question).await.unwrap();
    let Answer::Attempts(attempts) = answer else { panic!("{answer:?}") };
    assert_eq!(attempts.attempts[0].event_id, "xxxxx");
    assert_eq!(*answers.questions.lock(), [question]);
    caller.nudge(&peer).await.unwrap();
    assert_eq!(answers.nudges.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_node_that_is_not_the_owner_or_another_one_says_so() {
    let answers = asked(false, 0);
    let (peer, caller) = (node(&answers, 1, 0).await, caller(keys(1), clock(0)));
    assert!(matches!(caller.ask(&peer, &question()).await, Err(CallError::NotOwner)));
    let restarted = Peer { node: NodeId::generate(), ..peer };
    assert!(matches!(caller.nudge(&restarted).await, Err(CallError::NotOwner)));
    assert_eq!(answers.nudges.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn another_key_is_refused() {
    let answers = asked(true, 0);
    let peer = node(&answers, 1, 0).await;
    let refused = caller(keys(2), clock(0)).ask(&peer, &question()).await;
    assert!(matches!(refused, Err(CallError::Refused { status: StatusCode::UNAUTHORIZED, .. })), "{refused:?}");
    assert!(answers.questions.lock().is_empty());
}

#[tokio::test]
async fn clocks_that_are_apart_cost_one_more_request() {
    for seconds in [-86_400, -61, 61, 86_400] {
        let answers = asked(true, 0);
        let (peer, caller) = (node(&answers, 1, seconds).await, caller(keys(1), clock(0)));
        caller.ask(&peer, &question()).await.unwrap();
        caller.ask(&peer, &question()).await.unwrap();
        assert_eq!(answers.questions.lock().len(), 2, "{seconds} s");
    }
}

#[tokio::test]
async fn an_answer_without_the_seal_of_a_node_is_none() {
    let node = NodeId::generate();
    // An impostor that answers everything.
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let router = axum::Router::new().fallback(|| async { (StatusCode::OK, r#"{"status":null}"#) });
    tokio::spawn(async move { axum::serve(socket, router).await });
    let answered = caller(keys(1), clock(0)).ask(&Peer { node, address }, &question()).await;
    assert!(matches!(answered, Err(CallError::NotGenuine)), "{answered:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let answers = asked(true, 0);
    let peer = node(&answers, 1, 0).await;
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let to = format!("http://{}{QUESTION}", peer.address);
    let router = axum::Router::new()
        .fallback(move || async move { (StatusCode::TEMPORARY_REDIRECT, [(http::header::LOCATION, to)]) });
    tokio::spawn(async move { axum::serve(socket, router).await });
    let refused = caller(keys(1), clock(0)).ask(&Peer { address, ..peer }, &question()).await;
    assert!(matches!(refused, Err(CallError::Refused { status: StatusCode::TEMPORARY_REDIRECT, .. })), "{refused:?}");
    assert!(answers.questions.lock().is_empty());
}

/// Time is virtual: it moves on once nothing else can happen.
#[tokio::test(start_paused = true)]
async fn a_node_that_hangs_is_given_up_after_a_second() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = Peer { node: NodeId::generate(), address: socket.local_addr().unwrap().to_string() };
    let began = tokio::time::Instant::now();
    let caller = caller(keys(1), clock(0));
    let unanswered = caller.ask(&peer, &question()).await;
    assert!(matches!(unanswered, Err(CallError::TooLate | CallError::NoAnswer(_))), "{unanswered:?}");
    let took = began.elapsed();
    assert!(took <= TIME_LIMIT + Duration::from_millis(10), "{took:?}");
    drop(socket);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_refused_by_the_listener() {
    let answers = asked(true, MAX_ANSWER);
    let (peer, caller) = (node(&answers, 1, 0).await, caller(keys(1), clock(0)));
    let refused = caller.ask(&peer, &question()).await;
    assert!(
        matches!(refused, Err(CallError::Refused { status: StatusCode::INTERNAL_SERVER_ERROR, .. })),
        "{refused:?}"
    );
    let fits = asked(true, MAX_ANSWER - 1024);
    caller.ask(&node(&fits, 1, 0).await, &question()).await.unwrap();
}

/// A request as the caller makes it, with one thing changed.
struct Forged {
    sealed_path: &'static str,
    path: &'static str,
    method: Method,
    sealed_body: Bytes,
    body: Bytes,
    seconds: i64,
}

impl Default for Forged {
    fn default() -> Forged {
        Forged {
            sealed_path: NUDGE,
            path: NUDGE,
            method: Method::POST,
            sealed_body: Bytes::new(),
            body: Bytes::new(),
            seconds: 0,
        }
    }
}

impl Forged {
    async fn answered(self, answers: &Arc<Asked>) -> (StatusCode, Option<String>, String) {
        let node = NodeId::generate();
        let listener = Listener::new(node, keys(1), clock(0), answers.clone());
        let time = clock(self.seconds).wall();
        let sealed = Sealed { method: &self.method, path: self.sealed_path, to: node, time, body: &self.sealed_body };
        let seals = keys(1).seal(sealed);
        let request = Request::builder()
            .method(self.method.clone())
            .uri(self.path)
            .header(NODE, node.to_string())
            .header(TIME, time.as_micros().to_string())
            .header(SEAL, seal::write(&seals));
        let response: Response = listener.respond(request.body(Body::from(self.body)).unwrap()).await;
        let (parts, body) = response.into_parts();
        let seal = parts.headers.get(SEAL).map(|seal| seal.to_str().unwrap().to_owned());
        let body = to_bytes(body, MAX_ANSWER).await.unwrap();
        (parts.status, seal, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn what_is_not_sealed_as_sent_is_refused() {
    let answers = asked(true, 0);
    let (status, seal, _) = Forged::default().answered(&answers).await;
    assert_eq!((status, seal.is_some()), (StatusCode::OK, true));
    let check = async |forged: Forged, expect: StatusCode, is_sealed: bool| {
        let (status, seal, body) = forged.answered(&answers).await;
        assert_eq!((status, seal.is_some()), (expect, is_sealed), "{body}");
    };
    let changed_body = Forged { body: Bytes::from_static(b"x"), ..Forged::default() };
    check(changed_body, StatusCode::UNAUTHORIZED, false).await;
    let other_path = Forged { path: QUESTION, ..Forged::default() };
    check(other_path, StatusCode::UNAUTHORIZED, false).await;
    let with_query = Forged { path: "/cluster/v1/nudge?x", ..Forged::default() };
    check(with_query, StatusCode::UNAUTHORIZED, false).await;
    let unknown = Forged { path: "/metrics", sealed_path: "/metrics", ..Forged::default() };
    check(unknown, StatusCode::NOT_FOUND, true).await;
    let get = Forged { method: Method::GET, ..Forged::default() };
    check(get, StatusCode::METHOD_NOT_ALLOWED, false).await;
    let large = Bytes::from(vec![b' '; MAX_BODY + 1]);
    let oversized = Forged { body: large.clone(), sealed_body: large, ..Forged::default() };
    check(oversized, StatusCode::PAYLOAD_TOO_LARGE, false).await;
    let nonsense = Bytes::from_static(b"{}");
    let nonsense = Forged {
        path: QUESTION,
        sealed_path: QUESTION,
        body: nonsense.clone(),
        sealed_body: nonsense,
        ..Forged::default()
    };
    check(nonsense, StatusCode::BAD_REQUEST, true).await;
    for (seconds, expect) in [
        (-61, StatusCode::PRECONDITION_FAILED),
        (-60, StatusCode::OK),
        (60, StatusCode::OK),
        (61, StatusCode::PRECONDITION_FAILED),
    ] {
        check(Forged { seconds, ..Forged::default() }, expect, true).await;
    }
    assert_eq!(answers.nudges.load(Ordering::SeqCst), 3);
    let (_, _, time) = Forged { seconds: 100, ..Forged::default() }.answered(&answers).await;
    assert_eq!(time, NOW.to_string(), "the listener names its own time");
}

/// A call whose body never ends occupies its place for a second, and the last place is the last.
#[tokio::test(start_paused = true)]
async fn calls_are_bounded_in_time_and_number() {
    let node = NodeId::generate();
    let answers = asked(true, 0);
    let listener = Arc::new(Listener::new(node, keys(1), clock(0), answers.clone()));
    let hanging = || {
        let body = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let request = Request::builder().method(Method::POST).uri(NUDGE);
        let request = request.header(NODE, node.to_string()).header(TIME, NOW.to_string()).header(SEAL, "00");
        request.body(body).unwrap()
    };
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (listener, request) = (listener.clone(), hanging());
        calls.spawn(async move { listener.respond(request).await.status() });
    }
    // All of them hang by then.
    tokio::time::sleep(TIME_LIMIT / 2).await;
    assert_eq!(listener.respond(hanging()).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    while let Some(status) = calls.join_next().await {
        assert_eq!(status.unwrap(), StatusCode::REQUEST_TIMEOUT);
    }
    assert_eq!(listener.respond(hanging()).await.status(), StatusCode::REQUEST_TIMEOUT, "the places are free again");
}
