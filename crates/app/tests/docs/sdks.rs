//! CloudEvents SDKs and Standard Webhooks libraries, used as in the guide, parse the platform's deliveries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use domain::event_type::EventTypes;
use parts::kafka::{Broker, Listener, PASSWORD, USER};
use parts::pubsub::{self, Emulator};
use parts::{node, place, python};
use serde_json::{Value, json};

use crate::pages::root;
use crate::platform::Platform;

/// Longer than any delivery takes.
const SOON: Duration = Duration::from_secs(30);
const SECRET: &str = "whsec_a secret of any text";

/// Number of known event types.
static TYPES: LazyLock<usize> = LazyLock::new(|| EventTypes::new().iter().count());

/// Events of all types, as received by each destination.
static DELIVERED: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let emulator = Emulator::start().inspect_err(|error| parts::left_out("Google's Pub/Sub emulator", error)).ok();
    let topic = emulator.as_ref().map(|emulator| emulator.create_topic("sdks").unwrap());
    let consumer = emulator.as_ref().zip(topic.as_ref()).map(|(emulator, topic)| emulator.consume(topic).unwrap());
    let broker = Broker::start().inspect_err(|error| parts::left_out("Apache Kafka", error)).ok();
    if let Some(broker) = &broker {
        broker.create_topic("sdks", 3, &[]).unwrap();
    }
    let mut environment = vec![
        ("SECRET", SECRET.to_owned()),
        ("PROJECT", pubsub::PROJECT.to_owned()),
        ("SASL", format!(r#"{{"mechanism": "plain", "username": "{USER}", "password": "{PASSWORD}"}}"#)),
    ];
    environment.extend(emulator.as_ref().map(|emulator| ("PUBSUB_EMULATOR_HOST", emulator.host())));
    environment.extend(broker.as_ref().map(|broker| ("BROKER", broker.bootstrap(Listener::Sasl))));
    let mut platform = Platform::start(&environment);
    platform.run(
        r#"EVENTS=$(postrider emit --list | sed 's/.*/"&"/' | paste -sd,)
           for OPTION in false true; do
             api "$SUBSCRIPTIONS" -d '{"type": "https", "events": ['$EVENTS'], "options": {"cloudevents_content_type": '$OPTION'},
               "config": {"url": "'$RECEIVER'", "secret": {"primary": "'"$SECRET"'"}}}'
           done
           if [ "${PUBSUB_EMULATOR_HOST-}" ]; then
             api "$SUBSCRIPTIONS" -d '{"type": "pubsub", "events": ['$EVENTS'], "config": {"project_id": "'$PROJECT'", "topic_id": "sdks"}}'
           fi
           if [ "${BROKER-}" ]; then
             api "$SUBSCRIPTIONS" -d '{"type": "kafka", "events": ['$EVENTS'], "config": {"broker": "'$BROKER'", "topic": "sdks", "sasl_auth": '"$SASL"'}}'
           fi
           for TYPE in $(postrider emit --list); do
             postrider emit --type "$TYPE" --set 'traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' --print
           done > events.jsonl
           postrider emit --key "$KEY" --file events.jsonl"#,
    );
    let mut delivered = Vec::new();
    for delivery in platform.deliveries(2 * *TYPES) {
        let by = if delivery.headers["content-type"] == "application/json" { "https" } else { "cloudevents" };
        delivered.push(json!({"by": by, "headers": delivery.headers, "body": delivery.body, "secret": SECRET}));
    }
    for message in consumer.map(|consumer| consumer.wait_for(*TYPES, SOON).unwrap()).unwrap_or_default() {
        assert_eq!(message.attributes["content-type"], "application/cloudevents+json");
        delivered.push(json!({"by": "pubsub", "headers": message.attributes, "body": message.data}));
    }
    for record in broker.as_ref().map(|broker| broker.consume("sdks", *TYPES, 30).unwrap()).unwrap_or_default() {
        let headers: BTreeMap<_, _> = record.headers.into_iter().collect();
        assert_eq!(headers["content-type"].as_deref(), Some("application/cloudevents+json"));
        delivered.push(json!({"by": "kafka", "headers": headers, "key": record.key, "body": record.value}));
    }
    let came = [("https", true), ("cloudevents", true), ("pubsub", emulator.is_some()), ("kafka", broker.is_some())];
    for (by, expected) in came {
        let count = delivered.iter().filter(|sent| sent["by"] == by).count();
        assert_eq!(count, if expected { *TYPES } else { 0 }, "{by}");
    }
    delivered
});

