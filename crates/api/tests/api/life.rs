//! Lifecycle of a subscription: every status with every action, allowed or rejected with a message; and clients whose
//! permission is withdrawn by the PIM.

use std::collections::HashMap;
use std::time::Duration;

use api::{Permission, PimGateway, Verdict, client_life};
use async_trait::async_trait;
use domain::pim::Pim;
use domain::{ClientId, Clock, Secret};
use serde_json::{Value, json};
use store::transition::Frequent;

use crate::admin::{admin, operated};
use crate::world::{World, event};

/// Reachable statuses of a subscription.
const STATUSES: [&str; 6] = ["active", "by_its_owner", "by_the_operator", "by_permission", "revoked", "deleted"];

/// Creates a subscription in this status; returns its path.
async fn bring(world: &World, status: &str) -> String {
    let subscriber = world.subscriber().await;
    let one = world.subscription(&subscriber).await;
    match status {
        "active" => {}
        "deleted" => drop(act(world, &one, "delete").await),
        "by_its_owner" => drop(act(world, &one, "suspend").await),
        "by_the_operator" => drop(act(world, &one, "operator_suspends").await),
        "by_permission" => {
            act(world, &one, "permission_withdrawn").await;
            act(world, &one, "permission_given").await;
        }
        "revoked" => {
            act(world, &one, "client_removed").await;
            let admission = admin(world, "POST", "clients/app/admission").json(&json!({"pim": "shop"}));
            admission.send().await.expect(200);
        }
        other => panic!("{other}"),
    }
    one
}

/// Performs an action on it: status and first code of the response.
async fn act(world: &World, one: &str, action: &str) -> (u16, String) {
    let id = one.rsplit('/').next().unwrap();
    let permission = |permitted: bool| {
        let body = json!({"permitted": permitted, "pim": "shop"});
        admin(world, "POST", "clients/app/permission").json(&body)
    };
    let call = match action {
        "show" => world.call("GET", one),
        "update" => world.call("PATCH", one).json(&json!({"send_product_identifier": true})),
        "suspend" => world.call("POST", &format!("{one}/suspend")),
        "resume" => world.call("POST", &format!("{one}/resume")),
        "delete" => world.call("DELETE", one),
        "operator_suspends" => {
            admin(world, "POST", &format!("subscriptions/{id}/suspend")).json(&json!({"reason": "because"}))
        }
        "permission_withdrawn" => permission(false),
        "permission_given" => permission(true),
        "client_removed" => {
            let mut removal = event(&format!("removal of {id}"));
            removal["type"] = json!("com.akeneo.pim.v1.connection.deleted");
            removal["data"] = json!({"connection": {"client_id": "app"}});
            let answer = world.produce(removal).await;
            return (answer.status.as_u16(), String::new());
        }
        other => panic!("{other}"),
    };
    let answer = call.send().await;
    let body = answer.value();
    let message = body["errors"][0]["message"].as_str().unwrap_or_default();
    assert!(answer.status.is_success() || message.len() > 10, "a refusal says why: {body}");
    (answer.status.as_u16(), body["errors"][0]["code"].as_str().unwrap_or_default().to_owned())
}

/// The stored status, regardless of the caller's access.
async fn status_of(world: &World, one: &str) -> String {
    let id = domain::SubscriptionId::parse(one.rsplit('/').next().unwrap()).unwrap();
    store::Subscriptions::subscription(world.store.as_ref(), id).await.unwrap().unwrap().status.to_string()
}

/// For each of [`STATUSES`]: the response to the action, and the resulting status.
async fn check(action: &str, expect: [(u16, &str, &str); 6]) {
    for (from, (status, code, to)) in STATUSES.into_iter().zip(expect) {
        let world = operated().await;
        let one = bring(&world, from).await;
        let notified_before = world.notifications().await.len();
        let status_before = status_of(&world, &one).await;
        let answer = act(&world, &one, action).await;
        assert_eq!((answer.0, answer.1.as_str()), (status, code), "{action} from {from}");
        let status_after = status_of(&world, &one).await;
        assert_eq!(status_after, to, "{action} from {from}");
        // Every status change except deletion is notified, and nothing else.
        let reported = usize::from(status_before != status_after && to != "deleted");
        assert_eq!(world.notifications().await.len() - notified_before, reported, "{action} from {from}");
    }
}

const GONE: (u16, &str, &str) = (404, "not_found", "deleted");
const REVOKED: (u16, &str, &str) = (409, "subscription_revoked", "revoked");
const TWICE: (u16, &str, &str) = (409, "already_suspended", "suspended");

