//! The standby stops, connections are cut, the server crashes, its disk is full, a pooler stands between.

use parts::postgres::{PgBouncer, Postgres};

use super::failover::pair;
use super::stage::{Load, Watched, lacks, platform, ready};

const CUT: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'platform'";

/// Commits wait, intake is 503, readiness says why; everything goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_stops_stops_intake_until_it_is_back() {
    let (primary, mut standby) = pair("on");
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), &primary.url("platform"));
    let watched = Watched::start(&platform).await;
    let load = Load::start(&platform);
    load.goes_on().await;
    standby.stop().unwrap();
    lacks(&platform, "standby").await;
    assert!(!load.refused().is_empty());
    standby.run().unwrap();
    load.goes_on().await;
    let acknowledged = load.stop().await;
    watched.has_all(&platform, &acknowledged).await;
    ready(&platform).await;
}

/// All connections at once, several times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_lose_nothing() {
    let server = Postgres::start(&[]).unwrap();
    server.create("platform").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), &server.url("platform"));
    let watched = Watched::start(&platform).await;
    let load = Load::start(&platform);
    for _ in 0..5 {
        load.goes_on().await;
        assert_ne!(server.query("postgres", CUT).unwrap(), "0");
    }
    load.goes_on().await;
    let acknowledged = load.stop().await;
    watched.has_all(&platform, &acknowledged).await;
}

/// Killed and started again under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_loses_nothing() {
    let mut server = Postgres::start(&[]).unwrap();
    server.create("platform").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), &server.url("platform"));
    let watched = Watched::start(&platform).await;
    let load = Load::start(&platform);
    for _ in 0..2 {
        load.goes_on().await;
        server.kill().unwrap();
        server.run().unwrap();
    }
    load.goes_on().await;
    let acknowledged = load.stop().await;
    watched.has_all(&platform, &acknowledged).await;
}

/// Producers wait, readiness says why; everything goes on by itself once there is space.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_the_server_loses_nothing() {
    let server = match Postgres::start_with_disk(64, &[]) {
        Ok(server) => server,
        Err(error) => return parts::left_out("a disk for the server", &error),
    };
    server.create("platform").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), &server.url("platform"));
    let watched = Watched::start(&platform).await;
    let load = Load::start(&platform);
    load.goes_on().await;
    server.fill_disk().unwrap();
    lacks(&platform, "disk").await;
    assert_eq!(load.refused().into_iter().collect::<Vec<_>>(), [503]);
    server.free_disk().unwrap();
    load.goes_on().await;
    let acknowledged = load.stop().await;
    watched.has_all(&platform, &acknowledged).await;
    ready(&platform).await;
}

/// Behind a pooler that gives each transaction any connection: its connections are cut, and it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_transaction_mode_that_is_killed_loses_nothing() {
    let server = Postgres::start(&[]).unwrap();
    server.create("platform").unwrap();
    let mut pooler = match PgBouncer::start(&server) {
        Ok(pooler) => pooler,
        Err(error) => return parts::left_out("PgBouncer", &error),
    };
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), &pooler.url("platform"));
    let watched = Watched::start(&platform).await;
    let load = Load::start(&platform);
    load.goes_on().await;
    assert_ne!(server.query("postgres", CUT).unwrap(), "0");
    load.goes_on().await;
    pooler.restart().unwrap();
    load.goes_on().await;
    let acknowledged = load.stop().await;
    watched.has_all(&platform, &acknowledged).await;
}
