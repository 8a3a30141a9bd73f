//! Pages of failed deliveries, one per reason.

use domain::outcome::ErrorReason;

use super::Page;

const RETRIED: &str = "The event is retried after 5, 10 and 20 minutes. Each failure lowers the success rate of the \
                       last hour; below \
     90 % the subscription is suspended.";
const SUSPENDED: &str =
    "The subscription is suspended immediately, because no further event could arrive. Fix the cause, then resume it.";
/// Imitates the platform's request.
const POST: &str =
    "curl -i --max-time 5 -X POST \"$URL\" -H 'Content-Type: application/json' -d '{\"specversion\":\"1.0\"}'";
const NAME: &str = "dig +short A \"$HOST\"; dig +short AAAA \"$HOST\"";
const HANDSHAKE: &str = "openssl s_client -connect \"$HOST:443\" -servername \"$HOST\" -verify_return_error </dev/null";
const CONNECT: &str = "nc -vz -w 5 \"$HOST\" 443";

const SUSPENSIONS: &str = "curl \"$PLATFORM/api/v1/logs?subscription_id=$ID&log_type=action\" -H \"X-PIM-URL: \
                           $PIM_URL\" \
     -H \"X-PIM-TOKEN: $TOKEN\" -H \"X-PIM-CLIENT-ID: $CLIENT_ID\"";

