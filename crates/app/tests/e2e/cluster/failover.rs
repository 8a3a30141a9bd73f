//! The database in trouble below several nodes.

use std::time::Duration;

use super::checker::Watched;
use super::load::Load;
use super::nodes::{Launch, NODES, Nodes};
use crate::postgres::failover::{both, pair};

const LEASE: &str = "3s";
const CUT: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'platform'";

/// The standby misses the end of the log at its promotion: the log goes back, and numbers are used again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_below_several_nodes_loses_nothing_that_was_acknowledged() {
    let (mut primary, mut standby) = pair("on");
    let nodes = Nodes::start(&both(&primary, &standby), vec![Launch::with_lease(LEASE); NODES]);
    nodes.settled(&primary).await;
    let watched = Watched::start(&nodes, Duration::from_millis(1)).await;
    let load = Load::start(&nodes);
    load.goes_on().await;
    standby.stop().unwrap();
    // Commits that wait for the standby are not acknowledged.
    load.more(100_000, Duration::from_secs(2)).await;
    primary.kill().unwrap();
    standby.run().unwrap();
    standby.promote().unwrap();
    load.goes_on().await;
    nodes.settled(&standby).await;
    load.goes_on().await;
    let seen = watched.end(&nodes, load).await;
    seen.check(&format!("failover, lease of {LEASE}"), &nodes);
}

/// All connections of all nodes at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_all_nodes_that_are_cut_lose_nothing() {
    let (primary, _standby) = pair("on");
    let nodes = Nodes::start(&primary.url("platform"), vec![Launch::with_lease(LEASE); NODES]);
    nodes.settled(&primary).await;
    let watched = Watched::start(&nodes, Duration::from_millis(1)).await;
    let load = Load::start(&nodes);
    for _ in 0..5 {
        load.goes_on().await;
        assert_ne!(primary.query("postgres", CUT).unwrap(), "0");
    }
    load.goes_on().await;
    nodes.settled(&primary).await;
    let seen = watched.end(&nodes, load).await;
    seen.check(&format!("connections cut five times, lease of {LEASE}"), &nodes);
}
