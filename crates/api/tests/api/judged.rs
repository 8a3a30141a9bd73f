//! Authorisation at the commit: changes during the upload of a body, or right before the commit, count. Operator calls
//! are in effect when answered, even under concurrency.

use std::sync::Arc;

use domain::Clock;
use domain::subscription::{Subscription, SubscriptionStatus};
use http::StatusCode;
use serde_json::{Value, json};
use store::transition::Frequent;
use store::{Change, Clients, Pims, Put, Shard, Subscriptions, edit_client, edit_pim};

use crate::admin::{OPERATOR, admin, operated};
use crate::call::Call;
use crate::world::{KEY, PIM_URL, World, event, new_subscriber, new_subscription, owner_of};

const SUBSCRIBERS: &str = "/api/v1/subscribers";

async fn permit(world: &World, permitted: bool) {
    let body = json!({"pim": "shop", "permitted": permitted});
    admin(world, "POST", "clients/app/permission").json(&body).send().await.expect(200);
}

fn removal() -> Value {
    let mut removal = event("the removal");
    removal["type"] = json!("com.akeneo.pim.v1.app.deleted");
    removal["data"] = json!({"app": {"client_id": "app"}});
    removal
}

fn events(world: &World, key: &str) -> Call {
    let call = world.bare("POST", "/api/v1/events").header("authorization", &format!("Bearer {key}"));
    call.header("content-type", "application/cloudevents+json").raw(event("1").to_string())
}

/// A subscriber with an active and a suspended subscription: their paths.
async fn staged(world: &World) -> (String, String, String) {
    let subscriber = world.subscriber().await;
    let (active, suspended) = (world.subscription(&subscriber).await, world.subscription(&subscriber).await);
    world.call("POST", &format!("{suspended}/suspend")).send().await.expect(200);
    (subscriber, active, suspended)
}

/// Calls that need the permission.
fn permitted_calls(world: &World, subscriber: &str, suspended: &str) -> Vec<Call> {
    vec![
        world.call("POST", SUBSCRIBERS).json(&new_subscriber()),
        world.call("POST", &format!("{subscriber}/subscriptions")).json(&new_subscription()),
        world.call("POST", &format!("{suspended}/resume")).json(&json!({})),
    ]
}

/// All calls with an effect.
fn changing_calls(world: &World, (subscriber, active, suspended): &(String, String, String)) -> Vec<Call> {
    let mut calls = permitted_calls(world, subscriber, suspended);
    calls.push(world.call("PATCH", subscriber).json(&json!({"name": "another"})));
    calls.push(world.call("PATCH", active).json(&json!({"filter": "user=\"a\""})));
    calls.push(world.call("POST", &format!("{active}/suspend")).json(&json!({})));
    calls.push(world.call("DELETE", suspended).json(&json!({})));
    calls.push(world.call("DELETE", subscriber).json(&json!({})));
    calls
}

/// The client's complete state, revisions included.
async fn state(world: &World) -> (usize, Vec<Subscription>) {
    let mut all = world.store.changed_since(Shard::FIRST, None).await.unwrap().1;
    all.sort_by_key(|one| one.id);
    (world.store.subscribers(&owner_of("app")).await.unwrap().len(), all)
}

#[tokio::test]
async fn a_permission_that_is_withdrawn_while_the_body_is_under_way() {
    let world = operated().await;
    let (subscriber, _, suspended) = staged(&world).await;
    for call in permitted_calls(&world, &subscriber, &suspended) {
        permit(&world, true).await;
        let before = state(&world).await.1.len();
        let underway = call.begin().await;
        permit(&world, false).await;
        underway.finish().await.refused(403, "event_platform_forbidden");
        let (subscribers, all) = state(&world).await;
        assert_eq!((subscribers, all.len()), (1, before));
        assert!(all.iter().all(|one| !one.status.is_active()), "nothing is active");
    }
}

#[tokio::test]
async fn a_client_that_is_removed_while_the_body_is_under_way() {
    for index in 0..8 {
        let world = operated().await;
        let paths = staged(&world).await;
        let underway = changing_calls(&world, &paths).swap_remove(index).begin().await;
        world.produce(removal()).await.expect(202);
        let before = state(&world).await;
        underway.finish().await.refused(401, "client_revoked");
        assert_eq!(state(&world).await, before, "call {index} has changed nothing");
    }
}

#[tokio::test]
async fn a_static_token_that_ends_while_the_body_is_under_way() {
    let world = operated().await;
    let paths = staged(&world).await;
    let underway = changing_calls(&world, &paths).swap_remove(1).begin().await;
    let end = |pim: &mut domain::pim::Pim| -> Result<(), store::ChangeError> {
        pim.static_tokens.clear();
        Ok(())
    };
    edit_pim(world.store.as_ref(), world.pim.id, end).await.unwrap();
    underway.finish().await.refused(401, "invalid_token");
}

