//! Derives each crate's settings from the operator's.

use std::net::SocketAddr;

use api::OperatorKey;
use domain::EventType;
use domain::event_type::{EventTypes, RegisteredType};
use store::transition::Frequent;

use crate::config::settings::Settings;
use crate::config::value::{SchemaCheck, UnknownTypes};
use crate::egress;

/// Minimum memory for bodies: the largest ones must fit beside others.
const LEAST_BODY_MEMORY: u64 = 16 << 20;

/// The delivery rules.
pub(crate) fn engine_settings(settings: &Settings) -> engine::Settings {
    let delivery = &settings.delivery;
    let defaults = delivery::Settings::default();
    engine::Settings {
        delivery: delivery::Settings {
            lowest_rate: delivery.rate_lowest.0,
            highest_rate: delivery.rate_highest.0,
            first_rate: delivery.rate_first.0,
            max_in_flight: delivery.max_in_flight.0,
            retry_delays: delivery.retry_delays.clone(),
            suspend_after: delivery.suspend_after,
            topic_patience: delivery.topic_patience,
            // A lane with more attempts in flight than loaded events would run dry.
            max_in_hand: defaults.max_in_hand.max(2 * delivery.max_in_flight.0),
            ..defaults
        },
        host_rate: delivery.host_rate.0,
        save_every: delivery.save_interval,
        frequent: frequent(settings),
        retention: settings.storage.keep_events,
        ..engine::Settings::default()
    }
}

/// The known event types.
pub(crate) fn event_types(settings: &Settings) -> EventTypes {
    let further = settings.ingest.event_types.iter();
    EventTypes::with_registered(further.map(|name| RegisteredType { name: EventType::new(name), source: None }))
}

/// The platform's URL for others: as the operator set it, or else where it listens.
pub(crate) fn public_url(settings: &Settings, address: SocketAddr) -> String {
    settings.top.public_url.as_ref().map_or_else(|| format!("http://{address}"), |url| url.0.clone())
}

/// Settings of the API.
pub(crate) fn api_settings(settings: &Settings, public_url: String) -> api::Settings {
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    let defaults = api::Settings::default();
    api::Settings {
        public_url,
        source: settings.top.source.clone(),
        highest_rate: settings.delivery.rate_highest.0,
        keep_delivered: settings.storage.keep_delivered,
        operator_key: settings.api.operator_key.as_ref().map(OperatorKey::new),
        metrics_key: settings.metrics.key.as_ref().map(OperatorKey::new),
        frequent: frequent(settings),
        console: settings.console.enabled,
        confirm_addresses: settings.notifications.confirm_addresses,
        requests_per_second: u32::try_from(settings.api.rate.0).unwrap_or(u32::MAX),
        unknown_types: match settings.ingest.unknown_types {
            UnknownTypes::Accept => api::UnknownTypes::Accept,
            UnknownTypes::Reject => api::UnknownTypes::Reject,
        },
        schema_check: match settings.ingest.schema_check {
            SchemaCheck::Off => api::SchemaCheck::Off,
            SchemaCheck::Warn => api::SchemaCheck::Warn,
            SchemaCheck::Reject => api::SchemaCheck::Reject,
        },
        allow_http: settings.top.allow_http_destinations,
        addresses: egress::addresses(settings),
        trusted_proxies: settings.api.trusted_proxies.clone(),
        verdicts: api::VerdictCache {
            yes: settings.tokens.yes_for,
            no: settings.tokens.no_for,
            at_most: settings.tokens.max_cached.0,
            check: settings.tokens.timeout,
        },
        server: api::ServerBounds {
            connections: settings.api.max_connections.0,
            header_timeout: settings.api.header_timeout,
            body_timeout: settings.api.body_timeout,
            management_body: bytes(settings.api.max_body.0),
            ingest_body: bytes(settings.ingest.max_request.0),
            body_memory: settings.api.body_memory.0.max(LEAST_BODY_MEMORY),
            ..defaults.server
        },
        ..defaults
    }
}

/// Number of suspensions after which the owner is warned.
pub(crate) fn frequent(settings: &Settings) -> Frequent {
    Frequent { times: settings.notifications.frequent_suspensions.0, ..Frequent::default() }
}
