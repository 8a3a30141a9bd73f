//! The primary is killed under load, and its standby promoted.

use std::time::{Duration, Instant};

use parts::postgres::Postgres;

use super::stage::{Load, Watched, platform};

/// A primary whose commits wait for its standby, unless `commit` says otherwise.
pub(crate) fn pair(commit: &str) -> (Postgres, Postgres) {
    let mut primary = Postgres::start(&["wal_level = replica", &format!("synchronous_commit = {commit}")]).unwrap();
    let standby = primary.standby("second", &["hot_standby = on"]).unwrap();
    primary.create("platform").unwrap();
    primary.set("synchronous_standby_names = '*'").unwrap();
    let by = Instant::now() + Duration::from_secs(30);
    let attached = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
    while primary.query("postgres", attached).unwrap() != "1" {
        assert!(Instant::now() < by, "the standby is not synchronous");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    (primary, standby)
}

/// URL of both: whichever accepts writes.
pub(crate) fn both(primary: &Postgres, standby: &Postgres) -> String {
    format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/platform", primary.port, standby.port)
}

/// What the standby has of the primary's log at its promotion.
#[derive(PartialEq, Clone, Copy)]
enum Standby {
    Follows,
    /// It was away before: the log goes back, and numbers are used again.
    MissesTheEnd,
}

/// Fails over; numbers of events that were acknowledged, and of those that are lost.
async fn fail_over(commit: &str, state: Standby) -> (usize, usize) {
    let (mut primary, mut standby) = pair(commit);
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), &both(&primary, &standby));
    let watched = Watched::start(&platform).await;
    let load = Load::start(&platform);
    load.goes_on().await;
    if state == Standby::MissesTheEnd {
        standby.stop().unwrap();
        // Commits that wait for the standby are not acknowledged.
        load.more(200, Duration::from_secs(2)).await;
    }
    primary.kill().unwrap();
    if state == Standby::MissesTheEnd {
        standby.run().unwrap();
    }
    standby.promote().unwrap();
    load.goes_on().await;
    let acknowledged = load.stop().await;
    // Events are delivered within milliseconds: only what was held until now shows the loss.
    let (_, missing) = watched.missing(&platform, &acknowledged).await;
    println!("synchronous_commit = {commit}: {} acknowledged, {missing} of them lost", acknowledged.len());
    (acknowledged.len(), missing)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_loses_nothing_that_was_acknowledged() {
    let (acknowledged, missing) = fail_over("on", Standby::Follows).await;
    assert!(acknowledged >= 200);
    assert_eq!(missing, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_to_a_standby_that_misses_the_end_loses_nothing_that_was_acknowledged() {
    let (acknowledged, missing) = fail_over("on", Standby::MissesTheEnd).await;
    assert!(acknowledged >= 200);
    assert_eq!(missing, 0);
}

/// The checker sees what is lost: without this, the tests above prove nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_with_local_commits_loses_events_and_the_checker_finds_them() {
    let (_, missing) = fail_over("local", Standby::MissesTheEnd).await;
    assert!(missing > 0);
}
