//! Servers that say nothing at all: an attempt ends, and nothing of it goes on behind it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::outcome::Outcome;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{check_all, deliver, event, in_order, sink, sink_to, start, subscription};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_the_handshake_is_given_up_and_the_connection_with_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let closed = closed.clone();
            tokio::spawn(async move {
                // Until the other side ends it.
                let mut bytes = Vec::new();
                _ = stream.read_to_end(&mut bytes).await;
                _ = closed.send(());
            });
        }
    });
    let sink = sink_to(&format!("https://{address}"));
    let subscription = subscription("projects/postrider-tests/topics/any");
    for _ in 0..2 {
        let begun = Instant::now();
        let outcomes = deliver(&sink, &subscription, &[event(1, "p", "")]).await;
        let Outcome::Failed(failure) = &outcomes[0] else { panic!("{outcomes:?}") };
        assert_eq!(failure.message, format!("no answer from {address} within 1 s"));
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        tokio::time::timeout(Duration::from_secs(5), was_closed.recv()).await.expect("it was closed");
    }
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
        check_all(&deliver(&sink, &subscription, &events).await, "failed destination_timeout");
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    }
    emulator.process().thaw().unwrap();
    let begun = Instant::now();
    check_all(&deliver(&sink, &subscription, &[event(1_000, "last", "")]).await, "delivered");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // What had been written to the connection may be taken by the server, within its deadline; not what had not been sent.
    let messages = emulator.counts(&topic).unwrap().messages;
    assert!(messages <= 2 + 32 + 1, "{messages}");
}
