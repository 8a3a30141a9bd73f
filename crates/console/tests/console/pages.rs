//! What the pages show.

use std::time::Duration;

use domain::SubscriptionId;
use domain::backlog::{Sample, Step};
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
    world.lanes.statuses.lock().unwrap().insert(id, lane);
    let mut browser = world.signed_in("app").await;
    let page = browser.page(&format!("/console{path}")).await;
    page.has("1,234").has("12.5 /s").has("4 of 10").has("product.updated").has("not user=&quot;erp&quot;");
    page.has("Suspend").lacks(">Resume<").lacks("a secret");
    browser.page("/console/subscriptions?q=hook").await.has("https://app.example.com/hook").has("1,234");
    browser.page("/console/subscriptions?q=elsewhere").await.has("No subscription matches.");
}

/// A status with this backlog, and the age of its oldest event in seconds.
fn waiting(backlog: u64, seconds: u64, at_least: bool) -> LaneStatus {
    let oldest = domain::Clock::system().wall() - Duration::from_secs(seconds);
    let (rate, delivered_last_minute) = (Some(10.0), 30);
    LaneStatus {
        backlog,
        backlog_at_least: at_least,
        oldest_accepted_at: Some(oldest),
        rate,
        delivered_last_minute,
        ..LaneStatus::default()
    }
}

#[tokio::test]
async fn the_list_shows_and_sorts_what_the_lanes_report() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    for (name, lane) in [
        ("quick", LaneStatus { rate: Some(100.0), ..LaneStatus::default() }),
        ("late", waiting(7, 630, false)),
        ("behind", waiting(1000, 7300, true)),
    ] {
        let path = world.subscription("app", &subscriber, &format!("https://app.example.com/{name}")).await;
        let id = SubscriptionId::parse(path.rsplit('/').next().unwrap()).unwrap();
        world.lanes.statuses.lock().unwrap().insert(id, lane);
    }
    let mut browser = world.signed_in("app").await;
    let page = browser.page("/console/subscriptions?sort=-backlog").await;
    page.has("≥ 1,000<small> oldest 2 h</small>").has("7<small> oldest 10 min</small>");
    page.has("0.5 of 10.0 /s").has("0 of 100 /s");
    let place = |name: &str| page.body.find(&format!(">https://app.example.com/{name}<")).unwrap();
    assert!(place("behind") < place("late") && place("late") < place("quick"), "{}", page.body);
    browser.page("/console").await.has("≥ 1,007").has("behind").has("1,000 waiting, for up to 2 h");
    browser.page("/console/subscribers").await.has(">App</a>").has("<td class=\"number\">3</td>");
}

#[tokio::test]
async fn a_backlog_over_time_is_a_chart_on_each_page_that_it_concerns() {
    let world = World::new().await;
    let path = world.subscription("app", &world.subscriber("app", "App").await, "https://app.example.com/").await;
    let from = domain::fate::OutcomeCounts::at(domain::Clock::system().wall()).from;
    let peak = Sample { oldest: Duration::from_secs(420), waiting: 1000, at_least: true };
    world.lanes.backlog.lock().unwrap().push(Step { from, length: Duration::from_secs(300), peak });
    let mut browser = world.signed_in("app").await;
    for page in ["/console", &format!("/console{path}")] {
        browser.page(page).await.has("11:oldest 7 min, ≥ 1,000 waiting").has("287:oldest 7 min");
    }
    let mut operator = world.operator().await;
    let one = format!("/console/subscriptions/{}", path.rsplit('/').next().unwrap());
    for page in ["/console", &one, "/console/pims/shop"] {
        operator.page(page).await.has("up to ≥ 1,000 waiting</desc>");
    }
}

#[tokio::test]
async fn the_overview_counts_the_events_of_own_types() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    world.subscription("app", &subscriber, "https://app.example.com/hook").await;
    let now = domain::Clock::system().wall();
    let earlier = now - Duration::from_secs(2 * 3600);
    let (updated, deleted) = ("com.akeneo.pim.v1.product.updated", "com.akeneo.pim.v1.product.deleted");
    world.lanes.arrivals.lock().unwrap().extend([(updated, now), (updated, now), (deleted, now), (updated, earlier)]);
    let page = world.signed_in("app").await.page("/console").await;
    page.has("2 events in, 0 delivered").has("3 events in, 0 delivered");
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
