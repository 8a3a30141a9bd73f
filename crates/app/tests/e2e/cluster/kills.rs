//! Nodes are killed like by a power cut, and started again.

use std::time::{Duration, Instant};

use super::checker::Watched;
use super::load::{Failure, Load};
use super::nodes::{Launch, NODES, Nodes};
use crate::postgres::failover::pair;
use crate::random::Random;
use crate::sample::is_full;

/// Of many rounds; a shorter one is refused.
const LEASE: &str = "2s";
/// What may be repeated of one death: what the node delivered since it saved its progress last, and had in flight.
const REPEATED: usize = 400;

/// Requests to other nodes than the dead one were all answered by 202.
fn none(failures: &[Failure], nodes: &Nodes) {
    assert!(failures.is_empty(), "{failures:?}\n{}", nodes.logs());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_are_killed_lose_nothing() {
    let rounds = if is_full() { 30 } else { 3 };
    let (_, mut random) = Random::of_this_run();
    let (primary, _standby) = pair("on");
    let mut nodes = Nodes::start(&primary.url("platform"), vec![Launch::with_lease(LEASE); NODES]);
    nodes.settled(&primary).await;
    let watched = Watched::start(&nodes, Duration::from_millis(1)).await;
    let load = Load::start(&nodes);
    load.goes_on().await;
    for _ in 0..rounds {
        let victim = random.below(NODES as u64) as usize;
        tokio::time::sleep(random.moment(0, 500)).await;
        let killed = Instant::now();
        nodes.kill(victim);
        // It is back before its lease has run out, or afterwards.
        tokio::time::sleep(random.moment(0, 3_000)).await;
        nodes.run(victim);
        nodes.settled(&primary).await;
        none(&load.failures(killed, victim), &nodes);
        load.goes_on().await;
    }
    let seen = watched.end(&nodes, load).await;
    seen.check(&format!("{rounds} nodes killed, lease of {LEASE}"), &nodes);
    assert!(seen.duplicates <= rounds * REPEATED, "{} duplicates", seen.duplicates);
}

/// What a death costs with the default settings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_pauses_deliveries_for_the_lease_and_intake_not_at_all() {
    let (primary, _standby) = pair("on");
    let mut nodes = Nodes::start(&primary.url("platform"), vec![Launch::with_lease("10s"); NODES]);
    nodes.settled(&primary).await;
    let watched = Watched::start(&nodes, Duration::from_millis(1)).await;
    let load = Load::start(&nodes);
    load.goes_on().await;
    let killed = Instant::now();
    nodes.kill(0);
    tokio::time::sleep(Duration::from_secs(13)).await;
    none(&load.failures(killed, 0), &nodes);
    let seen = watched.end(&nodes, load).await;
    seen.check("one node killed, default lease", &nodes);
    assert!(seen.lanes > Duration::from_secs(6), "it owned nothing: {:?}", seen.lanes);
    // 10.5 and 0.4 s if the machine has nothing else to do; less than a second lease in any case.
    assert!(seen.lanes <= Duration::from_secs(15), "deliveries paused for {:?}\n{}", seen.lanes, nodes.logs());
    assert!(seen.intake <= Duration::from_secs(5), "intake paused for {:?}\n{}", seen.intake, nodes.logs());
    assert!(seen.duplicates <= REPEATED, "{} duplicates", seen.duplicates);
}
