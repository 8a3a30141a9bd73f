//! Log entries as `GET /logs` answers them.

use domain::LogId;
use domain::log_entry::{LogBody, LogEntry, LogOrder, RefusedRequest};
use domain::outcome::Failure;

use super::answer::object;
use super::log_query::{LogRequest, cursor};
use crate::json::{Number, Value};

/// The answer: `items`, where it stands, and how to go on. `more` says whether there are entries behind these;
/// `documentation` is where the pages are that explain error reasons, without a slash at its end.
pub fn render(entries: &[LogEntry], more: bool, request: &LogRequest, documentation: &str) -> String {
    let items = entries.iter().map(|entry| to_value(entry, documentation)).collect();
    let last = entries.last().filter(|_| more);
    object([
        ("items", Value::Array(items)),
        // Behind a cursor nobody knows the number of the page.
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
        LogBody::Action(_) => members.extend(entry.reason.as_deref().map(|reason| ("reason", reason.into()))),
        LogBody::FailedDelivery(failure) => members.extend(failed(failure, documentation)),
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

fn refused(request: &RefusedRequest, documentation: &str) -> Vec<(&'static str, Value)> {
    let sent = object([
        ("method", request.method.as_str().into()),
        ("url", request.url.as_str().into()),
        ("body", request.body.as_deref().map_or(Value::Null, Value::from)),
    ]);
    vec![
        ("error_type", "validation_error".into()),
        ("error_reason", request.reason.as_str().into()),
        ("error_code", number(u64::from(request.status))),
        ("error_message", request.message.as_str().into()),
        ("documentation_url", format!("{documentation}/{}", request.reason).into()),
        ("request", sent),
        ("response", object([("status", number(u64::from(request.status)))])),
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
