//! Unresponsive servers: an attempt ends, and nothing of it continues afterwards.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::outcome::Outcome;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::{check_all, deliver, emulator, event, in_order, sink, sink_to, start, subscription};

/// A server that accepts connections without responding; returns its address, and a message per connection closed by
/// the other side.
async fn silent() -> (SocketAddr, mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (closed, was_closed) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let closed = closed.clone();
            tokio::spawn(async move {
                _ = stream.read_to_end(&mut Vec::new()).await;
                _ = closed.send(());
            });
        }
    });
    (address, was_closed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_the_handshake_is_given_up_and_the_connection_with_it() {
    let (address, mut was_closed) = silent().await;
    let sink = Arc::new(sink_to(&format!("https://{address}")));
    let attempt = |topic: &'static str| {
        let sink = Arc::clone(&sink);
        async move {
            let subscription = subscription(topic);
            let begun = Instant::now();
            let outcomes = deliver(&sink, &subscription, &[event(1, "p", "")]).await;
            (outcomes[0].clone(), begun.elapsed())
        }
    };
    for _ in 0..2 {
        let (outcome, took) = attempt("projects/postrider-tests/topics/any").await;
        assert_eq!(silence(outcome), format!("no response from {address} within 1 s"));
        assert!(took < Duration::from_secs(4), "{took:?}");
        tokio::time::timeout(Duration::from_secs(5), was_closed.recv()).await.expect("it was closed");
    }
    // Also while another attempt waits for the same connection: the first one's data must not be sent when that comes
    // alive.
    let first = tokio::spawn(attempt("projects/postrider-tests/topics/first"));
    tokio::time::sleep(Duration::from_millis(900)).await;
    let second = tokio::spawn(attempt("projects/postrider-tests/topics/second"));
    let (outcome, _) = first.await.unwrap();
    assert_eq!(silence(outcome), format!("no response from {address} within 1 s"));
    // The platform abandoned it because of the first one.
    let (outcome, took) = second.await.unwrap();
    assert_eq!(outcome, Outcome::Abandoned);
    assert!(took < Duration::from_millis(1_400), "it ended together with the first, after {took:?}");
}

/// A proxy between the sink and the emulator that can forget its connections, as a firewall does: both sides still
/// believe in them.
async fn forgetful(to: u16) -> (SocketAddr, watch::Sender<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (forget, forgotten) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut forgotten = forgotten.clone();
            forgotten.mark_unchanged();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = forgotten.changed() => std::future::pending().await,
                }
            });
        }
    });
    (address, forget)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_other_end_is_gone_is_replaced() {
    let Some(emulator) = emulator() else { return };
    let topic = emulator.create_topic("forgotten").unwrap();
    let (address, forget) = forgetful(emulator.port()).await;
    let sink = sink_to(&format!("http://{address}"));
    let subscription = subscription(&topic);
    check_all(&deliver(&sink, &subscription, &[event(1, "p", "")]).await, "delivered");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    forget.send_modify(|times| *times += 1);
    check_all(&deliver(&sink, &subscription, &[event(2, "p", "")]).await, "silent destination_timeout");
    check_all(&deliver(&sink, &subscription, &[event(2, "p", "")]).await, "delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_freezes_fails_and_nothing_is_sent_when_it_thaws() {
    let Some(emulator) = start() else { return };
    let topic = emulator.create_topic("frozen").unwrap();
    let sink = Arc::new(sink(&emulator));
    let subscription = in_order(&topic);
    check_all(&deliver(&sink, &subscription, &[event(1, "p", "")]).await, "delivered");
    emulator.process().freeze().unwrap();
    let events: Vec<_> = (2..100).map(|number| event(number, &format!("p{number}"), "")).collect();
    for _ in 0..2 {
        let begun = Instant::now();
        check_all(&deliver(&sink, &subscription, &events).await, "silent destination_timeout");
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    }
    emulator.process().thaw().unwrap();
    let begun = Instant::now();
    check_all(&deliver(&sink, &subscription, &[event(1_000, "last", "")]).await, "delivered");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // The server may accept data already written to the connection, within its deadline; but never unsent data.
    let messages = emulator.counts(&topic).unwrap().messages;
    assert!(messages <= 2 + 32 + 1, "{messages}");
}

/// The failure of an attempt without a response.
fn silence(outcome: Outcome) -> String {
    match outcome {
        Outcome::Silent(failure) => failure.message,
        other => panic!("{other:?}"),
    }
}
