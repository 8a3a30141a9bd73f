//! The body of a call to a notification webhook (contract page 5).

use domain::notification::Notification;

use crate::json::Value;

/// A notification as JSON, in the order of the contract's table; `reason` only if there is one.
pub fn body(notification: &Notification) -> String {
    let events = notification.events.iter().map(|name| Value::from(name.as_str())).collect();
    let mut members = vec![
        ("notification_type", Value::from(notification.kind.as_str())),
        ("timestamp", notification.timestamp.to_string().into()),
        ("subscription_id", notification.subscription_id.to_string().into()),
        ("subscriber_id", notification.subscriber_id.to_string().into()),
        ("destination", notification.destination.as_str().into()),
        ("events", Value::Array(events)),
    ];
    members.extend(notification.reason.as_deref().map(|reason| ("reason", reason.into())));
    members.push(("subject", notification.subject.as_str().into()));
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).to_canonical()
}

#[cfg(test)]
mod tests {
    use domain::notification::NotificationKind;
    use domain::{SubscriberId, SubscriptionId, Timestamp};

    use super::*;

    fn check(kind: NotificationKind, reason: Option<&str>, expect: &str) {
        let notification = Notification {
            id: SubscriberId::generate().0,
            kind,
            timestamp: Timestamp::parse("2026-11-02T08:00:00.25Z").unwrap(),
            subscription_id: SubscriptionId::parse("0190c5a0-0000-7000-8000-000000000001").unwrap(),
            subscriber_id: SubscriberId::parse("0190c5a0-0000-7000-8000-000000000002").unwrap(),
            destination: "https://shop.example.com/hook".to_owned(),
            events: vec!["com.akeneo.pim.v1.product.created".into(), "com.akeneo.pim.v1.product.updated".into()],
            reason: reason.map(str::to_owned),
            subject: "https://pim.example.com".to_owned(),
        };
        assert_eq!(body(&notification), expect);
    }

    #[test]
    fn the_fields_of_the_contract() {
        check(
            NotificationKind::SuspendedBySystem,
            Some("why"),
            r#"{"notification_type":"subscription.suspended.system","timestamp":"2026-11-02T08:00:00.250000Z","subscription_id":"0190c5a0-0000-7000-8000-000000000001","subscriber_id":"0190c5a0-0000-7000-8000-000000000002","destination":"https://shop.example.com/hook","events":["com.akeneo.pim.v1.product.created","com.akeneo.pim.v1.product.updated"],"reason":"why","subject":"https://pim.example.com"}"#,
        );
        check(
            NotificationKind::Resumed,
            None,
            r#"{"notification_type":"subscription.resumed","timestamp":"2026-11-02T08:00:00.250000Z","subscription_id":"0190c5a0-0000-7000-8000-000000000001","subscriber_id":"0190c5a0-0000-7000-8000-000000000002","destination":"https://shop.example.com/hook","events":["com.akeneo.pim.v1.product.created","com.akeneo.pim.v1.product.updated"],"subject":"https://pim.example.com"}"#,
        );
    }
}