/// Runs `program` on the deliveries, in a folder with the guide's example and the script that calls it.
fn read_by(mut program: Command, folder: PathBuf, script: &str, example: &str) {
    for file in [format!("crates/app/tests/data/{script}"), format!("examples/cloudevents/{example}")] {
        let file = root().join(file);
        std::fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
    }
    let lines: String = DELIVERED.iter().map(|sent| format!("{sent}\n")).collect();
    // Uses a file: the program prints before it has read everything.
    std::fs::write(folder.join("delivered.jsonl"), lines).unwrap();
    let input = std::fs::File::open(folder.join("delivered.jsonl")).unwrap();
    let output = program.arg(folder.join(script)).stdin(input).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().count(), DELIVERED.len());
    for (line, sent) in printed.lines().zip(DELIVERED.iter()) {
        let mut read: Value = serde_json::from_str(line).unwrap();
        let mut wanted: Value = serde_json::from_str(sent["body"].as_str().unwrap()).unwrap();
        wanted.as_object_mut().unwrap().remove("traceparent").expect("extension attributes are delivered");
        for event in [&mut read, &mut wanted] {
            let time = domain::Timestamp::parse(event["time"].as_str().unwrap()).unwrap();
            // The JavaScript SDK keeps milliseconds only.
            event["time"] = time.as_micros().div_euclid(1000).into();
        }
        assert_eq!(read, wanted);
    }
}

/// Lets a program send events in binary mode to a platform; each is delivered with the same id and source.
fn sent_by(program: &str, folder: &Path, script: &str) {
    let scripts = root().join("crates/app/tests/data");
    std::fs::copy(scripts.join(script), folder.join(script)).unwrap();
    let mut platform =
        Platform::start(&[("SECRET", SECRET.to_owned()), ("SCRIPT", folder.join(script).display().to_string())]);
    platform.run(&format!(
        r#"api "$SUBSCRIPTIONS" -d '{{"type": "https", "events": ["com.akeneo.pim.v1.product.created"],
             "config": {{"url": "'$RECEIVER'", "secret": {{"primary": "'"$SECRET"'"}}}}}}'
           KEY="$KEY" '{program}' "$SCRIPT" > sent.jsonl"#
    ));
    let sent = std::fs::read_to_string(platform.folder().join("sent.jsonl")).unwrap();
    let mut sent: Vec<Value> = sent.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(sent.len() > 3);
    let named = |delivery: &crate::platform::Delivery| {
        let event: Value = serde_json::from_str(&delivery.body).unwrap();
        assert_eq!(event["data"]["product"]["uuid"], "6a9f8486-2c36-4680-b87f-6f5f8f01b6cf");
        json!({"id": event["id"], "source": event["producersource"]})
    };
    let mut delivered: Vec<Value> = platform.deliveries(sent.len()).iter().map(named).collect();
    sent.sort_by_key(Value::to_string);
    delivered.sort_by_key(Value::to_string);
    assert_eq!(delivered, sent);
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
    // Modules are resolved relative to the importing file.
    std::os::unix::fs::symlink(folder.join("node_modules"), scratch.join("node_modules")).unwrap();
    sent_by("node", &scratch, "send_events.mjs");
    read_by(Command::new("node"), scratch, "parse_events.mjs", "parse.mjs");
}

#[test]
fn the_sdk_for_python() {
    match python::with_packages("sdks-python", include_str!("../../../parts/python/sdks.requirements.txt")) {
        Ok(python) => {
            let scratch = place::scratch("sdk-python").unwrap();
            sent_by(&python.display().to_string(), &scratch, "send_events.py");
            read_by(Command::new(python), scratch, "parse_events.py", "parse.py")
        }
        Err(error) => parts::left_out("CloudEvents' SDK for Python", &error),
    }
}