#[tokio::test]
async fn a_key_that_ends_while_the_body_is_under_way() {
    let world = operated().await;
    let underway = events(&world, KEY).begin().await;
    admin(&world, "DELETE", &format!("pims/shop/keys/{}", &KEY[..6])).send().await;
    underway.finish().await.refused(401, "invalid_source_key");
    assert_eq!(world.logged(), 0);
    // The same for the whole PIM.
    let key = admin(&world, "POST", "pims/shop/keys").send().await.expect(201)["key"].as_str().unwrap().to_owned();
    let underway = events(&world, &key).begin().await;
    admin(&world, "DELETE", "pims/shop").send().await;
    underway.finish().await.refused(401, "invalid_source_key");
    assert_eq!(world.logged(), 0);
}

/// The commit notices, before the platform has.
#[tokio::test]
async fn a_key_that_another_process_has_just_removed() {
    let world = World::new().await;
    events(&world, KEY).send().await.expect(202);
    world.staged.3.begin(world.store.pims_version().unwrap());
    let end = |pim: &mut domain::pim::Pim| -> Result<(), store::ChangeError> {
        pim.keys.clear();
        Ok(())
    };
    edit_pim(world.store.as_ref(), world.pim.id, end).await.unwrap();
    events(&world, KEY).send().await.refused(401, "invalid_source_key");
}

#[tokio::test]
async fn another_change_of_the_pim_costs_no_event() {
    let world = operated().await;
    let underway = events(&world, KEY).begin().await;
    admin(&world, "POST", "pims/shop/keys").send().await.expect(201);
    underway.finish().await.expect(202);
    world.staged.2.close();
    let sent = tokio::spawn(events(&world, KEY).header("x-second", "1").send());
    world.staged.2.reached().await;
    // Through the store: the API's own calls pass the same gate.
    let touch = |pim: &mut domain::pim::Pim| -> Result<(), store::ChangeError> {
        pim.static_tokens.reverse();
        Ok(())
    };
    edit_pim(world.store.as_ref(), world.pim.id, touch).await.unwrap();
    world.staged.2.open();
    assert_eq!(sent.await.unwrap().expect(202)["duplicates"], 1);
}

#[tokio::test]
async fn changes_right_before_the_commit_count() {
    let world = operated().await;
    let (subscriber, _, suspended) = staged(&world).await;
    for call in permitted_calls(&world, &subscriber, &suspended) {
        let forbid = |permitted: bool| {
            let store = world.store.clone();
            async move {
                let owner = owner_of("app");
                edit_client(store.as_ref(), &owner, |client| client.permission = Some(permitted)).await.unwrap();
            }
        };
        forbid(true).await;
        let before = state(&world).await;
        world.staged.2.close();
        let sent = tokio::spawn(call.send());
        world.staged.2.reached().await;
        forbid(false).await;
        world.staged.2.open();
        sent.await.unwrap().refused(403, "event_platform_forbidden");
        assert_eq!(state(&world).await, before);
    }
    world.staged.2.close();
    let sent = tokio::spawn(events(&world, KEY).send());
    world.staged.2.reached().await;
    let end = |pim: &mut domain::pim::Pim| -> Result<(), store::ChangeError> {
        pim.keys.clear();
        Ok(())
    };
    edit_pim(world.store.as_ref(), world.pim.id, end).await.unwrap();
    world.staged.2.open();
    sent.await.unwrap().refused(401, "invalid_source_key");
    assert_eq!(world.logged(), 0);
}

#[tokio::test]
async fn a_permission_check_does_not_let_a_removed_client_in_again() {
    let world = World::new().await;
    world.subscriber().await;
    let owner = owner_of("app");
    world.staged.2.close();
    let (staged, pim, of) = (world.staged.clone(), world.pim.clone(), owner.clone());
    let checking = tokio::spawn(async move {
        let now = Clock::system().wall();
        api::client_life::permission(staged.as_ref(), &pim, &of, false, now, Frequent::default()).await
    });
    world.staged.2.reached().await;
    let removed = Some(Clock::system().wall());
    edit_client(world.store.as_ref(), &owner, |client| client.revoked_at = removed).await.unwrap();
    world.staged.2.open();
    checking.await.unwrap().unwrap();
    let client = world.store.client(&owner).await.unwrap();
    assert_eq!((client.revoked_at, client.permission), (removed, Some(false)));
    world.call("GET", SUBSCRIBERS).send().await.refused(401, "client_revoked");
}

