//! Pages about kept events: what became of each, replays, attempts, test events.

use domain::attempt::AttemptOutcome;
use http::StatusCode;

use crate::world::{World, attempt};

const EVIL: &str = "</pre><script>alert(1)</script>";

#[tokio::test]
async fn an_event_is_found_and_its_fate_is_said_in_words() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let path = world.subscription("app", &subscriber, "https://app.example.com/").await;
    world.event("by-erp", "erp", &format!("{{\"html\":\"{EVIL}\",\"n\":9007199254740993,\"e\":1E400}}")).await;
    world.event("by-julia", "julia", "1").await;
    let mut browser = world.signed_in("app").await;
    browser.page("/console/events").await.has("/console/events/by-erp").has("by-julia").has("6a9f8486");
    browser.page("/console/events?author=erp").await.has("by-erp").lacks("/console/events/by-julia");
    browser.page("/console/events?id=none").await.has("No kept event matches.");
    browser.page("/console/events?start_time=yesterday").await.has("invalid_parameter");

    let page = browser.page("/console/events/by-erp").await;
    page.has("filtered out").has("app.example.com").lacks("<script>alert");
    page.has("9007199254740993").has("1E400").has("&lt;/pre&gt;&lt;script&gt;");
    let page = browser.page(&format!("/console{path}/events/by-erp")).await;
    page.has("Filtered out").has("erp").has(">Send<").has("nothing is sent while they exclude it");
    browser
        .page(&format!("/console{path}/events/by-julia"))
        .await
        .has("Waiting")
        .has(">Send<")
        .has("a replay leaves it out");
    assert_eq!(browser.get("/console/events/unknown").await.status, StatusCode::NOT_FOUND);

    let page = browser.page(&format!("/console{path}/filter")).await;
    page.has("1 of 2").has("passes").has("filtered out");
    browser.page(&format!("/console{path}/filter?filter=user%3D%22erp%22")).await.has("1 of 2");
    browser.page(&format!("/console{path}/filter?filter=")).await.has("2 of 2");

    let mut other = world.signed_in("other").await;
    other.page("/console/events").await.has("No events yet.");
    assert_eq!(other.get("/console/events/by-erp").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_event_is_sent_again_and_the_replay_cancelled() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let path = world.subscription("app", &subscriber, "https://app.example.com/").await;
    world.event("e-1", "julia", "1").await;
    let mut browser = world.signed_in("app").await;
    let replays = format!("/console{path}/replays");
    browser.page(&replays).await.has("None yet.").has("Start a replay");
    let fate = format!("/console{path}/events/e-1");
    let done = browser.submit(&fate, &fate, &[]).await;
    assert!(done.location().starts_with(&format!("{fate}?replay=")), "{} {}", done.location(), done.body);
    browser.page(done.location()).await.has("It is being sent.").has("data-refresh").has("may be among them");
    let page = browser.page(&replays).await;
    page.has("running").has("Another one can start once it has ended.");
    let (_, rest) = page.body.split_once(&format!("action=\"{replays}/")).unwrap();
    let cancel = format!("{replays}/{}", rest.split('"').next().unwrap());
    assert_eq!(browser.submit(&replays, &cancel, &[]).await.location(), format!("{replays}?done=cancelled"));
    let page = browser.submit(&replays, &replays, &[("from", "nonsense"), ("rate", "fast")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.has("not `nonsense`").has("rate");
    browser.page("/console/log").await.has("Replay started").has("Replay cancelled");
}

#[tokio::test]
async fn attempts_and_live_data_show_hostile_answers_as_text() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let path = world.subscription("app", &subscriber, "https://app.example.com/").await;
    world.event("e-1", "julia", "1").await;
    world.lanes.attempts.lock().unwrap().push(attempt(EVIL, AttemptOutcome::Failed, Some(EVIL)));
    let mut browser = world.signed_in("app").await;
    let page = browser.page(&format!("/console{path}")).await;
    page.has("&lt;script&gt;").lacks("<script>alert").has("12 ms").has("500");
    let live = browser.page("/console/live/data").await;
    let data: serde_json::Value = serde_json::from_str(&live.body).unwrap();
    assert_eq!(data["events"][0]["id"], "e-1");
    assert_eq!((&data["attempts"][0]["id"], &data["attempts"][0]["outcome"]), (&EVIL.into(), &"failed".into()));
}

#[tokio::test]
async fn a_test_event_is_sent_from_its_sample() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let path = world.subscription("app", &subscriber, "https://app.example.com/").await;
    let sid = path.rsplit('/').next().unwrap();
    let mut browser = world.signed_in("app").await;
    let form =
        [("subscriber", subscriber.as_str()), ("subscription", sid), ("type", "com.akeneo.pim.v1.product.updated")];
    browser.page("/console/try").await.has("name=\"data\"").has("&quot;product&quot;");
    let page = browser.submit("/console/try", "/console/try", &[&form[..], &[("data", "{}")]].concat()).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.has("delivered").has("test-");
    let again = browser.submit("/console/try", "/console/try", &[&form[..], &[("data", "{}")]].concat()).await;
    assert_eq!(again.status, StatusCode::TOO_MANY_REQUESTS);
    again.has("one test event per second");
    browser.page("/console/try?language=go").await.has("receiver.go");
}
