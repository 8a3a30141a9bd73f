//! Log entries for the owner of a subscriber: actions, failed deliveries, rejected requests.

use serde::{Deserialize, Serialize};

use crate::destination::Target;
use crate::id::{LogId, SubscriberId, SubscriptionId};
use crate::outcome::Failure;
use crate::subscriber::Owner;
use crate::subscription::Subscription;
use crate::time::Timestamp;

/// An entry of the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogEntry {
    /// Id of the entry; for merged entries, of the first occurrence.
    pub id: LogId,
    /// Owner of the entry.
    pub owner: Owner,
    /// Time of the entry; for merged entries, of the latest occurrence.
    pub timestamp: Timestamp,
    /// The subscriber, if any.
    pub subscriber_id: Option<SubscriberId>,
    /// The subscription, if any.
    pub subscription_id: Option<SubscriptionId>,
    /// Content of the entry.
    pub body: LogBody,
    /// Human-readable reason of an action, if any. Errors have theirs in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The API call that caused an action; none for actions of the operator or the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Box<Call>>,
    /// The latest attempt of a failed delivery; none for a dropped backlog, which was never attempted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Box<Attempt>>,
    /// Number of merged occurrences.
    pub count: u64,
}

impl LogEntry {
    /// An entry about a change of state.
    pub fn action(
        owner: &Owner,
        subscriber: SubscriberId,
        subscription: Option<SubscriptionId>,
        action: Action,
        now: Timestamp,
    ) -> LogEntry {
        LogEntry {
            id: LogId::generate(),
            owner: owner.clone(),
            timestamp: now,
            subscriber_id: Some(subscriber),
            subscription_id: subscription,
            body: LogBody::Action(action),
            reason: None,
            call: None,
            attempt: None,
            count: 1,
        }
    }

    /// An entry about undelivered events of a subscription. See [`LogEntry::attempted`] for attempts.
    pub fn failed_delivery(subscription: &Subscription, failure: Failure, now: Timestamp) -> LogEntry {
        LogEntry {
            id: LogId::generate(),
            owner: subscription.owner(),
            timestamp: now,
            subscriber_id: Some(subscription.subscriber_id),
            subscription_id: Some(subscription.id),
            body: LogBody::FailedDelivery(failure),
            reason: None,
            call: None,
            attempt: None,
            count: 1,
        }
    }

    /// The same, for an attempt to deliver an event to the subscription's destination.
    #[must_use]
    pub fn attempted(self, subscription: &Subscription, event_id: Option<String>) -> LogEntry {
        let destination = &subscription.destination;
        let method = matches!(destination.target(), Target::Server { .. }).then(|| "POST".to_owned());
        let attempt = Attempt { method, url: destination.to_string(), event_id };
        LogEntry { attempt: Some(Box::new(attempt)), ..self }
    }

    /// Counts `other` as another occurrence. Varying fields are taken from the latest.
    pub fn absorb(&mut self, other: &LogEntry) {
        self.count = self.count.saturating_add(other.count);
        if other.timestamp < self.timestamp {
            return;
        }
        self.timestamp = other.timestamp;
        self.attempt.clone_from(&other.attempt);
        self.body.clone_from(&other.body);
    }
}

/// A successful API call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Call {
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub url: String,
    /// Body, if any: redacted, cut at 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Status of the response.
    pub status: u16,
}

/// An attempt to deliver an event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// The HTTP method; topics have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// URL, called `destination` in notifications.
    pub url: String,
    /// Id of the event, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
}

/// Content of a log entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogBody {
    /// A change of state.
    Action(Action),
    /// An event was not delivered (`failed_to_deliver_event`).
    FailedDelivery(Failure),
    /// A management request was rejected (`request_refused`).
    Refused(RefusedRequest),
}

/// Changes of state, with the names known to existing clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `subscriber_created`
    SubscriberCreated,
    /// `subscriber_updated`
    SubscriberUpdated,
    /// `subscriber_deleted`
    SubscriberDeleted,
    /// `subscriber_revoked`
    SubscriberRevoked,
    /// `subscription_created`
    SubscriptionCreated,
    /// `subscription_updated`
    SubscriptionUpdated,
    /// `subscription_deleted`
    SubscriptionDeleted,
    /// `subscription_suspended_by_the_user`
    SubscriptionSuspendedByTheUser,
    /// `subscription_suspended_by_the_platform`
    SubscriptionSuspendedByThePlatform,
    /// `subscription_resumed_by_the_user`
    SubscriptionResumedByTheUser,
    /// `subscription_revoked`
    SubscriptionRevoked,
    /// `replay_started`
    ReplayStarted,
    /// `replay_cancelled`
    ReplayCancelled,
    /// `subscription_failing`
    SubscriptionFailing,
    /// `console_link_created`
    ConsoleLinkCreated,
}

impl Action {
    /// All actions, in the order of the contract.
    pub const ALL: [Action; 15] = [
        Action::SubscriberCreated,
        Action::SubscriberUpdated,
        Action::SubscriberDeleted,
        Action::SubscriberRevoked,
        Action::SubscriptionCreated,
        Action::SubscriptionUpdated,
        Action::SubscriptionDeleted,
        Action::SubscriptionSuspendedByTheUser,
        Action::SubscriptionSuspendedByThePlatform,
        Action::SubscriptionResumedByTheUser,
        Action::SubscriptionRevoked,
        Action::ReplayStarted,
        Action::ReplayCancelled,
        Action::SubscriptionFailing,
        Action::ConsoleLinkCreated,
    ];

