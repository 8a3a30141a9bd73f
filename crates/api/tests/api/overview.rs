//! What the overview of a client needs in few requests: `/api/v1/subscriptions` and `/api/v1/traffic`.

use std::time::Duration;

use domain::attempt::{AttemptOutcome, PastAttempt};
use domain::backlog::{Of, Sample, Step};
use domain::fate::{GivenUp, OutcomeCounts};
use domain::lane_status::LaneStatus;
use domain::outcome::ErrorReason;
use domain::{PimId, Position, ReplayId, SubscriptionId, Timestamp};
use serde_json::{Value, json};
use store::{Facts, LaneSave, Ledger, Save};

use crate::admin::{admin, operated};
use crate::world::World;

const LIST: &str = "/api/v1/subscriptions";
const TRAFFIC: &str = "/api/v1/traffic";

fn id_of(subscription: &str) -> SubscriptionId {
    SubscriptionId::parse(subscription.rsplit('/').next().unwrap()).unwrap()
}

/// The start of the current five minutes.
fn step() -> Timestamp {
    OutcomeCounts::at(domain::Clock::system().wall()).from
}

async fn save(world: &World, of: &str, facts: Facts) {
    let lane = LaneSave {
        subscription: id_of(of),
        generation: 0,
        cursor: None,
        memory: None,
        exceptions: vec![],
        settled: vec![],
        drop_exceptions: false,
        entries: vec![],
        facts,
    };
    let save = Save { mark: Position(1), lanes: vec![lane], replays: vec![] };
    world.store.save(&world.tenure, save).await.unwrap();
}

