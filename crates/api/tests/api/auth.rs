//! Authentication and authorisation: headers, tokens, verdicts, permission, removal, and rate limits.

use std::time::Duration;

use api::Verdict;
use domain::Clock;
use domain::subscriber::Owner;
use serde_json::{Value, json};
use store::{ClientRecord, Clients, Pims, edit_client};

use crate::call::Call;
use crate::world::{PIM_URL, World, new_subscriber, new_subscription, owner_of};

const PATH: &str = "/api/v1/subscribers";
const GENUINE: Verdict = Verdict::Genuine { permission: None };

fn with(world: &World, method: &str, path: &str, url: &str, token: &str, client: &str) -> Call {
    let call = world.bare(method, path);
    call.header("x-pim-url", url).header("x-pim-token", token).header("x-pim-client-id", client)
}

#[tokio::test]
async fn the_pim_is_asked_about_a_token_and_its_word_is_remembered() {
    let world = World::new().await;
    world.gateway.says("hosted", GENUINE);
    for _ in 0..5 {
        with(&world, "GET", PATH, PIM_URL, "hosted", "app").send().await.expect(200);
    }
    assert_eq!(world.gateway.asked(), 1);
    world.call("GET", PATH).send().await.expect(200);
    assert_eq!(world.gateway.asked(), 1, "nobody asks about a static token");
    with(&world, "GET", PATH, PIM_URL, "Bearer hosted", "app").send().await.expect(200);
    assert_eq!(world.gateway.asked(), 1, "the same token");
}

#[tokio::test]
async fn the_same_pim_in_any_spelling() {
    let world = World::new().await;
    let path = world.subscriber().await;
    for url in ["https://pim.example.com/", "HTTPS://PIM.example.COM", "https://pim.example.com:443"] {
        let shown = with(&world, "GET", &path, url, "app-token", "app").send().await.expect(200);
        assert_eq!(shown["subject"], PIM_URL);
    }
    let elsewhere = with(&world, "GET", &path, "https://pim.example.com/shop", "app-token", "app").send().await;
    elsewhere.refused(401, "invalid_token");
}

#[tokio::test]
async fn the_pims_verdict_decides() {
    let world = World::new().await;
    let answers = [
        ("t1", Verdict::Rejected { message: "The access token provided is invalid.".into() }, 401, "invalid_token"),
        ("t2", Verdict::WebApiForbidden, 403, "web_api_forbidden"),
        ("t3", Verdict::Unavailable { message: "no route".into() }, 503, "pim_unavailable"),
        ("t4", Verdict::UnprovenClient { message: "register the client's secret".into() }, 401, "unproven_client"),
    ];
    for (token, verdict, status, code) in answers {
        world.gateway.says(token, verdict);
        let answer = with(&world, "GET", PATH, PIM_URL, token, "app").send().await;
        answer.refused(status, code);
        assert_eq!(answer.headers.contains_key("retry-after"), status == 503);
    }
    with(&world, "GET", PATH, PIM_URL, "other-token", "app").send().await.refused(401, "invalid_token");
    let second = with(&world, "GET", PATH, "https://second.example.com/pim", "t1", "app").send().await;
    second.refused(401, "invalid_token");
    assert_eq!(world.operations("app").await, [""; 0], "nobody is known, so nobody's log tells of it");
}

#[tokio::test]
async fn a_pim_registered_by_another_process_is_seen_by_the_next_request() {
    let world = World::new().await;
    world.call("GET", PATH).send().await.expect(200);
    let mut moved = world.pim.clone();
    moved.url = "https://new.example.com".into();
    moved.url_key = moved.url.clone();
    world.store.update_pim(moved).await.unwrap();
    with(&world, "GET", PATH, "https://new.example.com", "app-token", "app").send().await.expect(200);
    world.call("GET", PATH).send().await.refused(401, "invalid_token");
}

#[tokio::test]
async fn creating_and_resuming_require_permission() {
    let world = World::new().await;
    let subscriber = world.subscriber().await;
    let one = world.subscription(&subscriber).await;
    world.call("POST", &format!("{one}/suspend")).send().await.expect(200);
    let denied = ClientRecord { permission: Some(false), ..ClientRecord::default() };
    world.store.put_client(&owner_of("app"), denied).await.unwrap();
    for (path, body) in [
        (PATH.to_owned(), new_subscriber()),
        (format!("{subscriber}/subscriptions"), new_subscription()),
        (format!("{one}/resume"), json!({})),
    ] {
        world.call("POST", &path).json(&body).send().await.refused(403, "event_platform_forbidden");
    }
    world.call("GET", &one).send().await.expect(200);
    world.call("PATCH", &one).json(&json!({"filter": "user=\"a\""})).send().await.expect(200);
    world.call_as("other", "POST", PATH).json(&new_subscriber()).send().await.expect(201);
}

#[tokio::test]
async fn a_permission_that_the_pim_withdraws_suspends() {
    let world = World::new().await;
    let subscriber = world.subscriber().await;
    let one = world.subscription(&subscriber).await;
    world.gateway.says("later", Verdict::Genuine { permission: Some(false) });
    let shown = with(&world, "GET", &one, PIM_URL, "later", "app").send().await.expect(200);
    assert_eq!(shown["status"], "suspended");
    assert_eq!(world.notifications().await, ["subscription.suspended.system"]);
    assert_eq!(world.operations("app").await.last().unwrap(), "subscription_suspended_by_the_platform");
    let resume = format!("{one}/resume");
    with(&world, "POST", &resume, PIM_URL, "later", "app").send().await.refused(403, "event_platform_forbidden");
    world.gateway.says("again", Verdict::Genuine { permission: Some(true) });
    with(&world, "POST", &resume, PIM_URL, "again", "app").send().await.expect(200);
}

#[tokio::test]
async fn a_removed_client_is_locked_out_until_a_token_was_issued_after_that() {
    let world = World::new().await;
    world.gateway.says("hosted", GENUINE);
    let owner: Owner = owner_of("app");
    let hosted = || with(&world, "GET", PATH, PIM_URL, "hosted", "app").send();
    let removed = async |ago: u64| {
        let at = Clock::system().wall() - Duration::from_secs(ago);
        edit_client(world.store.as_ref(), &owner, |client| client.revoked_at = Some(at)).await.unwrap();
    };
    removed(3500).await;
    hosted().await.refused(401, "client_revoked");
    removed(3700).await;
    world.call("GET", PATH).send().await.refused(401, "client_revoked");
    hosted().await.expect(200);
    world.call("GET", PATH).send().await.expect(200);
}

#[tokio::test]
async fn a_hundred_requests_a_second_for_each_client() {
    let world = World::with(|settings| settings.requests_per_second = 5).await;
    let mut refused = None;
    for _ in 0..50 {
        let answer = world.call("GET", PATH).send().await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("the limit is reached");
    refused.refused(429, "rate_limited");
    assert_eq!(refused.headers["retry-after"], "1");
    world.call_as("other", "GET", PATH).send().await.expect(200);
    world.call_second("GET", PATH).send().await.expect(200);
}

#[tokio::test]
async fn a_401_names_every_header_that_is_wrong() {
    let world = World::new().await;
    let answer = world.bare("GET", PATH).send().await;
    let errors = answer.expect(401)["errors"].clone();
    let fields: Vec<&Value> = errors.as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["X-PIM-URL", "X-PIM-TOKEN", "X-PIM-CLIENT-ID"]);
}
