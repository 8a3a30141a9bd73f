//! Reconciliation end to end: bridge, in-memory store, and the REST API of a fake PIM on loopback.

mod fake_rest;

use std::sync::Arc;

use domain::pim::{Probe, Provenance, TokenCheck};
use domain::{ClientId, Clock, Position, Secret};
use http::HeaderValue;
use intake::{Bridge, BridgeStatus, Reconciler};
use serde_json::{Value as Json, json};
use store::{EventLog, MemoryStore, Pims, ReadLimit, Scope, Shard, Snapshots};

use super::*;
use crate::http_client;
use crate::pim_attributes::HttpAttributes;
use fake_rest::FakeRest;

const FIRST: &str = "11111111-1111-4111-8111-111111111111";
const SECOND: &str = "22222222-2222-4222-8222-222222222222";
const THIRD: &str = "33333333-3333-4333-8333-333333333333";
const OVERLAP: Duration = Duration::from_secs(300);

/// A time of the test day, `hh:mm:ss`.
fn at(time: &str) -> Timestamp {
    Timestamp::parse(&format!("2026-11-03T{time}Z")).unwrap()
}

/// A product in the format of `products` and the Events API.
fn product(uuid: &str, updated: &str, name: &str) -> Json {
    json!({
        "uuid": uuid, "identifier": &uuid[..4], "enabled": true, "family": "scanners", "parent": null,
        "categories": [], "groups": [], "associations": [], "quantified_associations": [],
        "values": {"name": [{"locale": null, "scope": null, "data": name}]},
        "created": "2026-10-01T00:00:00+00:00", "updated": format!("2026-11-03T{updated}+00:00"),
    })
}

fn with(mut product: Json, name: &str, value: Json) -> Json {
    product[name] = value;
    product
}

struct World {
    store: Arc<MemoryStore>,
    bridge: Arc<Bridge>,
    reconciler: Reconciler,
    rest: FakeRest,
    pim: Arc<Pim>,
}

impl World {
    async fn new() -> World {
        let rest = FakeRest::start().await;
        let clients = vec![ClientCredentials {
            client_id: ClientId("app".into()),
            client_secret: Secret::new("secret"),
            username: "robot".into(),
            password: Secret::new("pass"),
        }];
        let pim = Pim {
            id: PimId(1),
            name: "shop".into(),
            url_key: rest.url(),
            url: rest.url(),
            keys: vec![],
            token_check: TokenCheck::Probe { probe: Probe::SystemInformation, trust_client_id: false, clients },
            static_tokens: vec![],
            events_api_secret: Some(Secret::new("secret")),
            provenance: Provenance::default(),
            created_at: Timestamp::EPOCH,
            revision: 0,
        };
        let store = Arc::new(MemoryStore::default());
        let pim = Arc::new(store.add_pim(pim).await.unwrap());
        World::over(store, rest, pim)
    }

    fn over(store: Arc<MemoryStore>, rest: FakeRest, pim: Arc<Pim>) -> World {
        let client = PimClient::new(http_client::client().unwrap(), Duration::from_secs(5));
        let attributes = Arc::new(HttpAttributes::new(client.clone()));
        let bridge = Arc::new(Bridge::new(store.clone(), Some(attributes), None, Clock::system()));
        let source = Arc::new(HttpEntities::new(client));
        let reconciler = Reconciler::new(bridge.clone(), store.clone(), Shard::FIRST, source, OVERLAP, Clock::system());
        World { store, bridge, reconciler, rest, pim }
    }

    /// Restarts the platform once its notes are stored.
    async fn restart(self) -> World {
        loop {
            let note = self.store.bridge_status(self.pim.id).await.unwrap();
            if note.is_some_and(|note| BridgeStatus::from_text(&note.text).reconciled.len() == EntityKind::ALL.len()) {
                return World::over(Arc::new(self.store.reopen()), self.rest, self.pim);
            }
            tokio::task::yield_now().await;
        }
    }

    /// An Events API request.
    async fn send(&self, id: &str, action: &str, resource: &Json) {
        let event = json!({"action": action, "event_id": id, "event_datetime": resource["updated"],
            "author": "julia", "author_type": "ui", "data": {"resource": resource}});
        let taken = self.bridge.take(&self.pim, json!({"events": [event]}).to_string(), at("12:00:00")).await.unwrap();
        assert_eq!((taken.accepted, taken.bad), (1, 0));
    }

    /// Number of events and deltas of a round at this time.
    async fn round(&self, time: &str) -> (usize, usize) {
        self.rest.clock(at(time));
        let filled = self.reconciler.round(&self.pim, at(time)).await.unwrap();
        assert_eq!(filled.bad, 0);
        (filled.events, filled.deltas)
    }

    /// Type, start of the uuid, and changed name of all events.
    async fn logged(&self) -> Vec<String> {
        let read = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };
        let events = self.store.read(Scope::Pim(self.pim.id), Position::FIRST, read).await.unwrap().events;
        let line = |event: &domain::Event| {
            let data: Json = serde_json::from_str(event.data()).unwrap();
            let short = event.event_type().trim_start_matches("com.akeneo.pim.v1.");
            let what = data["product"]["uuid"].as_str().or(data["product_model"]["code"].as_str()).unwrap();
            let name = &data["product"]["changes"]["values"]["name"][0];
            let change = if name.is_null() { String::new() } else { format!(" {}>{}", name["previous"], name["new"]) };
            let author = data["author"]["identifier"].as_str().unwrap().to_owned();
            format!("{short} {} by {author}{}", what.chars().take(4).collect::<String>(), change.replace('"', ""))
        };
        events.iter().map(|logged| line(&logged.event)).collect()
    }
}

#[tokio::test]
async fn a_missed_update_is_told_with_its_delta_and_only_once() {
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
async fn all_pages_are_read_and_what_was_never_seen_is_told() {
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
async fn what_was_changed_just_now_is_left_to_the_pim() {
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

#[test]
fn the_pause_is_what_the_pim_says_within_bounds() {
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
