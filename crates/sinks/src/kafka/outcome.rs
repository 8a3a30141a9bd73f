//! Meaning of an error of the Kafka client (contract pages 4, 5 and 7): decided only here, from typed errors.

use std::error::Error;
use std::io;

use domain::outcome::{ErrorReason, Failure, Lack, Outcome};
use krafka::error::{ErrorCode, KrafkaError, ProtocolErrorKind};
use tokio::time::Instant;

use super::tunnel::Dials;
use crate::https::outcome::of_connect;
use crate::lack;
use crate::tls::TlsFault;

/// Names used in messages: the brokers as configured, and the topic.
pub(crate) struct Names<'a> {
    pub(crate) brokers: &'a str,
    pub(crate) topic: &'a str,
}

/// Whether the broker rejected a whole batch because of one record in it: each then has to be sent singly.
pub(crate) fn is_about_a_record(error: &KrafkaError) -> bool {
    match error {
        KrafkaError::Broker { code, .. } => matches!(
            code,
            ErrorCode::MessageTooLarge
                | ErrorCode::RecordListTooLarge
                | ErrorCode::InvalidRecord
                | ErrorCode::InvalidTimestamp
                | ErrorCode::PolicyViolation
        ),
        _ => false,
    }
}

/// Whether the cause was the batch's size.
pub(crate) fn is_about_size(error: &KrafkaError) -> bool {
    matches!(error, KrafkaError::Broker { code: ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge, .. })
}

/// Outcome of an attempt with this error. `since`: its start; `dials`: the results of the client's connections.
pub(crate) fn of_error(error: &KrafkaError, since: Instant, dials: &Dials, names: &Names<'_>) -> Outcome {
    let may_be_for_want_of_a_connection = may_be_for_want_of_a_connection(error);
    if may_be_for_want_of_a_connection && let Some(lack) = dials.lack_since(since) {
        return Outcome::Ours(lack);
    }
    // Refusals by the guard and failed connections are known more precisely than the client reports them.
    if let Some((address, failure)) = dials.failure_since(since)
        && (is_forbidden(&failure) || may_be_for_want_of_a_connection)
    {
        return of_connect(&failure, &address);
    }
    if may_be_for_want_of_a_connection && dials.waited_since(since) {
        return Outcome::Abandoned;
    }
    if let Some(fault) = tls_fault(error) {
        return of_tls(fault, names);
    }
    match innermost(error) {
        KrafkaError::Auth { .. } => refused_credentials(names),
        KrafkaError::Broker { code, .. } => of_code(*code, names),
        KrafkaError::UnknownTopic { .. } => of_code(ErrorCode::UnknownTopicOrPartition, names),
        KrafkaError::Network(error) => of_io(error, names),
        KrafkaError::Timeout { .. } | KrafkaError::DeliveryTimeout { .. } => of_silence(names),
        KrafkaError::Config { .. } => Outcome::Broken(Failure::without_status(
            ErrorReason::InvalidDestinationConfiguration,
            "the destination's settings are invalid: certificates, key or server_name".to_owned(),
        )),
        KrafkaError::Protocol { kind: ProtocolErrorKind::UnknownApiVersion, .. } => {
            Outcome::Broken(Failure::without_status(
                ErrorReason::InvalidDestinationConfiguration,
                format!(
                    "{}: the broker is too old, or not a Kafka broker: it lacks features that a producer needs",
                    names.brokers
                ),
            ))
        }
        KrafkaError::Protocol { .. } => Outcome::Failed(Failure::without_status(
            ErrorReason::DestinationFailure,
            format!("{}: the broker does not speak Kafka's protocol; its listener may require TLS", names.brokers),
        )),
        // Fenced, out of order, closed, and future variants: the next attempt has a new producer.
        _ => Outcome::Failed(Failure::without_status(
            ErrorReason::DestinationFailure,
            format!("{}: the broker could not accept the events in order", names.brokers),
        )),
    }
}

/// No acknowledgement, no reported cause.
pub(crate) fn of_silence(names: &Names<'_>) -> Outcome {
    Outcome::Silent(unacknowledged(names))
}

fn unacknowledged(names: &Names<'_>) -> Failure {
    Failure::without_status(
        ErrorReason::DestinationTimeout,
        format!("{}: no acknowledgement from topic {} in time", names.brokers, names.topic),
    )
}

/// The record itself is refused, sent alone.
pub(crate) fn of_refused_record(error: &KrafkaError, names: &Names<'_>) -> Outcome {
    let why = match error {
        KrafkaError::Broker { code: ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge, .. } => {
            "the event is larger than the topic allows (max.message.bytes)"
        }
        KrafkaError::Broker { code: ErrorCode::InvalidTimestamp, .. } => {
            "the topic does not accept the time of sending (message.timestamp.*)"
        }
        KrafkaError::Broker { code: ErrorCode::PolicyViolation, .. } => "a policy of the cluster rejects the event",
        _ => "the topic does not accept the record; a compacted topic rejects events without a key",
    };
    Outcome::Refused(Failure::without_status(ErrorReason::PublishRejected, format!("topic {}: {why}", names.topic)))
}

