//! Links for an app's customers.

use std::time::Duration;

use console::Settings;
use http::header::{CONTENT_SECURITY_POLICY, SET_COOKIE};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::world::World;

/// Creates a link; returns its secret.
async fn link(world: &World, subscriber: &str, read_only: bool) -> String {
    let body = json!({"subscriber_id": subscriber, "read_only": read_only, "minutes": 15});
    let (status, made) = world.api("app", Method::POST, "/api/v1/console-links", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let url = made["url"].as_str().unwrap();
    let (page, secret) = url.split_once('#').unwrap();
    assert_eq!(page, "https://events.example.com/console/link");
    secret.to_owned()
}

async fn open(browser: &mut Browser<'_>, secret: &str) -> StatusCode {
    browser.post_json("/console/link", json!({"secret": secret})).await.status
}

#[tokio::test]
async fn a_link_works_once() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let secret = link(&world, &subscriber, true).await;
    let mut browser = world.browser("192.0.2.3");
    // Looking at the page uses nothing up.
    browser.page("/console/link").await.has("link-").lacks(&secret);
    assert_eq!(open(&mut browser, &format!("{secret}x")).await, StatusCode::GONE);
    assert_eq!(open(&mut browser, "").await, StatusCode::GONE);
    assert_eq!(open(&mut browser, &secret).await, StatusCode::OK);
    browser.page("/console").await.has("<b>App</b> by a read-only link");
    let mut second = world.browser("192.0.2.4");
    assert_eq!(open(&mut second, &secret).await, StatusCode::GONE);
    assert_eq!(second.get("/console").await.status, StatusCode::SEE_OTHER);
    world.signed_in("app").await.page("/console/log").await.has("Console link created").lacks(&secret);
}

#[tokio::test]
async fn a_link_expires_before_and_after_it_is_opened() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let (first, second) = (link(&world, &subscriber, true).await, link(&world, &subscriber, true).await);
    let mut browser = world.browser("192.0.2.3");
    assert_eq!(open(&mut browser, &first).await, StatusCode::OK);
    world.later(Duration::from_secs(14 * 60));
    browser.page("/console").await;
    world.later(Duration::from_secs(60));
    assert_eq!(browser.get("/console").await.status, StatusCode::SEE_OTHER);
    assert_eq!(open(&mut browser, &second).await, StatusCode::GONE);
}

