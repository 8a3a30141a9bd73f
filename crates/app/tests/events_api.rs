//! The Events API bridge of the real binary, set up by its commands: five concurrent requests with ten events each,
//! each request on disk before its response. Prints response times; the PIM gives up after 500 ms.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use domain::{Clock, Secret};
use serde_json::{Value, json};
use wire::signature::SigningKey;

/// Concurrent requests of a PIM, and events per request (contract page 6).
const AT_ONCE: usize = 5;
const EVENTS: usize = 10;
const REQUESTS: usize = 60;

fn postrider(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postrider"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POSTRIDER_") {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).args(args).args(["--data-dir", "data"]);
    command
}

fn run(folder: &Path, args: &[&str]) -> Output {
    postrider(folder, args).output().unwrap()
}

struct Serving(Child, String);

impl Serving {
    fn start(folder: &Path) -> Serving {
        let mut command = postrider(folder, &["serve", "--listen", "127.0.0.1:0", "--log-level", "error"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        Serving(child, address)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Ten product updates, each with a change.
fn body(sender: usize, request: usize) -> String {
    let events: Vec<Value> = (0..EVENTS)
        .map(|event| {
            let values: serde_json::Map<String, Value> = (0..30)
                .map(|number| {
                    let data = format!("value {number} of request {} {}", request % 7, "text ".repeat(number));
                    (format!("attribute_{number}"), json!([{"locale": "en_US", "scope": null, "data": data}]))
                })
                .collect();
            let identifier = format!("{event}-{}", request % 20);
            json!({
                "action": "product.updated",
                "event_id": format!("{sender}-{request}-{event}"),
                "event_datetime": "2026-11-03T09:00:13+01:00",
                "author": "julia",
                "author_type": "ui",
                "data": {"resource": {"identifier": identifier, "enabled": true, "values": values}}
            })
        })
        .collect();
    json!({ "events": events }).to_string()
}

/// Posts on an open connection; returns the status.
fn post(stream: &mut TcpStream, key: &SigningKey, body: &str) -> u16 {
    let now = (Clock::system().wall().as_micros() / 1_000_000).to_string();
    let signature = key.events_api(&now, body.as_bytes());
    let head = format!(
        "POST /ingest/akeneo/shop HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: \
         {}\r\n\
         x-akeneo-request-timestamp: {now}\r\nx-akeneo-request-signature: {signature}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    status
}

#[test]
fn requests_are_answered_in_time_and_pim_check_tells_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let added = run(
        folder.path(),
        &[
            "pim",
            "add",
            "shop",
            "--url",
            "https://pim.example.com",
            "--token-check",
            "static",
            "--events-api",
            "--create",
        ],
    );
    assert!(added.status.success(), "{added:?}");
    let printed = String::from_utf8(added.stdout).unwrap();
    let [_key, url, secret] = printed.lines().collect::<Vec<_>>().try_into().unwrap();
    assert!(url.ends_with("/ingest/akeneo/shop"), "{url}");
    let steps = String::from_utf8(added.stderr).unwrap();
    for needed in ["event subscription", "messenger:consume webhook", "private networks", "postrider pim check shop"] {
        assert!(steps.contains(needed), "{needed:?} is missing in {steps}");
    }
    let check = |works: bool, says: &str| {
        let checked = run(folder.path(), &["pim", "check", "shop"]);
        let text = [checked.stdout, checked.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(checked.status.success(), works, "{text}");
        assert!(text.contains(says), "{says:?} is missing in {text}");
    };
    check(false, "no request has arrived");

    let serving = Serving::start(folder.path());
    let connect = || TcpStream::connect(&serving.1).unwrap();
    let until = |works: bool, says: &str| {
        let give_up = Instant::now() + Duration::from_secs(20);
        loop {
            let checked = run(folder.path(), &["pim", "check", "shop"]);
            let text = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
            if checked.status.success() == works && text.contains(says) {
                return;
            }
            assert!(Instant::now() < give_up, "{says:?} is missing in {text}");
        }
    };
    let wrong = SigningKey::new(&Secret::new("wrong"));
    assert_eq!(post(&mut connect(), &wrong, ""), 401);
    until(false, "none is genuine");
    let key = SigningKey::new(&Secret::new(secret));
    assert_eq!(post(&mut connect(), &key, ""), 200);
    until(true, "1 requests");

    let mut took: Vec<Duration> = std::thread::scope(|scope| {
        let sending = |sender: usize| {
            let key = &key;
            let mut stream = connect();
            move || {
                let one = |request| {
                    let body = body(sender, request);
                    let began = Instant::now();
                    assert_eq!(post(&mut stream, key, &body), 202);
                    began.elapsed()
                };
                (0..REQUESTS).map(one).collect::<Vec<_>>()
            }
        };
        let senders: Vec<_> = (0..AT_ONCE).map(|sender| scope.spawn(sending(sender))).collect();
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
    });
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    println!("{} answers: p50 {:?}, p99 {:?}, longest {:?}", took.len(), at(50), at(99), at(100));
    until(true, &format!("{} accepted", AT_ONCE * REQUESTS * EVENTS));
}
