//! `/api/v1/admin`: the operator API.

use api::{OperatorKey, Verdict};
use domain::fate::OutcomeCounts;
use domain::pim::Pim;
use domain::subscriber::Owner;
use domain::traffic::{TrafficCounts, Trouble};
use domain::{Secret, SubscriptionId};
use serde_json::{Value, json};
use store::{ClientRecord, Clients, Pims};

use crate::call::Call;
use crate::world::{NODE, PIM_URL, World, event, new_subscriber, new_subscription, owner_of};

pub(crate) const OPERATOR: &str = "the-key-of-the-operator-0123";

pub(crate) async fn operated() -> World {
    World::with(|settings| settings.operator_key = Some(OperatorKey::new(&Secret::new(OPERATOR)))).await
}

pub(crate) fn admin(world: &World, method: &str, path: &str) -> Call {
    world.bare(method, &format!("/api/v1/admin/{path}")).header("authorization", &format!("Bearer {OPERATOR}"))
}

#[tokio::test]
async fn only_the_operator_gets_in() {
    let world = operated().await;
    admin(&world, "GET", "pims").send().await.expect(200);
    world.bare("GET", "/api/v1/admin/pims").send().await.refused(401, "missing_operator_key");
    let with = |key: &str| world.bare("GET", "/api/v1/admin/pims").header("authorization", key).send();
    with("Bearer the-key-of-the-operator-0124").await.refused(401, "invalid_operator_key");
    with("Bearer source-key-of-the-shop").await.refused(401, "invalid_operator_key");
    with("Basic dXNlcjpwYXNzd29yZA==").await.refused(401, "invalid_operator_key");
    let twice = world.bare("GET", "/api/v1/admin/pims").header("authorization", &format!("Bearer {OPERATOR}"));
    twice.header("authorization", "Bearer x").send().await.refused(401, "missing_operator_key");
    // A PIM's client isn't an operator, and the key is required.
    world.call("GET", "/api/v1/admin/pims").send().await.refused(401, "missing_operator_key");
    let without = World::new().await;
    admin(&without, "GET", "pims").send().await.refused(403, "operator_api_off");
    let debug = format!("{:?}", OperatorKey::new(&Secret::new(OPERATOR)));
    assert_eq!(debug, Secret::MASK);
}

#[tokio::test]
async fn pims_and_their_keys() {
    let world = operated().await;
    let new = json!({"name": "third", "url": "https://third.example.com/", "token_check": "static",
                     "static_tokens": [{"client_id": "app", "token": "third-token"}]});
    let made = admin(&world, "POST", "pims").json(&new).send().await.expect(201);
    let first = made["key"].as_str().unwrap().to_owned();
    assert!(first.len() > 40, "{made}");
    admin(&world, "POST", "pims").json(&new).send().await.refused(409, "taken");
    let listed = admin(&world, "GET", "pims").send().await;
    let text = String::from_utf8_lossy(&listed.body).into_owned();
    assert_eq!(listed.expect(200)["items"].as_array().unwrap().len(), 3);
    assert!(!text.contains(&first) && !text.contains("third-token") && !text.contains("sha256"), "{text}");

    let second = admin(&world, "POST", "pims/third/keys").send().await.expect(201);
    let shown = admin(&world, "GET", "pims/third").send().await.expect(200);
    assert_eq!(shown["keys"].as_array().unwrap().len(), 2);
    let path = format!("pims/third/keys/{}", second["prefix"].as_str().unwrap());
    admin(&world, "DELETE", &path).send().await.expect(204);
    admin(&world, "DELETE", &path).send().await.refused(404, "not_found");
    let shown = admin(&world, "GET", "pims/third").send().await.expect(200);
    assert_eq!(shown["keys"][0]["prefix"], first[..8]);

    admin(&world, "DELETE", "pims/third").send().await.expect(204);
    admin(&world, "GET", "pims/third").send().await.refused(404, "not_found");
}

