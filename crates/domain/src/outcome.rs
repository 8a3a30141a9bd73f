//! How an attempt ended, decided where it is known: in the sink. Nobody parses error texts later.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How one attempt to deliver one event ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The destination has it.
    Delivered,
    /// Too fast (429): not a failure yet; the event waits its turn.
    Throttled {
        /// What `Retry-After` asked for, if it was there.
        retry_after: Option<Duration>,
    },
    /// It did not work and may work later: tried again by the retry schedule.
    Failed(Failure),
    /// It did not work and will not: not tried again.
    Refused(Failure),
    /// The destination itself is wrong: the subscription is suspended at once.
    Broken(Failure),
    /// No sign of life: the destination's trouble or the platform's. Whoever sees all destinations judges.
    Silent(Failure),
    /// The destination said that it did not process the event (HTTP/2 `REFUSED_STREAM`, RFC 9113, 8.7): not counted, sent again soon.
    NotProcessed(Failure),
    /// The platform lacks what an attempt needs: nothing is known about the destination.
    Ours(Lack),
    /// The platform gave the attempt up itself (shutdown): as if it had not been made.
    Abandoned,
}

/// What the platform lacks. The names are those of `lacks` in `/health/ready` and in a subscription's status.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// No name server answers.
    NameServers,
    /// The process may not open another descriptor.
    FileDescriptors,
    /// No local port is free.
    LocalPorts,
    /// The kernel or the process has no memory for a connection.
    Memory,
    /// The egress proxy cannot be reached or refuses the platform's credentials.
    Proxy,
    /// The platform's own credentials are missing or refused.
    Credentials,
    /// The clock is refused by others, or the process slept past an attempt's limit.
    Clock,
    /// No host at all answers.
    Silence,
    /// The disk is full.
    Disk,
    /// The store cannot be written.
    Store,
    /// The standby that must confirm commits is missing.
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

    /// The name in answers and documentation.
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

/// What went wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The reason, one of a fixed list.
    pub reason: ErrorReason,
    /// The endpoint's HTTP status; 500 where there was no HTTP exchange.
    pub code: u16,
    /// For a person; the same for equal failures, so that log entries can be merged (no event id, no duration).
    pub message: String,
    /// What the endpoint answered, where it did. It says nothing about whether failures are equal ([`Failure::is_like`]).
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

    /// Whether both tell the same: their log entries are merged.
    pub fn is_like(&self, other: &Failure) -> bool {
        (self.reason, self.code, &self.message) == (other.reason, other.code, &other.message)
    }
}

/// An endpoint's answer as log entries show it.
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
    /// No complete answer within the time of an attempt.
    DestinationTimeout,
    /// The host's name has no address.
    DnsLookupFailure,
    /// The certificate is not valid for the host.
    InvalidCertificate,
    /// TLS could not be agreed upon.
    InvalidTlsHandshake,
    /// The connection was reset.
    ConnectionReset,
    /// Nothing listens there.
    ConnectionRefused,
    /// No route.
    NetworkUnreachable,
    /// The connection was closed before the answer.
    UnexpectedEof,
    /// HTTP/2 GOAWAY.
    ServerGoaway,
    /// The platform closed the connection itself.
    ClientClosedConnection,
    /// 404.
    DestinationNotFound,
    /// 3xx.
    DestinationRedirected,
    /// 401, 403, wrong credentials, no right.
    AuthenticationFailed,
    /// The topic is not known.
    TopicNotFound,
    /// The destination's settings cannot work.
    InvalidDestinationConfiguration,
    /// The destination refused this event.
    PublishRejected,
    /// The rest.
    DestinationFailure,
    /// Throttled for more than an hour.
    Throttled,
    /// The address guard refused the destination's address.
    DestinationForbidden,
    /// A backlog that was dropped by a suspension.
    SubscriptionSuspended,
    /// A backlog that was dropped by a revocation.
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

    /// The name in log entries and documentation.
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
    /// What happened, for a person who does not know the codes.
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
    /// Its owner asked for it.
    User,
    /// The operator asked for it.
    Operator,
    /// Fewer than 90 % of the outcomes of the last rolling hour were successes.
    SuccessRate,
    /// A topic or queue took nothing for longer than its patience, although it was tried.
    TookNothing,
    /// The destination itself is wrong.
    Destination(ErrorReason),
    /// The client's permission to use the platform was withdrawn.
    PermissionWithdrawn,
    /// The configuration file no longer names the subscription's PIM: it goes on where it stood once it names it again.
    PimWithdrawn,
}

impl SuspensionReason {
    /// Whether the platform decided it (as opposed to the owner).
    pub fn by_the_platform(self) -> bool {
        self != SuspensionReason::User
    }
}

/// For a person: in notifications and logs.
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
