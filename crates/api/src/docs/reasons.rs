//! The pages of failed deliveries, one for each reason.

use domain::outcome::ErrorReason;

use super::Page;

const RETRIED: &str = "The event is tried again after 5, 10 and 20 minutes; each failure lowers the success rate of the last hour, and \
     below 90 % the subscription is suspended.";
const SUSPENDED: &str =
    "The subscription is suspended at once, for no further event could arrive. Correct the cause, then resume it.";
/// What the platform sends, by hand.
const POST: &str =
    "curl -i --max-time 5 -X POST \"$URL\" -H 'Content-Type: application/json' -d '{\"specversion\":\"1.0\"}'";
const NAME: &str = "dig +short A \"$HOST\"; dig +short AAAA \"$HOST\"";
const HANDSHAKE: &str = "openssl s_client -connect \"$HOST:443\" -servername \"$HOST\" -verify_return_error </dev/null";
const CONNECT: &str = "nc -vz -w 5 \"$HOST\" 443";

const SUSPENSIONS: &str = "curl \"$PLATFORM/api/v1/logs?subscription_id=$ID&log_type=action\" -H \"X-PIM-URL: $PIM_URL\" \
     -H \"X-PIM-TOKEN: $TOKEN\" -H \"X-PIM-CLIENT-ID: $CLIENT_ID\"";

