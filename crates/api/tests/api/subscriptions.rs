//! `/api/v1/subscribers/{id}/subscriptions`

use domain::lane_status::{LaneStatus, SlowedBy};
use domain::outcome::{ErrorReason, Failure, Lack};
use domain::{SubscriptionId, Timestamp};
use serde_json::{Value, json};

use crate::world::{PIM_URL, World, new_subscription};

#[tokio::test]
async fn a_subscription_is_made_shown_changed_and_deleted() {
    let world = World::new().await;
    let subscriber = world.subscriber().await;
    let path = format!("{subscriber}/subscriptions");
    let made = world.call("POST", &path).json(&new_subscription()).send().await.expect(201);
    assert_eq!(made["subject"], PIM_URL);
    assert_eq!(made["source"], "pim");
    assert_eq!(made["status"], "active");
    assert_eq!(made["filter"], Value::Null);
    assert_eq!(made["config"]["secret"], json!({"primary": "***redacted***", "secondary": ""}));
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(world.call("GET", &one).send().await.expect(200), made);
    assert_eq!(world.call("GET", &path).send().await.expect(200), json!([made]));

    let patch = json!({"filter": "user=\"peter\"", "config": {"headers": {"X-Tenant": "a"}}});
    let patched = world.call("PATCH", &one).json(&patch).send().await.expect(200);
    assert_eq!(patched["filter"], "user=\"peter\"");
    assert_eq!(patched["config"]["url"], made["config"]["url"]);
    assert_eq!(patched["config"]["headers"], json!({"X-Tenant": "***redacted***"}));

    world.call("DELETE", &one).send().await.expect(204);
    world.call("GET", &one).send().await.refused(404, "not_found");
    world.call("DELETE", &one).send().await.refused(404, "not_found");
    assert_eq!(world.call("GET", &path).send().await.expect(200), json!([]));
    let operations = world.operations("app").await;
    assert_eq!(operations[1..], ["subscription_created", "subscription_updated", "subscription_deleted"]);
}

/// An older node might take the shard over.
#[tokio::test]
async fn what_the_oldest_node_cannot_read_is_not_created() {
    let world = World::new().await;
    let subscriber = world.subscriber().await;
    let path = format!("{subscriber}/subscriptions");
    *world.engine.upgrading.lock().unwrap() = true;
    world.call("POST", &path).json(&new_subscription()).send().await.refused(409, "upgrade_in_progress");
    assert_eq!(world.call("GET", &path).send().await.expect(200), json!([]));
    *world.engine.upgrading.lock().unwrap() = false;
    world.call("POST", &path).json(&new_subscription()).send().await.expect(201);
}

#[tokio::test]
async fn the_mask_keeps_the_secret() {
    let world = World::new().await;
    let one = world.subscription(&world.subscriber().await).await;
    let mut read = world.call("GET", &one).send().await.expect(200);
    read["config"]["url"] = json!("https://shop.example.com/other");
    world.call("PATCH", &one).json(&read).send().await.expect(200);
    let id = SubscriptionId::parse(one.rsplit('/').next().unwrap()).unwrap();
    let stored = store::Subscriptions::subscription(world.store.as_ref(), id).await.unwrap().unwrap();
    let domain::destination::Destination::Https(https) = stored.destination else { panic!("still https") };
    assert_eq!(https.primary.expose(), "a-secret");
    assert_eq!(https.url.as_str(), "https://shop.example.com/other");
}

#[tokio::test]
async fn suspended_and_resumed_by_its_owner() {
    let world = World::new().await;
    let one = world.subscription(&world.subscriber().await).await;
    let (suspend, resume) = (format!("{one}/suspend"), format!("{one}/resume"));
    world.call("POST", &resume).send().await.refused(409, "not_suspended");
    assert_eq!(world.call("POST", &suspend).send().await.expect(200)["status"], "suspended");
    world.call("POST", &suspend).json(&json!({})).send().await.refused(409, "already_suspended");
    world.call("PATCH", &one).json(&json!({"send_product_identifier": true})).send().await.expect(200);
    assert_eq!(world.call("GET", &one).send().await.expect(200)["status"], "suspended");
    assert_eq!(world.call("POST", &resume).json(&json!({})).send().await.expect(200)["status"], "active");
    let operations = world.operations("app").await;
    assert_eq!(
        operations[2..],
        [
            "request_refused",
            "subscription_suspended_by_the_user",
            "request_refused",
            "subscription_updated",
            "subscription_resumed_by_the_user"
        ]
    );
    assert_eq!(world.notifications().await, ["subscription.suspended.user", "subscription.resumed"]);
    let waiting = store::Outbox::notifications(world.store.as_ref(), store::Shard::FIRST, None, 10).await.unwrap();
    let waiting: Vec<_> = waiting.into_iter().map(|one| one.notification).collect();
    assert_eq!(waiting[0].destination, "https://shop.example.com/hook");
    assert_eq!(waiting[0].reason.as_deref(), Some("suspended by its owner"));
    assert_eq!(waiting[0].subject, PIM_URL);
    assert_eq!(waiting[1].reason, None);
}

#[tokio::test]
async fn only_one_of_many_suspends_at_once_wins() {
    let world = World::new().await;
    let one = world.subscription(&world.subscriber().await).await;
    let suspend = format!("{one}/suspend");
    let calls = (0..10).map(|_| tokio::spawn(world.call("POST", &suspend).send()));
    let mut won = 0;
    for call in calls.collect::<Vec<_>>() {
        won += usize::from(call.await.unwrap().status == 200);
    }
    assert_eq!(won, 1);
    assert_eq!(world.notifications().await, ["subscription.suspended.user"]);
}

