//! `postrider events`, `replay` and `test` against a platform.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Client;
use crate::receiver::Receiver;
use crate::running::{Running, postrider};
use crate::sample::{event, types};

struct Commands {
    url: String,
}

impl Commands {
    /// Runs a command as the test's client: exit code and both outputs.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = postrider(args);
        command.envs([
            ("POSTRIDER_URL", self.url.as_str()),
            ("POSTRIDER_PIM_URL", "https://pim.example.com"),
            ("POSTRIDER_CLIENT_ID", "app"),
            ("POSTRIDER_TOKEN", "token"),
        ]);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    #[track_caller]
    fn succeeds(&self, args: &[&str]) -> String {
        let (code, out, err) = self.run(args);
        assert_eq!(code, 0, "{args:?}\n{out}{err}");
        out
    }

    #[track_caller]
    fn fails(&self, args: &[&str], code: i32, expect: &str) {
        let (found, out, err) = self.run(args);
        assert_eq!(found, code, "{args:?}\n{out}{err}");
        assert!(err.contains(expect), "{args:?}: expected to find\n  {expect}\nin\n{err}");
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_finds_explains_replays_and_tests() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Running::start(folder.path(), &[]);
    let receiver = Receiver::start(Duration::ZERO).await;
    let mut client = Client::connect(&platform.address).await.unwrap();
    let commands = Commands { url: format!("http://{}", platform.address) };
    commands.fails(&["test"], 1, "this client has no subscription");
    let path = client.subscriber().await;
    let first = client.subscribe(&path, &receiver.url("/first"), &types(&["product.updated"]), json!({})).await;
    client.publish(&["1", "2", "3"].map(|id| event(id, "product.updated"))).await.unwrap();
    receiver.wait_until(Duration::from_secs(10), "the deliveries", || receiver.count("/first") == 3).await;

    let listed = lines(&commands.succeeds(&["events", "list", "--json"]));
    assert_eq!(listed.iter().map(|item| item["id"].as_str().unwrap()).collect::<Vec<_>>(), ["3", "2", "1"]);
    let found = commands.succeeds(&["events", "list", "--type", "product.updated", "--since", "1h", "--limit", "2"]);
    assert_eq!(found.lines().count(), 2, "{found}");
    assert!(found.contains("product.updated") && found.contains("by erp"), "{found}");
    let (_, _, err) = commands.run(&["events", "list", "--entity", "nobody"]);
    assert!(err.contains("no such event is kept"), "{err}");
    commands.fails(&["events", "list", "--since", "yesterday"], 2, "how long ago");
    assert!(commands.succeeds(&["events", "show", "2"]).contains("\"specversion\": \"1.0\""));
    commands.fails(&["events", "show", "4"], 1, "no such event");

    let second = client.subscribe(&path, &receiver.url("/second"), &types(&["product.updated"]), json!({})).await;
    let told = commands.succeeds(&["events", "explain", "2"]);
    for part in [&first, "delivered", &second, "not active", "before the subscription was created"] {
        assert!(told.contains(part), "no {part:?} in\n{told}");
    }
    let told = lines(&commands.succeeds(&["events", "explain", "2", "--subscription", &first, "--json"]));
    assert_eq!((told.len(), &told[0]["fate"], &told[0]["subscription_id"]), (1, &json!("delivered"), &json!(first)));
    commands.fails(&["events", "explain", "4"], 1, "no such event");

    commands.fails(&["test"], 2, &format!("{second}  https {}", receiver.url("/second")));
    commands.fails(&["test", "--subscription", "x"], 1, "has no subscription \"x\"");
    let outcome = commands.succeeds(&["test", "--subscription", &second, "--type", "product.created"]);
    assert!(outcome.contains("delivered, status 200"), "{outcome}");
    assert!(receiver.at("/second")[0].id().starts_with("test-"));

    let replay = |args: &[&str]| commands.succeeds(&[&["replay"], args, &["--subscription", &first]].concat());
    let done = replay(&["start", "--from", "1h", "--filter", "user=\"nobody\"", "--wait"]);
    assert!(done.contains("done") && done.contains("0 delivered"), "{done}");
    let done = replay(&["start", "--event", "1", "--event", "4", "--wait", "--json"]);
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!((&done["status"], &done["delivered"], &done["gone"]), (&json!("done"), &json!(1), &json!(1)));
    assert_eq!(receiver.at("/first").last().unwrap().header("x-postrider-replay"), done["id"]);
    assert_eq!(replay(&["list", "--json"]).lines().count(), 2);
    let id = done["id"].as_str().unwrap();
    assert!(replay(&["show", id]).contains("1 delivered"));
    commands.fails(&["replay", "cancel", id, "--subscription", &first], 1, "already ended");
    commands.fails(&["replay", "start", "--subscription", &first], 2, "--from");
    commands.fails(&["replay", "start", "--from", "400d", "--subscription", &first], 1, "oldest kept event");
}
