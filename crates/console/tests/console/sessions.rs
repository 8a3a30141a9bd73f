//! Signing in and out, tokens of forms, and the end of sessions.

use std::time::Duration;

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, SET_COOKIE};

use crate::world::{World, integrator};

#[tokio::test]
async fn every_page_asks_to_sign_in_and_leads_back() {
    let world = World::new().await;
    let paths = [
        "/console",
        "/console/subscriptions",
        "/console/events",
        "/console/events/x",
        "/console/log",
        "/console/live",
        "/console/live/data",
        "/console/try",
        "/console/pims",
        "/console/pims/x",
        "/console/subscribers/new",
        "/console/subscribers/x",
        "/console/subscribers/x/subscriptions/y",
        "/console/subscribers/x/subscriptions/y/edit",
        "/console/subscribers/x/subscriptions/y/events/z",
        "/console/subscribers/x/subscriptions/y/replays",
    ];
    for path in paths {
        let page = world.browser("192.0.2.1").get(path).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{path}");
        assert_eq!(page.location(), format!("/console/sign-in?to={}", path.replace('/', "%2F")));
    }
    let mut browser = world.browser("192.0.2.1");
    let to = "/console/sign-in?to=%2Fconsole%2Flog%3Flog_type%3Derror";
    let page = browser.submit(to, to, &integrator("app")).await;
    assert_eq!(page.location(), "/console/log?log_type=error");
}

#[tokio::test]
async fn wrong_credentials_are_refused_in_the_words_of_the_page() {
    let world = World::new().await;
    let mut browser = world.browser("192.0.2.1");
    let wrong = [("pim_url", "https://pim.example.com"), ("client_id", "app"), ("token", "no")];
    let page = browser.submit("/console/sign-in", "/console/sign-in", &wrong).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    page.has("invalid_token").lacks("X-PIM-TOKEN").has("value=\"https://pim.example.com\"").lacks("value=\"no\"");
    assert_eq!(browser.get("/console").await.status, StatusCode::SEE_OTHER);
    let unsendable = [("key", "a\nb")];
    let page = browser.submit("/console/operator", "/console/operator", &unsendable).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    let page = browser.submit("/console/operator", "/console/operator", &[("key", "wrong")]).await;
    page.has("invalid_operator_key");
}

#[tokio::test]
async fn signing_in_is_limited_by_address() {
    let world = World::new().await;
    let mut browser = world.browser("192.0.2.9");
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let page = browser.submit("/console/operator", "/console/operator", &[("key", "x")]).await;
        statuses.push(page.status.as_u16());
    }
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10..], [429; 2]);
    world.signed_in("app").await;
    world.later(Duration::from_secs(6));
    let page = browser.submit("/console/operator", "/console/operator", &[("key", "x")]).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_form_needs_the_token_of_its_session() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let path = world.subscription("app", &subscriber, "https://app.example.com/").await;
    let mut browser = world.signed_in("app").await;
    let action = format!("/console{path}/suspend");
    assert_eq!(browser.post(&action, &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(browser.post(&action, &[("csrf", "")]).await.status, StatusCode::FORBIDDEN);
    let theirs = world.signed_in("other").await.page("/console").await.csrf();
    assert_eq!(browser.post(&action, &[("csrf", &theirs)]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.status_of("app", &path).await, "active");
    let done = browser.submit("/console", &action, &[]).await;
    assert_eq!(done.location(), format!("/console{path}?done=suspended"));
    assert_eq!(world.status_of("app", &path).await, "suspended");
    // Signing in needs a token as well: nobody is signed in by a form of another site.
    let mut stranger = world.browser("192.0.2.1");
    assert_eq!(stranger.post("/console/sign-in", &integrator("app")).await.status, StatusCode::FORBIDDEN);
    // So does a session that is no longer there.
    browser.cookie = None;
    assert_eq!(browser.post(&action, &[("csrf", &theirs)]).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_session_ends_by_time_and_by_signing_out() {
    let world = World::new().await;
    let mut browser = world.signed_in("app").await;
    for _ in 0..3 {
        world.later(Duration::from_secs(29 * 60));
        browser.page("/console").await;
    }
    world.later(Duration::from_secs(30 * 60));
    let page = browser.get("/console").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);

    let mut browser = world.signed_in("app").await;
    let page = browser.submit("/console", "/console/sign-out", &[]).await;
    assert_eq!(page.location(), "/console/sign-in?done=signed-out");
    assert_eq!(browser.cookie, None);
    assert_eq!(browser.get("/console").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_withdrawn_token_ends_the_session() {
    let world = World::new().await;
    let mut browser = world.signed_in("app").await;
    let mut operator = world.operator().await;
    operator.submit("/console/pims/shop/remove", "/console/pims/shop/remove", &[]).await;
    let page = browser.get("/console/subscriptions").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert!(page.location().ends_with("&expired=1"), "{}", page.location());
    assert_eq!(browser.cookie, None);
    browser.page(page.location()).await.has("Your session has ended");
}

#[tokio::test]
async fn cookies_and_pages_are_protected() {
    let world = World::new().await;
    let mut browser = world.browser("192.0.2.1");
    let page = browser.page("/console/sign-in").await;
    let cookie = page.headers[SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    browser.submit("/console/sign-in", "/console/sign-in", &integrator("app")).await;
    assert!(!format!("{:?}", browser.cookie).contains("app-token"));
    for path in ["/console", "/console/nowhere", "/console/try"] {
        let page = browser.get(path).await;
        let policy = page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(page.headers[CACHE_CONTROL], "no-store");
        page.lacks("app-token").lacks("<style").lacks(" style=").lacks(" onclick");
    }
}