/// The page of a reason.
pub(crate) fn page(reason: ErrorReason) -> Page {
    let page = |observed, then, check, reproduce| Page { observed, then, check, reproduce };
    match reason {
        ErrorReason::DestinationTimeout => page(
            "No complete answer came within 5 seconds, counted from the look-up of the host's name.",
            RETRIED,
            &[
                "Answer first and work later: put the event into a queue of your own and answer 2xx at once.",
                "Whether the service or its database is overloaded, or starts only with the first request.",
                "Whether a firewall drops packets silently instead of refusing them.",
            ],
            &[
                "curl -sS -o /dev/null --max-time 5 -w 'dns %{time_namelookup} connect %{time_connect} tls %{time_appconnect} total %{time_total}\\n' -X POST \"$URL\" -d '{}'",
            ],
        ),
        ErrorReason::DnsLookupFailure => page(
            "The host's name has no address, or the name servers did not answer.",
            RETRIED,
            &[
                "The spelling of the host in the subscription's URL.",
                "Whether the domain has expired or its A and AAAA records are missing.",
                "Whether the name exists in an internal network only: the platform asks its own name servers.",
            ],
            &[NAME, "dig +trace \"$HOST\""],
        ),
        ErrorReason::InvalidCertificate => page(
            "The certificate that the server showed is not valid for the host: expired, not yet valid, made for \
             another name, or its chain leads to no trusted root.",
            RETRIED,
            &[
                "The dates of the certificate, and whether its renewal runs.",
                "Whether the host is among its names.",
                "Whether the server sends its intermediate certificates: browsers fetch missing ones, servers do not.",
                "For a certificate of an own authority: the operator can add its root to `extra_roots`.",
            ],
            &[
                HANDSHAKE,
                "openssl s_client -connect \"$HOST:443\" -servername \"$HOST\" </dev/null | openssl x509 -noout -dates -issuer -ext subjectAltName",
            ],
        ),
        ErrorReason::InvalidTlsHandshake => page(
            "The connection was there, but no TLS came about on it.",
            RETRIED,
            &[
                "Whether the port speaks TLS at all, and not plain HTTP.",
                "Whether the server offers TLS 1.2 or 1.3 with a usual cipher.",
                "Whether it asks for a client certificate, which the platform does not have.",
            ],
            &[HANDSHAKE, "openssl s_client -connect \"$HOST:443\" -servername \"$HOST\" -tls1_2 </dev/null"],
        ),
        ErrorReason::ConnectionReset => page(
            "The connection was reset (TCP RST) while the request or the answer was under way.",
            RETRIED,
            &[
                "Whether a proxy, load balancer or firewall cuts connections, for their age or the size of a body.",
                "Whether the service crashed or was restarted at that time: its own log.",
            ],
            &[POST, "curl -v --max-time 5 \"$URL\" 2>&1 | tail -n 20"],
        ),
        ErrorReason::ConnectionRefused => page(
            "The host refused the connection: nothing listens at the port.",
            RETRIED,
            &[
                "Whether the service runs.",
                "The port in the URL, and whether the service listens on the public address and not on loopback only.",
                "Whether a firewall refuses connections from the platform's address.",
            ],
            &[CONNECT],
        ),
        ErrorReason::NetworkUnreachable => page(
            "There is no route to the host's address.",
            RETRIED,
            &[
                "Whether the address in the DNS is the right one, also the AAAA record: an IPv6 address must be reachable.",
                "Routing and firewalls of the host's network.",
            ],
            &[NAME, "traceroute \"$HOST\""],
        ),
        ErrorReason::UnexpectedEof => page(
            "The server closed the connection before its answer was complete, or before it began.",
            RETRIED,
            &[
                "Whether the service crashed while it handled the request: its own log.",
                "Whether a proxy in front closes connections that are idle for a short time.",
                "Whether the announced Content-Length is longer than the body.",
            ],
            &["curl -v --max-time 5 -X POST \"$URL\" -d '{}' 2>&1 | tail -n 20"],
        ),
        ErrorReason::ServerGoaway => page(
            "The server ended the HTTP/2 connection (GOAWAY) before it answered the request.",
            RETRIED,
            &[
                "Whether the server was restarted or deployed at that time.",
                "Whether it limits the requests or the age of a connection very tightly.",
            ],
            &["curl -v --http2 --max-time 5 -X POST \"$URL\" -d '{}' 2>&1 | grep -i goaway"],
        ),
        ErrorReason::ClientClosedConnection => page(
            "The platform closed the connection before the exchange was complete: the subscription was suspended or revoked while the \
             event was being delivered.",
            "Nothing of it counts as a failure of the destination. Whether the destination has processed the event isn't known.",
            &["The message says why the platform stopped.", "The log entry of the suspension or revocation before it."],
            &[
                "curl \"$PLATFORM/api/v1/logs?subscription_id=$ID&log_type=action\" -H \"X-PIM-URL: $PIM_URL\" -H \"X-PIM-TOKEN: $TOKEN\" -H \"X-PIM-CLIENT-ID: $CLIENT_ID\"",
            ],
        ),
        ErrorReason::DestinationNotFound => page(
            "The endpoint answered 404.",
            SUSPENDED,
            &[
                "The path of the URL, and whether a deployment has moved or removed the route.",
                "Whether the route takes POST: some frameworks answer 404 to another method.",
            ],
            &[POST],
        ),
        ErrorReason::DestinationRedirected => page(
            "The endpoint answered with a redirect (3xx); redirects are not followed.",
            SUSPENDED,
            &[
                "Subscribe the address that the header Location names.",
                "Usual causes: a missing or additional slash at the end, www, a login page.",
            ],
            &["curl -sS -o /dev/null -w '%{http_code} %{redirect_url}\\n' -X POST \"$URL\" -d '{}'"],
        ),
        ErrorReason::AuthenticationFailed => page(
            "The destination refused the credentials: 401 or 403, a failed SASL login, or a missing right on a Pub/Sub topic.",
            "HTTPS: not tried again, and it lowers the success rate. Pub/Sub and Kafka: the subscription is suspended at once. Google \
             credentials that the platform itself lacks never count: events wait until its operator has set them up.",
            &[
                "Custom headers of the subscription that carry a key.",
                "Whether the receiver computes the signature over the raw body, with the subscription's secret.",
                "User name and password.",
                "Pub/Sub: whether the topic grants roles/pubsub.publisher to the platform's account, which the message names.",
                "Whether a firewall in front answers 403 to unknown clients.",
            ],
            &[
                "BODY='{}'; SIGNATURE=$(printf %s \"$BODY\" | openssl dgst -sha256 -hmac \"$SECRET\" | sed 's/.*= //')",
                "curl -i -X POST \"$URL\" -d \"$BODY\" -H 'Content-Type: application/json' -H \"X-AKENEO-SIGNATURE-PRIMARY: $SIGNATURE\" -H 'X-AKENEO-SIGNATURE-ALGORITHM: HmacSHA256'",
                "gcloud pubsub topics add-iam-policy-binding \"projects/$PROJECT/topics/$TOPIC\" --member=\"$ACCOUNT\" --role=roles/pubsub.publisher",
            ],
        ),
        ErrorReason::TopicNotFound => page(
            "The topic does not exist.",
            SUSPENDED,
            &["The topic's name, and the project's.", "Whether it was deleted, or is made only by the first producer."],
            &[
                "gcloud pubsub topics describe \"projects/$PROJECT/topics/$TOPIC\"",
                "kcat -b \"$BROKER\" -L -t \"$TOPIC\"",
            ],
        ),
        ErrorReason::InvalidDestinationConfiguration => page(
            "The destination's settings cannot work, alone or together.",
            SUSPENDED,
            &[
                "All fields of `config`: the message names the one that is at fault where it is known.",
                "Whether this installation delivers to destinations of this type.",
            ],
            &[
                "curl \"$PLATFORM/api/v1/subscribers/$SUBSCRIBER/subscriptions/$ID\" -H \"X-PIM-URL: $PIM_URL\" -H \"X-PIM-TOKEN: $TOKEN\" -H \"X-PIM-CLIENT-ID: $CLIENT_ID\"",
            ],
        ),
        ErrorReason::PublishRejected => page(
            "The broker refused this one event, for its size for instance, or the Kafka user may not write to the topic.",
            "A refused event is not tried again; events behind it go on. Without the right to write, all of them wait and are tried again.",
            &[
                "The largest message that the topic and the broker take; an event has up to 1 MiB.",
                "Pub/Sub: whether the topic has a schema that the event does not fit.",
                "Kafka: whether the user has WRITE and DESCRIBE on the topic, and IDEMPOTENT_WRITE on the cluster.",
            ],
            &["head -c 1000000 /dev/zero | tr '\\0' x | kcat -b \"$BROKER\" -P -t \"$TOPIC\""],
        ),
        ErrorReason::DestinationFailure => page(
            "The endpoint answered with an error; error_code is its status.",
            "5xx: the event is tried again after 5, 10 and 20 minutes. Most 4xx: it is not. Each failure lowers the \
             success rate of the last hour, and below 90 % the subscription is suspended.",
            &[
                "The receiver's own log at that time.",
                "4xx: whether it judges the body too strictly; new fields and new event types may appear.",
                "413: the largest body that it takes; an event has up to 1 MiB.",
            ],
            &[POST],
        ),
        ErrorReason::Throttled => page(
            "The endpoint answered 429 to one event for more than an hour, although the platform slowed down.",
            "The event is dropped. A 429 alone is no failure: the rate is lowered, down to one event a second.",
            &[
                "Allow more requests a second, or answer 2xx and queue.",
                "Subscribe to fewer event types, or add a filter.",
            ],
            &[
                "for i in $(seq 20); do curl -s -o /dev/null -w '%{http_code}\\n' -X POST \"$URL\" -d '{}'; done | sort | uniq -c",
            ],
        ),
        ErrorReason::DestinationForbidden => page(
            "The host leads to an address that no destination may have: loopback, private, link-local or reserved. One \
             such address among several is enough.",
            SUSPENDED,
            &[
                "The addresses that the name has in public DNS.",
                "For a destination in the operator's own network: the operator can allow it by `allow_networks`.",
            ],
            &[NAME],
        ),
        ErrorReason::SubscriptionSuspended => page(
            "The subscription was suspended, and the events that waited for delivery were dropped with that.",
            "The events are not delivered. The message says how many there were and why the subscription was suspended.",
            &[
                "The reason of the suspension: the log entry `subscription_suspended_by_the_platform` or `…_by_the_user`.",
                "Set `options.hold` to keep the events of a suspension and deliver them after the resume.",
            ],
            &[SUSPENSIONS],
        ),
        ErrorReason::SubscriptionRevoked => page(
            "The app or connection was removed from its PIM, and the events that waited for delivery were dropped with that.",
            "The events are not delivered, and the subscription cannot be resumed.",
            &["Whether the app or connection was meant to be removed; connect it again and subscribe anew."],
            &[SUSPENSIONS],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_says_what_was_seen_what_to_check_and_how_to_reproduce_it() {
        for reason in ErrorReason::ALL {
            let page = page(reason);
            assert!(page.observed.len() > 20 && page.then.len() > 20, "{reason}");
            assert!(!page.check.is_empty() && !page.reproduce.is_empty(), "{reason}");
        }
    }
}
