//! `/api/v1/subscribers`

use serde_json::{Value, json};

use crate::world::{PIM_URL, World, new_subscriber, owner_of};

const PATH: &str = "/api/v1/subscribers";

#[tokio::test]
async fn a_subscriber_is_made_shown_changed_and_deleted() {
    let world = World::new().await;
    let made = world.call("POST", PATH).json(&new_subscriber()).send().await.expect(201);
    assert_eq!(made["name"], "My shop");
    assert_eq!(made["subject"], PIM_URL);
    assert_eq!(made["status"], "active");
    assert_eq!(made["contact"]["notification_channels"], json!(["email"]));
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    assert_eq!(world.call("GET", &path).send().await.expect(200), made);
    assert_eq!(world.call("GET", PATH).send().await.expect(200), json!([made]));

    let patched = world.call("PATCH", &path).json(&json!({"name": "Other"})).send().await.expect(200);
    assert_eq!(patched["name"], "Other");
    assert_eq!(patched["contact"], made["contact"]);
    assert!(patched["updated_at"].as_str() > made["updated_at"].as_str());

    assert_eq!(world.call("DELETE", &path).send().await.expect(204), Value::Null);
    for method in ["GET", "PATCH", "DELETE"] {
        world.call(method, &path).json(&json!({})).send().await.refused(404, "not_found");
    }
    assert_eq!(world.call("GET", PATH).send().await.expect(200), json!([]));
    assert_eq!(world.operations("app").await, ["subscriber_created", "subscriber_updated", "subscriber_deleted"]);
    assert_eq!(world.notifications().await, [""; 0]);
}

#[tokio::test]
async fn a_body_sent_back_unchanged_changes_nothing() {
    let world = World::new().await;
    let path = world.subscriber().await;
    let read = world.call("GET", &path).send().await.expect(200);
    let merge_patch = world.call("PATCH", &path).header("content-type", "application/merge-patch+json");
    assert_eq!(merge_patch.raw(read.to_string()).send().await.expect(200), read);
    assert_eq!(world.operations("app").await, ["subscriber_created"]);
}

#[tokio::test]
async fn clients_access_only_their_own_subscribers() {
    let world = World::new().await;
    let path = world.subscriber().await;
    let subscription = world.subscription(&path).await;
    let strangers = ["other client", "other PIM, same client id"];
    for stranger in strangers {
        let call = |method: &str, path: &str| match stranger {
            "other client" => world.call_as("other", method, path),
            _ => world.call_second(method, path),
        };
        assert_eq!(call("GET", PATH).send().await.expect(200), json!([]), "{stranger}");
        assert_eq!(call("GET", "/api/v1/logs").send().await.expect(200)["items"], json!([]), "{stranger}");
        for (method, path) in [
            ("GET", path.clone()),
            ("PATCH", path.clone()),
            ("DELETE", path.clone()),
            ("GET", format!("{path}/subscriptions")),
            ("POST", format!("{path}/subscriptions")),
            ("GET", subscription.clone()),
            ("PATCH", subscription.clone()),
            ("DELETE", subscription.clone()),
            ("POST", format!("{subscription}/suspend")),
            ("POST", format!("{subscription}/resume")),
            ("GET", format!("{subscription}/status")),
        ] {
            call(method, &path).json(&json!({})).send().await.refused(404, "not_found");
        }
    }
    // A subscription is only accessible under its own subscriber, even for its owner.
    let second = world.subscriber().await;
    let sid = subscription.rsplit('/').next().unwrap();
    world.call("GET", &format!("{second}/subscriptions/{sid}")).send().await.refused(404, "not_found");
    world.call("GET", &subscription).send().await.expect(200);
}

#[tokio::test]
async fn twenty_active_ones_a_pim() {
    let world = World::new().await;
    let mut last = String::new();
    for index in 0..20 {
        last = world.subscriber_of(if index % 2 == 0 { "app" } else { "other" }).await;
    }
    let refused = world.call("POST", PATH).json(&new_subscriber()).send().await;
    let message = refused.refused(422, "limit_reached");
    assert!(message.contains("20"), "{message}");
    world.call_second("POST", PATH).json(&new_subscriber()).send().await.expect(201);
    world.call_as("other", "DELETE", &last).send().await.expect(204);
    world.call("POST", PATH).json(&new_subscriber()).send().await.expect(201);
}

#[tokio::test]
async fn deleting_one_deletes_its_subscriptions() {
    let world = World::new().await;
    let path = world.subscriber().await;
    let subscription = world.subscription(&path).await;
    world.subscription(&path).await;
    world.call("DELETE", &path).send().await.expect(204);
    world.call("GET", &subscription).send().await.refused(404, "not_found");
    world.call("GET", &format!("{path}/subscriptions")).send().await.refused(404, "not_found");
    let (_, stored) =
        store::Subscriptions::changed_since(world.store.as_ref(), store::Shard::FIRST, None).await.unwrap();
    assert!(stored.iter().all(|subscription| subscription.status.to_string() == "deleted"));
    let operations = world.operations("app").await;
    assert_eq!(operations[3..], ["subscriber_deleted", "subscription_deleted", "subscription_deleted"]);
    assert_eq!(world.notifications().await, [""; 0]);
}

#[tokio::test]
async fn patches_at_once_are_merged_by_field() {
    let world = World::new().await;
    let path = world.subscriber().await;
    for round in 0..20 {
        let name = format!("name {round}");
        let email = format!("ops{round}@example.com");
        let (one, two) = (json!({"name": name}), json!({"contact": {"technical_email": email}}));
        let (one, two) =
            tokio::join!(world.call("PATCH", &path).json(&one).send(), world.call("PATCH", &path).json(&two).send(),);
        one.expect(200);
        two.expect(200);
        let now = world.call("GET", &path).send().await.expect(200);
        assert_eq!((&now["name"], &now["contact"]["technical_email"]), (&json!(name), &json!(email)));
    }
}

#[tokio::test]
async fn a_revoked_one_is_listed_again_once_its_client_is_admitted_and_cannot_be_changed() {
    let world = World::new().await;
    let path = world.subscriber().await;
    let subscription = world.subscription(&path).await;
    let now = domain::Clock::system().wall();
    api::client_life::revoke(world.store.as_ref(), &world.pim, &owner_of("app"), now).await.unwrap();
    world.call("GET", PATH).send().await.refused(401, "client_revoked");
    api::client_life::admit(world.store.as_ref(), &owner_of("app")).await.unwrap();

    assert_eq!(world.call("GET", &path).send().await.expect(200)["status"], "revoked");
    assert_eq!(world.call("GET", PATH).send().await.expect(200).as_array().unwrap().len(), 1);
    world.call("PATCH", &path).json(&json!({"name": "x"})).send().await.refused(409, "subscriber_revoked");
    world.call("PATCH", &subscription).json(&json!({"filter": null})).send().await.refused(409, "subscription_revoked");
    for action in ["suspend", "resume"] {
        world.call("POST", &format!("{subscription}/{action}")).send().await.refused(409, "subscription_revoked");
    }
    let create = world.call("POST", &format!("{path}/subscriptions")).json(&crate::world::new_subscription());
    create.send().await.refused(409, "subscriber_revoked");
    world.call("DELETE", &subscription).send().await.expect(204);
    world.call("DELETE", &path).send().await.expect(204);
    world.call("GET", &path).send().await.refused(404, "not_found");
}
