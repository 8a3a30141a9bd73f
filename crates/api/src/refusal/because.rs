//! Every code that a refused request can have beyond the faults of bodies and queries ([`wire::fault::code`]): with its
//! status and its meaning, so that answers, the API's description and the pages about errors say the same.

use http::StatusCode;

/// A code with what it means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Code {
    /// For programs to act on: stable.
    pub(crate) name: &'static str,
    /// The status of the answer.
    pub(crate) status: StatusCode,
    /// For a person: what happened, and what to do.
    pub(crate) meaning: &'static str,
}

macro_rules! codes {
    ($($name:ident = $status:ident $code:literal, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub(crate) const $name: Code = Code { name: $code, status: StatusCode::$status, meaning: $meaning };
        )*

        /// All of them.
        pub(crate) const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    MALFORMED_REQUEST = BAD_REQUEST "malformed_request", "What came is not a request of HTTP/1.1: its first line, a header field or the length of its body cannot be read. Look at the client and at what is between.";
    INVALID_HOST = BAD_REQUEST "invalid_host", "A request of HTTP/1.1 names its host once, as Host: name or Host: name:port.";
    BODY_INCOMPLETE = BAD_REQUEST "body_incomplete", "The connection broke off within the body: look at the client and at what is between.";
    MISSING_HEADER = UNAUTHORIZED "missing_header", "One of the headers X-PIM-URL, X-PIM-TOKEN and X-PIM-CLIENT-ID is missing or empty.";
    MALFORMED_HEADER = UNAUTHORIZED "malformed_header", "One of the X-PIM-* headers is there twice or cannot be read; in a request with an event in binary mode (status 400), a ce-* header is not percent-encoded UTF-8.";
    INVALID_TOKEN = UNAUTHORIZED "invalid_token", "No PIM is registered under that URL, or it does not know the token, or the token belongs to another client.";
    UNPROVEN_CLIENT = UNAUTHORIZED "unproven_client", "The token is genuine, but nothing proves that it was issued to that client id: ask the operator for a token of the platform (`pt_…`) and send it in X-PIM-TOKEN.";
    CLIENT_REVOKED = UNAUTHORIZED "client_revoked", "The connection or app was removed from the PIM; a token issued after that, or the operator, admits it again.";
    NOT_AUTHENTICATED = UNAUTHORIZED "not_authenticated", "The address needs the X-PIM-* headers.";
    MISSING_SOURCE_KEY = UNAUTHORIZED "missing_source_key", "Events are sent with the key of their source: Authorization: Bearer <source key>, once.";
    INVALID_SOURCE_KEY = UNAUTHORIZED "invalid_source_key", "The key is not one of a registered source; the operator makes and rotates keys.";
    MISSING_SIGNATURE = UNAUTHORIZED "missing_signature", "A request of the Events API carries X-Akeneo-Request-Signature and X-Akeneo-Request-Timestamp, once each.";
    INVALID_SIGNATURE = UNAUTHORIZED "invalid_signature", "The signature is not that of this body and timestamp with the connection's secret, or no PIM of that name sends its Events API here.";
    STALE_TIMESTAMP = UNAUTHORIZED "stale_timestamp", "The request's timestamp is more than five minutes off: look at the clocks.";
    MISSING_OPERATOR_KEY = UNAUTHORIZED "missing_operator_key", "The operator's API needs the operator's key: Authorization: Bearer <operator key>, once.";
    MISSING_METRICS_KEY = UNAUTHORIZED "missing_metrics_key", "Metrics need their key, or the operator's: Authorization: Bearer <key>, once.";
    INVALID_METRICS_KEY = UNAUTHORIZED "invalid_metrics_key", "That is neither the key for metrics nor the operator's.";
    INVALID_OPERATOR_KEY = UNAUTHORIZED "invalid_operator_key", "That is not the operator's key.";
    EVENT_PLATFORM_FORBIDDEN = FORBIDDEN "event_platform_forbidden", "The PIM does not allow the connection or app to use the Event Platform; an administrator of the PIM grants it.";
    WEB_API_FORBIDDEN = FORBIDDEN "web_api_forbidden", "The token is genuine, but the role of its user may not use the web API of the PIM: an administrator of the PIM changes the role.";
    OPERATOR_API_OFF = FORBIDDEN "operator_api_off", "The operator's API is switched off; the setting api.operator_key switches it on.";
    METRICS_OFF = FORBIDDEN "metrics_off", "Metrics are not served at this address; the setting metrics.key switches that on, and metrics.listen serves them at an address of their own.";
    NOT_FOUND = NOT_FOUND "not_found", "There is no such thing, or it is not the caller's, or it was deleted.";
    NO_SUCH_ADDRESS = NOT_FOUND "no_such_address", "Nothing is at that address.";
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED "method_not_allowed", "The address does not have that method; the header Allow names those that it has.";
    BODY_TIMEOUT = REQUEST_TIMEOUT "body_timeout", "The body did not arrive in time: look at the client and at what is between.";
    ALREADY_SUSPENDED = CONFLICT "already_suspended", "Only an active subscription can be suspended.";
    NOT_SUSPENDED = CONFLICT "not_suspended", "Only a suspended subscription can be resumed.";
    SUBSCRIBER_REVOKED = CONFLICT "subscriber_revoked", "The connection or app was removed from the PIM. What is revoked stays revoked: make a new subscriber.";
    SUBSCRIPTION_REVOKED = CONFLICT "subscription_revoked", "The connection or app was removed from the PIM. What is revoked stays revoked: make a new subscription.";
    CONCURRENT_CHANGE = CONFLICT "concurrent_change", "Others changed the same thing at the same time, again and again: read it and try again.";
    TAKEN = CONFLICT "taken", "Another PIM has that name, that URL or one of those keys; the message names it.";
    NOT_REVOKED = CONFLICT "not_revoked", "The client is not locked out; only a removed one can be admitted again.";
    BODY_TOO_LARGE = PAYLOAD_TOO_LARGE "body_too_large", "The body of a management request has at most 256 KiB, that of a request with events 5 MiB, unless the operator set other bounds.";
    UNSUPPORTED_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE "unsupported_media_type", "Send Content-Type: application/json; a PATCH may be a merge patch by name, events are sent as the CloudEvents HTTP binding says.";
    UNSUPPORTED_ENCODING = UNSUPPORTED_MEDIA_TYPE "unsupported_encoding", "Send the body as it is, without Content-Encoding.";
    LIMIT_REACHED = UNPROCESSABLE_ENTITY "limit_reached", "Twenty active subscribers a PIM, twenty active or suspended subscriptions a subscriber: delete one that is no longer needed.";
    NO_EVENTS = UNPROCESSABLE_ENTITY "no_events", "The body of an Events API request is an object with a list of events.";
    RATE_LIMITED = TOO_MANY_REQUESTS "rate_limited", "More requests per second than the platform takes from one client, PIM or address, or too many refused tokens: try again after the time in Retry-After.";
    BACKLOG_FULL = TOO_MANY_REQUESTS "backlog_full", "The platform has as many undelivered events as it may hold: send them again after the time in Retry-After.";
    HEAD_TOO_LARGE = REQUEST_HEADER_FIELDS_TOO_LARGE "request_head_too_large", "A request line and its header fields have at most 60 KiB.";
    TOO_MANY_HEADERS = REQUEST_HEADER_FIELDS_TOO_LARGE "too_many_header_fields", "A request may have 100 header fields.";
    INTERNAL_ERROR = INTERNAL_SERVER_ERROR "internal_error", "The platform failed to answer; its operator finds the reason in the log.";
    UNSUPPORTED_TRANSFER_CODING = NOT_IMPLEMENTED "unsupported_transfer_coding", "The only transfer coding is chunked, alone: send Transfer-Encoding: chunked, or Content-Length.";
    BUSY = SERVICE_UNAVAILABLE "busy", "Other requests have all the memory that there is for bodies: send the request again after the time in Retry-After.";
    PIM_UNAVAILABLE = SERVICE_UNAVAILABLE "pim_unavailable", "The PIM could not be asked whether the token is genuine: try again after the time in Retry-After.";
    STORE_UNAVAILABLE = SERVICE_UNAVAILABLE "store_unavailable", "The platform cannot read or write its data at the moment; nothing was changed: try again after the time in Retry-After.";
    NOT_READY = SERVICE_UNAVAILABLE "not_ready", "The platform is starting, or does not work: its log says more.";
    STOPPING = SERVICE_UNAVAILABLE "stopping", "The platform is stopping: send the request again.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_snake_case_and_unique() {
        for (index, code) in ALL.iter().enumerate() {
            assert!(code.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", code.name);
            assert!(ALL[..index].iter().all(|other| other.name != code.name), "{} is there twice", code.name);
        }
    }
}
