//! What the fence is for. A node hangs although it believes in its lease, as with a clock that stands still: while it
//! hangs, its endpoints answer 404, which suspends a subscription. Another node takes over, and delivers. Then the
//! first one goes on and reads those answers. With the fence in the database nothing comes of it. Without it,
//! subscriptions are suspended that another node serves well, and the checker finds events that never arrive.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::StatusCode;
use parts::postgres::Postgres;
use serde_json::{Value, json};

use super::load::change;
use super::nodes::{Launch, Nodes, SHARDS};
use crate::receiver::{Delivery, Receiver};
use crate::sample::types;

/// An endpoint answers after this time: meanwhile the node that asked is stopped.
const ANSWERS_AFTER: Duration = Duration::from_millis(1_500);
/// Events of a subscription after the first one.
const LATER: usize = 5;
/// Without the fence, a round goes well by chance if the node renews its leases first, and learns that they are lost.
const ROUNDS: usize = 8;

/// `owner = …` and `epoch = …` hold for everybody in `progress`.
const WITHOUT_FENCE: &str = "
    CREATE TYPE anybody AS (id uuid);
    CREATE FUNCTION anybody(uuid) RETURNS anybody LANGUAGE sql IMMUTABLE AS 'SELECT ROW($1)::anybody';
    CREATE FUNCTION is_anybody(anybody, uuid) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT TRUE';
    CREATE OPERATOR = (LEFTARG = anybody, RIGHTARG = uuid, FUNCTION = is_anybody);
    CREATE CAST (uuid AS anybody) WITH FUNCTION anybody(uuid) AS ASSIGNMENT;
    CREATE TYPE ever AS (epoch bigint);
    CREATE FUNCTION ever(bigint) RETURNS ever LANGUAGE sql IMMUTABLE AS 'SELECT ROW($1)::ever';
    CREATE FUNCTION is_ever(ever, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT TRUE';
    CREATE OPERATOR = (LEFTARG = ever, RIGHTARG = bigint, FUNCTION = is_ever);
    CREATE CAST (bigint AS ever) WITH FUNCTION ever(bigint) AS ASSIGNMENT;
    ALTER TABLE progress ALTER COLUMN epoch DROP DEFAULT,
        ALTER COLUMN owner TYPE anybody USING anybody(owner), ALTER COLUMN epoch TYPE ever USING ever(epoch)";

/// PIMs whose shards are the first node's.
fn of_first(server: &Postgres, nodes: &Nodes) -> Vec<usize> {
    let sql = format!(
        "SELECT p.name FROM pims p JOIN lease l ON l.shard = p.id % {SHARDS} JOIN node n ON n.id = l.owner \
         WHERE n.address = '{}'",
        nodes.cluster_address(0)
    );
    let names = server.query("platform", &sql).unwrap();
    names.lines().map(|name| name.strip_prefix("pim-").unwrap().parse().unwrap()).collect()
}

/// Beats for the first node until it is stopped: the node's lease is long, so it does so seldom itself.
struct Heart {
    stop: Arc<AtomicBool>,
    beating: Option<std::thread::JoinHandle<()>>,
}

impl Heart {
    fn start(server: &Postgres, url: &str, nodes: &Nodes) -> Heart {
        let id = format!("(SELECT id FROM node WHERE address = '{}')", nodes.cluster_address(0));
        let sql = format!(
            "UPDATE lease SET beat = beat + 1 WHERE owner = {id}; UPDATE node SET beat = beat + 1 WHERE id = {id}"
        );
        let mut psql = server.program("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", &sql]);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let beating = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                assert!(psql.status().unwrap().success());
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Heart { stop, beating: Some(beating) }
    }

    fn stop(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.beating.take().unwrap().join().unwrap();
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// Hides nodes and leases for 0.7 s. The node would otherwise see that it has lost its shards, and drop them before it
/// reaches the fence.
fn hide_roll(server: &Postgres, url: &str) -> std::thread::JoinHandle<()> {
    let mut psql = server.program("psql");
    let sql = "BEGIN; LOCK TABLE node IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.7); COMMIT";
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-d", url, "-c", sql]);
    let hidden = std::thread::spawn(move || assert!(psql.status().unwrap().success()));
    let locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted \
                  AND relation = 'node'::regclass";
    while server.query("platform", locked).unwrap() != "1" {
        std::thread::sleep(Duration::from_millis(10));
    }
    hidden
}

struct Subscription {
    pim: usize,
    path: String,
}

/// Subscriptions that were suspended, and events that did not arrive.
async fn hang(fence: bool) -> (usize, usize) {
    let server = Postgres::start(&[]).unwrap();
    let url = server.create("platform").unwrap();
    let mut nodes = Nodes::start(&url, [Launch::with_lease("60s")]);
    if !fence {
        server.query("platform", WITHOUT_FENCE).unwrap();
    }
    // The first request of an endpoint gets 404, later ones 200.
    let asked: Arc<Mutex<HashSet<String>>> = Arc::default();
    let receiver = Receiver::answering(ANSWERS_AFTER, move |path, _| {
        if asked.lock().unwrap().insert(path.to_owned()) { StatusCode::NOT_FOUND } else { StatusCode::OK }
    })
    .await;
    let heart = Heart::start(&server, &url, &nodes);
    nodes.add(Launch::with_lease("2s"));
    let by = Instant::now() + Duration::from_secs(60);
    while nodes.holdings(&server)[0] > SHARDS / 2 {
        assert!(Instant::now() < by, "{:?}\n{}", nodes.holdings(&server), nodes.logs());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut subscriptions = Vec::new();
    for pim in of_first(&server, &nodes) {
        let mut client = nodes.client_at(1, pim).await;
        let path = client.subscriber().await;
        let url = receiver.url(&format!("/{pim}"));
        let id = client.subscribe(&path, &url, &types(&["product.updated"]), json!({})).await;
        subscriptions.push(Subscription { pim, path: format!("{path}/{id}") });
    }
    assert!(subscriptions.len() >= SHARDS / 4, "{} are the first node's", subscriptions.len());
    for subscription in &subscriptions {
        publish(&nodes, subscription.pim, 0).await;
    }
    // Its requests are under way, but not answered.
    tokio::time::sleep(Duration::from_millis(300)).await;
    nodes.running(0).freeze();
    heart.stop();
    assert!(subscriptions.iter().all(|subscription| receiver.count(&format!("/{}", subscription.pim)) == 0));
    let all = |at_least: usize| {
        let of = |subscription: &Subscription| receiver.count(&format!("/{}", subscription.pim)) >= at_least;
        subscriptions.iter().filter(|subscription| of(subscription)).count()
    };
    receiver.wait_until(Duration::from_secs(10), "the first answers", || all(1) == subscriptions.len()).await;
    receiver
        .wait_until(Duration::from_secs(20), "deliveries by the other node", || all(2) == subscriptions.len())
        .await;
    let hidden = hide_roll(&server, &url);
    nodes.running(0).thaw();
    tokio::time::sleep(Duration::from_secs(1)).await;
    hidden.join().unwrap();
    for number in 1..=LATER {
        for subscription in &subscriptions {
            publish(&nodes, subscription.pim, number).await;
        }
    }
    receiver.wait_for_silence(ANSWERS_AFTER * 4).await;
    let (mut suspended, mut missing) = (0, 0);
    for Subscription { pim, path } in &subscriptions {
        let shown: Value = nodes.client_at(1, *pim).await.get(path).await;
        suspended += usize::from(shown["status"] == "suspended");
        let arrived: HashMap<String, StatusCode> =
            receiver.at(&format!("/{pim}")).iter().map(|delivery| (Delivery::id(delivery), delivery.status)).collect();
        missing +=
            (0..=LATER).filter(|number| arrived.get(&change(*pim, 0, *number).0) != Some(&StatusCode::OK)).count();
    }
    let count = subscriptions.len();
    println!("fence {fence}: {suspended} of {count} subscriptions suspended, {missing} events missing");
    (suspended, missing)
}

async fn publish(nodes: &Nodes, pim: usize, number: usize) {
    nodes.client_at(1, pim).await.publish(&[change(pim, 0, number).1]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_owner_suspends_nobody() {
    assert_eq!(hang(true).await, (0, 0));
}

/// Without this, the tests of this module prove nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_fence_a_former_owner_suspends_subscriptions_and_the_checker_finds_what_is_lost() {
    for _ in 0..ROUNDS {
        let (suspended, missing) = hang(false).await;
        if suspended > 0 {
            assert!(missing > 0);
            return;
        }
    }
    panic!("a former owner suspended nothing");
}