#[tokio::test]
async fn faults_of_a_new_pim() {
    let world = operated().await;
    let check = async |change: Value, code: &str, part: &str| {
        let mut new = json!({"name": "third", "url": "https://third.example.com"});
        new.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let said = admin(&world, "POST", "pims").json(&new).send().await.refused(422, code);
        assert!(said.contains(part), "{said}");
    };
    check(json!({"name": "Third"}), "invalid_value", "lower-case").await;
    check(json!({"url": "third.example.com"}), "invalid_value", "base URL").await;
    check(json!({"surprise": 1}), "unknown_field", "surprise").await;
    check(json!({"token_check": "guess"}), "invalid_value", "not `guess`").await;
    check(json!({"trust_client_id": true}), "invalid_value", "system-information").await;
    check(json!({"token_check": "static", "permission_field": "x"}), "invalid_value", "token-info").await;
    admin(&world, "POST", "pims")
        .raw("{")
        .header("content-type", "application/json")
        .send()
        .await
        .refused(400, "malformed_json");
}

#[tokio::test]
async fn a_permission_is_withdrawn_and_given_back() {
    let world = operated().await;
    let one = world.subscription(&world.subscriber().await).await;
    let call = |body: Value| admin(&world, "POST", "clients/app/permission").json(&body).send();
    call(json!({"permitted": false})).await.refused(422, "required");
    call(json!({"permitted": "no", "pim": "shop"})).await.refused(422, "wrong_type");
    call(json!({"permitted": false, "pim": "none"})).await.refused(404, "not_found");
    let shown = call(json!({"permitted": false, "pim": "shop"})).await.expect(200);
    assert_eq!(shown, json!({"pim": "shop", "client_id": "app", "permitted": false, "revoked_at": null}));
    let stored = world.call("GET", &one).send().await.expect(200);
    assert_eq!(stored["status"], "suspended");
    assert_eq!(world.notifications().await, ["subscription.suspended.system"]);
    world.call("POST", &format!("{one}/resume")).send().await.refused(403, "event_platform_forbidden");
    world
        .call("POST", "/api/v1/subscribers")
        .json(&new_subscriber())
        .send()
        .await
        .refused(403, "event_platform_forbidden");
    // Repetition has no further effect.
    call(json!({"permitted": false, "pim": "shop"})).await.expect(200);
    assert_eq!(world.notifications().await.len(), 1);
    call(json!({"permitted": true, "pim": "shop"})).await.expect(200);
    assert_eq!(world.call("GET", &one).send().await.expect(200)["status"], "suspended", "its owner resumes it");
    world.call("POST", &format!("{one}/resume")).send().await.expect(200);
}

#[tokio::test]
async fn the_operator_admits_a_removed_client() {
    let world = operated().await;
    let path = world.subscriber().await;
    let one = world.subscription(&path).await;
    let admission = |pim: &str| admin(&world, "POST", "clients/app/admission").json(&json!({"pim": pim})).send();
    admission("shop").await.refused(409, "not_revoked");
    let mut removal = event("1");
    removal["type"] = json!("com.akeneo.pim.v1.app.deleted");
    removal["data"] = json!({"app": {"client_id": "app"}});
    world.produce(removal.clone()).await.expect(202);
    world.call("GET", &path).send().await.refused(401, "client_revoked");
    world.gateway.says("hosted", Verdict::Genuine { permission: None });
    let hosted = world.bare("GET", &path).header("x-pim-url", PIM_URL).header("x-pim-token", "hosted");
    hosted.header("x-pim-client-id", "app").send().await.refused(401, "client_revoked");
    let listed = admin(&world, "GET", "clients?pim=shop").send().await.expect(200);
    assert!(listed["items"][0]["revoked_at"].is_string(), "{listed}");
    assert_eq!(admission("shop").await.expect(200)["revoked_at"], Value::Null);
    assert_eq!(world.call("GET", &path).send().await.expect(200)["status"], "revoked");
    assert_eq!(world.call("GET", &one).send().await.expect(200)["status"], "revoked");
    let after = world.call("POST", "/api/v1/subscribers").json(&new_subscriber()).send().await.expect(201);
    let after = format!("/api/v1/subscribers/{}", after["id"].as_str().unwrap());
    // A producer's repeated event does not remove the client again; a further removal does.
    assert_eq!(world.produce(removal.clone()).await.expect(202)["duplicates"], 1);
    assert_eq!(world.call("GET", &after).send().await.expect(200)["status"], "active");
    removal["id"] = json!("2");
    world.produce(removal).await.expect(202);
    world.call("GET", &after).send().await.refused(401, "client_revoked");
    admin(&world, "GET", "clients?name=shop").send().await.refused(422, "unknown_parameter");
}