fn of_code(code: ErrorCode, names: &Names<'_>) -> Outcome {
    let Names { brokers, topic } = names;
    match code {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::InvalidTopic => Outcome::Broken(Failure::without_status(
            ErrorReason::TopicNotFound,
            format!("{brokers}: topic {topic} does not exist; it is not created automatically"),
        )),
        // Not permanent: rights are granted while events wait (contract page 4, Kafka).
        ErrorCode::TopicAuthorizationFailed => Outcome::Failed(Failure::without_status(
            ErrorReason::PublishRejected,
            format!("{brokers}: the user has no right to write to topic {topic}; it needs WRITE and DESCRIBE"),
        )),
        ErrorCode::ClusterAuthorizationFailed => Outcome::Failed(Failure::without_status(
            ErrorReason::PublishRejected,
            format!("{brokers}: the user has no right to write idempotently; it needs IDEMPOTENT_WRITE on the cluster"),
        )),
        ErrorCode::SaslAuthenticationFailed
        | ErrorCode::UnsupportedSaslMechanism
        | ErrorCode::IllegalSaslState
        | ErrorCode::UnacceptableCredential => refused_credentials(names),
        ErrorCode::UnsupportedVersion | ErrorCode::UnsupportedForMessageFormat => {
            Outcome::Broken(Failure::without_status(
                ErrorReason::InvalidDestinationConfiguration,
                format!("{brokers}: the broker is too old: it lacks features that an idempotent producer needs"),
            ))
        }
        ErrorCode::UnsupportedCompressionType => Outcome::Broken(Failure::without_status(
            ErrorReason::InvalidDestinationConfiguration,
            format!("{brokers}: topic {topic} does not accept batches compressed with LZ4"),
        )),
        // Reported by the broker.
        ErrorCode::RequestTimedOut | ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend => {
            Outcome::Failed(unacknowledged(names))
        }
        _ => Outcome::Failed(Failure::without_status(
            ErrorReason::DestinationFailure,
            format!("{brokers}: the broker could not store events in topic {topic} ({code:?})"),
        )),
    }
}

fn of_io(error: &io::Error, names: &Names<'_>) -> Outcome {
    // The client itself connects only within this process: local ports are exhausted, not addresses missing.
    if error.kind() == io::ErrorKind::AddrNotAvailable {
        return Outcome::Ours(Lack::LocalPorts);
    }
    if let Some(lack) = lack::of_io(error) {
        return Outcome::Ours(lack);
    }
    let (reason, what) = match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::NotConnected => (
            ErrorReason::UnexpectedEof,
            "the broker closed the connection; check that its listener uses TLS or not, as configured",
        ),
        io::ErrorKind::TimedOut => return of_silence(names),
        _ => (ErrorReason::ConnectionReset, "the connection to the broker was lost"),
    };
    Outcome::Failed(Failure::without_status(reason, format!("{}: {what}", names.brokers)))
}

fn of_tls(fault: TlsFault, names: &Names<'_>) -> Outcome {
    let (reason, what) = match fault {
        TlsFault::Certificate(what) => {
            (ErrorReason::InvalidCertificate, format!("its certificate is not valid: {what}"))
        }
        TlsFault::Handshake(what) => (ErrorReason::InvalidTlsHandshake, what.to_owned()),
    };
    Outcome::Failed(Failure::without_status(reason, format!("could not connect to {}: {what}", names.brokers)))
}

fn refused_credentials(names: &Names<'_>) -> Outcome {
    Outcome::Broken(Failure::without_status(
        ErrorReason::AuthenticationFailed,
        format!("{}: the broker rejected the user name, the password or the SASL mechanism", names.brokers),
    ))
}

fn is_forbidden(failure: &crate::connect::ConnectError) -> bool {
    matches!(failure, crate::connect::ConnectError::Forbidden(_))
}

fn may_be_for_want_of_a_connection(error: &KrafkaError) -> bool {
    matches!(
        error,
        KrafkaError::Network(_)
            | KrafkaError::Timeout { .. }
            | KrafkaError::DeliveryTimeout { .. }
            | KrafkaError::Broker { code: ErrorCode::BrokerNotAvailable | ErrorCode::LeaderNotAvailable, .. }
    )
}

/// The TLS error inside, if any.
fn tls_fault(error: &KrafkaError) -> Option<TlsFault> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(TlsFault::of(error));
        }
        cause = inside(error);
    }
    None
}

/// A client error may only report that another client error happened to all brokers.
fn innermost(error: &KrafkaError) -> &KrafkaError {
    let mut found = error;
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        found = error.downcast_ref().unwrap_or(found);
        cause = inside(error);
    }
    found
}

/// The cause of an error. IO errors, also those in an `Arc`, skip a level in `source`.
fn inside<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    }
    if let Some(KrafkaError::Network(error)) = error.downcast_ref::<KrafkaError>() {
        return Some(&**error);
    }
    error.source()
}
