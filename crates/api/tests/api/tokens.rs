//! Platform tokens: issued by the operator, sent as `X-PIM-TOKEN`, never forwarded to a PIM.

use api::Verdict;
use serde_json::{Value, json};

use crate::admin::{admin, operated};
use crate::call::Call;
use crate::world::{PIM_URL, World, event, new_subscriber};

const SUBSCRIBERS: &str = "/api/v1/subscribers";

async fn issue(world: &World, client: &str) -> Value {
    admin(world, "POST", &format!("pims/shop/clients/{client}/tokens")).send().await.expect(201)
}

fn with(world: &World, client: &str, token: &str) -> Call {
    let call = world.bare("GET", SUBSCRIBERS).header("x-pim-url", PIM_URL);
    call.header("x-pim-token", token).header("x-pim-client-id", client)
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap()
}

#[tokio::test]
async fn several_are_valid_and_end_one_by_one() {
    let world = operated().await;
    let (first, second) = (issue(&world, "1_abc").await, issue(&world, "1_abc").await);
    for made in [&first, &second] {
        assert!(text(made, "token").starts_with("pt_") && text(made, "token").starts_with(text(made, "prefix")));
        with(&world, "1_abc", text(made, "token")).send().await.expect(200);
        let bearer = format!("Bearer {}", text(made, "token"));
        with(&world, "1_abc", &bearer).send().await.expect(200);
        with(&world, "app", text(made, "token")).send().await.refused(401, "invalid_token");
    }
    let path = "pims/shop/clients/1_abc/tokens";
    let listed = admin(&world, "GET", path).send().await;
    let prefixes: Vec<Value> =
        listed.expect(200)["items"].as_array().unwrap().iter().map(|item| item["prefix"].clone()).collect();
    assert_eq!(prefixes, [first["prefix"].clone(), second["prefix"].clone()]);
    assert!(!String::from_utf8_lossy(&listed.body).contains(text(&first, "token")), "a token is shown once");
    let end = |prefix: String| admin(&world, "DELETE", &format!("{path}/{prefix}")).send();
    assert_eq!(end(text(&first, "prefix").to_owned()).await.status, 204);
    with(&world, "1_abc", text(&first, "token")).send().await.refused(401, "invalid_token");
    with(&world, "1_abc", text(&second, "token")).send().await.expect(200);
    end(text(&first, "prefix").to_owned()).await.refused(404, "not_found");
    end("pt_".to_owned()).await.refused(404, "not_found");
    assert_eq!(world.gateway.asked(), 0, "no PIM is asked about them");
}

#[tokio::test]
async fn tokens_with_our_prefix_are_never_sent_to_a_pim() {
    let world = operated().await;
    world.gateway.says("pt_made-up", Verdict::Genuine { permission: None });
    with(&world, "app", "pt_made-up").send().await.refused(401, "invalid_token");
    with(&world, "app", "Bearer pt_made-up").send().await.refused(401, "invalid_token");
    assert_eq!(world.gateway.asked(), 0);
}

#[tokio::test]
async fn they_work_while_the_pim_is_down() {
    let world = operated().await;
    world.gateway.says("of-the-pim", Verdict::Unavailable { message: "no route".into() });
    with(&world, "1_abc", "of-the-pim").send().await.refused(503, "pim_unavailable");
    with(&world, "1_abc", text(&issue(&world, "1_abc").await, "token")).send().await.expect(200);
}

#[tokio::test]
async fn a_removal_locks_out_until_a_token_is_issued_after_it() {
    let world = operated().await;
    let before = issue(&world, "1_abc").await;
    let before = text(&before, "token");
    let call = world.bare("POST", SUBSCRIBERS).header("x-pim-url", PIM_URL).header("x-pim-token", before);
    call.header("x-pim-client-id", "1_abc").json(&new_subscriber()).send().await.expect(201);
    let mut removal = event("1");
    removal["type"] = json!("com.akeneo.pim.v1.connection.deleted");
    removal["data"] = json!({"connection": {"client_id": "1_abc"}});
    world.produce(removal).await.expect(202);
    with(&world, "1_abc", before).send().await.refused(401, "client_revoked");
    let after = issue(&world, "1_abc").await;
    let listed = with(&world, "1_abc", text(&after, "token")).send().await.expect(200);
    assert_eq!(listed[0]["status"], "revoked");
}

#[tokio::test]
async fn one_that_ends_while_the_body_is_under_way() {
    let world = operated().await;
    let made = issue(&world, "1_abc").await;
    let call = world.bare("POST", SUBSCRIBERS).header("x-pim-url", PIM_URL);
    let call = call.header("x-pim-token", text(&made, "token")).header("x-pim-client-id", "1_abc");
    let underway = call.json(&new_subscriber()).begin().await;
    let path = format!("pims/shop/clients/1_abc/tokens/{}", text(&made, "prefix"));
    assert_eq!(admin(&world, "DELETE", &path).send().await.status, 204);
    underway.finish().await.refused(401, "invalid_token");
}

#[tokio::test]
async fn twenty_asked_for_at_once_work() {
    let world = operated().await;
    let made: Vec<_> =
        (0..20).map(|_| tokio::spawn(admin(&world, "POST", "pims/shop/clients/1_abc/tokens").send())).collect();
    for answer in made {
        let made = answer.await.unwrap().expect(201);
        with(&world, "1_abc", text(&made, "token")).send().await.expect(200);
    }
}

#[tokio::test]
async fn for_pims_and_clients_that_can_be() {
    let world = operated().await;
    admin(&world, "POST", "pims/nobody/clients/app/tokens").send().await.refused(404, "not_found");
    admin(&world, "GET", "pims/nobody/clients/app/tokens").send().await.refused(404, "not_found");
    for wrong in ["%20app", "app%0A", "%C3%A9", &"a".repeat(257)] {
        let path = format!("pims/shop/clients/{wrong}/tokens");
        admin(&world, "POST", &path).send().await.refused(422, "invalid_value");
    }
    let listed = admin(&world, "GET", "pims/shop/clients/app/tokens").send().await.expect(200);
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test]
async fn static_tokens_and_client_ids_that_no_request_can_carry_are_refused() {
    let world = operated().await;
    for (client, token) in [("app", "a b"), ("app", "é"), ("app", "t\n"), ("app", "pt_mine"), (" app", "t"), ("é", "t")]
    {
        let body = json!({"name": "new", "url": "https://new.example.com", "token_check": "static",
                          "static_tokens": [{"client_id": client, "token": token}]});
        admin(&world, "POST", "pims").json(&body).send().await.refused(422, "invalid_value");
    }
}

#[tokio::test]
async fn a_client_that_no_request_can_name_is_refused_wherever_a_path_names_one() {
    let world = operated().await;
    for (method, path, body) in [
        ("GET", "pims/shop/clients/%C3%A9/tokens", None),
        ("POST", "pims/shop/clients/%C3%A9/tokens", None),
        ("DELETE", "pims/shop/clients/%C3%A9/tokens/pt_12345678", None),
        ("POST", "clients/%C3%A9/permission", Some(json!({"pim": "shop", "permitted": false}))),
        ("POST", "clients/%C3%A9/admission", Some(json!({"pim": "shop"}))),
    ] {
        let call = admin(&world, method, path);
        let call = if let Some(body) = &body { call.json(body) } else { call };
        call.send().await.refused(422, "invalid_value");
    }
}
