//! Results of attempts, classified at the source: in the sink. Error texts are never parsed later.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Result of one attempt to deliver one event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The destination has it.
    Delivered,
    /// Throttled (429), which isn't a failure yet: the event waits its turn.
    Throttled {
        /// `Retry-After`, if sent.
        retry_after: Option<Duration>,
    },
    /// Failed, but may succeed later: retried by the retry schedule.
    Failed(Failure),
    /// Failed permanently: not retried.
    Refused(Failure),
    /// The destination itself is wrong: the subscription is suspended at once.
    Broken(Failure),
    /// No sign of life: the destination's trouble or the platform's. The cause is determined across all destinations.
    Silent(Failure),
    /// The destination reported that it did not process the event (HTTP/2 `REFUSED_STREAM`, RFC 9113, 8.7): not
    /// counted, resent soon.
    NotProcessed(Failure),
    /// The platform lacks something that attempts need: nothing is known about the destination.
    Ours(Lack),
    /// The platform itself gave up the attempt (shutdown): as if never made.
    Abandoned,
}

/// Resources lacking to the platform. Their names are those of `lacks` in `/health/ready` and in a subscription's
/// status.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// No name server responds.
    NameServers,
    /// The process has no free file descriptors.
    FileDescriptors,
    /// No local port is free.
    LocalPorts,
    /// The kernel or the process lacks memory for a connection.
    Memory,
    /// The egress proxy is unreachable or rejects the platform's credentials.
    Proxy,
    /// The platform's own credentials are missing or rejected.
    Credentials,
    /// Others reject the clock, or the process slept past an attempt's limit.
    Clock,
    /// No host responds at all.
    Silence,
    /// The disk is full.
    Disk,
    /// The store is not writable.
    Store,
    /// The standby required for commits is missing.
    Standby,
}

impl Lack {
    /// All of them, in the order of the contract.
    pub const ALL: [Lack; 11] = [
        Lack::NameServers,
        Lack::FileDescriptors,
        Lack::LocalPorts,
        Lack::Memory,
        Lack::Proxy,
        Lack::Credentials,
        Lack::Clock,
        Lack::Silence,
        Lack::Disk,
        Lack::Store,
        Lack::Standby,
    ];

    /// Name in responses and documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Lack::NameServers => "name_servers",
            Lack::FileDescriptors => "file_descriptors",
            Lack::LocalPorts => "local_ports",
            Lack::Memory => "memory",
            Lack::Proxy => "proxy",
            Lack::Credentials => "credentials",
            Lack::Clock => "clock",
            Lack::Silence => "silence",
            Lack::Disk => "disk",
            Lack::Store => "store",
            Lack::Standby => "standby",
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed attempt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Reason, from a fixed list.
    pub reason: ErrorReason,
    /// HTTP status of the endpoint; 500 without an HTTP exchange.
    pub code: u16,
    /// Human-readable message; the same for equal failures, so that log entries can be merged (no event id, no
    /// duration).
    pub message: String,
    /// Response of the endpoint, if any. It is ignored when failures are compared ([`Failure::is_like`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Box<Answer>>,
}

impl Failure {
    /// `code` of a failure without an HTTP exchange (contract page 5, error logs).
    const NO_HTTP_STATUS: u16 = 500;

    /// A failure without an HTTP exchange.
    pub fn without_status(reason: ErrorReason, message: impl Into<String>) -> Failure {
        Failure { reason, code: Failure::NO_HTTP_STATUS, message: message.into(), answer: None }
    }

    /// HTTP status of the endpoint, if there was an exchange.
    pub fn status(&self) -> Option<u16> {
        let answered = self.answer.as_ref().map(|answer| answer.status);
        answered.or_else(|| (self.code != Failure::NO_HTTP_STATUS).then_some(self.code))
    }

    /// Whether both failures are equal: their log entries are merged.
    pub fn is_like(&self, other: &Failure) -> bool {
        (self.reason, self.code, &self.message) == (other.reason, other.code, &other.message)
    }
}

