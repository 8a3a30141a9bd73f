//! What the pages show.

use domain::SubscriptionId;
use domain::lane_status::LaneStatus;
use http::StatusCode;

use crate::world::World;

#[tokio::test]
async fn an_empty_account_says_what_would_fill_it() {
    let world = World::new().await;
    let mut browser = world.signed_in("app").await;
    browser.page("/console").await.has("Nothing is subscribed yet.");
    browser.page("/console/subscriptions").await.has("No subscribers yet.").has("/console/subscribers/new");
    browser.page("/console/log").await.has("No entries yet.");
    browser.page("/console/try").await.has("No subscription to send to.").has("receiver.mjs");
}

#[tokio::test]
async fn a_subscription_is_shown_with_its_status_and_its_settings_in_words() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let path = world.subscription("app", &subscriber, "https://app.example.com/hook").await;
    let id = SubscriptionId::parse(path.rsplit('/').next().unwrap()).unwrap();
    let lane = LaneStatus {
        backlog: 1234,
        rate: Some(12.5),
        in_flight: 3,
        filtered_out: 4,
        matched: 6,
        ..LaneStatus::default()
    };
    world.lanes.0.lock().unwrap().insert(id, lane);
    let mut browser = world.signed_in("app").await;
    let page = browser.page(&format!("/console{path}")).await;
    page.has("1,234").has("12.5 /s").has("4 of 10").has("product.updated").has("not user=&quot;erp&quot;");
    page.has("Suspend").lacks(">Resume<").lacks("a secret");
    browser.page("/console/subscriptions?q=hook").await.has("https://app.example.com/hook").has("1,234");
    browser.page("/console/subscriptions?q=elsewhere").await.has("No subscription matches.");
}

#[tokio::test]
async fn hostile_texts_are_shown_as_text() {
    let world = World::new().await;
    let evil = "\"><script>alert(1)</script><img src=x onerror=alert(1)>";
    let subscriber = world.subscriber("app", evil).await;
    world.subscription("app", &subscriber, "https://app.example.com/?a=%22%3E%3Cscript%3E").await;
    let mut browser = world.signed_in("app").await;
    let paths = [
        "/console/subscriptions".to_owned(),
        format!("/console/subscribers/{subscriber}"),
        format!("/console/subscribers/{subscriber}/edit"),
        format!("/console/subscribers/{subscriber}/subscriptions/new"),
        "/console/subscriptions?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&sort=%22%3E".to_owned(),
        "/console/log".to_owned(),
        "/console/log?operation=%22%3E%3Cscript%3E&start_time=%22%3E%3Cscript%3E".to_owned(),
        "/console/events?id=%22%3E%3Cscript%3E".to_owned(),
        "/console/try?type=%22%3E%3Cscript%3E&language=%3Cscript%3E".to_owned(),
        "/console?done=%3Cscript%3E".to_owned(),
    ];
    for path in &paths {
        let page = browser.get(path).await;
        page.lacks("<script>").lacks("<img");
    }
    let mut stranger = world.browser("192.0.2.1");
    stranger.page("/console/sign-in?to=%22%3E%3Cscript%3E&done=%3Cscript%3E").await.lacks("<script>");
}

#[tokio::test]
async fn others_ids_and_unknown_paths_are_not_found() {
    let world = World::new().await;
    let subscriber = world.subscriber("other", "Theirs").await;
    let path = world.subscription("other", &subscriber, "https://other.example.com/").await;
    let mut browser = world.signed_in("app").await;
    for path in [
        format!("/console/subscribers/{subscriber}"),
        format!("/console/subscribers/{subscriber}/edit"),
        format!("/console{path}"),
        format!("/console{path}/edit"),
        format!("/console{path}/delete"),
        format!("/console{path}/filter"),
        "/console/subscribers/x/subscriptions/y".to_owned(),
        "/console/nowhere".to_owned(),
        "/console/assets/nothing.css".to_owned(),
    ] {
        let page = browser.get(&path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        page.lacks("other.example.com");
    }
    let done = browser.submit("/console", &format!("/console{path}/suspend"), &[]).await;
    assert_eq!(done.status, StatusCode::NOT_FOUND);
    assert_eq!(world.status_of("other", &path).await, "active");
}

#[tokio::test]
async fn pages_are_light_and_load_only_from_the_platform() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    for number in 0..20 {
        world.subscription("app", &subscriber, &format!("https://app.example.com/{number}")).await;
    }
    let path = world.subscription("app", &world.subscriber("app", "B").await, "https://b.example.com/").await;
    let mut browser = world.signed_in("app").await;
    for path in [
        "/console".to_owned(),
        "/console/subscriptions".to_owned(),
        "/console/log".to_owned(),
        "/console/live".to_owned(),
        "/console/try".to_owned(),
        format!("/console/subscribers/{subscriber}/subscriptions/new"),
        format!("/console{path}"),
        format!("/console{path}/edit"),
    ] {
        let page = browser.page(&path).await;
        assert!(page.body.len() <= 60 * 1024, "{path} has {} bytes", page.body.len());
        for attribute in ["src=\"", "<link rel=\"stylesheet\" href=\""] {
            for loaded in page.body.split(attribute).skip(1) {
                assert!(loaded.starts_with("/console/assets/"), "{path}: {}", &loaded[..40]);
            }
        }
        for (landmark, count) in [("<main", 1), ("<h1", 1), ("<header", 1), ("<footer", 1)] {
            assert_eq!(page.body.matches(landmark).count(), count, "{landmark} in {path}");
        }
    }
    let sheet = browser.page("/console").await;
    let (_, rest) = sheet.body.split_once("rel=\"stylesheet\" href=\"").unwrap();
    browser.page(rest.split('"').next().unwrap()).await.has("prefers-color-scheme");
}