#[tokio::test]
async fn subscriptions_across_tenants() {
    let world = operated().await;
    let one = world.subscription(&world.subscriber().await).await;
    let second = world.call_second("POST", "/api/v1/subscribers").json(&new_subscriber()).send().await.expect(201);
    let path = format!("/api/v1/subscribers/{}/subscriptions", second["id"].as_str().unwrap());
    world.call_second("POST", &path).json(&new_subscription()).send().await.expect(201);
    let count = async |query: &str| {
        let listed = admin(&world, "GET", &format!("subscriptions{query}")).send().await.expect(200);
        listed["items"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 2);
    assert_eq!(count("?pim=shop").await, 1);
    assert_eq!(count("?pim=second&client_id=app&status=active").await, 1);
    assert_eq!(count("?status=suspended").await, 0);
    admin(&world, "GET", "subscriptions?status=asleep").send().await.refused(422, "invalid_parameter");
    admin(&world, "GET", "subscriptions?sort=name").send().await.refused(422, "unknown_parameter");
    let listed = admin(&world, "GET", "subscriptions").send().await;
    assert!(!String::from_utf8_lossy(&listed.body).contains("a-secret"));

    let id = one.rsplit('/').next().unwrap();
    let suspend = |reason: &str| {
        let body = json!({"reason": reason});
        admin(&world, "POST", &format!("subscriptions/{id}/suspend")).json(&body).send()
    };
    suspend(" ").await.refused(422, "invalid_value");
    suspend("").await.refused(422, "too_short");
    let shown = suspend("floods our proxy").await.expect(200);
    assert_eq!((&shown["status"], &shown["pim"]), (&json!("suspended"), &json!("shop")));
    suspend("again").await.refused(409, "already_suspended");
    assert_eq!(count("?status=suspended").await, 1);
    let said = "suspended by the operator of the platform; floods our proxy";
    let page = world.call("GET", "/api/v1/logs?log_type=action").send().await.expect(200);
    assert_eq!(page["items"][0]["operation"], "subscription_suspended_by_the_platform");
    assert_eq!(page["items"][0]["message"], said);
    assert_eq!(shown["reason"], said);
    assert_eq!(admin(&world, "GET", "subscriptions").send().await.expect(200)["items"][0]["reason"], said);
    let waiting = store::Outbox::notifications(world.store.as_ref(), store::Shard::FIRST, None, 10).await.unwrap();
    assert_eq!(waiting[0].notification.reason.as_deref(), Some(said));
    let none = "subscriptions/0190c5a0-0000-7000-8000-000000000001/suspend";
    admin(&world, "POST", none).json(&json!({"reason": "x"})).send().await.refused(404, "not_found");
}

#[tokio::test]
async fn pages_of_subscriptions() {
    let world = operated().await;
    for client in ["app", "other"] {
        for _ in 0..4 {
            let path = format!("{}/subscriptions", world.subscriber_of(client).await);
            for _ in 0..20 {
                world.call_as(client, "POST", &path).json(&new_subscription()).send().await.expect(201);
            }
        }
    }
    let first = admin(&world, "GET", "subscriptions").send().await.expect(200);
    assert_eq!(first["items"].as_array().unwrap().len(), 100);
    let next = format!("subscriptions?after={}", first["next"].as_str().unwrap());
    let second = admin(&world, "GET", &next).send().await.expect(200);
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next"]), (60, &Value::Null));
    let ids = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["id"].to_string()).collect()
    };
    let mut all = ids(&first);
    all.extend(ids(&second));
    assert!(all.is_sorted());
}

#[tokio::test]
async fn statistics() {
    let world = operated().await;
    let one = world.subscription(&world.subscriber().await).await;
    world.call("POST", &format!("{one}/suspend")).send().await.expect(200);
    world.produce(json!([event("1"), event("2"), event("1")])).await.expect(202);
    let numbers = admin(&world, "GET", "statistics").send().await.expect(200);
    assert_eq!((&numbers["pims"], &numbers["clients"]), (&json!(2), &json!(1)));
    assert_eq!(numbers["subscriptions"], json!({"active": 0, "suspended": 1, "revoked": 0}));
    assert_eq!(numbers["events_since_start"]["accepted"], 3);
    assert_eq!((&numbers["log_head"], &numbers["notifications"]["waiting"]), (&json!(3), &json!(1)));
    admin(&world, "POST", "statistics").send().await.refused(405, "method_not_allowed");
}