/// An endpoint's response as shown in log entries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// `content-type`, `retry-after` and `server`, if sent.
    pub headers: Vec<(String, String)>,
    /// The first 2 KiB of its body, as text, without secrets.
    pub body: Option<String>,
}

/// Why a delivery failed: `error_reason` of log entries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorReason {
    /// No complete response within an attempt's timeout.
    DestinationTimeout,
    /// The host name has no address.
    DnsLookupFailure,
    /// The certificate is not valid for the host.
    InvalidCertificate,
    /// The TLS handshake failed.
    InvalidTlsHandshake,
    /// The connection was reset.
    ConnectionReset,
    /// No listener.
    ConnectionRefused,
    /// No route.
    NetworkUnreachable,
    /// The connection was closed before the response.
    UnexpectedEof,
    /// HTTP/2 GOAWAY.
    ServerGoaway,
    /// The platform closed the connection itself.
    ClientClosedConnection,
    /// 404.
    DestinationNotFound,
    /// 3xx.
    DestinationRedirected,
    /// 401, 403, wrong credentials, missing permission.
    AuthenticationFailed,
    /// Unknown topic.
    TopicNotFound,
    /// The destination's settings cannot work.
    InvalidDestinationConfiguration,
    /// The destination rejected this event.
    PublishRejected,
    /// Any other failure.
    DestinationFailure,
    /// Throttled for more than an hour.
    Throttled,
    /// The address guard rejected the destination's address.
    DestinationForbidden,
    /// A backlog dropped by a suspension.
    SubscriptionSuspended,
    /// A backlog dropped by a revocation.
    SubscriptionRevoked,
}

impl ErrorReason {
    /// All reasons, in the order of the contract.
    pub const ALL: [ErrorReason; 21] = [
        ErrorReason::DestinationTimeout,
        ErrorReason::DnsLookupFailure,
        ErrorReason::InvalidCertificate,
        ErrorReason::InvalidTlsHandshake,
        ErrorReason::ConnectionReset,
        ErrorReason::ConnectionRefused,
        ErrorReason::NetworkUnreachable,
        ErrorReason::UnexpectedEof,
        ErrorReason::ServerGoaway,
        ErrorReason::ClientClosedConnection,
        ErrorReason::DestinationNotFound,
        ErrorReason::DestinationRedirected,
        ErrorReason::AuthenticationFailed,
        ErrorReason::TopicNotFound,
        ErrorReason::InvalidDestinationConfiguration,
        ErrorReason::PublishRejected,
        ErrorReason::DestinationFailure,
        ErrorReason::Throttled,
        ErrorReason::DestinationForbidden,
        ErrorReason::SubscriptionSuspended,
        ErrorReason::SubscriptionRevoked,
    ];

    /// Name in log entries and documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorReason::DestinationTimeout => "destination_timeout",
            ErrorReason::DnsLookupFailure => "dns_lookup_failure",
            ErrorReason::InvalidCertificate => "invalid_certificate",
            ErrorReason::InvalidTlsHandshake => "invalid_tls_handshake",
            ErrorReason::ConnectionReset => "connection_reset",
            ErrorReason::ConnectionRefused => "connection_refused",
            ErrorReason::NetworkUnreachable => "network_unreachable",
            ErrorReason::UnexpectedEof => "unexpected_eof",
            ErrorReason::ServerGoaway => "server_goaway",
            ErrorReason::ClientClosedConnection => "client_closed_connection",
            ErrorReason::DestinationNotFound => "destination_not_found",
            ErrorReason::DestinationRedirected => "destination_redirected",
            ErrorReason::AuthenticationFailed => "authentication_failed",
            ErrorReason::TopicNotFound => "topic_not_found",
            ErrorReason::InvalidDestinationConfiguration => "invalid_destination_configuration",
            ErrorReason::PublishRejected => "publish_rejected",
            ErrorReason::DestinationFailure => "destination_failure",
            ErrorReason::Throttled => "throttled",
            ErrorReason::DestinationForbidden => "destination_forbidden",
            ErrorReason::SubscriptionSuspended => "subscription_suspended",
            ErrorReason::SubscriptionRevoked => "subscription_revoked",
        }
    }
}

