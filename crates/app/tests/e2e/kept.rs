//! Kept events are visible to whom they concern only; test events arrive as regular ones do.

use std::time::Duration;

use domain::{Clock, Secret};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use wire::signature::SigningKey;

use crate::client::{APP, Caller, Client, SECRET};
use crate::receiver::Receiver;
use crate::running::Running;
use crate::sample::{event, types};

/// Two PIMs; two clients of the first.
const PIMS: &str = "
[[pims]]
name = \"test\"
url = \"https://pim.example.com\"
keys = [\"a-key-for-the-tests\"]
token_check = \"static\"
static_tokens = [{ client_id = \"app\", token = \"token\" }, { client_id = \"other\", token = \"other-token\" }]

[[pims]]
name = \"second\"
url = \"https://second.example.com\"
token_check = \"static\"
static_tokens = [{ client_id = \"app\", token = \"second-token\" }]
";
const OTHER: Caller = Caller("https://pim.example.com", "other-token", "other");
const SECOND: Caller = Caller("https://second.example.com", "second-token", "app");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_concerns_others_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Running::start_with(folder.path(), PIMS, &[], &[]);
    let receiver = Receiver::start(Duration::ZERO).await;
    let mut app = Client::connect_as(APP, &platform.address).await.unwrap();
    let path = app.subscriber().await;
    let earlier = app.subscribe(&path, &receiver.url("/earlier"), &types(&["product.updated"]), json!({})).await;
    app.publish(&[event("of an earlier subscription", "product.updated")]).await.unwrap();
    receiver.wait_until(Duration::from_secs(10), "the delivery", || receiver.count("/earlier") == 1).await;
    let (status, _) = app.ask(Method::DELETE, &format!("{path}/{earlier}"), Value::Null).await;
    assert_eq!(status, 204);

    let mine = app.subscribe(&path, &receiver.url("/mine"), &types(&["product.updated"]), json!({})).await;
    let mut other = Client::connect_as(OTHER, &platform.address).await.unwrap();
    let of_other = other.subscriber().await;
    let others = other.subscribe(&of_other, &receiver.url("/others"), &types(&["product.deleted"]), json!({})).await;
    let mut second = Client::connect_as(SECOND, &platform.address).await.unwrap();
    let of_second = second.subscriber().await;
    let updated = types(&["product.updated", "product.deleted", "product.created"]);
    let seconds = second.subscribe(&of_second, &receiver.url("/second"), &updated, json!({})).await;
    let events =
        [("mine", "product.updated"), ("of another client", "product.deleted"), ("of no type", "product.created")];
    app.publish(&events.map(|(id, of_type)| event(id, of_type))).await.unwrap();

    let ids = ["mine", "of another client", "of no type", "of an earlier subscription"];
    for (client, own, visible) in [
        (&mut app, format!("{path}/{mine}"), "mine"),
        (&mut other, format!("{of_other}/{others}"), "of another client"),
        (&mut second, format!("{of_second}/{seconds}"), "-"),
    ] {
        for id in ids {
            let encoded = id.replace(' ', "%20");
            let expect = if id == visible { 200 } else { 404 };
            for at in [format!("/api/v1/events/{encoded}"), format!("{own}/events/{encoded}")] {
                let (status, told) = client.ask(Method::GET, &at, Value::Null).await;
                assert_eq!(status, expect, "{at}: {told}");
            }
        }
        let page = client.get("/api/v1/events").await;
        let listed: Vec<_> =
            page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
        assert_eq!(listed, if visible == "-" { vec![] } else { vec![visible] });
    }
    // By the paths of others.
    for own in ["attempts", "failures", "replays", "events/mine"] {
        for client in [&mut other, &mut second] {
            let (status, _) = client.ask(Method::GET, &format!("{path}/{mine}/{own}"), Value::Null).await;
            assert_eq!(status, 404, "{own}");
        }
    }
    let body = json!({"event_ids": ids});
    let (status, replay) = app.ask(Method::POST, &format!("{path}/{mine}/replay"), body).await;
    assert_eq!((status, &replay["gone"]), (202, &json!(3)), "{replay}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_event_arrives_signed_and_counts_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Running::start(folder.path(), &[]);
    let receiver = Receiver::answering(Duration::ZERO, |path, _| match path {
        "/fine" => StatusCode::OK,
        _ => StatusCode::NOT_FOUND,
    })
    .await;
    let mut client = Client::connect(&platform.address).await.unwrap();
    let path = client.subscriber().await;
    let filtered = json!({"filter": "user=\"nobody\""});
    let fine = client.subscribe(&path, &receiver.url("/fine"), &types(&["product.updated"]), filtered).await;
    let fine = format!("{path}/{fine}");
    assert_eq!(client.order(&format!("{fine}/suspend")).await, Ok(StatusCode::OK));
    let (status, told) = client.ask(Method::POST, &format!("{fine}/test"), Value::Null).await;
    assert_eq!((status, &told["outcome"]), (200, &json!("delivered")), "{told}");
    let delivery = receiver.at("/fine").pop().unwrap();
    let id = told["event_id"].as_str().unwrap();
    assert_eq!((delivery.id().as_str(), delivery.header("webhook-id")), (id, id));
    assert!(id.starts_with("test-"), "{id}");
    let key = SigningKey::new(&Secret::new(SECRET));
    key.verify_akeneo(delivery.header("x-akeneo-signature-primary").as_bytes(), &delivery.body).unwrap();
    let [id, at, signatures] =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| delivery.header(name));
    let standard = (id.as_bytes(), at.as_bytes(), signatures.as_bytes());
    key.verify_standard(standard, &delivery.body, Clock::system().wall(), Duration::from_secs(60)).unwrap();

    // An unreachable destination is reported and suspends nothing.
    let gone = client.subscribe(&path, &receiver.url("/gone"), &types(&["product.updated"]), json!({})).await;
    let gone = format!("{path}/{gone}");
    let (_, told) = client.ask(Method::POST, &format!("{gone}/test"), json!({})).await;
    let found = (&told["outcome"], &told["error_reason"], &told["status"]);
    assert_eq!(found, (&json!("failed"), &json!("destination_not_found"), &json!(404)));
    // By the address guard, too.
    let forbidden = json!({"config": {"url": "http://localtest.example/", "secret": {"primary": SECRET}}});
    let (status, told) = client.ask(Method::PATCH, &gone, forbidden).await;
    assert_eq!(status, 200, "{told}");
    let status = client.get(&format!("{gone}/status")).await;
    assert_eq!(
        (&status["status"], &status["delivery"]["last_hour"]["failed"]),
        (&json!("active"), &json!(0)),
        "{status}"
    );
    let attempts = client.get(&format!("{gone}/attempts")).await;
    assert_eq!((&attempts["items"], &attempts["counts"]), (&json!([]), &json!([])));
    let entries = client.log_of(gone.rsplit('/').next().unwrap()).await;
    assert!(entries.iter().all(|entry| entry["log_type"] == "action"), "{entries:?}");

    let (status, _) = client.ask(Method::POST, &format!("{fine}/test"), json!({"type": "product.updated"})).await;
    assert_eq!(status, 422);
    let mut too_often = 0;
    for _ in 0..5 {
        let (status, _) = client.ask(Method::POST, &format!("{fine}/test"), Value::Null).await;
        too_often += usize::from(status == 429);
    }
    assert!(too_often >= 3, "{too_often}");
}
