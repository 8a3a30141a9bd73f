//! A real catalogue.

use std::path::PathBuf;

use store::Shard;

use super::*;

fn real(name: &str) -> Option<String> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/realdata").join(name);
    let text = std::fs::read_to_string(&file).ok();
    assert!(text.is_some() || std::env::var("CI").as_deref() != Ok("true"), "{} is missing", file.display());
    text
}

/// An event without the parts chosen freely by the bridge: ids of deltas, `updated_at`, types of attributes.
fn bare(mut event: Value) -> Value {
    if event["type"].as_str().is_some_and(|name| name.ends_with(".delta")) {
        event.as_object_mut().unwrap().remove("id");
    }
    for entity in ["product", "product_model"] {
        let Some(entity) = event["data"].get_mut(entity).and_then(Value::as_object_mut) else { continue };
        entity.remove("updated_at");
        let values = entity.get_mut("changes").and_then(|changes| changes.get_mut("values"));
        for entry in values.and_then(Value::as_object_mut).into_iter().flat_map(|values| values.values_mut()) {
            for entry in entry.as_array_mut().unwrap() {
                entry.as_object_mut().unwrap().remove("type");
            }
        }
    }
    event
}

/// Reads `shared/realdata`, available to developers and CI beside the repository: 162 requests of a PIM, signed in
/// November 2026, and the expected events.
#[tokio::test]
async fn a_real_catalogue_comes_through_as_expected() {
    let (Some(requests), Some(expected), Some(secret)) =
        (real("events-api.jsonl"), real("events-api-expected.jsonl"), real("events-api-secret.txt"))
    else {
        println!("left out: shared/realdata is missing");
        return;
    };
    let world = world_with(secret.trim()).await;
    for _ in 0..2 {
        // The second time nothing is new.
        for line in requests.lines() {
            let request: Value = serde_json::from_str(line).unwrap();
            let header = |name: &str| request["headers"][name].as_str().unwrap();
            let timestamp = header("X-Akeneo-Request-Timestamp");
            CLOCK.set(timestamp.parse().unwrap());
            let signature = header("X-Akeneo-Request-Signature");
            let answer = send_signed(&world, timestamp, signature, request["body"].as_str().unwrap()).await;
            assert!(answer.status.is_success(), "{answer:?}");
        }
    }
    let read = ReadLimit { events: usize::MAX, bytes: usize::MAX, until: Position(u64::MAX) };
    let events = world.store.read(Scope::Shard(Shard::FIRST), Position::FIRST, read).await.unwrap().events;
    let mut ids = std::collections::HashSet::new();
    let found: Vec<Value> = events
        .iter()
        .map(|logged| {
            let event = &logged.event;
            assert!(ids.insert(event.id().to_owned()));
            assert_eq!(wire::schema::check(event.event_type(), event.data()), [], "{}", event.data());
            let data: Value = serde_json::from_str(event.data()).unwrap();
            if event.event_type().ends_with(".delta") {
                let updated_at = data["product"]["updated_at"]["date"].as_str().unwrap();
                assert_eq!(updated_at.replace(' ', "T").replace(".000000", "Z"), event.time());
            }
            bare(json!({"type": event.event_type(), "time": event.time(), "data": data, "id": event.id()}))
        })
        .collect();
    let expected: Vec<Value> = expected.lines().map(|line| bare(serde_json::from_str(line).unwrap())).collect();
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found, expected, "event {index}");
    }
    assert_eq!((found.len(), expected.len()), (1028, 1028));
}