#[tokio::test]
async fn twenty_a_subscriber_also_when_all_come_at_once() {
    let world = World::new().await;
    let subscriber = world.subscriber().await;
    let path = format!("{subscriber}/subscriptions");
    let calls = (0..30).map(|_| tokio::spawn(world.call("POST", &path).json(&new_subscription()).send()));
    let mut made = vec![];
    for call in calls.collect::<Vec<_>>() {
        let answer = call.await.unwrap();
        match answer.status.as_u16() {
            201 => made.push(answer.value()["id"].as_str().unwrap().to_owned()),
            _ => drop(answer.refused(422, "limit_reached")),
        }
    }
    assert_eq!(made.len(), 20);
    world.call("POST", &format!("{path}/{}/suspend", made[0])).send().await.expect(200);
    world.call("POST", &path).json(&new_subscription()).send().await.refused(422, "limit_reached");
    world.call("DELETE", &format!("{path}/{}", made[0])).send().await.expect(204);
    world.call("POST", &path).json(&new_subscription()).send().await.expect(201);
}

#[tokio::test]
async fn a_subscriber_being_deleted_gets_no_new_subscription() {
    let world = World::new().await;
    for _ in 0..10 {
        let subscriber = world.subscriber().await;
        let path = format!("{subscriber}/subscriptions");
        let (_, deleted) = tokio::join!(
            world.call("POST", &path).json(&new_subscription()).send(),
            world.call("DELETE", &subscriber).send(),
        );
        deleted.expect(204);
    }
    let (_, stored) =
        store::Subscriptions::changed_since(world.store.as_ref(), store::Shard::FIRST, None).await.unwrap();
    assert!(stored.iter().all(|subscription| !subscription.status.counts()), "{stored:?}");
}

#[tokio::test]
async fn patches_at_once_are_merged_by_field() {
    let world = World::new().await;
    let one = world.subscription(&world.subscriber().await).await;
    for round in 0..20 {
        let (filter, url) = (format!("user=\"u{round}\""), format!("https://shop.example.com/{round}"));
        let (a, b) = (json!({"filter": filter}), json!({"config": {"url": url}}));
        let (a, b) =
            tokio::join!(world.call("PATCH", &one).json(&a).send(), world.call("PATCH", &one).json(&b).send(),);
        a.expect(200);
        b.expect(200);
        let now = world.call("GET", &one).send().await.expect(200);
        assert_eq!((&now["filter"], &now["config"]["url"]), (&json!(filter), &json!(url)));
    }
}

#[tokio::test]
async fn the_status_says_how_its_deliveries_stand() {
    let world = World::new().await;
    let one = world.subscription(&world.subscriber().await).await;
    let path = format!("{one}/status");
    let nothing_runs = world.call("GET", &path).send().await.expect(200);
    assert_eq!((&nothing_runs["status"], &nothing_runs["delivery"]), (&json!("active"), &Value::Null));
    let id = SubscriptionId::parse(one.rsplit('/').next().unwrap()).unwrap();
    let failure =
        Failure { reason: ErrorReason::ConnectionRefused, code: 500, message: "nothing listens".into(), answer: None };
    let lane = LaneStatus {
        rate: Some(12.5),
        backlog: 3,
        delivered_in_window: 9,
        failed_in_window: 1,
        last_failure: Some((Timestamp::EPOCH, failure)),
        taking_nothing_since: Some(Timestamp::EPOCH),
        slowed_by: Some(SlowedBy::HostRate),
        lacks: vec![Lack::FileDescriptors],
        ..LaneStatus::default()
    };
    world.engine.lanes.lock().unwrap().insert(id, lane);
    *world.engine.missing.lock().unwrap() = vec![0];
    for resource in ["status", "attempts", "failures"] {
        let unknown = world.call("GET", &format!("{one}/{resource}")).send().await;
        assert_eq!(unknown.headers["retry-after"], "2", "{resource}");
        unknown.refused(503, "node_unavailable");
    }
    world.call("GET", "/api/v1/traffic").send().await.refused(503, "node_unavailable");
    world.engine.missing.lock().unwrap().clear();
    let status = world.call("GET", &path).send().await.expect(200);
    assert_eq!(status["lacks"], json!(["file_descriptors"]));
    let delivery = status["delivery"].clone();
    assert_eq!(delivery["taking_nothing_since"], Timestamp::EPOCH.to_string());
    assert_eq!(delivery["slowed_by"], "host_rate");
    let mut fields: Vec<_> = delivery.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let mut table = vec![
        "events_per_second",
        "in_flight",
        "backlog",
        "backlog_is_at_least",
        "oldest_accepted_at",
        "waiting_for_retry",
        "throttled",
        "next_due_at",
        "last_hour",
        "last_success_at",
        "last_failure",
        "matched",
        "filtered_out",
        "taking_nothing_since",
        "slowed_by",
        // Beyond the contract.
        "delivered_per_second",
    ];
    table.sort_unstable();
    assert_eq!(fields, table);
    assert_eq!(delivery["events_per_second"], 12.5);
    assert_eq!(delivery["backlog"], 3);
    assert_eq!(delivery["last_hour"], json!({"delivered": 9, "failed": 1, "success_rate": 0.9}));
    assert_eq!(delivery["last_failure"]["error_reason"], "connection_refused");
    world.call("POST", &format!("{one}/suspend")).send().await.expect(200);
    assert_eq!(world.call("GET", &path).send().await.expect(200)["reason"], "suspended by its owner");
}
