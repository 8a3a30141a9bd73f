//! The guard at connect: a forbidden address never sees a connection.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering;

use domain::outcome::{ErrorReason, Failure, Outcome};
use futures_util::FutureExt;
use sinks::https::HttpsSettings;
use sinks::resolve::PLATFORM;
use tokio::net::TcpListener;

use crate::endpoint::*;
use crate::name_server::NameServer;

fn forbidden(message: &str) -> Outcome {
    Outcome::Broken(Failure {
        reason: ErrorReason::DestinationForbidden,
        code: 500,
        message: message.to_owned(),
        answer: None,
    })
}

#[tokio::test]
async fn a_forbidden_address_never_sees_a_connection() {
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sink = sink_on(connector(&["127.0.0.1/32"], &[]), HttpsSettings::default());
    for host in ["127.0.0.2", "127.2", "2130706434", "0x7f.2", "[::ffff:127.0.0.2]"] {
        for scheme in ["http", "https"] {
            let said = deliver(&sink, &subscription(&format!("{scheme}://{host}:{port}/"))).await;
            let Outcome::Broken(failure) = said else { panic!("{host}: {said:?}") };
            assert_eq!(failure.reason, ErrorReason::DestinationForbidden, "{host}");
        }
    }
    assert!(listener.accept().now_or_never().is_none());
}

#[tokio::test]
async fn nothing_of_this_machine_is_reached_by_default() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sink = sink_on(connector(&[], &[]), HttpsSettings::default());
    let said = deliver(&sink, &subscription(&format!("http://localhost:{port}/"))).await;
    let message = "localhost is 127.0.0.1, a loopback address (127.0.0.0/8), which is forbidden for destinations";
    assert_eq!(said, forbidden(message));
    assert!(listener.accept().now_or_never().is_none());
}

#[tokio::test]
async fn localhost_is_this_machine_where_it_is_allowed() {
    let endpoint = Endpoint::answering(OK).await;
    let sink = sink(HttpsSettings::default());
    for host in ["localhost", "shop.localhost", "127.1", "2130706433"] {
        let url = format!("http://{host}:{}/", endpoint.address.port());
        assert_eq!(deliver(&sink, &subscription(&url)).await, Outcome::Delivered, "{host}");
    }
}

#[tokio::test]
async fn a_name_is_refused_when_any_of_its_addresses_is() {
    let names = NameServer::start(&[
        ("good.example", &[[127, 0, 0, 1]]),
        ("two.example", &[[127, 0, 0, 1], [127, 0, 0, 2]]),
        ("inside.example", &[[10, 1, 2, 3]]),
    ])
    .await;
    let endpoint = Endpoint::answering(OK).await;
    let port = endpoint.address.port();
    let sink = sink_on(connector_with(names.resolver(), &["127.0.0.1/32"], &[]), HttpsSettings::default());

    let good = deliver(&sink, &subscription(&format!("http://good.example:{port}/"))).await;
    assert_eq!(good, Outcome::Delivered);
    let two = deliver(&sink, &subscription(&format!("http://two.example:{port}/"))).await;
    let message = "two.example is 127.0.0.2, a loopback address (127.0.0.0/8), which is forbidden for destinations";
    assert_eq!(two, forbidden(message));
    let inside = deliver(&sink, &subscription(&format!("http://inside.example:{port}/"))).await;
    let message = "inside.example is 10.1.2.3, a private address (10.0.0.0/8), which is forbidden for destinations";
    assert_eq!(inside, forbidden(message));
    assert_eq!(endpoint.connections(), 1);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let names = NameServer::start(&[("moved.example", &[[127, 0, 0, 3], [127, 0, 0, 4], [127, 0, 0, 1]])]).await;
    let endpoint = Endpoint::answering(OK).await;
    let sink = sink_on(connector_with(names.resolver(), &["127.0.0.0/8"], &[]), HttpsSettings::default());
    let url = format!("http://moved.example:{}/", endpoint.address.port());
    assert_eq!(deliver(&sink, &subscription(&url)).await, Outcome::Delivered);
}

#[tokio::test]
async fn a_name_without_an_address_fails() {
    let names = NameServer::start(&[]).await;
    let sink = sink_on(connector_with(names.resolver(), &[], &[]), HttpsSettings::default());
    let message = "could not connect to nowhere.example:443: the name has no address in DNS";
    check_failed(&sink, "https://nowhere.example/", ErrorReason::DnsLookupFailure, message).await;
    let message = "could not connect to nowhere.invalid:443: the name has no address in DNS";
    check_failed(&sink, "https://nowhere.invalid/", ErrorReason::DnsLookupFailure, message).await;
}

#[tokio::test]
async fn a_hanging_name_delays_no_other_and_is_not_retried_at_once() {
    let names = NameServer::start(&[("hangs.example", &[]), ("good.example", &[[127, 0, 0, 1]])]).await;
    let endpoint = Endpoint::answering(OK).await;
    let sink = sink_on(connector_with(names.resolver(), &["127.0.0.0/8"], &[]), HttpsSettings::default());
    let hanging = subscription("https://hangs.example/");
    let good = subscription(&format!("http://good.example:{}/", endpoint.address.port()));
    let mut waiting = std::pin::pin!(futures_util::future::join_all((0..50).map(|_| deliver(&sink, &hanging))));
    tokio::select! {
        biased;
        ended = &mut waiting => panic!("ended first: {ended:?}"),
        outcome = deliver(&sink, &good) => assert_eq!(outcome, Outcome::Delivered),
    }
    let message = "could not connect to hangs.example:443: the name servers did not answer in time";
    for outcome in waiting.await {
        let Outcome::Silent(failure) = outcome else { panic!("{outcome:?}") };
        assert_eq!((failure.reason, failure.message.as_str()), (ErrorReason::DnsLookupFailure, message));
    }
    let asked = names.questions.load(Ordering::SeqCst);
    assert!(asked < 20, "{asked} questions for one name that hangs and one that does not");
    assert!(matches!(deliver(&sink, &hanging).await, Outcome::Silent(_)));
    assert_eq!(names.questions.load(Ordering::SeqCst), asked);
}

#[tokio::test]
async fn an_exempt_connector_reaches_operator_addresses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let guarded = connector(&[], &[]);
    assert!(guarded.connect_tcp(guarded.admit("127.0.0.1", PLATFORM).await, port).await.is_err());
    let exempt = guarded.exempt();
    let stream = exempt.connect_tcp(exempt.admit("localhost", PLATFORM).await, port).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap().ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
}
