//! Reconciliation end to end: bridge, in-memory store, and the REST API of a fake PIM on loopback.

mod fake_rest;
mod requests;
mod world;

use std::sync::Arc;

use domain::Clock;
use domain::pim::TokenCheck;
use serde_json::json;
use store::Pims;

use super::*;
use fake_rest::FakeRest;
use world::{FIRST, SECOND, THIRD, World, at, product, with};

#[tokio::test]
async fn a_missed_update_is_delivered_once_with_its_delta() {
    let world = World::new().await;
    world.send("e-1", "product.updated", &product(FIRST, "09:00:00", "a")).await;
    world.send("e-2", "product.updated", &product(SECOND, "09:00:00", "a")).await;
    world.rest.put("products", vec![product(FIRST, "09:00:00", "a"), product(SECOND, "09:00:00", "a")]);
    // The first round only records the time.
    assert_eq!(world.round("10:00:00").await, (0, 0));
    assert_eq!(world.rest.asked("/api/rest/v1/products"), [""; 0]);

    // One change arrived, the other did not.
    world.send("e-3", "product.updated", &product(FIRST, "10:05:00", "b")).await;
    world.rest.put("products", vec![product(FIRST, "10:05:00", "b"), product(SECOND, "10:06:00", "c")]);
    assert_eq!(world.round("10:15:00").await, (1, 1));
    let search = json!({"updated": [{"operator": ">", "value": "2026-11-02 21:53:59"}]});
    let query = format!("pagination_type=search_after&limit=100&search={search}");
    assert_eq!(world.rest.asked("/api/rest/v1/products"), [query]);
    let expect = [
        "product.updated 1111 by julia",
        "product.updated 2222 by julia",
        "product.updated 1111 by julia",
        "product.updated.delta 1111 by julia a>b",
        "product.updated 2222 by reconciliation",
        "product.updated.delta 2222 by reconciliation a>c",
    ];
    assert_eq!(world.logged().await, expect);
    // Both are also in the next window, and after a restart.
    assert_eq!(world.round("10:16:00").await, (0, 0));
    let world = world.restart().await;
    assert_eq!(world.round("10:17:00").await, (0, 0));
    assert_eq!(world.logged().await, expect);
    // The late request reports no change again.
    world.send("e-4", "product.updated", &product(SECOND, "10:06:00", "c")).await;
    assert_eq!(world.logged().await.len(), expect.len() + 1);
}

#[tokio::test]
async fn all_pages_are_read_and_new_entities_reported() {
    let world = World::new().await;
    world.round("10:00:00").await;
    let new = with(product(SECOND, "10:03:00", "b"), "created", json!("2026-11-03T10:02:00+00:00"));
    let uuids = [product(FIRST, "10:02:00", "a"), new, product(THIRD, "10:04:00", "c")];
    world.rest.put("products", uuids.to_vec());
    let model = json!({"code": "amor", "family": "scanners", "parent": null, "categories": [], "values": {},
        "created": "2026-10-01T00:00:00+00:00", "updated": "2026-11-03T10:02:00+00:00"});
    world.rest.put("product-models", vec![model]);
    world.rest.page_size(1);
    assert_eq!(world.round("10:15:00").await, (4, 0));
    assert_eq!(world.rest.asked("/api/rest/v1/products").len(), 3);
    let expect = [
        "product.updated 1111 by reconciliation",
        "product.created 2222 by reconciliation",
        "product.updated 3333 by reconciliation",
        "product-model.updated amor by reconciliation",
    ];
    assert_eq!(world.logged().await, expect);
}

#[tokio::test]
async fn recent_changes_are_left_to_the_pim() {
    let world = World::new().await;
    world.round("10:00:00").await;
    world.rest.put("products", vec![product(FIRST, "10:14:30", "a")]);
    assert_eq!(world.round("10:15:00").await, (0, 0));
    assert_eq!(world.round("10:30:00").await, (1, 0));
}