    /// Name in log entries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::SubscriberCreated => "subscriber_created",
            Action::SubscriberUpdated => "subscriber_updated",
            Action::SubscriberDeleted => "subscriber_deleted",
            Action::SubscriberRevoked => "subscriber_revoked",
            Action::SubscriptionCreated => "subscription_created",
            Action::SubscriptionUpdated => "subscription_updated",
            Action::SubscriptionDeleted => "subscription_deleted",
            Action::SubscriptionSuspendedByTheUser => "subscription_suspended_by_the_user",
            Action::SubscriptionSuspendedByThePlatform => "subscription_suspended_by_the_platform",
            Action::SubscriptionResumedByTheUser => "subscription_resumed_by_the_user",
            Action::SubscriptionRevoked => "subscription_revoked",
            Action::ReplayStarted => "replay_started",
            Action::ReplayCancelled => "replay_cancelled",
            Action::SubscriptionFailing => "subscription_failing",
            Action::ConsoleLinkCreated => "console_link_created",
        }
    }
}

impl LogBody {
    /// Operation of a failed delivery.
    pub const FAILED_DELIVERY: &'static str = "failed_to_deliver_event";
    /// Operation of a rejected request.
    pub const REFUSED: &'static str = "request_refused";

    /// `operation` of the entry.
    pub fn operation(&self) -> &'static str {
        match self {
            LogBody::Action(action) => action.as_str(),
            LogBody::FailedDelivery(_) => LogBody::FAILED_DELIVERY,
            LogBody::Refused(_) => LogBody::REFUSED,
        }
    }

    /// `error_reason` of the entry; actions have none.
    pub fn error_reason(&self) -> Option<&str> {
        match self {
            LogBody::Action(_) => None,
            LogBody::FailedDelivery(failure) => Some(failure.reason.as_str()),
            LogBody::Refused(refused) => Some(&refused.reason),
        }
    }
}

/// A rejected management request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RefusedRequest {
    /// Code of the first error.
    pub reason: String,
    /// HTTP status of the response.
    pub status: u16,
    /// Messages of the response, joined.
    pub message: String,
    /// Method of the request.
    pub method: String,
    /// Path and query of the request.
    pub url: String,
    /// Body, if it was parsed: redacted, cut at 4 KiB.
    pub body: Option<String>,
}

/// Selection of log entries, from the query of `GET /logs`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogQuery {
    /// Only actions, or only errors.
    pub log_type: Option<LogType>,
    /// Newest first, or oldest first.
    pub order: LogOrder,
    /// Maximum number of entries, 1 to 100.
    pub limit: usize,
    /// Number of entries to skip, for paging by number.
    pub skip: usize,
    /// Only entries after this one in the requested order.
    pub after: Option<LogId>,
    /// Only of this subscriber.
    pub subscriber_id: Option<SubscriberId>,
    /// Only of this subscription.
    pub subscription_id: Option<SubscriptionId>,
    /// Only of this operation, by name.
    pub operation: Option<String>,
    /// Only with this error reason, by name.
    pub error_reason: Option<String>,
    /// Only with a timestamp at or after this instant.
    pub start_time: Option<Timestamp>,
    /// Only with a timestamp before this instant.
    pub end_time: Option<Timestamp>,
}

/// The two types of log entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogType {
    /// Changes of state.
    Action,
    /// Failed deliveries and refused requests.
    Error,
}

/// The order of log entries; by [`LogEntry::id`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogOrder {
    /// Oldest first.
    Ascending,
    /// Newest first.
    #[default]
    Descending,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ClientId, PimId};
    use crate::outcome::{Answer, ErrorReason};

    fn failed(at: i64, event: &str, status: u16) -> LogEntry {
        let answer = Answer { status, headers: vec![], body: Some(event.to_owned()) };
        let failure = Failure {
            reason: ErrorReason::DestinationFailure,
            code: 503,
            message: "the same".to_owned(),
            answer: Some(Box::new(answer)),
        };
        let attempt = Attempt { method: None, url: "t".to_owned(), event_id: Some(event.to_owned()) };
        let owner = Owner { pim: PimId(1), client_id: ClientId("app".to_owned()) };
        LogEntry {
            body: LogBody::FailedDelivery(failure),
            attempt: Some(Box::new(attempt)),
            ..LogEntry::action(
                &owner,
                SubscriberId::generate(),
                None,
                Action::SubscriberCreated,
                Timestamp::from_micros(at),
            )
        }
    }

    #[test]
    fn the_latest_occurrence_wins_whatever_order_they_come_in() {
        let (first, latest) = (failed(1, "first", 503), failed(2, "latest", 502));
        let mut forwards = first.clone();
        forwards.absorb(&latest);
        let mut backwards = latest.clone();
        backwards.absorb(&first);
        for merged in [forwards, backwards] {
            assert_eq!((merged.count, merged.timestamp), (2, latest.timestamp));
            assert_eq!((&merged.attempt, &merged.body), (&latest.attempt, &latest.body));
        }
    }

    #[test]
    fn a_record_of_an_older_release_is_read() {
        let entry = failed(1, "e", 503);
        let mut record = serde_json::to_value(&entry).unwrap();
        let fields = record.as_object_mut().unwrap();
        fields.remove("attempt");
        fields["body"]["failed_delivery"].as_object_mut().unwrap().remove("answer");
        let read: LogEntry = serde_json::from_value(record).unwrap();
        assert_eq!((read.id, read.attempt, read.call), (entry.id, None, None));
    }
}
