//! The operator's pages.

use http::StatusCode;

use crate::world::World;

#[tokio::test]
async fn a_pim_is_added_rotated_and_removed() {
    let world = World::new().await;
    let mut operator = world.operator().await;
    operator.page("/console").await.has("Needs attention");
    let form = [("name", "second"), ("url", "https://second.example.com"), ("token_check", "static")];
    let made = operator.submit("/console/pims/new", "/console/pims/new", &form).await;
    assert_eq!(made.status, StatusCode::OK);
    made.has("It is shown only now:").has("pr_");
    let first = key(&made.body);
    operator.page("/console/pims").await.has("https://second.example.com");
    operator.page("/console/pims/second").await.has(&first[..8]).lacks(&first);

    let made = operator.submit("/console/pims/second", "/console/pims/second/keys", &[]).await;
    let second = key(&made.body);
    let revoke = format!("/console/pims/second/keys/{}/revoke", &first[..8]);
    operator.page(&revoke).await.has("get 401 at once");
    assert_eq!(operator.submit(&revoke, &revoke, &[]).await.location(), "/console/pims/second?done=revoked");
    operator.page("/console/pims/second").await.has(&second[..8]).lacks(&first[..8]);

    let remove = "/console/pims/second/remove";
    assert_eq!(operator.submit(remove, remove, &[]).await.location(), "/console/pims?done=removed");
    operator.page("/console/pims").await.lacks("second.example.com");
    let taken = [("name", "shop"), ("url", "https://x.example.com")];
    let page = operator.submit("/console/pims/new", "/console/pims/new", &taken).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    page.has("taken");
}

fn key(body: &str) -> String {
    let (_, rest) = body.split_once("<pre id=\"secret\" tabindex=\"0\">").unwrap();
    rest.split('<').next().unwrap().to_owned()
}

#[tokio::test]
async fn clients_are_permitted_and_subscriptions_suspended() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let path = world.subscription("app", &subscriber, "https://app.example.com/").await;
    let mut operator = world.operator().await;
    operator.page("/console/pims/shop").await.has("/console/pims/shop/clients/app");
    let client = "/console/pims/shop/clients/app";
    let permission = format!("{client}/permission");
    operator.submit(client, &permission, &[("permitted", "no")]).await;
    operator.page(client).await.has("may not use the platform");
    assert_eq!(world.status_of("app", &path).await, "suspended");
    operator.page("/console").await.has("app.example.com");
    operator.submit(client, &permission, &[("permitted", "yes")]).await;
    let mut browser = world.signed_in("app").await;
    browser.submit("/console", &format!("/console{path}/resume"), &[]).await;

    let list = operator.page("/console/subscriptions?pim=shop").await;
    list.has("https://app.example.com/");
    let suspend = format!("/console/subscriptions/{}/suspend", path.rsplit('/').next().unwrap());
    let asked = operator.page(&suspend).await;
    asked.has("<strong>https://app.example.com/</strong>").has("/console/pims/shop").has("Its backlog is dropped");
    let page = operator.submit(&suspend, &suspend, &[("reason", "")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = operator.submit(&suspend, &suspend, &[("reason", "floods our proxy")]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
    browser.page("/console/log").await.has("floods our proxy");

    let tokens = format!("{client}/tokens");
    let made = operator.submit(client, &tokens, &[]).await;
    made.has("pt_");
    let prefix = key(&made.body)[..11].to_owned();
    operator.page(client).await.has(&prefix);
    operator.submit(client, &format!("{tokens}/{prefix}/revoke"), &[]).await;
    operator.page(client).await.lacks(&prefix);
}

#[tokio::test]
async fn a_removed_client_is_admitted_again() {
    let world = World::new().await;
    world.subscriber("app", "App").await;
    let mut browser = world.signed_in("app").await;
    world.removes("app").await;
    assert_eq!(browser.get("/console").await.status, StatusCode::SEE_OTHER);
    let client = "/console/pims/shop/clients/app";
    let mut operator = world.operator().await;
    operator.page("/console/pims/shop").await.has("removed <time");
    operator.page(client).await.has("Removed from the PIM and locked out").has("Admit again");
    let done = operator.submit(client, &format!("{client}/admission"), &[]).await;
    assert_eq!(done.location(), format!("{client}?done=admitted"), "{}", done.body);
    operator.page(client).await.lacks("locked out");
    world.signed_in("app").await.page("/console").await;
}

#[tokio::test]
async fn each_role_has_its_pages() {
    let world = World::new().await;
    let mut operator = world.operator().await;
    for path in ["/console/events", "/console/log", "/console/live", "/console/try", "/console/subscribers/new"] {
        assert_eq!(operator.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let mut browser = world.signed_in("app").await;
    for path in ["/console/pims", "/console/pims/new", "/console/pims/shop", "/console/pims/shop/clients/app"] {
        assert_eq!(browser.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let page = browser.submit("/console", "/console/pims/shop/keys", &[]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_a_node_does_not_tell_is_named_instead_of_counted_as_nothing() {
    let world = World::new().await;
    let mut operator = world.operator().await;
    operator.page("/console").await.lacks("no answer");
    *world.lanes.missing.lock().unwrap() = vec![3, 41];
    operator.page("/console").await.has("no answer").has("3, 41").lacks("all active subscriptions keep up");
    operator.page("/console/pims/shop").await.has("Not known at the moment");
    let subscriber = world.subscriber("app", "App").await;
    let path = world.subscription("app", &subscriber, "https://app.example.com/hook").await;
    let page = world.signed_in("app").await.page(&format!("/console{path}")).await;
    page.has("Not known at the moment").lacks("Nothing is delivered at present");
}
