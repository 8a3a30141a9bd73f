//! Data of earlier versions with work in progress: this version continues all of it.
//!
//! `tests/data/upgrade` has a folder for each of them: `data.tar.gz` is the data folder after `kill -9`, or
//! `database.sql.gz` the database, with a backlog, attempts in flight, pending retries, held events, a notification in
//! the outbox, a product's last state, and since 0.1.0 kept events, a dropped backlog and a running replay.
//! `events.json` lists the events that must be delivered. `POSTRIDER_WRITE_FIXTURE=NAME cargo test … upgrade` adds the
//! folder NAME, written by the binary under test; a database if the name ends in `-postgresql`.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use domain::{Clock, Secret};
use http::{Method, StatusCode};
use parts::postgres::Postgres;
use parts::tool;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use wire::signature::SigningKey;

use crate::backend::KEYS;
use crate::client::Client;
use crate::receiver::Receiver;
use crate::running::{PIM, Running, postrider};
use crate::sample::{event, types};

/// The destinations in the data: loopback addresses that nothing else uses.
const PROMPT: &str = "127.80.82.1:20480";
const HANGING: &str = "127.80.82.2:20480";

const BACKLOG: usize = 300;
const RETRIES: usize = 20;
/// Successful deliveries beside the retries, so that the endpoint isn't suspended.
const DELIVERED: usize = 400;
const HELD: usize = 50;
const DROPPED: usize = 100;
/// A replay of them takes ten seconds.
const KEPT: usize = 40;
const REPLAY_RATE: usize = 4;

const INGEST_SECRET: &str = "secret-of-the-events-api";

/// The same PIM for the version that writes the data and for the one that continues.
fn configuration() -> String {
    format!("{PIM}events_api_secret = \"{INGEST_SECRET}\"\n")
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/upgrade")
}

fn batch(kind: &str, event_type: &str, count: usize) -> (Vec<String>, Vec<String>) {
    let ids: Vec<_> = (0..count).map(|index| format!("{kind}-{index}")).collect();
    let events = ids.iter().map(|id| event(id, event_type)).collect();
    (ids, events)
}

