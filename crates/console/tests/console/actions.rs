//! What the forms do: through the API, with its permissions, refusals and log entries.

use http::{Method, StatusCode};
use serde_json::json;

use crate::world::World;

const EVENT: &str = "com.akeneo.pim.v1.product.updated";

#[tokio::test]
async fn subscriber_and_subscription_are_created_changed_and_deleted() {
    let world = World::new().await;
    let mut browser = world.signed_in("app").await;
    let form = [("name", "App"), ("contact.technical_email", "dev@example.com")];
    let made = browser.submit("/console/subscribers/new", "/console/subscribers/new", &form).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.body);
    let subscriber = made.location().split('?').next().unwrap().to_owned();

    let new = format!("{subscriber}/subscriptions/new");
    browser
        .page(&new)
        .await
        .has("name=\"config.url\"")
        .has("name=\"config.secret.primary\"")
        .has("name=\"options.hold\"");
    let form = [
        ("config.url", "https://app.example.com/"),
        ("config.secret.primary", "p1"),
        ("events", EVENT),
        ("options.hold", "on"),
    ];
    let made = browser.submit(&new, &new, &form).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.body);
    let path = made.location().split('?').next().unwrap().to_owned();
    browser.page(made.location()).await.has("Created.");

    let edit = format!("{path}/edit");
    browser.page(&edit).await.has("value=\"https://app.example.com/\"").lacks("p1");
    let form = [("config.url", "https://app.example.com/v2"), ("events", EVENT), ("filter", "not user=\"erp\"")];
    let saved = browser.submit(&edit, &edit, &form).await;
    assert_eq!(saved.location(), format!("{path}?done=saved"), "{}", saved.body);
    let api = path.replace("/console", "/api/v1");
    let (_, now) = world.api("app", Method::GET, &api, None).await;
    assert_eq!(now["config"]["url"], "https://app.example.com/v2");
    assert_eq!(now["filter"], "not user=\"erp\"");
    assert_eq!(now["options"]["hold"], json!(false));

    browser.submit(&path, &format!("{path}/suspend"), &[]).await;
    browser.page(&path).await.has(">Resume<");
    browser.submit(&path, &format!("{path}/resume"), &[]).await;
    assert_eq!(world.status_of("app", &path.replace("/console", "")).await, "active");

    let ask = format!("{path}/delete");
    browser.page(&ask).await.has("This is final.");
    assert_eq!(browser.submit(&ask, &ask, &[]).await.location(), "/console/subscriptions?done=deleted");
    assert_eq!(world.status_of("app", &path.replace("/console", "")).await, "gone");

    let log = browser.page("/console/log").await;
    for operation in ["created", "updated", "suspended by its owner", "resumed by its owner", "deleted"] {
        log.has(&format!("Subscription {operation}"));
    }
}

#[tokio::test]
async fn a_refusal_is_shown_at_its_field_and_nothing_typed_is_lost() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let mut browser = world.signed_in("app").await;
    let new = format!("/console/subscribers/{subscriber}/subscriptions/new");
    let form = [("config.url", "http://10.0.0.1/<b>"), ("config.secret.primary", ""), ("filter", "user=(")];
    let page = browser.submit(&new, &new, &form).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.has("value=\"http://10.0.0.1/&lt;b&gt;\"").has("user=(</textarea>");
    for field in ["f-config-url-error", "f-config-secret-primary-error", "f-events-error", "f-filter-error"] {
        page.has(&format!("id=\"{field}\""));
    }
    page.has("href=\"/docs/errors/invalid_filter\" target=\"_blank\"").has("Nothing was saved. To correct:");
    page.lacks("filter filter").lacks("config.secret.primary must");
    // What was refused is in the owner's log, as with any call of the API.
    browser.page("/console/log?log_type=error").await.has("Request refused").has("POST /api/v1/subscribers/");
}

#[tokio::test]
async fn each_type_of_destination_has_its_form() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let mut browser = world.signed_in("app").await;
    let new = format!("/console/subscribers/{subscriber}/subscriptions/new");
    let page = browser.page(&new).await;
    let types: Vec<&str> = page.body.split("?type=").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(types.contains(&"kafka") && types.contains(&"pubsub"), "{types:?}");
    browser
        .page(&format!("{new}?type=kafka"))
        .await
        .has("name=\"config.sasl_auth.password\"")
        .has("name=\"config.tls.ca_pem\"");
    let to = format!("{new}?type=pubsub");
    let form = [("config.project_id", "my-project"), ("config.topic_id", "pim-events"), ("events", EVENT)];
    let made = browser.submit(&to, &to, &form).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.body);
    let path = made.location().split('?').next().unwrap().to_owned();
    browser.page(&path).await.has("my-project").has("pim-events");
    // To another type, with a complete configuration.
    let to = format!("{path}/edit?type=https");
    browser.page(&to).await.has("moves to another type");
    let form = [("config.url", "https://app.example.com/"), ("config.secret.primary", "p"), ("events", EVENT)];
    let saved = browser.submit(&to, &to, &form).await;
    assert_eq!(saved.location(), format!("{path}?done=saved"), "{}", saved.body);
    let (_, now) = world.api("app", Method::GET, &path.replace("/console", "/api/v1"), None).await;
    assert_eq!((&now["type"], &now["config"]["url"]), (&json!("https"), &json!("https://app.example.com/")));
}

#[tokio::test]
async fn a_filter_is_explained_and_its_faults_are_named() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let path = world.subscription("app", &subscriber, "https://app.example.com/").await;
    let mut browser = world.signed_in("app").await;
    browser.page(&format!("/console{path}/filter")).await.has("not user=&quot;erp&quot;").has("Meaning");
    let page = browser.page(&format!("/console{path}/filter?filter=user%3D%28")).await;
    page.has("invalid_filter").lacks("Meaning");
}

#[tokio::test]
async fn the_filter_of_a_form_is_checked_without_saving_it() {
    let world = World::new().await;
    let subscriber = world.subscriber("app", "App").await;
    let mut browser = world.signed_in("app").await;
    let new = format!("/console/subscribers/{subscriber}/subscriptions/new");
    browser.page(&new).await.has("formaction=\"/console/filters/check\"").has("attribute=&quot;price&quot;");
    let form = [("filter", "attribute=\"price\""), ("events", EVENT), ("config.secret.primary", "s3cret-typed")];
    let page = browser.submit(&new, "/console/filters/check", &form).await;
    page.has("the attribute &quot;price&quot; was changed").has("On the latest events").lacks("s3cret-typed");
    let page = browser.submit(&new, "/console/filters/check", &[("filter", "attribute price")]).await;
    page.has("invalid_filter").lacks("Meaning");
    browser.page("/console/subscriptions").await.has("No subscriptions yet.");
}

#[tokio::test]
async fn large_and_strange_forms_are_refused() {
    let world = World::new().await;
    let mut browser = world.signed_in("app").await;
    let large = "x".repeat(300 * 1024);
    let page = browser.submit("/console", "/console/subscribers/new", &[("name", &large)]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    let page = browser.post_json("/console/subscribers/new", json!({"name": "App"})).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}
