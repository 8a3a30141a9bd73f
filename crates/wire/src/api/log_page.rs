//! Log entries as returned by `GET /logs`.

use domain::LogId;
use domain::log_entry::{Attempt, Call, LogBody, LogEntry, LogOrder, RefusedRequest};
use domain::outcome::{Answer, Failure};

use super::answer::object;
use super::log_query::{LogRequest, cursor};
use crate::json::{Number, Value};

/// JSON Schemas of the response.
pub(super) const SCHEMAS: &[(&str, &str)] = &[
    (
        "LogPage",
        r##"{"type": "object", "required": ["items", "page", "limit", "next"], "properties": {
          "items": {"type": "array", "items": {"$ref": "#/components/schemas/LogEntry"}},
          "page": {"type": ["integer", "null"], "description": "Number of the page; `null` with a cursor."},
          "limit": {"type": "integer", "description": "Entries per page."},
          "next": {"type": ["string", "null"], "description": "`cursor` of the next page; `null` on the last page. Stable while entries arrive."}}}"##,
    ),
    (
        "LogEntry",
        r##"{"oneOf": [{"$ref": "#/components/schemas/ActionEntry"}, {"$ref": "#/components/schemas/FailedDeliveryEntry"}, {"$ref": "#/components/schemas/RefusedRequestEntry"}]}"##,
    ),
    (
        "ActionEntry",
        r##"{"title": "ActionEntry", "type": "object", "description": "Something was made, changed, suspended, resumed, revoked or deleted.",
          "required": ["log_id", "log_type", "timestamp", "subscriber_id", "subscription_id", "operation", "count"], "properties": {
          COMMON, "log_type": {"const": "action"}, "operation": {"enum": ACTIONS},
          "message": {"type": "string", "description": "Human-readable reason, if there is one; equals `reason` in notifications."},
          "request": {"allOf": [{"$ref": "#/components/schemas/LoggedRequest"}], "description": "The API call that caused it; absent for actions of the operator or the platform."},
          "response": {"type": "object", "description": "Response to the call.", "required": ["status"], "properties": {"status": {"type": "integer"}}}}}"##,
    ),
    (
        "FailedDeliveryEntry",
        r##"{"title": "FailedDeliveryEntry", "type": "object", "description": "An event was not delivered, or events were dropped.",
          "required": ["log_id", "log_type", "timestamp", "subscriber_id", "subscription_id", "operation", "count", "error_type", "error_reason", "error_code", "error_message", "documentation_url"], "properties": {
          COMMON, ERROR, "operation": {"const": "failed_to_deliver_event"}, "error_type": {"const": "failed_delivery"},
          "error_reason": {"$ref": "#/components/schemas/ErrorReason"},
          "event_id": {"type": "string", "description": "The latest event with a failed attempt."},
          "request": {"type": "object", "description": "The attempt; absent for a dropped backlog.", "required": ["url"], "properties": {
            "method": {"const": "POST", "description": "For HTTPS."}, "url": {"type": "string", "description": "The destination, as in notifications."}}},
          "response": {"type": "object", "description": "The endpoint's latest response, if any.", "required": ["status"], "properties": {
            "status": {"type": "integer"},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}, "description": "`content-type`, `retry-after` and `server`, if sent."},
            "body": {"type": "string", "description": "The first 2 KiB of the body, secrets redacted."}}}}}"##,
    ),
    (
        "LoggedRequest",
        r##"{"type": "object", "description": "What was sent, secrets redacted.", "required": ["method", "url"], "properties": {
          "method": {"type": "string"}, "url": {"type": "string", "description": "Path and query."}, "body": {"type": "string", "description": "The body as text if it was JSON, truncated to 4 KiB."}}}"##,
    ),
    (
        "RefusedRequestEntry",
        r##"{"title": "RefusedRequestEntry", "type": "object", "description": "A request of the caller was refused (400, 403, 405, 409, 413, 415, 422).",
          "required": ["log_id", "log_type", "timestamp", "subscriber_id", "subscription_id", "operation", "count", "error_type", "error_reason", "error_code", "error_message", "documentation_url", "request", "response"], "properties": {
          COMMON, ERROR, "operation": {"const": "request_refused"}, "error_type": {"const": "validation_error"},
          "error_reason": {"$ref": "#/components/schemas/ErrorCode"},
          "request": {"$ref": "#/components/schemas/LoggedRequest"},
          "response": {"type": "object", "required": ["status"], "properties": {"status": {"type": "integer"}}}}}"##,
    ),
];

