//! Audience of an action: its section, the caller's credentials, and the responses common to all its actions.

use wire::json::Value;

use crate::description::operation::Refuses;
use crate::refusal::because;
use crate::route::Audience;

impl Audience {
    pub(super) fn tag(self) -> &'static str {
        match self {
            Audience::Clients => "Subscribers and subscriptions",
            Audience::Producers => "Events",
            Audience::SelfHostedPims => "Events API of self-hosted PIMs",
            Audience::Operator => "Operator",
            Audience::Monitoring => "Metrics",
            Audience::Everybody => "Public",
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Audience::Clients => {
                "For connections and apps of a PIM. Every call carries three headers. Callers have access only to the \
                 objects of their own client id on that PIM; all others are 404."
            }
            Audience::Producers => "For PIMs and other producers of events, with the key of their source.",
            Audience::SelfHostedPims => "For Community and PaaS editions, which sign their requests.",
            Audience::Operator => {
                "For the operator of the platform; disabled unless the setting `api.operator_key` is set."
            }
            Audience::Monitoring => "For metrics collectors, with the metrics key (`metrics.key`) or the operator key.",
            Audience::Everybody => "Without authentication.",
        }
    }

    /// Name of a response common to all actions for this audience.
    pub(super) fn common(self, status: u16) -> String {
        let name = match self {
            Audience::Clients => "Client",
            Audience::Producers => "Producer",
            Audience::SelfHostedPims => "SelfHostedPim",
            Audience::Operator => "Operator",
            Audience::Monitoring => "Monitoring",
            Audience::Everybody => "Public",
        };
        format!("{name}{status}")
    }

    /// The caller's credentials, all required together.
    pub(super) fn security(self) -> Option<Value> {
        let schemes: &[&str] = match self {
            Audience::Clients => &["pimUrl", "pimToken", "pimClientId"],
            Audience::Producers => &["sourceKey"],
            Audience::SelfHostedPims => &["eventsApiSignature"],
            Audience::Operator => &["operatorKey"],
            Audience::Monitoring => &["metricsKey"],
            Audience::Everybody => return None,
        };
        let all = schemes.iter().map(|name| ((*name).to_owned(), Value::Array(vec![])));
        Some(Value::Array(vec![Value::Object(all.collect())]))
    }

    /// Error codes common to all actions for this audience.
    pub(super) fn codes(self) -> Vec<Refuses> {
        use because::*;
        let body = [BODY_INCOMPLETE, BODY_TIMEOUT, BODY_TOO_LARGE];
        let media_type = [UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_ENCODING];
        let of: Vec<Code> = match self {
            Audience::Clients => [
                &[MISSING_HEADER, MALFORMED_HEADER, INVALID_TOKEN, UNPROVEN_CLIENT, CLIENT_REVOKED][..],
                &[WEB_API_FORBIDDEN, RATE_LIMITED, BUSY, PIM_UNAVAILABLE, STORE_UNAVAILABLE],
                &body,
                &media_type,
            ]
            .concat(),
            Audience::Producers => [&[MISSING_SOURCE_KEY, INVALID_SOURCE_KEY, STORE_UNAVAILABLE][..], &body].concat(),
            Audience::SelfHostedPims => {
                [&[MISSING_SIGNATURE, INVALID_SIGNATURE, STALE_TIMESTAMP, STORE_UNAVAILABLE][..], &body].concat()
            }
            Audience::Operator => [
                &[MISSING_OPERATOR_KEY, INVALID_OPERATOR_KEY, OPERATOR_API_OFF, BUSY, STORE_UNAVAILABLE][..],
                &body,
                &media_type,
            ]
            .concat(),
            Audience::Monitoring => vec![MISSING_METRICS_KEY, INVALID_METRICS_KEY],
            Audience::Everybody => vec![],
        };
        let listener = [
            MALFORMED_REQUEST,
            INVALID_HOST,
            HEAD_TOO_LARGE,
            TOO_MANY_HEADERS,
            INTERNAL_ERROR,
            UNSUPPORTED_TRANSFER_CODING,
        ];
        let all = of.into_iter().chain(listener);
        all.map(|code| Refuses { status: code.status.as_u16(), code: code.name }).collect()
    }
}
