//! A dump by `pg_dump` that was taken while events came in is restored: it has all that was acknowledged before.

use std::process::Command;

use http::Method;
use parts::postgres::Postgres;

use super::stage::{Load, Watched, platform};
use crate::client::Client;
use crate::sample::event;

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What docs/operators/postgresql.md says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_has_all_that_was_acknowledged_before_it_began() {
    let server = Postgres::start(&[]).unwrap();
    let url = server.create("platform").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let running = platform(folder.path(), &url);
    let watched = Watched::start(&running).await;
    let load = Load::start(&running);
    load.goes_on().await;
    let before = load.acknowledged_ids();
    let dump = folder.path().join("dump.sql");
    run(server.program("pg_dump").args(["--no-owner", "-d", &url, "-f"]).arg(&dump));
    load.goes_on().await;
    running.kill();
    drop(load);
    let restored = server.create("restored").unwrap();
    run(server.program("psql").args(["-q", "-X", "-v", "ON_ERROR_STOP=1", "-d", &restored, "-f"]).arg(&dump));
    let running = platform(folder.path(), &restored);
    watched.has_all(&running, &before).await;
    // Known ids are part of it.
    let mut client = Client::connect(&running.address).await.unwrap();
    let known = event(before.iter().next().unwrap(), "product.updated");
    let (_, answer) = client.call(Method::POST, "/api/v1/events", "application/cloudevents+json", known).await.unwrap();
    assert_eq!(answer, r#"{"accepted":1,"duplicates":1}"#);
}