#[tokio::test]
async fn changes_are_found_whatever_the_time_zone_of_the_pim() {
    for zone in [-12, -5, 0, 2, 14] {
        let world = World::new().await;
        world.rest.zone(zone);
        world.round("10:00:00").await;
        // One is in the window, the other long before it.
        let early = with(product(SECOND, "10:05:00", "b"), "updated", json!("2026-11-02T20:00:00+00:00"));
        world.rest.put("products", vec![product(FIRST, "10:05:00", "a"), early]);
        assert_eq!(world.round("10:15:00").await, (1, 0), "UTC{zone:+}");
        assert_eq!(world.logged().await, ["product.updated 1111 by reconciliation"], "UTC{zone:+}");
    }
}

#[tokio::test]
async fn a_step_of_our_clock_moves_no_window() {
    let world = World::new().await;
    world.round("10:00:00").await;
    let round = async |ours: Timestamp, theirs: &str, changed: &str, name: &str| {
        world.rest.clock(at(theirs));
        world.rest.put("products", vec![product(FIRST, changed, name)]);
        world.reconciler.round(&world.pim, ours).await.unwrap().events
    };
    let day = Duration::from_secs(24 * 60 * 60);
    assert_eq!(round(at("10:15:00") + day * 40, "10:15:00", "10:05:00", "a").await, 1, "40 days ahead");
    assert_eq!(round(at("10:30:00"), "10:30:00", "10:20:00", "b").await, 1);
    assert_eq!(round(at("10:45:00") - day * 40, "10:45:00", "10:35:00", "c").await, 1, "40 days behind");
    assert_eq!(round(at("11:00:00"), "11:00:00", "10:50:00", "d").await, 1);
}

#[tokio::test]
async fn a_clock_of_the_pim_that_was_set_back_hides_nothing() {
    let world = World::new().await;
    world.round("10:00:00").await;
    world.round("23:00:00").await;
    world.rest.put("products", vec![product(FIRST, "10:05:00", "a")]);
    assert_eq!(world.round("10:15:00").await, (1, 0));
    assert_eq!(world.round("10:20:00").await, (0, 0));
}

#[tokio::test]
async fn an_entity_that_cannot_be_read_costs_no_other() {
    let world = World::new().await;
    world.send("e-1", "product.updated", &product(FIRST, "09:00:00", "a")).await;
    world.round("10:00:00").await;
    let items = vec![
        json!({"uuid": "LONE_SURROGATE"}),
        json!({"uuid": null, "identifier": []}),
        json!(7),
        with(product(FIRST, "10:05:00", "b"), "enabled", json!("yes")),
        with(product(SECOND, "10:05:00", "x"), "updated", json!(false)),
        product(THIRD, "10:05:00", "x"),
    ];
    world.rest.put("products", items.clone());
    world.rest.clock(at("10:15:00"));
    let filled = world.reconciler.round(&world.pim, at("10:15:00")).await.unwrap();
    assert_eq!((filled.events, filled.deltas, filled.bad), (3, 0, 3));
    let expect = [
        "product.updated 1111 by julia",
        "product.updated 1111 by reconciliation",
        "product.updated 2222 by reconciliation",
        "product.updated 3333 by reconciliation",
    ];
    assert_eq!(world.logged().await, expect);
    assert_eq!(world.bridge.counts().uncompared, 1);
    // Once, although nothing can be compared; events reported by the bridge are not repeated.
    let odd = with(product(SECOND, "10:16:00", "y"), "values", json!([1]));
    world.send("e-2", "product.updated", &odd).await;
    world.rest.put("products", items[3..].iter().cloned().chain([odd]).collect());
    assert_eq!(world.round("10:30:00").await, (0, 0));
    // The earlier state is kept: the next comparable one yields a delta from it.
    world.send("e-3", "product.updated", &product(FIRST, "10:31:00", "c")).await;
    assert_eq!(world.logged().await[6], "product.updated.delta 1111 by julia a>c");
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let world = World::new().await;
    world.round("10:00:00").await;
    let world = world.restart().await;
    // The platform was down for hours; changes of that time are reported.
    world.rest.put("products", vec![product(FIRST, "11:00:00", "a"), product(SECOND, "09:00:00", "old")]);
    assert_eq!(world.round("15:00:00").await, (1, 0));
    assert_eq!(world.logged().await, ["product.updated 1111 by reconciliation"]);
}

