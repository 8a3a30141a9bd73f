//! Several processes on one database are one platform.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use parts::postgres::Postgres;
use tempfile::TempDir;

use super::stage::{Load, Watched, platform, ready};
use crate::running::Running;

/// Two nodes that share the shards. The first one owns that of the only PIM.
struct Two {
    server: Postgres,
    first: Running,
    second: Running,
    _folders: [TempDir; 2],
}

/// Numbers of shards by owner, the smallest first.
fn shares(server: &Postgres) -> Vec<u32> {
    let sql = "SELECT count(*) FROM lease WHERE owner IS NOT NULL GROUP BY owner ORDER BY 1";
    server.query("platform", sql).unwrap().split_whitespace().map(|count| count.parse().unwrap()).collect()
}

/// Waits for this distribution; how long it took.
async fn shared(server: &Postgres, expect: &[u32], within: Duration) -> Duration {
    let since = Instant::now();
    loop {
        let now = shares(server);
        if now == expect {
            return since.elapsed();
        }
        assert!(since.elapsed() < within, "{now:?} instead of {expect:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Two {
    async fn start() -> Two {
        let server = Postgres::start(&[]).unwrap();
        let url = server.create("platform").unwrap();
        let folders = [0; 2].map(|_| tempfile::tempdir().unwrap());
        let first = platform(folders[0].path(), &url);
        shared(&server, &[64], Duration::from_secs(5)).await;
        let second = platform(folders[1].path(), &url);
        let balanced = shared(&server, &[32, 32], Duration::from_secs(30)).await;
        println!("the second node had its half after {balanced:?}");
        ready(&first).await;
        ready(&second).await;
        Two { server, first, second, _folders: folders }
    }
}

/// Events by both, which are delivered once.
async fn by_both(two: &Two, watched: &Watched) -> HashSet<String> {
    let loads = [Load::start_as("first-", &two.first), Load::start_as("second-", &two.second)];
    for load in &loads {
        load.goes_on().await;
    }
    let mut acknowledged = HashSet::new();
    for load in loads {
        acknowledged.extend(load.stop().await);
    }
    let by = Instant::now() + Duration::from_secs(30);
    while watched.live().1 < acknowledged.len() {
        assert!(Instant::now() < by, "{:?} of {}", watched.live(), acknowledged.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(watched.live(), (acknowledged.len(), acknowledged.len()), "each once");
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_is_succeeded_and_loses_nothing_that_was_acknowledged() {
    let two = Two::start().await;
    // By the node that doesn't own the PIM's shard: it is in effect all the same.
    let watched = Watched::start(&two.second).await;
    let mut acknowledged = by_both(&two, &watched).await;
    let Two { server, first, second, .. } = two;
    let loads = [Load::start_as("killed-", &first), Load::start_as("other-", &second)];
    for load in &loads {
        load.goes_on().await;
    }
    first.kill();
    let succeeded = shared(&server, &[64], Duration::from_secs(10)).await;
    println!("succeeded after {succeeded:?}");
    assert!(succeeded > Duration::from_secs(1), "a lease was taken that had not run out");
    loads[1].goes_on().await;
    for load in loads {
        acknowledged.extend(load.stop().await);
    }
    watched.has_all(&second, &acknowledged).await;
    let (deliveries, events) = watched.live();
    println!("{} of {events} events were delivered again", deliveries - events);
    ready(&second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_hands_its_shards_over() {
    let two = Two::start().await;
    let watched = Watched::start(&two.first).await;
    let mut acknowledged = by_both(&two, &watched).await;
    let Two { server, first, second, .. } = two;
    let load = Load::start(&second);
    load.goes_on().await;
    first.terminate();
    let handed = shared(&server, &[64], Duration::from_secs(3)).await;
    println!("handed over after {handed:?}");
    assert!(first.wait(Duration::from_secs(60)).success());
    load.goes_on().await;
    acknowledged.extend(load.stop().await);
    watched.has_all(&second, &acknowledged).await;
    assert_eq!(server.query("platform", "SELECT count(*) FROM node").unwrap(), "1", "it has left");
}
