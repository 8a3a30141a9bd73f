//! Confirmation of technical contacts' addresses.

use domain::notification::{Channel, Outgoing};
use http::StatusCode;
use serde_json::{Value, json};
use store::confirmation::Answer;
use store::{Outbox, Subscriptions};

use crate::world::{World, new_subscriber};

async fn world() -> World {
    World::with(|settings| settings.confirm_addresses = true).await
}

/// The pending emails.
async fn outbox(world: &World) -> Vec<Outgoing> {
    world.store.notifications(store::Shard::FIRST, None, 10).await.unwrap()
}

/// The path of the link in the latest email, and its recipient.
async fn latest_link(world: &World) -> (String, String) {
    let latest = outbox(world).await.pop().unwrap();
    let Channel::Question { code } = &latest.channel else { panic!("{latest:?}") };
    (format!("/confirm/{}", Answer::link(latest.notification.subscriber_id, code)), latest.email)
}

async fn has_confirmed(world: &World, email: &str) -> bool {
    let id = outbox(world).await[0].notification.subscriber_id;
    world.store.subscriber(id).await.unwrap().unwrap().has_confirmed(email)
}

async fn post(world: &World, link: &str) -> StatusCode {
    world.bare("POST", link).send().await.status
}

#[tokio::test]
async fn a_link_confirms_once_and_opening_it_does_not() {
    let world = world().await;
    world.subscriber().await;
    let (link, email) = latest_link(&world).await;
    let page = world.bare("GET", &link).send().await;
    assert_eq!((page.status, page.headers["cache-control"].to_str().unwrap()), (StatusCode::OK, "no-store"));
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("form-action 'self'"));
    assert!(!has_confirmed(&world, &email).await);
    let mut made_up = link.clone();
    made_up.replace_range(link.len() - 1.., if link.ends_with('0') { "1" } else { "0" });
    for wrong in [made_up.as_str(), "/confirm/x", &link[..link.len() - 1]] {
        assert_eq!(post(&world, wrong).await, StatusCode::NOT_FOUND, "{wrong}");
    }
    assert!(!has_confirmed(&world, &email).await);
    assert_eq!(post(&world, &link).await, StatusCode::OK);
    assert!(has_confirmed(&world, &email).await);
    assert_eq!(post(&world, &link).await, StatusCode::NOT_FOUND, "a link works once");
    assert_eq!(outbox(&world).await.len(), 1);
}

#[tokio::test]
async fn another_address_is_confirmed_again_and_answers_look_as_ever() {
    let world = world().await;
    let path = world.subscriber().await;
    let (first, old) = latest_link(&world).await;
    let patch = async |patch: Value| world.call("PATCH", &path).json(&patch).send().await.expect(200);
    patch(json!({"name": "renamed"})).await;
    assert_eq!(outbox(&world).await.len(), 1, "the address is the same");
    let answered = patch(json!({"contact": {"technical_email": "new@example.com"}})).await;
    let (second, new) = latest_link(&world).await;
    assert_eq!((outbox(&world).await.len(), new.as_str()), (2, "new@example.com"));
    assert_eq!(post(&world, &first).await, StatusCode::NOT_FOUND);
    assert_eq!(post(&world, &second).await, StatusCode::OK);
    assert!(has_confirmed(&world, &new).await && !has_confirmed(&world, &old).await);
    let shown = world.call("GET", &path).send().await.expect(200);
    assert_eq!(shown, answered, "neither tells nor changes anything that clients read");
}

#[tokio::test]
async fn confirmation_needs_email_and_the_setting() {
    let world = world().await;
    let mut by_webhook = new_subscriber();
    by_webhook["contact"] = json!({
        "technical_email": "dev@example.com", "notification_channels": ["webhook"],
        "notification_webhook_url": "https://hooks.example.com/", "notification_webhook_secret": "0123456789abcdef"
    });
    world.call("POST", "/api/v1/subscribers").json(&by_webhook).send().await.expect(201);
    assert_eq!(outbox(&world).await, []);
    let off = World::new().await;
    off.subscriber().await;
    assert_eq!(outbox(&off).await, []);
}