#[tokio::test]
async fn an_admission_by_a_later_token_does_not_undo_a_newer_removal() {
    let world = World::new().await;
    world.gateway.says("hosted", api::Verdict::Genuine { permission: None });
    let owner = owner_of("app");
    let long_ago = Clock::system().wall() - std::time::Duration::from_secs(2 * 3600);
    edit_client(world.store.as_ref(), &owner, |client| client.revoked_at = Some(long_ago)).await.unwrap();
    world.staged.2.close();
    let call = world.bare("GET", SUBSCRIBERS).header("x-pim-url", PIM_URL).header("x-pim-token", "hosted");
    let sent = tokio::spawn(call.header("x-pim-client-id", "app").send());
    world.staged.2.reached().await;
    let again = Clock::system().wall();
    edit_client(world.store.as_ref(), &owner, |client| client.revoked_at = Some(again)).await.unwrap();
    world.staged.2.open();
    sent.await.unwrap().refused(401, "client_revoked");
    assert_eq!(world.store.client(&owner).await.unwrap().revoked_at, Some(again));
}

#[tokio::test]
async fn a_second_withdrawal_suspends_newly_active_subscriptions() {
    let world = operated().await;
    let one = world.subscription(&world.subscriber().await).await;
    permit(&world, false).await;
    let id = domain::SubscriptionId::parse(one.rsplit('/').next().unwrap()).unwrap();
    let stored = world.store.subscription(id).await.unwrap().unwrap();
    let active = Subscription { status: SubscriptionStatus::Active, revision: stored.revision + 1, ..stored };
    let change = Change { subscriptions: vec![Put::Changed(active)], ..Change::default() };
    world.store.change(change).await.unwrap();
    permit(&world, false).await;
    assert!(!world.store.subscription(id).await.unwrap().unwrap().status.is_active());
}

#[tokio::test]
async fn twenty_keys_asked_for_at_once_are_twenty_that_work() {
    let world = Arc::new(operated().await);
    let made: Vec<_> = (0..20).map(|_| tokio::spawn(admin(&world, "POST", "pims/shop/keys").send())).collect();
    let mut keys = Vec::new();
    for answer in made {
        let key = answer.await.unwrap().expect(201);
        keys.push((key["key"].as_str().unwrap().to_owned(), key["prefix"].as_str().unwrap().to_owned()));
    }
    for (key, _) in &keys {
        events(&world, key).send().await.expect(202);
    }
    let ended: Vec<_> = keys
        .iter()
        .map(|(_, prefix)| tokio::spawn(admin(&world, "DELETE", &format!("pims/shop/keys/{prefix}")).send()))
        .collect();
    for answer in ended {
        assert_eq!(answer.await.unwrap().status, StatusCode::NO_CONTENT);
    }
    for (key, _) in &keys {
        events(&world, key).send().await.refused(401, "invalid_source_key");
    }
    events(&world, KEY).send().await.expect(202);
}

#[tokio::test]
async fn calls_of_the_operator_are_in_effect_when_they_are_answered() {
    let world = operated().await;
    for _ in 0..20 {
        let body = json!({"name": "new", "url": "https://new.example.com", "token_check": "static",
                          "static_tokens": [{"client_id": "app", "token": "t"}]});
        let made = admin(&world, "POST", "pims").json(&body).send().await.expect(201);
        let key = made["key"].as_str().unwrap().to_owned();
        let call = || {
            let call = world.bare("GET", SUBSCRIBERS).header("x-pim-url", "https://new.example.com");
            call.header("x-pim-token", "t").header("x-pim-client-id", "app").send()
        };
        events(&world, &key).send().await.expect(202);
        call().await.expect(200);
        let second = admin(&world, "POST", "pims/new/keys").send().await.expect(201);
        let second_key = second["key"].as_str().unwrap();
        events(&world, second_key).send().await.expect(202);
        let prefix = second["prefix"].as_str().unwrap();
        assert_eq!(admin(&world, "DELETE", &format!("pims/new/keys/{prefix}")).send().await.status, 204);
        events(&world, second_key).send().await.refused(401, "invalid_source_key");
        assert_eq!(admin(&world, "DELETE", "pims/new").send().await.status, 204);
        events(&world, &key).send().await.refused(401, "invalid_source_key");
        call().await.refused(401, "invalid_token");
    }
}

#[tokio::test]
async fn a_second_use_of_a_name_url_or_key_names_the_pim_and_never_the_key() {
    let world = operated().await;
    let add = |name: &str, url: &str| {
        admin(&world, "POST", "pims").json(&json!({"name": name, "url": url, "token_check": "static"})).send()
    };
    assert!(add("shop", "https://new.example.com").await.refused(409, "taken").contains("\"shop\""));
    assert!(add("new", "https://PIM.example.com:443/").await.refused(409, "taken").contains("\"shop\""));
    let mut second = world.store.all_pims().await.unwrap().swap_remove(1);
    second.keys.clone_from(&world.pim.keys);
    let refused = world.store.update_pim(second).await.unwrap_err().to_string();
    assert!(refused.contains("\"shop\"") && !refused.contains(KEY) && !refused.contains(&world.pim.keys[0].sha256));
    assert!(!refused.contains(OPERATOR));
}