/// Three lists of more than a page: no duplicates and no omissions.
#[tokio::test]
async fn long_lists_come_in_pages() {
    let world = operated().await;
    let template = world.store.pim_named("second").await.unwrap().unwrap();
    for number in 0..150 {
        let url_key = format!("https://pim-{number}.example.com");
        let pim =
            Pim { name: format!("pim-{number}"), url: url_key.clone(), url_key, keys: vec![], ..template.clone() };
        let pim = world.store.add_pim(pim).await.unwrap().id;
        let client_id = domain::ClientId(format!("app:{number}"));
        world.store.put_client(&Owner { pim, client_id }, ClientRecord::default()).await.unwrap();
        world.store.put_client(&owner_of(&format!("app-{number:03}")), ClientRecord::default()).await.unwrap();
    }
    let pages = async |list: &str, shown: &str| {
        let (mut found, mut sizes, mut query) = (Vec::new(), Vec::new(), String::new());
        loop {
            let page = admin(&world, "GET", &format!("{list}{query}")).send().await.expect(200);
            let items = page["items"].as_array().unwrap();
            sizes.push(items.len());
            found.extend(items.iter().map(|item| item[shown].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { return (found, sizes) };
            let sign = if list.contains('?') { '&' } else { '?' };
            query = format!("{sign}after={next}");
        }
    };
    let (pims, sizes) = pages("pims", "name").await;
    assert_eq!(sizes, [100, 52]);
    let expect =
        ["shop", "second"].map(str::to_owned).into_iter().chain((0..150).map(|number| format!("pim-{number}")));
    assert_eq!(pims, expect.collect::<Vec<_>>());
    let (clients, sizes) = pages("clients", "client_id").await;
    assert_eq!(sizes, [100, 100, 100]);
    let of_shop: Vec<_> = (0..150).map(|number| format!("app-{number:03}")).collect();
    assert_eq!(clients[..150], of_shop);
    assert_eq!(clients[150..], (0..150).map(|number| format!("app:{number}")).collect::<Vec<_>>());
    assert_eq!(pages("clients?pim=shop", "client_id").await, (of_shop, vec![100, 50]));
    admin(&world, "GET", "clients?after=shop").send().await.refused(422, "invalid_parameter");
    admin(&world, "GET", "clients?after=1:%C3%A1").send().await.refused(422, "invalid_parameter");
    admin(&world, "GET", "clients?after=12345678901:app").send().await.refused(422, "invalid_parameter");
    let behind_all = admin(&world, "GET", "clients?after=9999999999:app").send().await.expect(200);
    assert_eq!(behind_all["items"], json!([]));
    admin(&world, "GET", "pims?after=-1").send().await.refused(422, "invalid_parameter");
}

#[tokio::test]
async fn traffic_of_the_platform_and_of_a_pim() {
    let world = operated().await;
    let at = domain::Clock::system().wall();
    let counts = TrafficCounts { from: at, accepted: 5, delivered: 3, failed: 2, throttled: 1 };
    world.engine.traffic.lock().unwrap().push(counts);
    let whole = admin(&world, "GET", "traffic").send().await.expect(200);
    assert_eq!(whole["step_seconds"], 300);
    let step = &whole["counts"][0];
    assert_eq!((&step["accepted"], &step["delivered"]), (&json!(5), &json!(3)), "{whole}");
    assert_eq!((&step["failed"], &step["throttled"]), (&json!(2), &json!(1)), "{whole}");
    assert_eq!(admin(&world, "GET", "traffic?pim=shop").send().await.expect(200)["step_seconds"], 3600);
    admin(&world, "GET", "traffic?pim=unknown").send().await.refused(404, "not_found");
    admin(&world, "GET", "traffic?pims=shop").send().await.expect(422);
}

/// Never a wrong answer: what a node does not tell is missing by name.
#[tokio::test]
async fn nodes_that_do_not_answer_are_named() {
    let world = operated().await;
    assert_eq!(admin(&world, "GET", "traffic").send().await.expect(200)["missing_shards"], json!([]));
    assert_eq!(admin(&world, "GET", "troubled-subscriptions").send().await.expect(200)["missing_shards"], json!([]));
    let path = world.subscription_to("app", &["product.updated"], json!({})).await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    *world.engine.missing.lock().unwrap() = vec![7, 63];
    assert_eq!(admin(&world, "GET", "traffic").send().await.expect(200)["missing_shards"], json!([7, 63]));
    let troubled = admin(&world, "GET", "troubled-subscriptions").send().await.expect(200);
    assert_eq!(troubled["missing_shards"], json!([7, 63]));
    for path in ["traffic?pim=shop", &format!("subscriptions/{id}")] {
        let refused = admin(&world, "GET", path).send().await;
        assert_eq!(refused.headers["retry-after"], "2", "{path}");
        refused.refused(503, "node_unavailable");
    }
}

#[tokio::test]
async fn nodes_and_shards_are_shown() {
    let world = operated().await;
    let cluster = admin(&world, "GET", "cluster").send().await.expect(200);
    assert_eq!(cluster["nodes"][0]["id"], NODE);
    assert_eq!((&cluster["nodes"][0]["this_node"], &cluster["nodes"][0]["shards"]), (&json!(true), &json!(1)));
    assert_eq!(cluster["shards"], json!([{"number": 0, "owner": NODE, "epoch": 1, "lag": 0}]));
    world.bare("GET", "/api/v1/admin/cluster").send().await.refused(401, "missing_operator_key");
}

#[tokio::test]
async fn subscriptions_in_trouble_and_one_by_one() {
    let world = operated().await;
    let path = world.subscription_to("app", &["product.updated"], json!({})).await;
    let id = SubscriptionId::parse(path.rsplit('/').next().unwrap()).unwrap();
    let trouble = |subscription, failed| Trouble {
        subscription,
        backlog: 7,
        backlog_at_least: true,
        oldest_accepted_at: None,
        delivered: 1,
        failed,
    };
    let gone = SubscriptionId::generate();
    world.engine.troubled.lock().unwrap().extend([trouble(gone, 5), trouble(id, 9)]);
    world
        .engine
        .counts
        .lock()
        .unwrap()
        .push(OutcomeCounts { failed: 9, ..OutcomeCounts::at(domain::Clock::system().wall()) });
    let troubled = admin(&world, "GET", "troubled-subscriptions").send().await.expect(200);
    let items = troubled["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "the other one is gone: {troubled}");
    assert_eq!((&items[0]["failing"], &items[0]["backlog"]), (&json!(true), &json!(7)));
    assert_eq!((&items[0]["subscription"]["pim"], &items[0]["last_hour"]["failed"]), (&json!("shop"), &json!(9)));
    let shown = admin(&world, "GET", &format!("subscriptions/{id}")).send().await.expect(200);
    assert_eq!(shown["subscription"]["client_id"], "app");
    assert_eq!((&shown["delivery"], &shown["counts"][0]["failed"]), (&Value::Null, &json!(9)));
    admin(&world, "GET", &format!("subscriptions/{gone}")).send().await.refused(404, "not_found");
    admin(&world, "GET", "subscriptions/nonsense").send().await.refused(404, "not_found");
    world.bare("GET", &format!("/api/v1/admin/subscriptions/{id}")).send().await.refused(401, "missing_operator_key");
}

#[tokio::test]
async fn lists_are_searched() {
    let world = operated().await;
    world.subscription_to("app", &["product.updated"], json!({})).await;
    for (path, found) in [
        ("pims?q=SHOP", true),
        ("pims?q=nothing-like-it", false),
        ("clients?q=pp", true),
        ("clients?pim=shop&q=APP", true),
        ("clients?q=nothing-like-it", false),
        ("subscriptions?q=my%20SHOP", true),
        ("subscriptions?q=nothing-like-it", false),
    ] {
        let page = admin(&world, "GET", path).send().await.expect(200);
        assert_eq!(!page["items"].as_array().unwrap().is_empty(), found, "{path}: {page}");
    }
}

#[tokio::test]
async fn a_pim_shows_what_arrived_from_it() {
    let world = operated().await;
    let before = admin(&world, "GET", "pims/shop").send().await.expect(200);
    assert_eq!((&before["last_event_at"], &before["bridge"]), (&Value::Null, &Value::Null), "{before}");
    world.produce(event("1")).await.expect(202);
    let after = admin(&world, "GET", "pims/shop").send().await.expect(200);
    let listed = admin(&world, "GET", "pims?q=shop").send().await.expect(200);
    assert!(after["last_event_at"].is_string(), "{after}");
    assert_eq!(listed["items"][0]["last_event_at"], after["last_event_at"]);
}
