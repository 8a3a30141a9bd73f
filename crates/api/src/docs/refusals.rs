//! Codes of refused requests that are not about a field of a body or a parameter of a query.

/// A request that shows a refusal to the person who makes it.
pub(super) const REPRODUCE: &str = "curl -i -X POST \"$PLATFORM/api/v1/subscribers\" \\\n  \
    -H \"X-PIM-URL: $PIM_URL\" -H \"X-PIM-TOKEN: $TOKEN\" -H \"X-PIM-CLIENT-ID: $CLIENT_ID\" \\\n  \
    -H 'Content-Type: application/json' -d @body.json";

/// Each with its meaning.
pub(super) const ALL: &[(&str, &str)] = &[
    ("method_not_allowed", "The address does not have that method; the header Allow names those that it has."),
    ("body_too_large", "The body of a management request has at most 256 KiB, that of a request with events 5 MiB."),
    ("body_incomplete", "The connection broke off within the body: look at the client and at what is between."),
    ("unsupported_media_type", "Send Content-Type: application/json; a PATCH may be a merge patch by name."),
    ("unsupported_encoding", "Send the body as it is, without Content-Encoding."),
    (
        "event_platform_forbidden",
        "The PIM does not allow the connection or app to use the Event Platform; an administrator of the PIM grants it.",
    ),
    (
        "limit_reached",
        "Twenty active subscribers a PIM, twenty active or suspended subscriptions a subscriber: delete one that is no longer needed.",
    ),
    ("already_suspended", "Only an active subscription can be suspended."),
    ("not_suspended", "Only a suspended subscription can be resumed."),
    (
        "subscriber_revoked",
        "The connection or app was removed from the PIM. What is revoked stays revoked: make a new subscriber.",
    ),
    (
        "subscription_revoked",
        "The connection or app was removed from the PIM. What is revoked stays revoked: make a new subscription.",
    ),
    ("concurrent_change", "Others changed the same thing at the same time, again and again: read it and try again."),
    (
        "backlog_full",
        "The platform has as many undelivered events as it may hold: send them again after the time in Retry-After.",
    ),
    ("body_timeout", "The body did not arrive in time: look at the client and at what is between."),
    (
        "web_api_forbidden",
        "The token is genuine, but the role of its user may not use the web API of the PIM: an administrator of the PIM changes the role.",
    ),
];