/// Members of all entries.
pub(super) const COMMON: &str = r#"
          "log_id": {"type": "string", "format": "uuid"},
          "timestamp": {"type": "string", "format": "date-time", "description": "Time; of merged entries, the latest."},
          "subscriber_id": {"type": "string", "description": "Empty if none."},
          "subscription_id": {"type": "string", "description": "Empty if none."},
          "count": {"type": "integer", "minimum": 1, "description": "Number of identical errors within 5 minutes."}"#;
/// Members of all entries about errors.
pub(super) const ERROR: &str = r#""log_type": {"const": "error"},
          "error_code": {"type": "integer", "description": "Status of the response by the endpoint or the platform; 500 without an HTTP exchange."},
          "error_message": {"type": "string"},
          "documentation_url": {"type": "string", "description": "Page that explains the reason and what to check."}"#;

/// The response: `items`, the position, and the continuation. `more`: whether further entries follow; `documentation`:
/// base URL of the pages about error reasons, without a trailing slash.
pub fn render(entries: &[LogEntry], more: bool, request: &LogRequest, documentation: &str) -> String {
    let items = entries.iter().map(|entry| to_value(entry, documentation)).collect();
    let last = entries.last().filter(|_| more);
    object([
        ("items", Value::Array(items)),
        // After a cursor the page number is unknown.
        ("page", request.page.map_or(Value::Null, number)),
        ("limit", number(request.query.limit as u64)),
        ("next", last.map_or(Value::Null, |entry| next(entry.id, request.query.order).into())),
    ])
    .to_canonical()
}

fn next(last: LogId, order: LogOrder) -> String {
    cursor::write(last, order)
}

fn number(value: u64) -> Value {
    Value::Number(Number::from(value))
}

fn to_value(entry: &LogEntry, documentation: &str) -> Value {
    let log_type = if matches!(entry.body, LogBody::Action(_)) { "action" } else { "error" };
    let mut members = vec![
        ("log_id", Value::from(entry.id.to_string())),
        ("log_type", log_type.into()),
        ("timestamp", entry.timestamp.to_string().into()),
        ("subscriber_id", entry.subscriber_id.map(|id| id.to_string()).unwrap_or_default().into()),
        ("subscription_id", entry.subscription_id.map(|id| id.to_string()).unwrap_or_default().into()),
        ("operation", entry.body.operation().into()),
    ];
    match &entry.body {
        LogBody::Action(_) => {
            members.extend(entry.reason.as_deref().map(|reason| ("message", reason.into())));
            members.extend(entry.call.iter().flat_map(|call| called(call)));
        }
        LogBody::FailedDelivery(failure) => {
            members.extend(failed(failure, documentation));
            members.extend(entry.attempt.iter().flat_map(|attempt| attempted(attempt)));
            members.extend(failure.answer.as_deref().map(|answer| ("response", answered(answer))));
        }
        LogBody::Refused(request) => members.extend(refused(request, documentation)),
    }
    members.push(("count", number(entry.count)));
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn failed(failure: &Failure, documentation: &str) -> Vec<(&'static str, Value)> {
    let reason = failure.reason.as_str();
    vec![
        ("error_type", "failed_delivery".into()),
        ("error_reason", reason.into()),
        ("error_code", number(u64::from(failure.code))),
        ("error_message", failure.message.as_str().into()),
        ("documentation_url", format!("{documentation}/{reason}").into()),
    ]
}

/// An object with the applicable members.
fn present(members: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect())
}

