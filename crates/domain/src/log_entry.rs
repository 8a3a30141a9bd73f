//! What the owner of a subscriber can look up: actions, failed deliveries, refused requests.

use serde::{Deserialize, Serialize};

use crate::id::{LogId, SubscriberId, SubscriptionId};
use crate::outcome::Failure;
use crate::subscriber::Owner;
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
            count: 1,
        }
    }
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
