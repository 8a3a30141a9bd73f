//! Requests to the PIM: pages, tokens, pauses.

use http::HeaderValue;

use super::*;

#[tokio::test]
async fn a_next_page_elsewhere_is_refused() {
    let world = World::new().await;
    world.round("10:00:00").await;
    let elsewhere = FakeRest::start().await;
    world.rest.put("products", vec![product(FIRST, "10:05:00", "a"), product(SECOND, "10:05:00", "a")]);
    world.rest.page_size(1);
    let own = world.rest.url();
    for base in [
        format!("{}/api/rest/v1/products", elsewhere.url()),
        format!("{own}/api/rest/v1/product-models"),
        format!("{own}.example.com/api/rest/v1/products"),
        format!("http://u:p@{}/api/rest/v1/products", own.trim_start_matches("http://")),
        "products".to_owned(),
    ] {
        world.rest.links_to(&base);
        let refused = world.reconciler.round(&world.pim, at("10:15:00")).await.unwrap_err().to_string();
        assert!(refused.contains("outside the registered URL"), "{base}: {refused}");
    }
    assert_eq!(elsewhere.requests(), 0);
    // Behind a TLS proxy, a PIM writes the wrong scheme.
    world.rest.links_to(&format!("{}/api/rest/v1/products", own.replace("http:", "https:")));
    world.rest.put("products", vec![product(FIRST, "10:05:00", "a"), product(SECOND, "10:05:00", "a")]);
    assert_eq!(world.round("10:15:00").await, (2, 0));
}

#[tokio::test]
async fn an_old_token_is_replaced() {
    let world = World::new().await;
    world.round("10:00:00").await;
    world.rest.put("products", vec![product(FIRST, "10:05:00", "a")]);
    assert_eq!(world.round("10:15:00").await, (1, 0));
    let granted = world.rest.granted();
    assert_eq!(world.round("10:16:00").await, (0, 0));
    assert_eq!(world.rest.granted(), granted, "a token is used again");
    world.rest.revoke();
    assert_eq!(world.round("10:17:00").await, (0, 0));
    assert_eq!(world.rest.granted(), granted + 1);
    // A PIM that accepts no token is not asked forever.
    world.rest.reject();
    let refused = world.reconciler.round(&world.pim, at("10:18:00")).await.unwrap_err().to_string();
    assert!(refused.contains("with 401"), "{refused}");
    assert_eq!(world.rest.granted(), granted + 2);
}

#[tokio::test]
async fn too_much_is_asked_again_after_a_pause() {
    let world = World::new().await;
    world.round("10:00:00").await;
    world.rest.put("products", vec![product(FIRST, "10:05:00", "a")]);
    world.rest.answer_once(429, Some("0"));
    world.rest.answer_once(429, Some("0"));
    assert_eq!(world.round("10:15:00").await, (1, 0));
    assert_eq!(world.rest.asked("/api/rest/v1/products").len(), 3);
    for _ in 0..MOST_TRIES {
        world.rest.answer_once(429, Some("0"));
    }
    let refused = world.reconciler.round(&world.pim, at("10:16:00")).await.unwrap_err().to_string();
    assert!(refused.contains("times with 429"), "{refused}");
}

#[test]
fn the_pause_follows_retry_after_within_bounds() {
    let check = |says: Option<&'static str>, seconds: u64| {
        let headers = says.map(|says| (RETRY_AFTER, HeaderValue::from_static(says))).into_iter().collect();
        assert_eq!(pause(&headers), Duration::from_secs(seconds), "{says:?}");
    };
    check(None, 60);
    check(Some("7"), 7);
    check(Some("0"), 0);
    check(Some("99999999"), 600);
    check(Some("Tue, 03 Nov 2026 09:00:13 GMT"), 60);
}