#[tokio::test]
async fn show_from_every_status() {
    let suspended = (200, "", "suspended");
    check("show", [(200, "", "active"), suspended, suspended, suspended, (200, "", "revoked"), GONE]).await;
}

#[tokio::test]
async fn update_from_every_status() {
    let suspended = (200, "", "suspended");
    check("update", [(200, "", "active"), suspended, suspended, suspended, REVOKED, GONE]).await;
}

#[tokio::test]
async fn suspend_from_every_status() {
    check("suspend", [(200, "", "suspended"), TWICE, TWICE, TWICE, REVOKED, GONE]).await;
}

#[tokio::test]
async fn resume_from_every_status() {
    let resumed = (200, "", "active");
    check("resume", [(409, "not_suspended", "active"), resumed, resumed, resumed, REVOKED, GONE]).await;
}

#[tokio::test]
async fn delete_from_every_status() {
    check("delete", [(204, "", "deleted"); 5].into_iter().chain([GONE]).collect::<Vec<_>>().try_into().unwrap()).await;
}

#[tokio::test]
async fn the_operator_suspends_from_every_status() {
    check("operator_suspends", [(200, "", "suspended"), TWICE, TWICE, TWICE, REVOKED, GONE]).await;
}

#[tokio::test]
async fn a_permission_is_withdrawn_in_every_status() {
    let suspended = (200, "", "suspended");
    let stays = |status| (200, "", status);
    check("permission_withdrawn", [suspended, suspended, suspended, suspended, stays("revoked"), stays("deleted")])
        .await;
}

#[tokio::test]
async fn a_client_is_removed_in_every_status() {
    let revoked = (202, "", "revoked");
    check("client_removed", [revoked, revoked, revoked, revoked, revoked, (202, "", "deleted")]).await;
}

/// Answers for each client when asked without a token.
struct Asked(HashMap<&'static str, Permission>);

#[async_trait]
impl PimGateway for Asked {
    async fn verify(&self, _: &Pim, _: &ClientId, _: &str) -> Verdict {
        panic!("no token is asked about")
    }

    async fn permission(&self, _: &Pim, client: &ClientId) -> Permission {
        self.0.get(client.0.as_str()).cloned().unwrap_or(Permission::NotAsked)
    }
}

async fn recheck(world: &World, says: &[(&'static str, Permission)]) {
    let asked = Asked(says.iter().cloned().collect());
    let pause = Duration::from_millis(1);
    client_life::recheck_permissions(
        world.store.as_ref(),
        store::Shard::FIRST,
        &asked,
        &Clock::system(),
        pause,
        Frequent::default(),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn a_recheck_finds_a_withdrawn_permission() {
    let world = World::new().await;
    let one = world.subscription(&world.subscriber().await).await;
    world.subscriber_of("other").await;
    let failed = Permission::Unknown { message: "no route".into() };
    recheck(&world, &[]).await;
    recheck(&world, &[("app", failed.clone())]).await;
    recheck(&world, &[("app", Permission::Allowed)]).await;
    assert_eq!(status_of(&world, &one).await, "active");
    recheck(&world, &[("app", Permission::Withdrawn), ("other", failed)]).await;
    assert_eq!(status_of(&world, &one).await, "suspended");
    let page = world.call("GET", "/api/v1/logs?log_type=action&limit=1").send().await.expect(200);
    let reason = page["items"][0]["message"].as_str().unwrap();
    assert_eq!(reason, "the PIM no longer allows this client to use the event platform");
    world.call("POST", &format!("{one}/resume")).send().await.refused(403, "event_platform_forbidden");
    recheck(&world, &[("app", Permission::Allowed)]).await;
    world.call("POST", &format!("{one}/resume")).send().await.expect(200);
    assert_eq!(world.notifications().await, ["subscription.suspended.system", "subscription.resumed"]);
}

#[tokio::test]
async fn resumed_too_often_is_said_so() {
    let world = World::with(|settings| {
        settings.operator_key = Some(api::OperatorKey::new(&Secret::new(crate::admin::OPERATOR)));
        settings.frequent = Frequent { times: 2, ..Frequent::default() };
    })
    .await;
    let one = world.subscription(&world.subscriber().await).await;
    let mut said: Vec<Value> = vec![];
    for _ in 0..3 {
        act(&world, &one, "operator_suspends").await;
        let page = world.call("GET", "/api/v1/logs?log_type=action&limit=1").send().await.expect(200);
        said.push(page["items"][0]["message"].clone());
        act(&world, &one, "resume").await;
    }
    let often = |reason: &Value| reason.as_str().unwrap().contains("more than 2 times within 24 h");
    assert_eq!(said.iter().map(often).collect::<Vec<_>>(), [false, false, true], "{said:?}");
}
