//! Shared resources are shared fairly: a hostile tenant costs another neither time nor an outcome.

use std::time::{Duration, Instant};

use domain::PimId;
use domain::outcome::Outcome;
use domain::subscription::Subscription;
use futures_util::future::join_all;
use sinks::https::HttpsSettings;

use crate::endpoint::*;
use crate::name_server::NameServer;

/// Shorter than waiting in a queue behind others.
const SOON: Duration = Duration::from_secs(2);

fn of_pim(pim: u32, url: &str) -> Subscription {
    Subscription { pim: PimId(pim), ..subscription(url) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_hundred_hanging_names_delay_no_other() {
    let hanging: Vec<String> = (0..400).map(|number| format!("n{number}.hangs.example")).collect();
    let mut names: Vec<(&str, &[[u8; 4]])> = hanging.iter().map(|name| (name.as_str(), &[][..])).collect();
    let good: Vec<String> = (0..20).map(|number| format!("n{number}.good.example")).collect();
    names.extend(good.iter().map(|name| (name.as_str(), &[[127, 0, 0, 1]][..])));
    let names = NameServer::start(&names).await;
    let endpoint = Endpoint::answering(OK).await;
    let connector = connector_with(names.resolver(), &["127.0.0.0/8"], &[]);
    let sink = std::sync::Arc::new(sink_on(connector, HttpsSettings::default()));
    let deliver_to = async |pim, name: &str| {
        let url = format!("http://{name}:{}/", endpoint.address.port());
        deliver(&sink, &of_pim(pim, &url)).await
    };
    for name in &hanging {
        let (sink, hostile) = (sink.clone(), of_pim(1, &format!("https://{name}/")));
        tokio::spawn(async move { deliver(&sink, &hostile).await });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    for name in &good {
        let begun = Instant::now();
        assert_eq!(deliver_to(2, name).await, Outcome::Delivered, "{name}");
        assert!(begun.elapsed() < SOON, "{name} took {:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_answers_of_one_tenant_leave_places_for_connections_to_another() {
    let slow = Endpoint::start(|_, mut stream| async move {
        while read_request(&mut stream).await.is_some() {
            tokio::time::sleep(Duration::from_secs(4)).await;
            if tokio::io::AsyncWriteExt::write_all(&mut stream, OK).await.is_err() {
                return;
            }
        }
    })
    .await;
    let quick = Endpoint::answering(OK).await;
    let sink = std::sync::Arc::new(sink(HttpsSettings { connections: 16, ..HttpsSettings::default() }));
    let hostile = join_all((0..60).map(|_| {
        let (sink, subscription) = (sink.clone(), of_pim(1, &slow.url()));
        tokio::spawn(async move { deliver(&sink, &subscription).await })
    }));
    let hostile = tokio::spawn(hostile);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begun = Instant::now();
    let modest = [(); 4].map(|()| of_pim(2, &quick.url()));
    let outcomes = join_all(modest.iter().map(|one| deliver(&sink, one))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Delivered), "{outcomes:?}");
    assert!(begun.elapsed() < SOON, "took {:?}", begun.elapsed());
    hostile.abort();
}

#[tokio::test]
async fn waiting_for_a_place_is_not_on_the_destinations_time() {
    let slow = Endpoint::start(|_, mut stream| async move {
        while read_request(&mut stream).await.is_some() {
            tokio::time::sleep(Duration::from_millis(700)).await;
            if tokio::io::AsyncWriteExt::write_all(&mut stream, OK).await.is_err() {
                return;
            }
        }
    })
    .await;
    // The fourth waits for three others, twice as long as the time limit of an attempt.
    let sink = sink(HttpsSettings { connections: 1, ..impatient() });
    let subscriptions = [(); 4].map(|()| of_pim(1, &slow.url()));
    let outcomes = join_all(subscriptions.iter().map(|one| deliver(&sink, one))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Delivered), "{outcomes:?}");
}