/// Page of a reason.
pub(crate) fn page(reason: ErrorReason) -> Page {
    let page = |observed, then, check, reproduce| Page { observed, then, check, reproduce };
    match reason {
        ErrorReason::DestinationTimeout => page(
            "No complete response arrived within 5 seconds, measured from the start of the name lookup.",
            RETRIED,
            &[
                "Answer first, process later: queue the event and answer 2xx immediately.",
                "Whether the service or its database is overloaded, or has a slow cold start.",
                "Whether a firewall silently drops packets.",
            ],
            &["curl -sS -o /dev/null --max-time 5 -w 'dns %{time_namelookup} connect %{time_connect} tls \
                 %{time_appconnect} total %{time_total}\\n' -X POST \"$URL\" -d '{}'"],
        ),
        ErrorReason::DnsLookupFailure => page(
            "The host name has no address, or the name servers did not answer.",
            RETRIED,
            &[
                "The spelling of the host in the subscription's URL.",
                "Whether the domain has expired or its A and AAAA records are missing.",
                "Whether the name exists only in an internal network: the platform uses its own name servers.",
            ],
            &[NAME, "dig +trace \"$HOST\""],
        ),
        ErrorReason::InvalidCertificate => page(
            "The server's certificate is not valid for the host: expired, not yet valid, issued for another name, or \
             without a \
             chain to a trusted root.",
            RETRIED,
            &[
                "The validity period of the certificate, and whether its renewal works.",
                "Whether it covers the host name.",
                "Whether the server sends its intermediate certificates: browsers fetch missing ones, servers do not.",
                "For a private CA: the operator can add its root certificate to `extra_roots`.",
            ],
            &[
                HANDSHAKE,
                "openssl s_client -connect \"$HOST:443\" -servername \"$HOST\" </dev/null | openssl x509 -noout -dates \
                 -issuer -ext subjectAltName",
            ],
        ),
        ErrorReason::InvalidTlsHandshake => page(
            "The TLS handshake failed.",
            RETRIED,
            &[
                "Whether the port uses TLS, not plain HTTP.",
                "Whether the server supports TLS 1.2 or 1.3 with a common cipher.",
                "Whether it requires a client certificate, which the platform does not have.",
            ],
            &[HANDSHAKE, "openssl s_client -connect \"$HOST:443\" -servername \"$HOST\" -tls1_2 </dev/null"],
        ),
        ErrorReason::ConnectionReset => page(
            "The connection was reset (TCP RST) during the request or the response.",
            RETRIED,
            &[
                "Whether a proxy, load balancer or firewall closes connections because of their age or the body size.",
                "Whether the service crashed or was restarted at that time: check its own log.",
            ],
            &[POST, "curl -v --max-time 5 \"$URL\" 2>&1 | tail -n 20"],
        ),
        ErrorReason::ConnectionRefused => page(
            "The host refused the connection: nothing listens on the port.",
            RETRIED,
            &[
                "Whether the service runs.",
                "The port in the URL, and whether the service listens on the public address, not only on loopback.",
                "Whether a firewall refuses connections from the platform's address.",
            ],
            &[CONNECT],
        ),
        ErrorReason::NetworkUnreachable => page(
            "There is no route to the host's address.",
            RETRIED,
            &[
                "Whether the DNS records are correct, including AAAA: an IPv6 address must be reachable.",
                "Routing and firewalls of the host's network.",
            ],
            &[NAME, "traceroute \"$HOST\""],
        ),
        ErrorReason::UnexpectedEof => page(
            "The server closed the connection before or during its response.",
            RETRIED,
            &[
                "Whether the service crashed while handling the request: check its own log.",
                "Whether a proxy closes idle connections too early.",
                "Whether Content-Length exceeds the size of the body.",
            ],
            &["curl -v --max-time 5 -X POST \"$URL\" -d '{}' 2>&1 | tail -n 20"],
        ),
        ErrorReason::ServerGoaway => page(
            "The server closed the HTTP/2 connection (GOAWAY) before answering the request.",
            RETRIED,
            &[
                "Whether the server was restarted or deployed at that time.",
                "Whether it has tight limits on requests per connection or connection age.",
            ],
            &["curl -v --http2 --max-time 5 -X POST \"$URL\" -d '{}' 2>&1 | grep -i goaway"],
        ),
        ErrorReason::ClientClosedConnection => page(
            "The platform closed the connection before the exchange was complete, because the subscription was \
             suspended or revoked \
             during the delivery.",
            "This doesn't count as a failure of the destination. The destination may or may not have processed the \
             event.",
            &["The reason in the message.", "The preceding log entry about the suspension or revocation."],
            &["curl \"$PLATFORM/api/v1/logs?subscription_id=$ID&log_type=action\" -H \"X-PIM-URL: $PIM_URL\" -H \
                 \"X-PIM-TOKEN: $TOKEN\" -H \"X-PIM-CLIENT-ID: $CLIENT_ID\""],
        ),
        ErrorReason::DestinationNotFound => page(
            "The endpoint answered 404.",
            SUSPENDED,
            &[
                "The path of the URL, and whether a deployment has moved or removed the route.",
                "Whether the route accepts POST: some frameworks answer 404 to unsupported methods.",
            ],
            &[POST],
        ),
        ErrorReason::DestinationRedirected => page(
            "The endpoint answered with a redirect (3xx). Redirects are not followed.",
            SUSPENDED,
            &[
                "Use the URL in the header Location.",
                "Common causes: a missing or extra trailing slash, www, a login page.",
            ],
            &["curl -sS -o /dev/null -w '%{http_code} %{redirect_url}\\n' -X POST \"$URL\" -d '{}'"],
        ),
        ErrorReason::AuthenticationFailed => page(
            "The destination rejected the credentials: 401 or 403, a failed SASL login, or a missing right on a \
             Pub/Sub topic.",
            "HTTPS: not retried; lowers the success rate. Pub/Sub and Kafka: the subscription is suspended \
             immediately. If the \
             platform itself lacks Google credentials, nothing counts and events wait until the operator has set them \
             up.",
            &[
                "Custom headers of the subscription with a key.",
                "Whether the receiver computes the signature over the raw body, with the subscription's secret.",
                "User name and password.",
                "Pub/Sub: whether the topic grants roles/pubsub.publisher to the platform's account, named in the \
                 message.",
                "Whether a firewall answers 403 to unknown clients.",
            ],
            &[
                "BODY='{}'; SIGNATURE=$(printf %s \"$BODY\" | openssl dgst -sha256 -hmac \"$SECRET\" | sed 's/.*= //')",
                "curl -i -X POST \"$URL\" -d \"$BODY\" -H 'Content-Type: application/json' -H \
                 \"X-AKENEO-SIGNATURE-PRIMARY: $SIGNATURE\" -H 'X-AKENEO-SIGNATURE-ALGORITHM: HmacSHA256'",
                "gcloud pubsub topics add-iam-policy-binding \"projects/$PROJECT/topics/$TOPIC\" --member=\"$ACCOUNT\" \
                 --role=roles/pubsub.publisher",
            ],
        ),
        ErrorReason::TopicNotFound => page(
            "The topic does not exist.",
            SUSPENDED,
            &["The names of topic and project.", "Whether it was deleted, or is only created by its first producer."],
            &[
                "gcloud pubsub topics describe \"projects/$PROJECT/topics/$TOPIC\"",
                "kcat -b \"$BROKER\" -L -t \"$TOPIC\"",
            ],
        ),
        ErrorReason::InvalidDestinationConfiguration => page(
            "The destination's settings are invalid or contradict each other.",
            SUSPENDED,
            &[
                "All fields of `config`: the message names the invalid one if known.",
                "Whether this installation supports this destination type.",
            ],
            &["curl \"$PLATFORM/api/v1/subscribers/$SUBSCRIBER/subscriptions/$ID\" -H \"X-PIM-URL: $PIM_URL\" -H \
                 \"X-PIM-TOKEN: $TOKEN\" -H \"X-PIM-CLIENT-ID: $CLIENT_ID\""],
        ),
        ErrorReason::PublishRejected => page(
            "The broker rejected this event, for example because of its size, or the Kafka user may not write to the \
             topic.",
            "A rejected event is not retried; the following events are delivered. Without write permission, all events \
             wait and are retried.",
            &[
                "The maximum message size of topic and broker; an event has up to 1 MiB.",
                "Pub/Sub: whether the event violates the topic's schema.",
                "Kafka: whether the user has WRITE and DESCRIBE on the topic, and IDEMPOTENT_WRITE on the cluster.",
            ],
            &["head -c 1000000 /dev/zero | tr '\\0' x | kcat -b \"$BROKER\" -P -t \"$TOPIC\""],
        ),
        ErrorReason::DestinationFailure => page(
            "The endpoint answered with an error; error_code is its status.",
            "5xx: the event is retried after 5, 10 and 20 minutes. Most 4xx: not retried. Each failure lowers the \
             success rate of \
             the last hour; below 90 % the subscription is suspended.",
            &[
                "The receiver's own log at that time.",
                "4xx: whether it validates the body too strictly; new fields and event types may appear.",
                "413: its maximum body size; an event has up to 1 MiB.",
            ],
            &[POST],
        ),
        ErrorReason::Throttled => page(
            "The endpoint answered 429 to one event for more than an hour, although the platform lowered the rate.",
            "The event is dropped. A single 429 is not a failure: it lowers the rate, down to one event per second.",
            &[
                "Allow more requests per second, or answer 2xx and queue the events.",
                "Subscribe to fewer event types, or add a filter.",
            ],
            &["for i in $(seq 20); do curl -s -o /dev/null -w '%{http_code}\\n' -X POST \"$URL\" -d '{}'; done | \
                 sort | uniq -c"],
        ),
        ErrorReason::DestinationForbidden => page(
            "The host resolves to a forbidden address: loopback, private, link-local or reserved. One such address \
             among several is \
             enough.",
            SUSPENDED,
            &[
                "The addresses of the name in public DNS.",
                "For a destination in the operator's own network: the operator can allow it with `allow_networks`.",
            ],
            &[NAME],
        ),
        ErrorReason::SubscriptionSuspended => page(
            "The subscription was suspended, and its backlog was dropped.",
            "The events are lost. The message contains their number and the reason of the suspension.",
            &[
                "The reason of the suspension, in the log entry `subscription_suspended_by_the_platform` or \
                 `…_by_the_user`.",
                "Set `options.hold` to keep events during a suspension and deliver them after the resume.",
            ],
            &[SUSPENSIONS],
        ),
        ErrorReason::SubscriptionRevoked => page(
            "The app or connection was removed from its PIM, and the backlog was dropped.",
            "The events are lost, and the subscription cannot be resumed.",
            &["Whether the removal was intended; if not, connect the app again and create a new subscription."],
            &[SUSPENSIONS],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_symptom_checks_and_reproduction() {
        for reason in ErrorReason::ALL {
            let page = page(reason);
            assert!(page.observed.len() > 20 && page.then.len() > 20, "{reason}");
            assert!(!page.check.is_empty() && !page.reproduce.is_empty(), "{reason}");
        }
    }
}
