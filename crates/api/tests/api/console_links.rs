//! Links to the console, where there is no console. The others are tested with its pages.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn without_the_console_a_link_would_lead_nowhere() {
    let world = World::with(|settings| settings.console = false).await;
    let path = world.subscriber().await;
    let id = path.rsplit_once('/').unwrap().1;
    let call = world.call("POST", "/api/v1/console-links").json(&json!({"subscriber_id": id}));
    call.send().await.refused(403, "console_off");
    assert!(!world.call("GET", "/api/v1/logs").send().await.expect(200).to_string().contains("console_link_created"));
}
