//! SIGTERM: attempts in flight complete, cursors are saved, nothing is delivered twice afterwards.

use std::collections::HashSet;
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Client;
use crate::receiver::Receiver;
use crate::running::{Running, postrider};
use crate::sample::{event, types};

const EVENTS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_stop_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Duration::from_millis(300)).await;
    let platform = Running::start(folder.path(), &["--delivery-max-in-flight", "8"]);
    let mut client = Client::connect(&platform.address).await.unwrap();
    let subscriptions = client.subscriber().await;
    client.subscribe(&subscriptions, &receiver.url("/"), &types(&["product.updated"]), json!({})).await;
    let events: Vec<_> = (0..EVENTS).map(|index| event(&format!("e{index}"), "product.updated")).collect();
    client.publish(&events).await.unwrap();
    receiver.wait_until(Duration::from_secs(10), "the first deliveries", || receiver.count("/") >= 20).await;
    platform.terminate();
    let status = platform.wait(Duration::from_secs(15));
    assert!(status.success(), "{status}");
    let before = receiver.count("/");
    assert!(before < EVENTS, "it was stopped too late to show anything");

    let platform = Running::start(folder.path(), &[]);
    receiver.wait_until(Duration::from_secs(30), "the others", || receiver.count("/") >= EVENTS).await;
    receiver.wait_for_silence(Duration::from_millis(600)).await;
    let ids: HashSet<_> = receiver.at("/").iter().map(|delivery| delivery.header("webhook-id").to_owned()).collect();
    assert_eq!((ids.len(), receiver.count("/")), (EVENTS, EVENTS), "{before} were delivered before the stop");
    drop(platform);
}

#[test]
fn a_data_folder_serves_one_process() {
    if crate::backend::is_postgres() {
        // A database serves several (`postgres::nodes`).
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let _platform = Running::start(folder.path(), &[]);
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let second = postrider(&["serve", "--data-dir", data, "--listen", "127.0.0.1:0"]).output().unwrap();
    let output = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(4), "{output}");
    assert!(output.contains("another process is serving"), "{output}");
}

#[test]
fn pims_can_be_added_beside_a_serving_process() {
    let folder = tempfile::tempdir().unwrap();
    let _platform = Running::start(folder.path(), &[]);
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let added =
        postrider(&["pim", "add", "other", "--url", "https://other.example.com", "--data-dir", data]).output().unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let list = postrider(&["pim", "list", "--json", "--data-dir", data]).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains("https://other.example.com") && list.contains("https://pim.example.com"), "{list}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_made_beside_a_running_platform_is_taken_by_the_next_request() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Running::start(folder.path(), &[]);
    let data = folder.path().join("data");
    let added =
        postrider(&["pim", "add", "other", "--url", "https://other.example.com", "--data-dir", data.to_str().unwrap()])
            .output()
            .unwrap();
    let mut key = String::from_utf8(added.stdout).unwrap().trim().to_owned();
    let url = format!("http://{}", platform.address);
    let emit =
        |key: &str| postrider(&["emit", "--url", &url, "--key", key, "--type", "product.created"]).output().unwrap();
    let first = emit(&key);
    assert!(first.status.success(), "by the next request: {}", String::from_utf8_lossy(&first.stderr));
    for _ in 0..5 {
        let rotate = ["pim", "rotate-key", "other", "--drop-old", "--data-dir", data.to_str().unwrap()];
        let rotated = postrider(&rotate).output().unwrap();
        let next = String::from_utf8(rotated.stdout).unwrap().trim().to_owned();
        assert!(emit(&next).status.success() && !emit(&key).status.success(), "the old key ends with the next request");
        key = next;
    }
    let wrong = emit("not-the-key");
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("does not accept this key"));
}

/// Like `postrider serve | head -1`, or a supervisor that reads only one line.
#[test]
fn a_platform_with_unread_output_keeps_running() {
    let folder = tempfile::tempdir().unwrap();
    let (data, ready) = (folder.path().join("data"), folder.path().join("ready"));
    let (data, ready_file) = (data.to_str().unwrap(), ready.to_str().unwrap());
    let listen = ["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
    let mut command = postrider(&[&listen[..], &["--data-dir", data, "--ready-file", ready_file]].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    let until = Instant::now() + Duration::from_secs(20);
    let url = loop {
        let url = std::fs::read_to_string(&ready).unwrap_or_default();
        if url.ends_with('\n') {
            break url;
        }
        assert_eq!(child.try_wait().unwrap(), None, "it ended");
        assert!(Instant::now() < until, "it is not ready");
        std::thread::park_timeout(Duration::from_millis(10));
    };
    TcpStream::connect(url.trim().strip_prefix("http://").unwrap()).expect("it serves");
    assert_eq!(child.try_wait().unwrap(), None, "it ended");
    child.kill().unwrap();
    child.wait().unwrap();
}