impl ErrorReason {
    /// Explanation for readers who do not know the codes.
    pub fn sentence(self) -> &'static str {
        match self {
            ErrorReason::DestinationTimeout => "the destination did not answer in time",
            ErrorReason::DnsLookupFailure => "the destination's host name has no address",
            ErrorReason::InvalidCertificate => "the destination's certificate is not valid",
            ErrorReason::InvalidTlsHandshake => "the TLS handshake with the destination failed",
            ErrorReason::ConnectionReset => "the destination reset the connection",
            ErrorReason::ConnectionRefused => "the destination refused the connection",
            ErrorReason::NetworkUnreachable => "there is no route to the destination",
            ErrorReason::UnexpectedEof => "the destination closed the connection before its response was complete",
            ErrorReason::ServerGoaway => "the destination closed the HTTP/2 connection before answering",
            ErrorReason::ClientClosedConnection => {
                "the platform closed the connection before the exchange was complete"
            }
            ErrorReason::DestinationNotFound => "the destination answered 404 (not found)",
            ErrorReason::DestinationRedirected => "the destination redirects (3xx); redirects are not followed",
            ErrorReason::AuthenticationFailed => {
                "the destination rejected the credentials or denied the right to publish"
            }
            ErrorReason::TopicNotFound => "the topic or queue does not exist",
            ErrorReason::InvalidDestinationConfiguration => "the destination's configuration is invalid",
            ErrorReason::PublishRejected => "the destination rejected the event",
            ErrorReason::DestinationFailure => "the destination answered with an error",
            ErrorReason::Throttled => "the destination answered 429 (too many requests) for more than an hour",
            ErrorReason::DestinationForbidden => "the destination's host resolves to a forbidden address",
            ErrorReason::SubscriptionSuspended => "the subscription was suspended",
            ErrorReason::SubscriptionRevoked => "the subscription was revoked",
        }
    }
}

impl fmt::Display for ErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a subscription is suspended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuspensionReason {
    /// Requested by its owner.
    User,
    /// Requested by the operator.
    Operator,
    /// Fewer than 90 % of the outcomes of the last rolling hour were successes.
    SuccessRate,
    /// A topic or queue accepted nothing for longer than its patience despite attempts.
    TookNothing,
    /// The destination itself is wrong.
    Destination(ErrorReason),
    /// The client's permission to use the platform was withdrawn.
    PermissionWithdrawn,
    /// The subscription's PIM is missing from the configuration file: it continues where it stopped once the PIM
    /// returns.
    PimWithdrawn,
}

impl SuspensionReason {
    /// Whether the platform decided it (as opposed to the owner).
    pub fn by_the_platform(self) -> bool {
        self != SuspensionReason::User
    }
}

/// Human-readable text for notifications and logs.
impl fmt::Display for SuspensionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SuspensionReason::User => f.write_str("suspended by its owner"),
            SuspensionReason::Operator => f.write_str("suspended by the operator of the platform"),
            SuspensionReason::SuccessRate => {
                f.write_str("fewer than 90 % of the deliveries of the last hour succeeded")
            }
            SuspensionReason::TookNothing => {
                f.write_str("the topic has accepted no event for too long, although delivery was retried")
            }
            SuspensionReason::Destination(reason) => f.write_str(reason.sentence()),
            SuspensionReason::PermissionWithdrawn => {
                f.write_str("the PIM no longer allows this client to use the event platform")
            }
            SuspensionReason::PimWithdrawn => {
                f.write_str("the operator removed the PIM from the platform's configuration")
            }
        }
    }
}