#[tokio::test]
async fn a_round_that_fails_is_made_again() {
    let world = World::new().await;
    world.round("10:00:00").await;
    world.rest.put("products", vec![product(FIRST, "10:05:00", "a")]);
    world.rest.answer_once(500, None);
    let failed = world.reconciler.round(&world.pim, at("10:15:00")).await.unwrap_err().to_string();
    assert_eq!(failed, "the PIM's REST API: it answered /api/rest/v1/products with 500");
    assert_eq!(world.round("11:00:00").await, (1, 0));
}

#[tokio::test]
async fn requests_that_come_meanwhile_win() {
    let world = World::new().await;
    world.send("e-1", "product.updated", &product(FIRST, "09:00:00", "a")).await;
    world.round("10:00:00").await;
    // The PIM reads the page, then a change and a removal in the same second overtake its response.
    world.rest.put("products", vec![product(FIRST, "10:05:00", "b"), product(SECOND, "10:05:00", "x")]);
    let held = world.rest.hold("/api/rest/v1/products");
    let round = world.round("10:15:00");
    let meanwhile = async {
        held.asked().await;
        world.send("e-2", "product.updated", &product(FIRST, "10:05:00", "c")).await;
        world.send("e-3", "product.removed", &product(SECOND, "10:05:00", "x")).await;
        held.release();
    };
    let (made, ()) = tokio::join!(round, meanwhile);
    assert_eq!(made, (0, 0));
    let expect = [
        "product.updated 1111 by julia",
        "product.updated 1111 by julia",
        "product.updated.delta 1111 by julia a>c",
        "product.deleted 2222 by julia",
    ];
    assert_eq!(world.logged().await, expect);
}

#[tokio::test]
async fn products_without_an_identifier_are_found_by_uuid() {
    let world = World::new().await;
    world.round("10:00:00").await;
    let sku = json!([{"locale": null, "scope": null, "data": "1111"}]);
    let mut known = product(FIRST, "10:05:00", "a");
    known["values"]["sku"] = sku;
    let mut nameless = product(SECOND, "10:05:00", "a");
    for item in [&mut known, &mut nameless] {
        item.as_object_mut().unwrap().remove("identifier");
    }
    let link = |product: &str| json!({"PACK": {"products": [product], "product_models": [], "groups": []}});
    world.send("e-1", "product.updated", &with(nameless.clone(), "associations", link("1111"))).await;
    let changed = with(with(nameless, "associations", link(FIRST)), "updated", json!("2026-11-03T10:06:00+00:00"));
    world.rest.put("products-uuid", vec![known.clone(), changed.clone()]);
    assert_eq!(world.round("10:15:00").await, (0, 0), "another name of an associated product is no change");
    let mut changed = with(changed, "updated", json!("2026-11-03T10:16:00+00:00"));
    changed["values"]["name"][0]["data"] = json!("b");
    world.rest.put("products-uuid", vec![known, changed]);
    assert_eq!(world.round("10:30:00").await, (1, 1));
    assert_eq!(world.logged().await[2], "product.updated.delta 2222 by reconciliation a>b");
}

#[tokio::test]
async fn pims_are_asked_every_so_often() {
    let world = World::new().await;
    let changed = (Clock::system().wall() - Duration::from_secs(120)).to_string();
    world.rest.put("products", vec![with(product(FIRST, "00:00:00", "a"), "updated", json!(changed))]);
    let World { store, bridge, reconciler, rest, pim } = world;
    let without =
        Pim { name: "other".into(), url: "http://127.0.0.1:1".into(), url_key: "x".into(), ..Pim::clone(&pim) };
    let without = Pim { token_check: TokenCheck::Static, ..without };
    store.add_pim(without).await.unwrap();
    let running = tokio::spawn(Arc::new(reconciler).run(Duration::from_millis(1)));
    while bridge.counts().filled == 0 {
        tokio::task::yield_now().await;
    }
    running.abort();
    assert!(rest.requests() > 0);
    assert_eq!(bridge.counts().filled, 1);
}
