//! `/health/live` and `/health/ready`: for load balancers and supervisors.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::outcome::Lack;
use http::StatusCode;
use wire::Fault;
use wire::json::Value;

use crate::Api;
use crate::body::json;
use crate::description::operation::{Operation, Shown};
use crate::refusal::because;
use crate::seldom::now;

/// Public description.
pub(crate) fn about_live() -> Operation {
    Operation::new("live", "Whether the process answers", "For supervisors: restart the process if it does not answer.")
        .answers(200, "The process is running.", Shown::One("Health"))
}

/// Public description.
pub(crate) fn about_ready() -> Operation {
    Operation::new(
        "ready",
        "Whether the platform is operational",
        "For load balancers: events can be ingested and delivered. `lacks` lists missing resources, even those the \
         platform can do without.",
    )
    .answers(200, "Operational.", Shown::One("Ready"))
    .answers(
        503,
        "Not operational: events cannot be ingested, or deliveries have stopped.",
        Shown::One("NotReady"),
    )
}

/// Schemas of the responses.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[
    (
        "Health",
        r##"{"type": "object", "required": ["status"], "properties": {"status": {"enum": ["live", "ready"]}}}"##,
    ),
    (
        "Ready",
        r##"{"type": "object", "required": ["status", "lacks"], "properties": {"status": {"const": "ready"},
          "lacks": {"type": "array", "items": {"$ref": "#/components/schemas/Lack"},
          "description": "Missing resources; empty in normal operation."}}}"##,
    ),
    (
        "NotReady",
        r##"{"type": "object", "required": ["status", "lacks", "errors"],
            "properties": {"status": {"const": "not_ready"},
          "lacks": {"type": "array", "items": {"$ref": "#/components/schemas/Lack"},
          "description": "Missing resources."},
          "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Error"}}}}"##,
    ),
    (
        "Lack",
        r##"{"description": "What the platform lacks.", "enum": ["name_servers", "file_descriptors", "local_ports",
            "memory", "proxy", "credentials", "clock", "silence", "disk", "store", "standby"]}"##,
    ),
];

/// The process is running.
pub(crate) async fn live() -> Response {
    json(StatusCode::OK, r#"{"status":"live"}"#)
}

/// Events can be ingested and delivered.
pub(crate) async fn ready(State(api): State<Arc<Api>>) -> Response {
    let (stopped, mut lacks) = match api.readiness.ready().await {
        Ok(lacks) => (None, lacks),
        Err(why) => (Some(why), Vec::new()),
    };
    lacks.extend(api.store.lacks().await);
    if api.registry.current(api.store()).await.is_err() {
        lacks.push(Lack::Store);
    }
    lacks.sort_unstable();
    lacks.dedup();
    let words: Vec<&str> = lacks.iter().map(|lack| lack.as_str()).collect();
    let listed = Value::Array(words.iter().map(|word| Value::from(*word)).collect());
    let nothing_comes_in = lacks.iter().any(|lack| matches!(lack, Lack::Disk | Lack::Store | Lack::Standby));
    if stopped.is_none() && !nothing_comes_in {
        let answer = [("status".to_owned(), "ready".into()), ("lacks".to_owned(), listed)];
        return json(StatusCode::OK, Value::Object(answer.into()).to_canonical());
    }
    if let Some(times) = api.causes.not_ready.note(now(), 1) {
        tracing::warn!(lacks = words.join(", "), why = stopped, times, "not ready");
    }
    let fault = Fault::new(because::NOT_READY.name, because::NOT_READY.meaning);
    let answer = [
        ("status".to_owned(), "not_ready".into()),
        ("lacks".to_owned(), listed),
        ("errors".to_owned(), Value::Array(vec![fault.to_value()])),
    ];
    json(StatusCode::SERVICE_UNAVAILABLE, Value::Object(answer.into()).to_canonical())
}
