//! What the pages must not say: that all is well, or that nothing happened, when it is otherwise.

use std::time::Duration;

use domain::ReplayId;
use domain::attempt::{AttemptOutcome, PastAttempt};
use http::Method;
use serde_json::{Value, json};

use crate::world::{World, attempt};

const URL: &str = "https://app.example.com/";

#[tokio::test]
async fn an_event_given_up_needs_attention_until_a_replay_delivered_it() {
    let world = World::new().await;
    let path = world.subscription("app", &world.subscriber("app", "App").await, URL).await;
    world.event("e-1", "julia", "1").await;
    world.gave_up(&path).await;
    let mut browser = world.signed_in("app").await;
    browser.page("/console").await.has(&format!("{path}/failures\">1 event<")).lacks("keep up");
    let pages = [
        "/console/events/e-1".to_owned(),
        format!("/console{path}/events/e-1"),
        format!("/console{path}/failures"),
        format!("/console{path}"),
    ];
    for page in &pages {
        browser.page(page).await.has("given up").lacks("Sent again by a replay").lacks("will not be tried");
    }
    browser.page(&pages[1]).await.has(">Send again<").lacks("changed since");

    let replayed = |outcome| PastAttempt { replay: Some(ReplayId::generate()), ..attempt("e-1", outcome, None) };
    world.lanes.attempts.lock().unwrap().insert(0, replayed(AttemptOutcome::Failed));
    browser.page("/console").await.lacks("keep up");
    world.lanes.attempts.lock().unwrap().insert(0, replayed(AttemptOutcome::Delivered));
    browser.page("/console").await.has("keep up");
    for page in &pages {
        browser.page(page).await.has("given up").has("Sent again by a replay: <span class=\"badge good\">delivered<");
    }

    world.later(Duration::from_secs(60));
    let change = json!({"config": {"url": "https://app.example.com/v2"}});
    world.api("app", Method::PATCH, &format!("/api/v1{path}"), Some(change)).await;
    for page in &pages[..2] {
        browser.page(page).await.has("that of an earlier destination");
    }
}

/// The time of the latest suspension, by the log.
async fn suspended_at(world: &World) -> String {
    let path = "/api/v1/logs?log_type=action&limit=100";
    let (_, log) = world.api("app", Method::GET, path, None).await;
    let items = log["items"].as_array().unwrap();
    let is_one = |entry: &&Value| entry["operation"].as_str().unwrap().starts_with("subscription_suspended");
    items.iter().find(is_one).unwrap()["timestamp"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_suspension_keeps_its_time_and_the_operators_words() {
    let world = World::new().await;
    let path = world.subscription("app", &world.subscriber("app", "App").await, URL).await;
    let mut operator = world.operator().await;
    let suspend = format!("/console/subscriptions/{}/suspend", path.rsplit('/').next().unwrap());
    operator.submit(&suspend, &suspend, &[("reason", "floods our proxy")]).await;
    for page in ["/console", "/console/subscriptions", suspend.trim_end_matches("/suspend")] {
        operator.page(page).await.has("floods our proxy").lacks("our proxy · since");
    }
    let since = suspended_at(&world).await;
    world.later(Duration::from_secs(60));
    world.api("app", Method::PATCH, &format!("/api/v1{path}"), Some(json!({"filter": null}))).await;
    let mut browser = world.signed_in("app").await;
    for page in ["/console", &format!("/console{path}")] {
        browser.page(page).await.has("floods our proxy").has(&format!("since <time datetime=\"{since}\">"));
    }
}

#[tokio::test]
async fn what_a_suspension_missed_is_offered_for_a_replay_after_the_resume() {
    let world = World::new().await;
    let path = world.subscription("app", &world.subscriber("app", "App").await, URL).await;
    let mut browser = world.signed_in("app").await;
    let page = format!("/console{path}");
    browser.submit(&page, &format!("{page}/suspend"), &[]).await;
    let since = suspended_at(&world).await;
    world.later(Duration::from_secs(60));
    world.event("e-1", "julia", "1").await;
    browser.page(&format!("{page}/events/e-1")).await.has("Resume the subscription").has("can be sent once");
    world.later(Duration::from_secs(60));
    let resumed = browser.submit(&page, &format!("{page}/resume"), &[]).await;
    let after = browser.page(resumed.location()).await;
    after
        .has("active again")
        .lacks("held")
        .has("1 event of its types")
        .has(&format!("from <time datetime=\"{since}\">"));
    let (_, rest) = after.body.split_once(&format!("href=\"{page}/replays?from=")).unwrap();
    let query = rest.split('"').next().unwrap().replace("&amp;", "&");
    let second = since.split('.').next().unwrap();
    browser
        .page(&format!("{page}/replays?from={query}"))
        .await
        .has(&format!("name=\"from\" type=\"datetime-local\" step=\"1\" value=\"{second}\""));
    browser.page(&page).await.lacks("during the suspension");
}

#[tokio::test]
async fn held_events_are_not_passed_over() {
    let world = World::new().await;
    let path = world.subscription("app", &world.subscriber("app", "App").await, URL).await;
    world.api("app", Method::PATCH, &format!("/api/v1{path}"), Some(json!({"options": {"hold": true}}))).await;
    let mut browser = world.signed_in("app").await;
    let page = format!("/console{path}");
    browser.page(&page).await.lacks("Events are held");
    browser.page("/console").await.lacks("and what is held");
    browser.submit(&page, &format!("{page}/suspend"), &[]).await;
    world.event("e-1", "julia", "1").await;
    browser.page(&page).await.has("Events are held");
    browser.page("/console").await.has("and what is held").has("holds its events");
    browser.page(&format!("{page}/events/e-1")).await.has("delivered once the subscription is resumed");
    let resumed = browser.submit(&page, &format!("{page}/resume"), &[]).await;
    browser.page(resumed.location()).await.has("The held events are delivered now.").lacks("during the suspension");
}

#[tokio::test]
async fn live_data_say_when_they_are_only_the_latest() {
    let world = World::new().await;
    world.subscription("app", &world.subscriber("app", "App").await, URL).await;
    let mut browser = world.signed_in("app").await;
    for (attempts, capped) in [(99, false), (100, true)] {
        let many = vec![attempt("e", AttemptOutcome::Delivered, None); attempts];
        *world.lanes.attempts.lock().unwrap() = many;
        let live = browser.page("/console/live/data").await;
        let data: Value = serde_json::from_str(&live.body).unwrap();
        assert_eq!(data["only_latest"], json!({"events": false, "attempts": capped}), "{attempts}");
    }
}
