//! Two nodes answer for each other: questions to the owner of a shard, nudges, and what is said when it hangs.

use std::path::Path;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use parts::postgres::Postgres;
use serde_json::{Value, json};

use crate::backend::KEYS;
use crate::client::Client;
use crate::metrics;
use crate::receiver::Receiver;
use crate::running::{PIM, Running};
use crate::sample::{event, types};

const OPERATOR: &str = "the-key-of-the-operator-here";
/// The shard of the only PIM, the first one.
const SHARD: usize = 1;
const PATIENCE: Duration = Duration::from_secs(30);

fn node(folder: &Path, url: &str) -> Running {
    node_with(folder, url, &[])
}

/// The same with further settings.
pub(crate) fn node_with(folder: &Path, url: &str, settings: &[&str]) -> Running {
    let more = ["--store-backend", "postgres", "--store-url", url, "--store-lease", "5s", "--encryption-keys", KEYS];
    let cluster = ["--cluster-listen", "127.0.0.1:0", "--api-operator-key", OPERATOR];
    std::fs::create_dir_all(folder).unwrap();
    Running::start_with(folder, PIM, &[&more[..], &cluster, settings].concat(), &[])
}

async fn operator(of: &Running, path: &str) -> (StatusCode, Value) {
    let path = format!("/api/v1/admin/{path}");
    let (status, _, text) = metrics::get(&of.address, &path, "application/json", Some(OPERATOR)).await;
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// A counter of a node.
async fn counted(of: &Running, series: &str) -> f64 {
    let (_, _, text) = metrics::get(&of.address, "/metrics", "text/plain", Some(OPERATOR)).await;
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.unwrap_or_else(|| panic!("{series} is not in\n{text}")).trim().parse().unwrap()
}

/// Waits until both nodes own half of the shards; the owner of the PIM's shard, and the other one.
pub(crate) async fn balanced(nodes: [Running; 2]) -> (Running, Running) {
    let by = Instant::now() + PATIENCE;
    loop {
        let (_, seen) = operator(&nodes[0], "cluster").await;
        let mut counts: Vec<u64> =
            seen["nodes"].as_array().unwrap().iter().map(|node| node["shards"].as_u64().unwrap()).collect();
        counts.sort_unstable();
        if counts == [32, 32] {
            let this = seen["nodes"].as_array().unwrap().iter().find(|node| node["this_node"] == true).unwrap();
            let [first, second] = nodes;
            return match seen["shards"][SHARD]["owner"] == this["id"] {
                true => (first, second),
                false => (second, first),
            };
        }
        assert!(Instant::now() < by, "the nodes do not share the shards: {}", seen["nodes"]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_answers_for_the_one_that_delivers() {
    let server = Postgres::start(&["fsync = off"]).unwrap();
    let url = server.create("nodes").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let start = |name: &str| node(&folder.path().join(name), &url);
    let (owner, other) = balanced([start("a"), start("b")]).await;

    let receiver = Receiver::start(Duration::from_millis(1)).await;
    let (mut at_owner, mut at_other) =
        (Client::connect(&owner.address).await.unwrap(), Client::connect(&other.address).await.unwrap());
    let subscriptions = at_other.subscriber().await;
    let of = types(&["product.updated"]);
    let id = at_other.subscribe(&subscriptions, &receiver.url("/live"), &of, json!({})).await;
    let path = format!("{subscriptions}/{id}");
    for number in 0..20 {
        at_other.publish(&[event(&format!("e{number}"), "product.updated")]).await.unwrap();
    }
    receiver.wait_until(PATIENCE, "all events", || receiver.count("/live") >= 20).await;

    // The same answers, wherever they are asked for.
    let by = Instant::now() + PATIENCE;
    loop {
        let fate = at_other.get(&format!("{path}/events/e19")).await;
        if fate["fate"] == "delivered" {
            break;
        }
        assert!(Instant::now() < by, "{fate}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for resource in ["/attempts", "/events/e7", "/failures"] {
        let path = format!("{path}{resource}");
        assert_eq!(at_other.get(&path).await, at_owner.get(&path).await, "{path}");
    }
    assert_eq!(at_other.get(&format!("{path}/attempts")).await["items"].as_array().unwrap().len(), 20);
    let status = at_other.get(&format!("{path}/status")).await;
    assert_eq!((&status["delivery"]["matched"], &status["delivery"]["backlog"]), (&json!(20), &json!(0)), "{status}");
    assert!(!at_other.get("/api/v1/traffic").await["counts"].as_array().unwrap().is_empty());
    let (_, traffic) = operator(&other, "traffic").await;
    let accepted: u64 =
        traffic["counts"].as_array().unwrap().iter().map(|step| step["accepted"].as_u64().unwrap()).sum();
    assert_eq!((accepted, &traffic["missing_shards"]), (20, &json!([])), "{traffic}");

    assert!(counted(&other, "postrider_cluster_calls_total{result=\"answered\"}").await > 0.0);
    assert!(counted(&other, "postrider_cluster_nudges_total{result=\"answered\"}").await > 0.0);
    assert!(counted(&owner, "postrider_cluster_nudges_received_total").await > 0.0);
    assert_eq!(counted(&other, "postrider_shards_owned").await, 32.0);

    // A hanging owner costs an answer, never a wrong one.
    owner.freeze();
    let (status, refused) = at_other.ask(Method::GET, &format!("{path}/status"), Value::Null).await;
    assert_eq!((status, &refused["errors"][0]["code"]), (503, &json!("node_unavailable")), "{refused}");
    let (status, troubled) = operator(&other, "troubled-subscriptions").await;
    let missing = troubled["missing_shards"].as_array().unwrap();
    assert!(status == StatusCode::OK && missing.contains(&json!(SHARD)), "{troubled}");
    // Once its leases have run out, the other one knows.
    let by = Instant::now() + PATIENCE;
    while at_other.ask(Method::GET, &format!("{path}/status"), Value::Null).await.0 != 200 {
        assert!(Instant::now() < by, "nobody takes the shard over");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    owner.thaw();
}
