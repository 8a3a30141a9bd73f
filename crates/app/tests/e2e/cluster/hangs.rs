//! A node hangs for longer than its lease, with attempts in flight, and goes on.

use std::time::{Duration, Instant};

use super::checker::Watched;
use super::load::Load;
use super::nodes::{Launch, NODES, Nodes};
use crate::postgres::failover::pair;
use crate::random::Random;
use crate::sample::is_full;

const LEASE: &str = "3s";
/// Longer than the lease, and than an attempt may take.
const HANGS: Duration = Duration::from_secs(7);
/// What may be repeated of one hang.
const REPEATED: usize = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_past_its_lease_comes_back_without_harm() {
    let rounds = if is_full() { 3 } else { 1 };
    let (_, mut random) = Random::of_this_run();
    let (primary, _standby) = pair("on");
    let nodes = Nodes::start(&primary.url("platform"), vec![Launch::with_lease(LEASE); NODES]);
    nodes.settled(&primary).await;
    // So slow that some attempts are in flight at any time.
    let watched = Watched::start(&nodes, Duration::from_millis(50)).await;
    let load = Load::start(&nodes);
    load.goes_on().await;
    for _ in 0..rounds {
        let victim = random.below(NODES as u64) as usize;
        let hung = Instant::now();
        nodes.running(victim).freeze();
        tokio::time::sleep(HANGS).await;
        nodes.running(victim).thaw();
        nodes.settled(&primary).await;
        let failures = load.failures(hung, victim);
        assert!(failures.is_empty(), "{failures:?}\n{}", nodes.logs());
        load.goes_on().await;
    }
    let seen = watched.end(&nodes, load).await;
    seen.check(&format!("{rounds} nodes hung for {HANGS:?}, lease of {LEASE}"), &nodes);
    assert!(seen.duplicates <= rounds * REPEATED, "{} duplicates", seen.duplicates);
}
