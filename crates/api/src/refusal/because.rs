//! All codes of rejected requests except faults of bodies and queries ([`wire::fault::code`]), with status and meaning,
//! shared by responses, the API's description and the error pages.

use http::StatusCode;

/// A code and its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Code {
    /// Stable, for programs.
    pub(crate) name: &'static str,
    /// Status of the response.
    pub(crate) status: StatusCode,
    /// Explanation and remedy, for humans.
    pub(crate) meaning: &'static str,
}

macro_rules! codes {
    ($($name:ident = $status:ident $code:literal, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub(crate) const $name: Code = Code { name: $code, status: StatusCode::$status, meaning: $meaning };
        )*

        /// All codes.
        pub(crate) const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    MALFORMED_REQUEST = BAD_REQUEST "malformed_request",
        "Not a valid HTTP/1.1 request: its first line, a header field or the body length is unreadable. Check the \
         client and any proxies.";
    INVALID_HOST = BAD_REQUEST "invalid_host",
        "An HTTP/1.1 request must contain exactly one Host header, with a name and an optional port.";
    BODY_INCOMPLETE = BAD_REQUEST "body_incomplete",
        "The connection was lost within the body. Check the client and any proxies.";
    MISSING_HEADER = UNAUTHORIZED "missing_header",
        "One of the headers X-PIM-URL, X-PIM-TOKEN and X-PIM-CLIENT-ID is missing or empty.";
    MALFORMED_HEADER = UNAUTHORIZED "malformed_header",
        "One of the X-PIM-* headers is repeated or unreadable; in binary mode (status 400), a ce-* header is not \
         percent-encoded UTF-8.";
    INVALID_TOKEN = UNAUTHORIZED "invalid_token",
        "No PIM is registered with this URL, or the PIM rejects the token, or the token belongs to another client.";
    UNPROVEN_CLIENT = UNAUTHORIZED "unproven_client",
        "The token is genuine, but it does not prove the client id. Ask the operator for a platform token (`pt_…`) \
         and send it in X-PIM-TOKEN.";
    CLIENT_REVOKED = UNAUTHORIZED "client_revoked",
        "The connection or app was removed from the PIM; a token issued after that, or the operator, re-admits it.";
    NOT_AUTHENTICATED = UNAUTHORIZED "not_authenticated", "The path requires the X-PIM-* headers.";
    MISSING_SOURCE_KEY = UNAUTHORIZED "missing_source_key",
        "Events must be sent with the key of their source, in exactly one header Authorization: Bearer <source key>.";
    INVALID_SOURCE_KEY = UNAUTHORIZED "invalid_source_key",
        "The key does not belong to a registered source; the operator creates and rotates keys.";
    MISSING_SIGNATURE = UNAUTHORIZED "missing_signature",
        "An Events API request must contain X-Akeneo-Request-Signature and X-Akeneo-Request-Timestamp exactly once.";
    INVALID_SIGNATURE = UNAUTHORIZED "invalid_signature",
        "The signature does not match the body, timestamp and secret, or no Events API is configured for that name.";
    STALE_TIMESTAMP = UNAUTHORIZED "stale_timestamp",
        "The request's timestamp is more than five minutes off. Check the clocks.";
    MISSING_OPERATOR_KEY = UNAUTHORIZED "missing_operator_key",
        "The operator API requires the operator key in exactly one header Authorization: Bearer <operator key>.";
    MISSING_METRICS_KEY = UNAUTHORIZED "missing_metrics_key",
        "Metrics require the metrics key or the operator key in exactly one header Authorization: Bearer <key>.";
    INVALID_METRICS_KEY = UNAUTHORIZED "invalid_metrics_key",
        "The key is neither the metrics key nor the operator key.";
    INVALID_OPERATOR_KEY = UNAUTHORIZED "invalid_operator_key", "The key is not the operator key.";
    EVENT_PLATFORM_FORBIDDEN = FORBIDDEN "event_platform_forbidden",
        "The PIM does not allow the connection or app to use the Event Platform; an administrator of the PIM can \
         grant it.";
    WEB_API_FORBIDDEN = FORBIDDEN "web_api_forbidden",
        "The token is genuine, but its user's role may not use the PIM's web API; an administrator of the PIM can \
         change the role.";
    LINK_FORBIDDEN = FORBIDDEN "link_forbidden",
        "A console link gives access to one subscriber: read-only, or with changes of its subscriptions only.";
    CONSOLE_OFF = FORBIDDEN "console_off",
        "The console is disabled on this platform (setting `console.enabled`).";
    OPERATOR_API_OFF = FORBIDDEN "operator_api_off",
        "The operator API is disabled; enable it with the setting api.operator_key.";
    METRICS_OFF = FORBIDDEN "metrics_off",
        "Metrics are not served here; enable them with the setting metrics.key, or with metrics.listen on a separate \
         address.";
    NOT_FOUND = NOT_FOUND "not_found", "The object does not exist, belongs to another client, or was deleted.";
    NO_SUCH_ADDRESS = NOT_FOUND "no_such_address", "Unknown path.";
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED "method_not_allowed",
        "The path does not support this method; the header Allow lists the supported ones.";
    BODY_TIMEOUT = REQUEST_TIMEOUT "body_timeout", "The body did not arrive in time. Check the client and any proxies.";
    ALREADY_SUSPENDED = CONFLICT "already_suspended", "Only an active subscription can be suspended.";
    NOT_SUSPENDED = CONFLICT "not_suspended", "Only a suspended subscription can be resumed.";
    NOT_ACTIVE = CONFLICT "not_active", "Only an active subscription can replay events: resume it first.";
    REPLAY_RUNNING = CONFLICT "replay_running",
        "A subscription has one replay at a time: wait for its end, or cancel it.";
    REPLAY_ENDED = CONFLICT "replay_ended", "Only a running replay can be cancelled.";
    UPGRADE_IN_PROGRESS = CONFLICT "upgrade_in_progress",
        "Another node of the platform runs an older version that does not know this type of destination: try again \
         after the upgrade.";
    SUBSCRIBER_REVOKED = CONFLICT "subscriber_revoked",
        "The connection or app was removed from the PIM. Revocation is permanent: create a new subscriber.";
    SUBSCRIPTION_REVOKED = CONFLICT "subscription_revoked",
        "The connection or app was removed from the PIM. Revocation is permanent: create a new subscription.";
    CONCURRENT_CHANGE = CONFLICT "concurrent_change", "Too many concurrent changes: read the object again and retry.";
    TAKEN = CONFLICT "taken", "Another PIM, named in the message, has this name, URL or key.";
    NOT_REVOKED = CONFLICT "not_revoked", "The client is not locked out; only a removed client can be re-admitted.";
    BODY_TOO_LARGE = PAYLOAD_TOO_LARGE "body_too_large",
        "The body exceeds the limit: 256 KiB for management requests, 5 MiB for events, unless configured otherwise.";
    UNSUPPORTED_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE "unsupported_media_type",
        "Send Content-Type: application/json; a PATCH may also use application/merge-patch+json, events use the \
         media types of the CloudEvents HTTP binding.";
    UNSUPPORTED_ENCODING = UNSUPPORTED_MEDIA_TYPE "unsupported_encoding", "Send the body without Content-Encoding.";
    LIMIT_REACHED = UNPROCESSABLE_ENTITY "limit_reached",
        "The limits are 20 active subscribers per PIM and 20 active or suspended subscriptions per subscriber: \
         delete one that is no longer needed.";
    NO_EVENTS = UNPROCESSABLE_ENTITY "no_events",
        "The body of an Events API request must be an object with a list of events.";
    RATE_LIMITED = TOO_MANY_REQUESTS "rate_limited",
        "Too many requests per second from one client, PIM or address, or too many rejected tokens: retry after \
         Retry-After.";
    BACKLOG_FULL = TOO_MANY_REQUESTS "backlog_full",
        "The limit of undelivered events is reached: retry after Retry-After.";
    HEAD_TOO_LARGE = REQUEST_HEADER_FIELDS_TOO_LARGE "request_head_too_large",
        "The request line and header fields exceed 60 KiB.";
    TOO_MANY_HEADERS = REQUEST_HEADER_FIELDS_TOO_LARGE "too_many_header_fields",
        "The request has more than 100 header fields.";
    INTERNAL_ERROR = INTERNAL_SERVER_ERROR "internal_error",
        "Internal error; the operator finds the cause in the platform's log.";
    UNSUPPORTED_TRANSFER_CODING = NOT_IMPLEMENTED "unsupported_transfer_coding",
        "Only the transfer coding chunked is supported: send Transfer-Encoding: chunked, or Content-Length.";
    BUSY = SERVICE_UNAVAILABLE "busy", "Other requests use all the memory for request bodies: retry after Retry-After.";
    PIM_UNAVAILABLE = SERVICE_UNAVAILABLE "pim_unavailable",
        "The token could not be checked with the PIM: retry after Retry-After.";
    STORE_UNAVAILABLE = SERVICE_UNAVAILABLE "store_unavailable",
        "The platform cannot read or write its data at the moment; nothing was changed: retry after Retry-After.";
    NODE_UNAVAILABLE = SERVICE_UNAVAILABLE "node_unavailable",
        "The node that delivers for the PIM does not answer at the moment, or another one is taking its place: retry \
         after Retry-After.";
    NOT_READY = SERVICE_UNAVAILABLE "not_ready", "The platform is starting or not operational; see its log.";
    STOPPING = SERVICE_UNAVAILABLE "stopping", "The platform is stopping: retry the request.";
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