fn request(method: Option<&str>, url: &str, body: Option<&str>) -> Value {
    present([("method", method.map(Value::from)), ("url", Some(url.into())), ("body", body.map(Value::from))])
}

fn status(status: u16) -> Value {
    object([("status", number(u64::from(status)))])
}

fn called(call: &Call) -> Vec<(&'static str, Value)> {
    let sent = request(Some(&call.method), &call.url, call.body.as_deref());
    vec![("request", sent), ("response", status(call.status))]
}

fn attempted(attempt: &Attempt) -> Vec<(&'static str, Value)> {
    let event = attempt.event_id.as_deref().map(|id| ("event_id", id.into()));
    event.into_iter().chain([("request", request(attempt.method.as_deref(), &attempt.url, None))]).collect()
}

fn answered(answer: &Answer) -> Value {
    let headers: Vec<_> =
        answer.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    present([
        ("status", Some(number(u64::from(answer.status)))),
        ("headers", (!headers.is_empty()).then_some(Value::Object(headers))),
        ("body", answer.body.as_deref().map(Value::from)),
    ])
}

fn refused(refused: &RefusedRequest, documentation: &str) -> Vec<(&'static str, Value)> {
    let sent = request(Some(&refused.method), &refused.url, refused.body.as_deref());
    vec![
        ("error_type", "validation_error".into()),
        ("error_reason", refused.reason.as_str().into()),
        ("error_code", number(u64::from(refused.status))),
        ("error_message", refused.message.as_str().into()),
        ("documentation_url", format!("{documentation}/{}", refused.reason).into()),
        ("request", sent),
        ("response", status(refused.status)),
    ]
}

#[cfg(test)]
mod tests {
    use domain::id::{ClientId, PimId, SubscriberId, SubscriptionId};
    use domain::log_entry::Action;
    use domain::outcome::ErrorReason;
    use domain::subscriber::Owner;
    use domain::time::Timestamp;

    use super::*;

    const ID: &str = "0190c5a0-0000-7000-8000-000000000001";

    fn entry(body: LogBody) -> LogEntry {
        LogEntry {
            id: LogId::parse(ID).unwrap(),
            owner: Owner { pim: PimId(1), client_id: ClientId("client".to_owned()) },
            timestamp: Timestamp::parse("2026-11-02T08:00:00Z").unwrap(),
            subscriber_id: None,
            subscription_id: None,
            body,
            reason: None,
            call: None,
            attempt: None,
            count: 1,
        }
    }