#[tokio::test]
async fn a_link_shows_one_subscriber_and_changes_nothing_unless_allowed() {
    let world = World::new().await;
    let (own, other) = (world.subscriber("app", "Own").await, world.subscriber("app", "Other").await);
    let path = world.subscription("app", &own, "https://own.example.com/").await;
    let foreign = world.subscription("app", &other, "https://other.example.com/").await;
    let mut browser = world.browser("192.0.2.3");
    open(&mut browser, &link(&world, &own, true).await).await;
    let page = browser.page("/console/subscriptions").await;
    page.has("own.example.com").lacks("other.example.com");
    browser.page(&format!("/console{path}")).await.lacks("action=\"/console/subscribers").lacks(">Delete<");
    browser.page("/console/log").await.has("Subscription created").lacks(foreign.rsplit('/').next().unwrap());
    assert_eq!(browser.get(&format!("/console{foreign}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/console/pims").await.status, StatusCode::FORBIDDEN);
    let refused = browser.submit("/console", &format!("/console{path}/suspend"), &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    refused.has("link_forbidden");
    assert_eq!(world.status_of("app", &path).await, "active");

    let mut editor = world.browser("192.0.2.3");
    open(&mut editor, &link(&world, &own, false).await).await;
    editor.submit("/console", &format!("/console{path}/suspend"), &[]).await;
    assert_eq!(world.status_of("app", &path).await, "suspended");
    let theirs = editor.submit("/console", &format!("/console{foreign}/suspend"), &[]).await;
    assert_eq!(theirs.status, StatusCode::NOT_FOUND);
    let subscriber = editor.submit("/console", &format!("/console/subscribers/{own}/delete"), &[]).await;
    assert_eq!(subscriber.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_link_knows_no_events_of_other_subscribers() {
    let world = World::new().await;
    let (own, other) = (world.subscriber("app", "Own").await, world.subscriber("app", "Other").await);
    world.subscription("app", &other, "https://other.example.com/").await;
    world.event("before", "julia", "1").await;
    let path = world.subscription("app", &own, "https://own.example.com/").await;
    world.event("after", "julia", "1").await;
    let mut browser = world.browser("192.0.2.3");
    open(&mut browser, &link(&world, &own, false).await).await;
    browser.page("/console/events").await.has("/console/events/after").lacks("/console/events/before");
    browser.page("/console/events/after").await.has("own.example.com").lacks("other.example.com");
    for unknown in ["/console/events/before".to_owned(), format!("/console{path}/events/before")] {
        assert_eq!(browser.get(&unknown).await.status, StatusCode::NOT_FOUND, "{unknown}");
    }
    // Asked to send it again, the platform counts it as gone, like an event that does not exist.
    browser.submit("/console", &format!("/console{path}/events/before"), &[]).await;
    let replays = browser.page(&format!("/console{path}/replays")).await;
    let counts: Vec<&str> =
        replays.body.split("<td class=\"number\">").skip(1).filter_map(|rest| rest.split('<').next()).collect();
    assert_eq!(counts[..5], ["1", "0", "0", "0", "1"], "{}", replays.body);
    world.signed_in("app").await.page("/console/events").await.has("/console/events/before");
}

#[tokio::test]
async fn every_page_asks_again_whether_the_client_may() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let mut browser = world.browser("192.0.2.3");
    open(&mut browser, &link(&world, &subscriber, true).await).await;
    browser.page("/console").await;
    let mut operator = world.operator().await;
    let client = "/console/pims/shop/clients/app";
    operator.submit(client, &format!("{client}/permission"), &[("permitted", "no")]).await;
    assert_eq!(browser.get("/console").await.status, StatusCode::FORBIDDEN);
    operator.submit(client, &format!("{client}/permission"), &[("permitted", "yes")]).await;
    browser.page("/console").await;
    operator.submit("/console/pims/shop/remove", "/console/pims/shop/remove", &[]).await;
    assert_eq!(browser.get("/console").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn only_pages_of_a_link_can_be_framed_and_only_where_the_operator_allows() {
    let origin = "https://app.example.com".to_owned();
    let world = World::with(Settings { secure: true, frame_origins: vec![origin.clone()] }).await;
    let subscriber = world.subscriber("app", "App").await;
    let ancestors = |page: &crate::browser::Page| {
        let policy = page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        policy.split_once("frame-ancestors ").unwrap().1.to_owned()
    };
    let mut browser = world.browser("192.0.2.3");
    assert_eq!(ancestors(&browser.get("/console/link").await), origin);
    assert_eq!(ancestors(&browser.get("/console/sign-in").await), "'none'");
    let secret = link(&world, &subscriber, true).await;
    let opened = browser.post_json("/console/link", json!({"secret": secret, "framed": true})).await;
    let cookie = opened.headers[SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("SameSite=None; Partitioned") && cookie.contains("Secure"), "{cookie}");
    assert_eq!(ancestors(&browser.page("/console").await), origin);
    assert_eq!(ancestors(&world.signed_in("app").await.page("/console").await), "'none'");
}

#[tokio::test]
async fn a_link_is_opened_by_its_own_page_only() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let secret = link(&world, &subscriber, true).await;
    let mut browser = world.browser("192.0.2.3");
    // What a form of another site can send.
    assert_eq!(browser.post("/console/link", &[("secret", &secret)]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(open(&mut browser, &secret).await, StatusCode::OK);
}

#[tokio::test]
async fn links_are_validated_and_for_own_subscribers_only() {
    let world = World::new().await;
    let (own, theirs) = (world.subscriber("app", "Own").await, world.subscriber("other", "Theirs").await);
    let check = async |body: Value, expect: u16, fields: &[&str]| {
        let (status, answer) = world.api("app", Method::POST, "/api/v1/console-links", Some(body.clone())).await;
        assert_eq!(status.as_u16(), expect, "{body} {answer}");
        let named: Vec<_> =
            answer["errors"].as_array().into_iter().flatten().filter_map(|one| one["field"].as_str()).collect();
        assert_eq!(named, fields, "{body}");
    };
    check(json!({"subscriber_id": own}), 201, &[]).await;
    check(json!({"subscriber_id": own, "read_only": null, "minutes": 60}), 201, &[]).await;
    check(json!({"subscriber_id": theirs}), 404, &[]).await;
    check(json!({}), 422, &["subscriber_id"]).await;
    check(json!({"subscriber_id": own, "minutes": 61, "read_only": 1}), 422, &["read_only", "minutes"]).await;
    check(json!({"subscriber_id": 7, "minutes": 0.5, "x": 1}), 422, &["subscriber_id", "minutes", "x"]).await;
}

#[tokio::test]
async fn the_latest_hundred_unopened_links_of_a_client_work() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let first = link(&world, &subscriber, true).await;
    let second = link(&world, &subscriber, true).await;
    for _ in 0..99 {
        link(&world, &subscriber, true).await;
    }
    let mut browser = world.browser("192.0.2.3");
    assert_eq!(open(&mut browser, &first).await, StatusCode::GONE);
    assert_eq!(open(&mut browser, &second).await, StatusCode::OK);
}