/// Sends an update of a product as a Community PIM does.
fn product_updated(address: &str, id: &str, name: &str) {
    let value = |data: &str| json!([{"locale": null, "scope": null, "data": data}]);
    let body = json!({"events": [{
        "action": "product.updated",
        "event_id": id,
        "event_datetime": "2026-11-03T09:00:13+01:00",
        "author": "julia",
        "author_type": "ui",
        "data": {"resource": {
            "identifier": "sku-1",
            "enabled": true,
            "values": {"name": value(name), "colour": value("red")},
        }},
    }]})
    .to_string();
    let now = (Clock::system().wall().as_micros() / 1_000_000).to_string();
    let signature = SigningKey::new(&Secret::new(INGEST_SECRET)).events_api(&now, body.as_bytes());
    let head = format!(
        "POST /ingest/akeneo/test HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\
         x-akeneo-request-timestamp: {now}\r\nx-akeneo-request-signature: {signature}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}

const DATA_FOLDER: &str = "data.tar.gz";
const DATABASE: &str = "database.sql.gz";

/// A data folder, or a database beside it.
struct Data {
    folder: TempDir,
    database: Option<(Postgres, String)>,
}

impl Data {
    /// Without any events.
    fn new(in_database: bool) -> Data {
        let database = in_database.then(|| {
            let server = Postgres::start(&["fsync = off"]).unwrap();
            let url = server.create("platform").unwrap();
            (server, url)
        });
        Data { folder: tempfile::tempdir().unwrap(), database }
    }

    fn unpacked(fixture: &Path) -> Data {
        let data = Data::new(fixture.join(DATABASE).exists());
        if let Some((server, url)) = &data.database {
            let sql = tool::run(Command::new("gzip").arg("-dc").arg(fixture.join(DATABASE))).unwrap();
            let file = data.folder.path().join("database.sql");
            std::fs::write(&file, sql).unwrap();
            tool::run(server.program("psql").args(["-q", "-X", "-v", "ON_ERROR_STOP=1", "-d", url, "-f"]).arg(file))
                .unwrap();
        } else {
            let mut tar = Command::new("tar");
            tar.arg("-xzf").arg(fixture.join(DATA_FOLDER)).arg("-C").arg(data.folder.path()).arg("--no-same-owner");
            tool::run(&mut tar).unwrap();
        }
        data
    }

    fn pack(&self, fixture: &Path) {
        let Some((server, url)) = &self.database else {
            let mut tar = Command::new("tar");
            tar.args(["--owner=0", "--group=0", "--use-compress-program=gzip -9", "-cf"]);
            tool::run(tar.arg(fixture.join(DATA_FOLDER)).arg("-C").arg(self.folder.path()).arg("data")).unwrap();
            return;
        };
        let sql = tool::run(server.program("pg_dump").args(["--no-owner", "-d", url])).unwrap();
        // Other versions of PostgreSQL don't know these lines.
        let is_known = |line: &&str| {
            !["\\restrict", "\\unrestrict", "SET transaction_timeout"].iter().any(|start| line.starts_with(start))
        };
        let sql: Vec<&str> = sql.lines().filter(is_known).collect();
        let file = fixture.join(DATABASE.trim_end_matches(".gz"));
        std::fs::write(&file, sql.join("\n")).unwrap();
        tool::run(Command::new("gzip").args(["-9", "-n"]).arg(file)).unwrap();
    }

    fn serve(&self, more: &[&str]) -> Running {
        let store = match &self.database {
            Some((_, url)) => vec!["--store-backend", "postgres", "--store-url", url, "--encryption-keys", KEYS],
            None => Vec::new(),
        };
        Running::start_with(self.folder.path(), &configuration(), &[&store[..], more].concat(), &[])
    }
}

/// Writes data with work in progress, and the events to be delivered in `events.json`.
async fn write(fixture: &Path) {
    let data = Data::new(fixture.to_string_lossy().ends_with("-postgresql"));
    // Only notifications and the events to be retried are rejected.
    let prompt = Receiver::answering_at(TcpListener::bind(PROMPT).await.unwrap(), Duration::ZERO, |path, id| {
        let rejected = path == "/notifications" || id.starts_with("retries-");
        if rejected { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    });
    // The kernel accepts connections, but nothing responds.
    let _hanging = TcpListener::bind(HANGING).await.unwrap();
    let platform = data.serve(&["--delivery-attempt-timeout", "60s"]);
    let mut client = Client::connect(&platform.address).await.unwrap();
    let contact = json!({
        "technical_email": "test@example.com",
        "notification_channels": ["webhook"],
        "notification_webhook_url": format!("http://{PROMPT}/notifications"),
        "notification_webhook_secret": "secret-of-the-contact",
    });
    let subscriber = client.create("/api/v1/subscribers", &json!({"name": "test", "contact": contact})).await;
    let subscriptions = format!("/api/v1/subscribers/{subscriber}/subscriptions");
    let prompt_url = |path: &str| format!("http://{PROMPT}{path}");
    client
        .subscribe(&subscriptions, &format!("http://{HANGING}/backlog"), &types(&["family.updated"]), json!({}))
        .await;
    let retries =
        client.subscribe(&subscriptions, &prompt_url("/retries"), &types(&["family.created"]), json!({})).await;
    let hold = json!({"options": {"hold": true}});
    let held = client.subscribe(&subscriptions, &prompt_url("/held"), &types(&["family.deleted"]), hold).await;
    client.subscribe(&subscriptions, &prompt_url("/deltas"), &types(&["product.updated.delta"]), json!({})).await;
    let held = format!("{subscriptions}/{held}");
    assert_eq!(client.order(&format!("{held}/suspend")).await, Ok(StatusCode::OK));
    let to_drop = format!("http://{HANGING}/dropped");
    let dropping = client.subscribe(&subscriptions, &to_drop, &types(&["category.deleted"]), json!({})).await;
    let dropping = format!("{subscriptions}/{dropping}");
    let kept = client.subscribe(&subscriptions, &prompt_url("/kept"), &types(&["category.created"]), json!({})).await;
    let kept = format!("{subscriptions}/{kept}");

    let begin = Clock::system().wall().to_string();
    let mut expected = json!({"held_subscription": held, "dropping_subscription": dropping, "kept_subscription": kept});
    for (kind, event_type, count) in [
        ("backlog", "family.updated", BACKLOG),
        ("delivered", "family.created", DELIVERED),
        ("retries", "family.created", RETRIES),
        ("held", "family.deleted", HELD),
        ("dropped", "category.deleted", DROPPED),
        ("kept", "category.created", KEPT),
    ] {
        let (ids, events) = batch(kind, event_type, count);
        client.publish(&events).await.unwrap();
        expected[kind] = json!(ids);
    }
    product_updated(&platform.address, "before-1", "before");
    let minute = Duration::from_secs(60);
    prompt.wait_until(minute, "the rejected notification", || prompt.count("/notifications") > 0).await;
    prompt.wait_until(minute, "all first attempts", || prompt.count("/retries") == DELIVERED + RETRIES).await;
    let status = format!("{subscriptions}/{retries}/status");
    // The last failure is recorded shortly after its response.
    while client.get(&status).await["delivery"]["waiting_for_retry"] != json!(RETRIES) {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.order(&format!("{dropping}/suspend")).await, Ok(StatusCode::OK));
    while client.get(&format!("{kept}/status")).await["delivery"]["last_hour"]["delivered"] != json!(KEPT) {
        tokio::task::yield_now().await;
    }
    let span = json!({"from": begin, "rate": REPLAY_RATE});
    let (status, replay) = client.ask(Method::POST, &format!("{kept}/replay"), span).await;
    assert_eq!(status, 202, "{replay}");
    expected["replay"] = json!(format!("{kept}/replays/{}", replay["id"].as_str().unwrap()));
    prompt.wait_until(minute, "the beginning of the replay", || prompt.count("/kept") >= KEPT + 5).await;
    platform.kill();
    let replayed = prompt.at("/kept").split_off(KEPT);
    expected["replayed"] = replayed.iter().map(|delivery| delivery.id()).collect();

    std::fs::create_dir_all(fixture).unwrap();
    std::fs::write(fixture.join("events.json"), format!("{expected:#}\n")).unwrap();
    data.pack(fixture);
}

#[test]
fn this_version_continues_the_work_of_earlier_ones() {
    // One for each folder, since all use the same addresses.
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Some(name) = std::env::var_os("POSTRIDER_WRITE_FIXTURE") {
        return runtime().block_on(write(&fixtures().join(name)));
    }
    let mut tried = 0;
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        runtime().block_on(continues(&entry.unwrap().path()));
        tried += 1;
    }
    assert!(tried > 2, "the data of earlier versions is missing");
}

async fn continues(fixture: &Path) {
    let data = Data::unpacked(fixture);
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(fixture.join("events.json")).unwrap()).unwrap();
    let ids = |kind: &str| -> BTreeSet<String> { serde_json::from_value(expected[kind].clone()).unwrap() };
    let fine = |address: &'static str| async move {
        Receiver::answering_at(TcpListener::bind(address).await.unwrap(), Duration::ZERO, |_, _| StatusCode::OK)
    };
    let (prompt, hanging) = (fine(PROMPT).await, fine(HANGING).await);
    let platform = data.serve(&[]);
    let arrived = |receiver: &Receiver, path: &str| {
        receiver.at(path).iter().map(|delivery| delivery.id()).collect::<BTreeSet<_>>()
    };

    let long = Duration::from_secs(360);
    hanging.wait_until(long, "the backlog", || arrived(&hanging, "/backlog") == ids("backlog")).await;
    // Retries are due five minutes after their failure, which was long ago unless the data has just been written.
    prompt.wait_until(long, "retries", || arrived(&prompt, "/retries").is_superset(&ids("retries"))).await;
    prompt.wait_until(long, "the notification", || prompt.count("/notifications") > 0).await;
    let reported: Value = serde_json::from_slice(&prompt.at("/notifications")[0].body).unwrap();
    assert_eq!(reported["notification_type"], "subscription.suspended.user");
    assert_eq!(prompt.count("/held"), 0, "it is suspended");
    let held = expected["held_subscription"].as_str().unwrap();
    let mut client = Client::connect(&platform.address).await.unwrap();
    assert_eq!(client.order(&format!("{held}/resume")).await, Ok(StatusCode::OK));
    prompt.wait_until(long, "held events", || arrived(&prompt, "/held") == ids("held")).await;
    let log = client.log_of(held.rsplit('/').next().unwrap()).await;
    assert!(log.len() >= 2, "the earlier suspension and this resume: {log:?}");

    // The update is compared with the product's stored state.
    product_updated(&platform.address, "after-1", "after");
    prompt.wait_until(long, "the delta", || prompt.count("/deltas") > 0).await;
    let delta: Value = serde_json::from_slice(&prompt.at("/deltas")[0].body).unwrap();
    let values = &delta["data"]["product"]["changes"]["values"];
    assert_eq!(values["name"][0]["previous"], "before", "{delta}");
    assert_eq!(values.as_object().unwrap().len(), 1, "only the name has changed: {delta}");

    if expected["replay"].is_string() {
        keeps(&expected, &mut client, &prompt, &ids("kept")).await;
    }

    // Earlier events are known.
    let again = event("held-0", "family.deleted");
    let (_, answer) = client.call(Method::POST, "/api/v1/events", "application/cloudevents+json", again).await.unwrap();
    assert_eq!(answer, r#"{"accepted":1,"duplicates":1}"#);
}

/// Kept events and their fates are known, and the replay goes on.
async fn keeps(expected: &Value, client: &mut Client, prompt: &Receiver, kept: &BTreeSet<String>) {
    let path = |name: &str| expected[name].as_str().unwrap().to_owned();
    for (subscription, event, fate) in [
        ("kept_subscription", "kept-0".to_owned(), "delivered"),
        ("dropping_subscription", format!("dropped-{}", DROPPED - 1), "dropped"),
    ] {
        let read = client.get(&format!("/api/v1/events/{event}")).await;
        assert_eq!(read["event"]["id"], event.as_str(), "{read}");
        let known = client.get(&format!("{}/events/{event}", path(subscription))).await;
        assert_eq!(known["fate"], fate, "{known}");
    }
    let mut replayed: BTreeSet<String> = serde_json::from_value(expected["replayed"].clone()).unwrap();
    let before = replayed.len();
    let replay = path("replay");
    prompt
        .wait_until(Duration::from_secs(60), "the replay", || {
            replayed.extend(prompt.at("/kept").iter().map(|delivery| delivery.id()));
            replayed == *kept
        })
        .await;
    assert!(before < kept.len() && prompt.count("/kept") < kept.len(), "it has not begun again");
    let id = replay.rsplit('/').next().unwrap();
    assert!(prompt.at("/kept").iter().all(|delivery| delivery.header("x-postrider-replay") == id));
    while client.get(&replay).await["status"] == "running" {
        tokio::task::yield_now().await;
    }
    let ended = client.get(&replay).await;
    assert_eq!((&ended["status"], &ended["delivered"]), (&json!("done"), &json!(kept.len())), "{ended}");
}

#[test]
fn data_of_a_newer_version_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data_dir = data.to_str().unwrap();
    let add = ["pim", "add", "main", "--url", "https://pim.example.com", "--create", "--data-dir", data_dir];
    assert!(postrider(&add).output().unwrap().status.success());
    // SQLite's header holds the number of the schema, in big-endian at byte 60 (`PRAGMA user_version`).
    let database = data.join("postrider.db");
    let mut bytes = std::fs::read(&database).unwrap();
    bytes[60..64].copy_from_slice(&9999_u32.to_be_bytes());
    std::fs::write(&database, bytes).unwrap();
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["pim", "list"]] {
        let output = postrider(&[command, &["--data-dir", data_dir]].concat()).output().unwrap();
        let reported = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(4), "{reported}");
        assert!(reported.contains("was written by a newer version (schema 9999,"), "{reported}");
        assert!(
            reported.contains("run that version or a newer one, or restore a backup from before the upgrade"),
            "{reported}"
        );
    }
}
