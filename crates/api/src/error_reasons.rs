//! `GET /docs/error-reasons`: what the reasons in log entries and error answers mean, and what to check. It is where
//! `documentation_url` points.

use std::collections::HashSet;
use std::fmt::Write;

use axum::response::{Html, IntoResponse};
use domain::outcome::ErrorReason;
use wire::fault::code;

/// Codes of refused requests that are not about a field of a body or a parameter of a query.
const CODES: [(&str, &str); 13] = [
    (
        "method_not_allowed",
        "The address does not have that method; the header <code>Allow</code> names those that it has.",
    ),
    ("body_too_large", "The body of a management request has at most 256 KiB, that of a request with events 5 MiB."),
    ("body_incomplete", "The connection broke off within the body: look at the client and at what is between."),
    (
        "unsupported_media_type",
        "Send <code>Content-Type: application/json</code>; a PATCH may be a merge patch by name.",
    ),
    ("unsupported_encoding", "Send the body as it is, without <code>Content-Encoding</code>."),
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
        "The platform has as many undelivered events as it may hold: send them again after the time in <code>Retry-After</code>.",
    ),
];

/// The page.
pub(crate) async fn show() -> impl IntoResponse {
    Html(page())
}

fn page() -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Error reasons</title>\
         <style>body{font:16px/1.5 sans-serif;max-width:46em;margin:2em auto;padding:0 1em}dt{font-family:monospace;\
         font-weight:bold;margin-top:1em}dd{margin:0}:target{background:#ff9}</style><h1>Error reasons</h1>",
    );
    let mut seen = HashSet::new();
    let mut section = |title: &str, entries: &mut dyn Iterator<Item = (&'static str, String)>| {
        // Writing to a string does not fail.
        write!(page, "<h2>{title}</h2><dl>").unwrap_or_default();
        for (name, text) in entries {
            // Two names are reasons and codes; an anchor stands once.
            let id = if seen.insert(name) { format!(" id=\"{name}\"") } else { String::new() };
            write!(page, "<dt{id}>{name}</dt><dd>{text}</dd>").unwrap_or_default();
        }
        page.push_str("</dl>");
    };
    section(
        "Failed deliveries",
        &mut ErrorReason::ALL.iter().map(|reason| (reason.as_str(), explained(*reason).to_owned())),
    );
    section("Refused requests", &mut CODES.iter().map(|(name, text)| (*name, (*text).to_owned())));
    section("Faults in bodies and queries", &mut code::ALL.iter().map(|(name, text)| (*name, escaped(text))));
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What it means, and what to check.
fn explained(reason: ErrorReason) -> &'static str {
    match reason {
        ErrorReason::DestinationTimeout => {
            "The endpoint did not answer completely within 5 seconds. Answer first, work later: put the event into a queue of your own and answer 2xx at once."
        }
        ErrorReason::DnsLookupFailure => {
            "The host of the destination has no address. Check its spelling and its DNS records."
        }
        ErrorReason::InvalidCertificate => {
            "The certificate is expired, is made for another host, or its chain leads to no public root. Check that the server sends its intermediate certificates."
        }
        ErrorReason::InvalidTlsHandshake => {
            "No TLS connection came about. Check that the port speaks TLS, version 1.2 or 1.3."
        }
        ErrorReason::ConnectionReset => {
            "The connection was reset while the event was under way. Check for a proxy or a firewall that cuts connections."
        }
        ErrorReason::ConnectionRefused => {
            "Nothing listens at the port. Check that the service runs and that the port is right."
        }
        ErrorReason::NetworkUnreachable => {
            "There is no route to the address. Check the host's network and its firewall."
        }
        ErrorReason::UnexpectedEof => {
            "The connection was closed before the answer was there. Check whether the service crashed or restarted, and its log."
        }
        ErrorReason::ServerGoaway => {
            "The server ended the HTTP/2 connection. Check whether it restarted or limits connections."
        }
        ErrorReason::ClientClosedConnection => "The platform gave the attempt up itself.",
        ErrorReason::DestinationNotFound => {
            "The endpoint answered 404, so the subscription was suspended at once. Correct the URL, then resume."
        }
        ErrorReason::DestinationRedirected => {
            "The endpoint answered with a redirect, which is not followed; the subscription was suspended at once. Subscribe the final URL, then resume."
        }
        ErrorReason::AuthenticationFailed => {
            "The destination refused the credentials (401 or 403). Check user name, password and rights, and custom headers that carry a key."
        }
        ErrorReason::TopicNotFound => "The topic does not exist. Make it, or correct its name, then resume.",
        ErrorReason::InvalidDestinationConfiguration => {
            "The destination's settings cannot work together. Check all of them."
        }
        ErrorReason::PublishRejected => "The destination refused this one event, for its size for instance.",
        ErrorReason::DestinationFailure => {
            "The endpoint answered with an error; <code>error_code</code> is its status. Its own log says why. 5xx answers are tried again after 5, 10 and 20 minutes, most 4xx are not."
        }
        ErrorReason::Throttled => {
            "The endpoint answered 429 for more than an hour. Allow more requests, or subscribe to fewer events by a filter."
        }
        ErrorReason::DestinationForbidden => {
            "The host leads to an address that no destination may have: a private, local or reserved one. Use a public address; the operator of the platform can allow networks."
        }
    }
}
