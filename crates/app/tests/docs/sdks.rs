//! CloudEvents' own SDKs and the libraries of Standard Webhooks, called as the guide says, read what the platform delivers.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use parts::{node, place, python};
use serde_json::{Value, json};

use crate::pages::root;
use crate::platform::Platform;

const SECRET: &str = "whsec_a secret of any text";

/// Of all types; those that come with `application/json` and with the media type of CloudEvents.
static DELIVERED: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let mut platform = Platform::start(&[("SECRET", SECRET.to_owned())]);
    platform.run(
        r#"EVENTS=$(postrider emit --list | sed 's/.*/"&"/' | paste -sd,)
           for OPTION in false true; do
             api "$SUBSCRIPTIONS" -d '{"type": "https", "events": ['$EVENTS'], "options": {"cloudevents_content_type": '$OPTION'},
               "config": {"url": "'$RECEIVER'", "secret": {"primary": "'"$SECRET"'"}}}'
           done
           for TYPE in $(postrider emit --list); do
             postrider emit --type "$TYPE" --set 'traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' --print
           done > events.jsonl
           postrider emit --key "$KEY" --file events.jsonl"#,
    );
    let deliveries = platform.deliveries(2 * 37);
    let sent = deliveries.into_iter().map(|delivery| {
        let by = if delivery.headers["content-type"] == "application/json" { "https" } else { "cloudevents" };
        json!({"by": by, "headers": delivery.headers, "body": delivery.body, "secret": SECRET})
    });
    sent.collect()
});

/// Runs `program` over what was delivered, in a folder with the guide's example and the script that calls it.
fn read_by(mut program: Command, folder: PathBuf, script: &str, example: &str) {
    for file in [format!("crates/app/tests/data/{script}"), format!("examples/cloudevents/{example}")] {
        let file = root().join(file);
        std::fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
    }
    let lines: String = DELIVERED.iter().map(|sent| format!("{sent}\n")).collect();
    program.arg(folder.join(script)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = program.spawn().unwrap();
    running.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().count(), DELIVERED.len());
    for (line, sent) in printed.lines().zip(DELIVERED.iter()) {
        let mut read: Value = serde_json::from_str(line).unwrap();
        let mut wanted: Value = serde_json::from_str(sent["body"].as_str().unwrap()).unwrap();
        wanted.as_object_mut().unwrap().remove("traceparent").expect("extension attributes are delivered");
        for event in [&mut read, &mut wanted] {
            let time = domain::Timestamp::parse(event["time"].as_str().unwrap()).unwrap();
            // The SDK for JavaScript keeps milliseconds.
            event["time"] = time.as_micros().div_euclid(1000).into();
        }
        assert_eq!(read, wanted);
    }
    assert!(["https", "cloudevents"].iter().all(|by| DELIVERED.iter().filter(|sent| sent["by"] == *by).count() == 37));
}

#[test]
fn the_sdk_for_javascript() {
    let package = include_str!("../../../parts/node/sdks/package.json");
    let lock = include_str!("../../../parts/node/sdks/package-lock.json");
    let folder = match node::with_packages("sdks-node", package, lock) {
        Ok(folder) => folder,
        Err(error) => return parts::left_out("CloudEvents' SDK for JavaScript", &error),
    };
    let scratch = place::scratch("sdk-node").unwrap();
    // Modules are looked for beside the file that imports them.
    std::os::unix::fs::symlink(folder.join("node_modules"), scratch.join("node_modules")).unwrap();
    read_by(Command::new("node"), scratch, "parse_events.mjs", "parse.mjs");
}

#[test]
fn the_sdk_for_python() {
    match python::with_packages("sdks-python", include_str!("../../../parts/python/sdks.requirements.txt")) {
        Ok(python) => {
            read_by(Command::new(python), place::scratch("sdk-python").unwrap(), "parse_events.py", "parse.py")
        }
        Err(error) => parts::left_out("CloudEvents' SDK for Python", &error),
    }
}
