//! Failed attempts: by the service's response, and without one.

use std::time::{Duration, Instant};

use domain::outcome::{Failure, Outcome};
use parts::pubsub::{Emulator, Fault, Tls};

use super::{check_all, deliver, emulator, event, in_order, short, sink, sink_to, start, subscription};

/// Time limit of every attempt of these sinks: 4.5 times that of a request, with an allowance for a busy machine.
const BOUND: Duration = Duration::from_secs(6);

/// Checks that a batch ends like this, promptly, and again with the same message.
async fn check_ends(emulator: &Emulator, code: &'static str, expect: &str) {
    let topic = emulator.create_topic(&format!("code-{}", code.to_lowercase())).unwrap();
    emulator.fault(&topic, &Fault { code, message: "at 12:34:56 in shard 7", ..Fault::default() }).unwrap();
    let (sink, subscription) = (sink(emulator), subscription(&topic));
    let begun = Instant::now();
    let first = deliver(&sink, &subscription, &[event(1, "p", ""), event(2, "q", "")]).await;
    let second = deliver(&sink, &subscription, &[event(3, "r", ""), event(4, "p", "")]).await;
    assert!(begun.elapsed() < 2 * BOUND, "{code} took {:?}", begun.elapsed());
    check_all(&first, expect);
    assert_eq!(first, second, "what differs from time to time would not be merged in the log");
    assert_eq!(first[0], first[1], "nor what differs from event to event");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_code_ends_in_its_reason() {
    let Some(emulator) = emulator() else { return };
    check_ends(emulator, "PERMISSION_DENIED", "broken authentication_failed").await;
    check_ends(emulator, "UNAUTHENTICATED", "ours credentials").await;
    check_ends(emulator, "NOT_FOUND", "broken topic_not_found").await;
    check_ends(emulator, "INVALID_ARGUMENT", "refused publish_rejected").await;
    check_ends(emulator, "RESOURCE_EXHAUSTED", "throttled").await;
    check_ends(emulator, "DEADLINE_EXCEEDED", "failed destination_timeout").await;
    for code in ["UNAVAILABLE", "INTERNAL", "ABORTED", "UNKNOWN", "CANCELLED", "FAILED_PRECONDITION", "UNIMPLEMENTED"] {
        check_ends(emulator, code, "failed destination_failure").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_and_one_that_is_deleted_are_not_found() {
    let Some(emulator) = emulator() else { return };
    let sink = sink(emulator);
    let never = deliver(&sink, &subscription("projects/postrider-tests/topics/never"), &[event(1, "p", "")]).await;
    assert_eq!(short(&never[0]), "broken topic_not_found");
    let topic = emulator.create_topic("deleted").unwrap();
    let subscription = subscription(&topic);
    check_all(&deliver(&sink, &subscription, &[event(1, "p", "")]).await, "delivered");
    emulator.delete_topic(&topic).unwrap();
    let outcomes = deliver(&sink, &subscription, &[event(2, "p", "")]).await;
    let Outcome::Broken(failure) = &outcomes[0] else { panic!("{outcomes:?}") };
    let expect = "Pub/Sub answered NOT_FOUND: topic projects/postrider-tests/topics/deleted does not exist";
    assert_eq!((failure.reason.as_str(), failure.message.as_str()), ("topic_not_found", expect));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_topic_ends_in_time_and_delays_no_other() {
    let Some(emulator) = emulator() else { return };
    let (hanging, healthy) = (emulator.create_topic("hanging").unwrap(), emulator.create_topic("healthy").unwrap());
    emulator.fault(&hanging, &Fault { hang: true, ..Fault::default() }).unwrap();
    let sink = sink(emulator);
    // A thousand entities, therefore a thousand requests.
    let events: Vec<_> = (0..1_000).map(|number| event(number, &format!("p{number}"), "")).collect();
    let (hung, well) = (in_order(&hanging), in_order(&healthy));
    let begun = Instant::now();
    let others = async {
        let mut slowest = Duration::ZERO;
        while begun.elapsed() < Duration::from_millis(900) {
            let sent = Instant::now();
            check_all(&deliver(&sink, &well, &[event(1, "p", "")]).await, "delivered");
            slowest = slowest.max(sent.elapsed());
        }
        slowest
    };
    let (outcomes, slowest) = tokio::join!(deliver(&sink, &hung, &events), others);
    check_all(&outcomes, "silent destination_timeout");
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    assert!(slowest < Duration::from_millis(800), "another topic's event took {slowest:?}");
    let Outcome::Silent(Failure { message, .. }) = &outcomes[0] else { unreachable!() };
    assert_eq!(*message, format!("no response from {} within 1 s", emulator.host()));

    // The next attempt probes with one event.
    let before = emulator.counts(&hanging).unwrap().calls;
    check_all(&deliver(&sink, &hung, &events).await, "silent destination_timeout");
    assert_eq!(emulator.counts(&hanging).unwrap().calls - before, 1);
    emulator.heal(&hanging).unwrap();
    check_all(&deliver(&sink, &hung, &events).await, "delivered");
    // Nothing of the ended attempts arrived later.
    assert_eq!(emulator.counts(&hanging).unwrap().messages, 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_a_failure() {
    let Some(emulator) = emulator() else { return };
    let topic = emulator.create_topic("lost-answer").unwrap();
    emulator.fault(&topic, &Fault { after: true, code: "UNAVAILABLE", times: 1, ..Fault::default() }).unwrap();
    let (sink, subscription) = (sink(emulator), subscription(&topic));
    check_all(&deliver(&sink, &subscription, &[event(1, "p", "")]).await, "failed destination_failure");
    check_all(&deliver(&sink, &subscription, &[event(1, "p", "")]).await, "delivered");
    assert_eq!(emulator.counts(&topic).unwrap().messages, 2, "at least once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_down_and_comes_up_again_is_found_again() {
    let Some(emulator) = start() else { return };
    let topic = emulator.create_topic("restarted").unwrap();
    let (sink, subscription) = (sink(&emulator), in_order(&topic));
    check_all(&deliver(&sink, &subscription, &[event(1, "p", "")]).await, "delivered");
    emulator.go_down().unwrap();
    // The connection may turn out to be lost, and then there is none.
    let outcomes = deliver(&sink, &subscription, &[event(2, "p", "")]).await;
    assert!(matches!(outcomes[0], Outcome::Failed(_)), "{outcomes:?}");
    for _ in 0..3 {
        // As in the lane, but with shorter pauses.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let begun = Instant::now();
        let outcomes = deliver(&sink, &subscription, &[event(2, "p", ""), event(3, "q", "")]).await;
        assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
        check_all(&outcomes, "failed connection_refused");
        let Outcome::Failed(failure) = &outcomes[0] else { unreachable!() };
        assert_eq!(failure.message, format!("could not connect to {}: the connection was refused", emulator.host()));
    }
    emulator.come_up().unwrap();
    // One attempt may still get the old error, but not one per failed connection.
    tokio::time::sleep(Duration::from_millis(150)).await;
    deliver(&sink, &subscription, &[event(2, "p", "")]).await;
    check_all(&deliver(&sink, &subscription, &[event(2, "p", ""), event(3, "q", "")]).await, "delivered");
    let messages = emulator.counts(&topic).unwrap().messages;
    assert!(messages == 3 || messages == 4, "{messages}: nothing was sent behind an attempt that had ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_connection_the_reason_says_why() {
    let check = async |endpoint: &str, expect: &str| {
        let begun = Instant::now();
        let sink = sink_to(endpoint);
        let subscription = subscription("projects/postrider-tests/topics/any");
        let outcomes = deliver(&sink, &subscription, &[event(1, "p", "")]).await;
        assert_eq!(short(&outcomes[0]), expect, "{endpoint}: {outcomes:?}");
        assert!(begun.elapsed() < BOUND, "{endpoint} took {:?}", begun.elapsed());
    };
    check(&format!("http://127.0.0.1:{}", parts::port::free()), "failed connection_refused").await;
    // A label has at most 63 characters: no server is queried.
    check(&format!("http://{}.example", "x".repeat(64)), "ours name_servers").await;

    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let tls = Tls { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() };
    let emulator = match Emulator::start_with(Some(&tls)) {
        Ok(emulator) => emulator,
        Err(error) => return parts::left_out("Google's Pub/Sub emulator", &error),
    };
    parts::port::accepts(emulator.port(), BOUND).unwrap();
    check(&format!("https://{}", emulator.host()), "failed invalid_certificate").await;
    let Some(plain) = super::emulator() else { return };
    check(&format!("https://{}", plain.host()), "failed invalid_tls_handshake").await;
}
