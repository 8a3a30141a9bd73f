//! HTTP/2 connections that end with many requests in flight: all of these move to one new connection, without losing
//! time of the destination or taking slots from other tenants.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::PimId;
use domain::outcome::Outcome;
use domain::subscription::Subscription;
use futures_util::future::join_all;
use sinks::Sink;
use sinks::https::{HttpsSettings, HttpsSink};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;

use crate::endpoint::*;
use crate::http2::serve_all;
use crate::tls::Authority;

/// Requests in flight when the connection ends.
const IN_FLIGHT: usize = 40;

/// How a connection ends.
#[derive(Clone, Copy)]
enum End {
    /// The server closes it without a word.
    Closed,
    /// The server names the first request as the last one that it processed.
    Goodbye,
    /// The same, and the next connection hangs.
    GoodbyeAndHang,
    /// Nothing arrives any more, as behind a router that has forgotten the connection.
    Mute,
}

/// A server whose first connection answers one request, and ends once it has `IN_FLIGHT` more and a permit of `end`.
/// Later connections are served by h2.
async fn ending(settings: HttpsSettings, how: End, end: Arc<Semaphore>) -> (HttpsSink, Endpoint, Subscription) {
    let authority = Authority::new();
    let acceptor = authority.server("localhost", &["h2"], |_| ());
    let endpoint = Endpoint::start(move |number, stream| {
        let (acceptor, end) = (acceptor.clone(), Arc::clone(&end));
        async move {
            if number == 2 && matches!(how, End::GoodbyeAndHang) {
                let (mut stream, mut some) = (stream, [0; 1024]);
                while stream.read(&mut some).await.is_ok_and(|read| read > 0) {}
                return;
            }
            let mut stream = acceptor.accept(stream).await.unwrap();
            if number > 1 {
                return serve_all(h2::server::handshake(stream).await.unwrap()).await;
            }
            // RFC 9113: the preface; empty SETTINGS; HEADERS with status 204 for the first request.
            stream.read_exact(&mut [0; 24]).await.unwrap();
            stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
            read_requests(&mut stream, 1).await;
            stream.write_all(&[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x89]).await.unwrap();
            read_requests(&mut stream, IN_FLIGHT).await;
            end.acquire().await.unwrap().forget();
            match how {
                End::Closed => return,
                End::Goodbye | End::GoodbyeAndHang => {
                    stream.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]).await.unwrap();
                }
                End::Mute => {}
            }
            while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
        }
    })
    .await;
    let sink = sink_on(connector(&["127.0.0.0/8"], &[authority.root]), settings);
    let subscription = subscription(&format!("https://localhost:{}/hook", endpoint.address.port()));
    assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered);
    (sink, endpoint, subscription)
}

/// Reads frames until this many requests have ended.
async fn read_requests(stream: &mut TlsStream<TcpStream>, count: usize) {
    let mut ended = 0;
    while ended < count {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = usize::from(head[1]) * 256 + usize::from(head[2]);
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        // HEADERS or DATA with END_STREAM.
        ended += usize::from(head[3] <= 1 && head[4] & 1 == 1);
    }
}

fn of_pim(pim: u32, url: &str) -> Subscription {
    Subscription { pim: PimId(pim), ..subscription(url) }
}

async fn deliver_all(sink: &HttpsSink, subscription: &Subscription) -> Vec<Outcome> {
    join_all((0..IN_FLIGHT).map(|_| deliver(sink, subscription))).await
}

/// Ends the connection; the connections of another tenant stay open although there are few slots. Returns the outcomes.
async fn check_shared_replacement(how: End) -> (Vec<Outcome>, Duration) {
    let settings = HttpsSettings { connections: 8, ..impatient() };
    let (sink, endpoint, subscription) = ending(settings, how, Arc::new(Semaphore::new(1))).await;
    let quick = Endpoint::answering(OK).await;
    let others = [(); 3].map(|()| of_pim(2, &quick.url()));
    for other in &others {
        assert_eq!(deliver(&sink, other).await, Outcome::Delivered);
    }
    let begun = Instant::now();
    let outcomes = deliver_all(&sink, &subscription).await;
    let took = begun.elapsed();
    assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered);
    assert_eq!((endpoint.connections(), sink.open_connections()), (2, 4), "one replacement");
    for other in &others {
        assert_eq!(deliver(&sink, other).await, Outcome::Delivered);
    }
    assert_eq!(quick.connections(), 3, "no connection of another tenant was closed");
    (outcomes, took)
}

#[tokio::test]
async fn requests_on_a_connection_that_was_closed_share_a_new_one() {
    let (outcomes, _) = check_shared_replacement(End::Closed).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Delivered), "{outcomes:?}");
}

#[tokio::test]
async fn requests_beyond_a_goaway_share_a_new_connection() {
    let (outcomes, _) = check_shared_replacement(End::Goodbye).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Delivered), "{outcomes:?}");
}

/// Silence costs the requests on that connection their time, once, and no others.
#[tokio::test]
async fn a_mute_connection_is_left_after_the_time_of_one_attempt() {
    let (outcomes, took) = check_shared_replacement(End::Mute).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Silent(_))), "{outcomes:?}");
    assert!(took < 2 * impatient().attempt_timeout, "{took:?}");
}

/// The lost slot goes to others first. Waiting for another takes longer than an attempt may, but is not on the
/// destination's time.
#[tokio::test]
async fn waiting_for_the_slot_of_a_replacement_is_not_on_the_destinations_time() {
    let slow = Endpoint::start(|_, mut stream| async move {
        while read_request(&mut stream).await.is_some() {
            tokio::time::sleep(Duration::from_millis(600)).await;
            if stream.write_all(OK).await.is_err() {
                return;
            }
        }
    })
    .await;
    let end = Arc::new(Semaphore::new(0));
    let settings = HttpsSettings { connections: 1, ..impatient() };
    let (sink, endpoint, subscription) = ending(settings, End::Closed, Arc::clone(&end)).await;
    let others = [2, 3, 4].map(|pim| of_pim(pim, &slow.url()));
    let end_once_others_wait = async {
        // Once polled, they wait for a slot.
        tokio::task::yield_now().await;
        end.add_permits(1);
    };
    let begun = Instant::now();
    let (outcomes, of_others, ()) = tokio::join!(
        deliver_all(&sink, &subscription),
        join_all(others.iter().map(|other| deliver(&sink, other))),
        end_once_others_wait
    );
    assert!(begun.elapsed() > impatient().attempt_timeout, "nobody had to wait");
    assert!(outcomes.iter().chain(&of_others).all(|outcome| *outcome == Outcome::Delivered), "{outcomes:?}");
    assert_eq!(endpoint.connections(), 2);
}

/// An attempt that has little time left when it opens a connection does not speak for those that join it.
#[tokio::test]
async fn a_newcomer_does_not_share_the_timeout_of_an_older_attempt() {
    let end = Arc::new(Semaphore::new(0));
    let settings = HttpsSettings::default();
    let half = settings.attempt_timeout / 2;
    let (sink, endpoint, subscription) = ending(settings, End::GoodbyeAndHang, Arc::clone(&end)).await;
    let newcomer = async {
        tokio::time::sleep(half).await;
        end.add_permits(1);
        while endpoint.connections() < 2 {
            tokio::task::yield_now().await;
        }
        deliver(&sink, &subscription).await
    };
    let (of_older, of_newcomer) = tokio::join!(deliver_all(&sink, &subscription), newcomer);
    assert!(of_older.iter().all(|outcome| *outcome != Outcome::Delivered), "{of_older:?}");
    assert_eq!(of_newcomer, Outcome::Delivered);
}
