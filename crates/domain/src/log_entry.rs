//! What the owner of a subscriber can look up: actions, failed deliveries, refused requests.

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
    /// Its id; of merged entries that of the first occurrence.
    pub id: LogId,
    /// Whose it is.
    pub owner: Owner,
    /// When; of merged entries the latest occurrence.
    pub timestamp: Timestamp,
    /// The subscriber, where there is one.
    pub subscriber_id: Option<SubscriberId>,
    /// The subscription, where there is one.
    pub subscription_id: Option<SubscriptionId>,
    /// What happened.
    pub body: LogBody,
    /// Why, for a person, where an action has a reason. Errors carry theirs in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The API call that led to an action; none where the operator or the platform acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Box<Call>>,
    /// Of a failed delivery the latest attempt; none for a dropped backlog, which nobody tried to deliver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Box<Attempt>>,
    /// How many occurrences were merged into it.
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

    /// An entry about events that a subscription did not get. See [`LogEntry::attempted`] for what was tried.
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

    /// The same about an attempt to deliver an event to the subscription's destination.
    #[must_use]
    pub fn attempted(self, subscription: &Subscription, event_id: Option<String>) -> LogEntry {
        let destination = &subscription.destination;
        let method = matches!(destination.target(), Target::Server { .. }).then(|| "POST".to_owned());
        let attempt = Attempt { method, url: destination.to_string(), event_id };
        LogEntry { attempt: Some(Box::new(attempt)), ..self }
    }

    /// Counts `other` as another occurrence. What differs between occurrences is that of the latest.
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

/// An API call that was carried out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Call {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub url: String,
    /// Its body, where there was one: redacted, cut at 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The status of the answer.
    pub status: u16,
}

/// An attempt to deliver an event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// The HTTP method; topics have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Where: what notifications call `destination`.
    pub url: String,
    /// The event's id, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
}

/// What a log entry tells.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogBody {
    /// A change of state.
    Action(Action),
    /// An event was not delivered (`failed_to_deliver_event`).
    FailedDelivery(Failure),
    /// A management request was refused (`request_refused`).
    Refused(RefusedRequest),
}

/// Changes of state, named as existing clients know them.
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
}

impl Action {
    /// All actions, in the order of the contract.
    pub const ALL: [Action; 11] = [
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
    ];

    /// The name in log entries.
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
        }
    }
}

impl LogBody {
    /// Operation of a failed delivery.
    pub const FAILED_DELIVERY: &'static str = "failed_to_deliver_event";
    /// Operation of a refused request.
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

/// A management request that was refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RefusedRequest {
    /// Code of the first error.
    pub reason: String,
    /// HTTP status of the answer.
    pub status: u16,
    /// Messages of the answer, joined.
    pub message: String,
    /// Method of the request.
    pub method: String,
    /// Path and query of the request.
    pub url: String,
    /// Its body where it was parsed: redacted, cut at 4 KiB.
    pub body: Option<String>,
}

/// Which log entries to give, as the query of `GET /logs` asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogQuery {
    /// Only actions, or only errors.
    pub log_type: Option<LogType>,
    /// Newest first, or oldest first.
    pub order: LogOrder,
    /// At most so many, 1 to 100.
    pub limit: usize,
    /// Entries to pass over, for paging by number.
    pub skip: usize,
    /// Only entries behind this one in the order asked for.
    pub after: Option<LogId>,
    /// Only of this subscriber.
    pub subscriber_id: Option<SubscriberId>,
    /// Only of this subscription.
    pub subscription_id: Option<SubscriptionId>,
    /// Only of this operation, by name.
    pub operation: Option<String>,
    /// Only with this error reason, by name.
    pub error_reason: Option<String>,
    /// Only with a timestamp of this instant or later.
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