    fn check(entry: &LogEntry, expect: &str) {
        let request = LogRequest::parse("").unwrap();
        let expect = format!(r#"{{"items":[{expect}],"page":1,"limit":50,"next":null}}"#);
        assert_eq!(render(std::slice::from_ref(entry), false, &request, "https://docs.example/errors"), expect);
    }

    #[test]
    fn an_action() {
        let mut entry = entry(LogBody::Action(Action::SubscriptionSuspendedByTheUser));
        entry.subscriber_id = SubscriberId::parse(ID);
        entry.subscription_id = SubscriptionId::parse(ID);
        check(
            &entry,
            r#"{"log_id":"0190c5a0-0000-7000-8000-000000000001","log_type":"action","timestamp":"2026-11-02T08:00:00.000000Z","subscriber_id":"0190c5a0-0000-7000-8000-000000000001","subscription_id":"0190c5a0-0000-7000-8000-000000000001","operation":"subscription_suspended_by_the_user","count":1}"#,
        );
    }

    #[test]
    fn a_failed_delivery() {
        let failure = Failure {
            reason: ErrorReason::DestinationFailure,
            code: 503,
            message: "the endpoint answered 503".to_owned(),
            answer: None,
        };
        check(
            &LogEntry { count: 3, ..entry(LogBody::FailedDelivery(failure)) },
            r#"{"log_id":"0190c5a0-0000-7000-8000-000000000001","log_type":"error","timestamp":"2026-11-02T08:00:00.000000Z","subscriber_id":"","subscription_id":"","operation":"failed_to_deliver_event","error_type":"failed_delivery","error_reason":"destination_failure","error_code":503,"error_message":"the endpoint answered 503","documentation_url":"https://docs.example/errors/destination_failure","count":3}"#,
        );
    }

    #[test]
    fn a_refused_request() {
        let refused = RefusedRequest {
            reason: "required".to_owned(),
            status: 422,
            message: "name is required".to_owned(),
            method: "POST".to_owned(),
            url: "/api/v1/subscribers".to_owned(),
            body: Some("{}".to_owned()),
        };
        check(
            &entry(LogBody::Refused(refused)),
            r#"{"log_id":"0190c5a0-0000-7000-8000-000000000001","log_type":"error","timestamp":"2026-11-02T08:00:00.000000Z","subscriber_id":"","subscription_id":"","operation":"request_refused","error_type":"validation_error","error_reason":"required","error_code":422,"error_message":"name is required","documentation_url":"https://docs.example/errors/required","request":{"method":"POST","url":"/api/v1/subscribers","body":"{}"},"response":{"status":422},"count":1}"#,
        );
    }

    #[test]
    fn a_failed_delivery_has_its_attempt_and_the_answer_to_it() {
        let text = |text: &str| text.to_owned();
        let answer = Answer { status: 503, headers: vec![(text("server"), text("nginx"))], body: Some(text("busy")) };
        let failure = |answer: Option<Answer>| Failure {
            reason: ErrorReason::DestinationFailure,
            code: 503,
            message: text("m"),
            answer: answer.map(Box::new),
        };
        let entry = |answer, attempt: Attempt| LogEntry {
            attempt: Some(Box::new(attempt)),
            ..entry(LogBody::FailedDelivery(failure(answer)))
        };
        let attempt = Attempt { method: Some(text("POST")), url: text("https://h/x"), event_id: Some(text("e-1")) };
        check_end(
            &entry(Some(answer), attempt),
            r#""event_id":"e-1","request":{"method":"POST","url":"https://h/x"},"response":{"status":503,"headers":{"server":"nginx"},"body":"busy"}"#,
        );
        let attempt = Attempt { method: None, url: text("projects/p/topics/t"), event_id: None };
        let bare = Answer { status: 500, headers: vec![], body: None };
        check_end(
            &entry(Some(bare), attempt.clone()),
            r#""request":{"url":"projects/p/topics/t"},"response":{"status":500}"#,
        );
        check_end(&entry(None, attempt), r#""request":{"url":"projects/p/topics/t"}"#);
    }

    /// The part of an entry after `documentation_url`.
    #[track_caller]
    fn check_end(entry: &LogEntry, expect: &str) {
        let page = render(std::slice::from_ref(entry), false, &LogRequest::parse("").unwrap(), "d");
        let (_, end) = page.split_once(r#""documentation_url":"d/destination_failure","#).unwrap();
        assert_eq!(end.split_once(r#","count":1}"#).unwrap().0, expect);
    }

    #[test]
    fn next_is_a_cursor_that_leads_behind_the_last_entry() {
        let request = LogRequest::parse("limit=1&order=asc").unwrap();
        let entry = entry(LogBody::Action(Action::SubscriberCreated));
        let page = render(std::slice::from_ref(&entry), true, &request, "d");
        let page = crate::json::parse(page.as_bytes()).unwrap();
        let next = page.get("next").unwrap().as_str().unwrap();
        let request = LogRequest::parse(&format!("limit=1&order=asc&cursor={next}")).unwrap();
        assert_eq!(request.query.after, Some(entry.id));
        assert!(render(&[], false, &request, "d").contains(r#""page":null"#));
    }
}
