//! Valid and invalid log queries.

use domain::{LogId, Timestamp};

use super::*;

const ID: &str = "0190c5a0-0000-7000-8000-000000000001";

fn parsed(query: &str) -> LogRequest {
    LogRequest::parse(query).unwrap_or_else(|faults| panic!("{query}: {faults:?}"))
}

fn check_refused(query: &str, expect: &[(&str, &str, &str)]) {
    let faults = LogRequest::parse(query).expect_err(query);
    let seen: Vec<_> = faults.iter().map(|fault| (fault.field.as_deref().unwrap_or(""), fault.code)).collect();
    let expected: Vec<_> = expect.iter().map(|(field, code, _)| (*field, *code)).collect();
    assert_eq!(seen, expected, "{query}");
    for (fault, (_, _, fragment)) in faults.iter().zip(expect) {
        assert!(fault.message.contains(fragment), "{query}: {}", fault.message);
    }
}

#[test]
fn the_default_is_the_newest_fifty() {
    let LogRequest { query, page } = parsed("");
    assert_eq!((query.order, query.limit, query.skip, query.after, page), (LogOrder::Descending, 50, 0, None, Some(1)));
    assert_eq!((query.log_type, query.operation, query.error_reason), (None, None, None));
}

#[test]
fn everything_asked_is_understood() {
    let LogRequest { query, page } = parsed(&format!(
        "log_type=error&order=asc&limit=100&page=3&subscriber_id={ID}&subscription_id={ID}\
         &operation=failed_to_deliver_event&error_reason=destination_timeout\
         &start_time=2026-11-02T09:00:00%2B01:00&end_time=2026-11-02T08:00:00.5Z"
    ));
    assert_eq!((query.log_type, query.order, query.limit), (Some(LogType::Error), LogOrder::Ascending, 100));
    assert_eq!((query.skip, page), (200, Some(3)));
    assert_eq!(query.subscriber_id, SubscriberId::parse(ID));
    assert_eq!(query.subscription_id, SubscriptionId::parse(ID));
    assert_eq!(query.operation.as_deref(), Some("failed_to_deliver_event"));
    assert_eq!(query.error_reason.as_deref(), Some("destination_timeout"));
    assert_eq!(query.start_time, Timestamp::parse("2026-11-02T08:00:00Z"));
    assert_eq!(query.end_time, Timestamp::parse("2026-11-02T08:00:00.5Z"));
}

#[test]
fn a_cursor_keeps_its_order() {
    let last = LogId::parse(ID).unwrap();
    let text = cursor::write(last, LogOrder::Ascending);
    let LogRequest { query, page } = parsed(&format!("cursor={text}&limit=10"));
    assert_eq!((query.after, query.order, query.skip, page), (Some(last), LogOrder::Ascending, 0, None));
    check_refused(&format!("cursor={text}&order=desc"), &[("order", "invalid_parameter", "order of the cursor")]);
    check_refused(&format!("cursor={text}&page=2"), &[("page", "invalid_parameter", "combined with cursor")]);
    check_refused("cursor=abc", &[("cursor", "invalid_parameter", "`next` of an earlier response")]);
    check_refused(&format!("cursor={text}x"), &[("cursor", "invalid_parameter", "unchanged")]);
}

#[test]
fn invalid_parameters_are_rejected() {
    let invalid = "invalid_parameter";
    for (query, field, fragment) in [
        ("log_type=warning", "log_type", "must be `action` or `error`"),
        ("log_type=", "log_type", "must be"),
        ("log_type", "log_type", "must be"),
        ("order=up", "order", "`asc` or `desc`"),
        ("order=ASC", "order", "not `ASC`"),
        ("limit=0", "limit", "from 1 to 100"),
        ("limit=101", "limit", "from 1 to 100"),
        ("limit=-1", "limit", "from 1 to 100"),
        ("limit=+5", "limit", "from 1 to 100"),
        ("limit=ten", "limit", "not `ten`"),
        ("limit=99999999999999999999", "limit", "from 1 to 100"),
        ("page=0", "page", "from 1"),
        ("page=1.5", "page", "from 1"),
        ("subscriber_id=1", "subscriber_id", "a UUID"),
        ("subscription_id=0190c5a0000070008000000000000001", "subscription_id", "a UUID"),
        ("operation=subscription_exploded", "operation", "`subscriber_created`"),
        ("error_reason=Destination+Timeout", "error_reason", "destination_timeout"),
        ("error_reason=", "error_reason", "lower case"),
        ("start_time=yesterday", "start_time", "RFC 3339"),
        ("start_time=2026-11-02", "start_time", "RFC 3339"),
        ("start_time=2026-11-02T08:00:00", "start_time", "RFC 3339"),
        ("start_time=2026-11-02T08:00:00+01:00", "start_time", "%2B"),
        ("end_time=1762070400", "end_time", "RFC 3339"),
        ("start_time=2026-11-02T08:00:00Z&end_time=2026-11-02T07:00:00Z", "end_time", "before start_time"),
    ] {
        check_refused(query, &[(field, invalid, fragment)]);
    }
    check_refused("limt=5", &[("limt", "unknown_parameter", "did you mean `limit`?")]);
    check_refused("%6Cimt=5", &[("limt", "unknown_parameter", "limit")]);
    check_refused("limit=5&limit=5", &[("limit", "repeated_parameter", "twice")]);
    check_refused("limit=%zz", &[("", invalid, "percent-encoding")]);
    check_refused(
        "foo=1&limit=0&order=up",
        &[("foo", "unknown_parameter", ""), ("order", invalid, ""), ("limit", invalid, "")],
    );
}