async fn items(world: &World, client: &str, query: &str) -> Vec<Value> {
    let page = world.call_as(client, "GET", &format!("{LIST}{query}")).send().await.expect(200);
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn all_subscriptions_of_the_client_are_listed_with_their_status() {
    let world = World::new().await;
    assert_eq!(items(&world, "app", "").await, [] as [Value; 0]);
    let mut mine = Vec::new();
    for _ in 0..3 {
        mine.push(world.subscription_to("app", &["product.updated"], json!({})).await);
    }
    world.subscription_to("other", &["product.updated"], json!({})).await;
    let lane = LaneStatus {
        rate: Some(10.0),
        delivered_last_minute: 90,
        backlog: 7,
        backlog_at_least: true,
        ..LaneStatus::default()
    };
    world.engine.lanes.lock().unwrap().insert(id_of(&mine[1]), lane);
    let all = items(&world, "app", "").await;
    let ids = |items: &[Value]| -> Vec<_> {
        items.iter().map(|item| item["subscription"]["id"].as_str().unwrap().to_owned()).collect()
    };
    let expect: Vec<_> = mine.iter().map(|path| id_of(path).to_string()).collect();
    assert_eq!(ids(&all), expect, "of all subscribers, and of nobody else");
    assert_eq!(all[0]["subscription"], world.call("GET", &mine[0]).send().await.expect(200));
    assert_eq!((&all[0]["delivery"], &all[0]["reason"]), (&Value::Null, &Value::Null));
    let delivery = &all[1]["delivery"];
    let rates = (&delivery["delivered_per_second"], &delivery["events_per_second"]);
    assert_eq!(rates, (&json!(1.5), &json!(10.0)));
    assert_eq!((&delivery["backlog"], &delivery["backlog_is_at_least"]), (&json!(7), &json!(true)));

    let first = world.call("GET", &format!("{LIST}?limit=2")).send().await.expect(200);
    assert_eq!((ids(first["items"].as_array().unwrap()), &first["next"]), (expect[..2].to_vec(), &json!(expect[1])));
    assert_eq!(ids(&items(&world, "app", &format!("?limit=2&after={}", expect[1])).await), expect[2..]);

    world.call("POST", &format!("{}/suspend", mine[2])).send().await.expect(200);
    assert_eq!(ids(&items(&world, "app", "?status=active").await), expect[..2]);
    let suspended = items(&world, "app", "?status=suspended").await;
    assert_eq!((ids(&suspended), &suspended[0]["reason"]), (expect[2..].to_vec(), &json!("suspended by its owner")));
    let at = |item: &Value| Timestamp::parse(item["suspended_at"].as_str().unwrap()).unwrap();
    let suspended_at = at(&suspended[0]);
    // Another change of a suspended subscription doesn't move the time.
    world.call("PATCH", &mine[2]).json(&json!({"send_product_identifier": true})).send().await.expect(200);
    assert_eq!(at(&items(&world, "app", "?status=suspended").await[0]), suspended_at);
    for wrong in ["?limit=0", "?limit=501", "?status=deleted", "?after=x"] {
        world.call("GET", &format!("{LIST}{wrong}")).send().await.refused(422, "invalid_parameter");
    }
    world.call("GET", &format!("{LIST}?page=1")).send().await.refused(422, "unknown_parameter");
}

#[tokio::test]
async fn a_suspension_by_the_operator_is_told_in_the_operators_words() {
    let world = operated().await;
    let path = world.subscription_to("app", &["product.updated"], json!({})).await;
    let suspend = format!("subscriptions/{}/suspend", id_of(&path));
    admin(&world, "POST", &suspend).json(&json!({"reason": "floods our proxy"})).send().await.expect(200);
    let reason = items(&world, "app", "").await[0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.ends_with("; floods our proxy"), "{reason}");
}

#[tokio::test]
async fn events_given_up_count_until_a_replay_delivers_them() {
    let world = operated().await;
    let (one, other) = (
        world.subscription_to("app", &["product.updated"], json!({})).await,
        world.subscription_to("app", &["product.updated"], json!({})).await,
    );
    for id in ["1", "2", "3"] {
        world.sends(id, "product.updated").await;
    }
    let given_up = |position| GivenUp {
        position: Position(position),
        reason: ErrorReason::DestinationTimeout,
        status: None,
        attempts: 4,
        at: Timestamp::EPOCH,
    };
    save(&world, &one, Facts { given_up: vec![given_up(1), given_up(3)], ..Facts::default() }).await;
    let count = async |of: &str| {
        let all = items(&world, "app", "").await;
        let item = all.iter().find(|item| item["subscription"]["id"] == id_of(of).to_string()).unwrap();
        item["given_up"].as_u64().unwrap()
    };
    assert_eq!((count(&one).await, count(&other).await), (2, 0));
    let attempt = |position, outcome, replay| PastAttempt {
        position: Position(position),
        event_id: position.to_string(),
        event_type: "com.akeneo.pim.v1.product.updated".to_owned(),
        started_at: Timestamp::EPOCH,
        duration: Duration::ZERO,
        outcome,
        error_reason: None,
        status: None,
        body: None,
        replay,
    };
    let replay = Some(ReplayId::generate());
    let attempts = [
        attempt(1, AttemptOutcome::Failed, replay),
        attempt(2, AttemptOutcome::Delivered, replay),
        attempt(3, AttemptOutcome::Delivered, None),
    ];
    world.engine.attempts.lock().unwrap().extend(attempts);
    assert_eq!(count(&one).await, 2, "neither of them was delivered by a replay");
    let twice = [attempt(3, AttemptOutcome::Delivered, replay), attempt(3, AttemptOutcome::Delivered, replay)];
    world.engine.attempts.lock().unwrap().extend(twice);
    assert_eq!(count(&one).await, 1);
}

#[tokio::test]
async fn arrivals_are_those_of_the_callers_types() {
    let world = World::new().await;
    let arrivals = async |client: &str| {
        let told = world.call_as(client, "GET", TRAFFIC).send().await.expect(200);
        assert_eq!(told["step_seconds"], 300);
        told["counts"].clone()
    };
    assert_eq!(arrivals("app").await, json!([]), "nothing is subscribed");
    let mine = world.subscription_to("app", &["product.updated", "product.created"], json!({})).await;
    world.subscription_to("app", &["product.updated"], json!({})).await;
    world.subscription_to("other", &["product.deleted"], json!({})).await;
    let step = step();
    for (of_type, at) in [
        ("product.updated", step),
        ("product.created", step),
        ("product.deleted", step),
        ("product.created", Timestamp::EPOCH),
    ] {
        world.engine.arrivals.lock().unwrap().push((format!("com.akeneo.pim.v1.{of_type}"), at));
    }
    let counts = |accepted: u64| {
        let from = step.to_string();
        json!([{"from": from, "accepted": accepted, "delivered": 0, "failed": 0, "throttled": 0}])
    };
    assert_eq!(arrivals("app").await, counts(2), "each event once; none from before the last day");
    assert_eq!(arrivals("other").await, counts(1));
    // A former type does not count, although one of its events was visible.
    world.sends("created", "product.created").await;
    let patch = json!({"events": ["com.akeneo.pim.v1.product.updated"]});
    world.call("PATCH", &mine).json(&patch).send().await.expect(200);
    assert_eq!(arrivals("app").await, counts(1));
}

#[tokio::test]
async fn outcomes_and_backlogs_are_those_of_all_subscriptions_together() {
    let world = World::new().await;
    let mut mine = Vec::new();
    for _ in 0..2 {
        mine.push(world.subscription_to("app", &["product.updated"], json!({})).await);
    }
    let others = world.subscription_to("other", &["product.updated"], json!({})).await;
    let step = step();
    for (of, delivered) in [(&mine[0], 1), (&mine[1], 20), (&others, 300)] {
        let counts = OutcomeCounts { from: step, delivered, failed: 2, throttled: 0 };
        save(&world, of, Facts { counts: vec![counts], ..Facts::default() }).await;
    }
    world.engine.counts.lock().unwrap().push(OutcomeCounts { from: step, delivered: 0, failed: 0, throttled: 5 });
    let peak = Sample { oldest: Duration::from_secs(90), waiting: 12, at_least: true };
    world.engine.backlog.lock().unwrap().push(Step { from: step, length: Duration::from_secs(300), peak });
    let told = world.call("GET", TRAFFIC).send().await.expect(200);
    let counts = json!([{"from": step.to_string(), "accepted": 0, "delivered": 21, "failed": 4, "throttled": 5}]);
    assert_eq!(told["counts"], counts, "saved and unsaved ones, of nobody else");
    let backlog = json!([{"from": step.to_string(), "seconds": 300, "oldest_seconds": 90, "waiting": 12,
        "waiting_is_at_least": true}]);
    assert_eq!(told["backlog"], backlog);
    let of_one = world.call("GET", &format!("{}/attempts", mine[0])).send().await.expect(200);
    assert_eq!((&of_one["counts"][0]["delivered"], &of_one["backlog"]), (&json!(1), &backlog));
    let asked = std::mem::take(&mut *world.engine.backlogs_of.lock().unwrap());
    let ids: Vec<_> = mine.iter().map(|path| id_of(path)).collect();
    assert_eq!(asked, [Of::These(PimId(1), ids.clone()), Of::These(PimId(1), vec![ids[0]])]);
}

#[tokio::test]
async fn the_operator_sees_the_backlogs_of_all_and_of_each() {
    let world = operated().await;
    let path = world.subscription_to("app", &["product.updated"], json!({})).await;
    let peak = Sample { oldest: Duration::from_secs(90), waiting: 12, at_least: false };
    world.engine.backlog.lock().unwrap().push(Step { from: step(), length: Duration::from_secs(300), peak });
    let one = format!("subscriptions/{}", id_of(&path));
    for path in ["traffic", "traffic?pim=shop", &one] {
        let shown = admin(&world, "GET", path).send().await.expect(200);
        assert_eq!(shown["backlog"][0]["waiting"], 12, "{path}: {shown}");
    }
    let asked = std::mem::take(&mut *world.engine.backlogs_of.lock().unwrap());
    assert_eq!(asked, [Of::All, Of::Pim(PimId(1)), Of::These(PimId(1), vec![id_of(&path)])]);
}
