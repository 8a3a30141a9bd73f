//! The sinks of all destination types, built from the settings.

mod pubsub;

use anyhow::Context;
use domain::Clock;
use domain::destination::DestinationType;
use sinks::Sinks;
use sinks::connect::Connector;
use sinks::https::{HttpsSettings, HttpsSink};
use sinks::kafka::{KafkaSettings, KafkaSink};
use wire::envelope::EnvelopeStyle;

use crate::config::settings::Settings;
use crate::failure::Failure;

/// All sinks. Must be called within a tokio runtime.
pub(crate) fn sinks(
    settings: &Settings,
    public_url: &str,
    connector: &Connector,
    clock: &Clock,
) -> Result<Sinks, Failure> {
    let style = EnvelopeStyle::new(&settings.top.source, public_url);
    Sinks::new(connector.heard().clone(), |of_type| {
        let (connector, style) = (connector.clone(), style.clone());
        Ok(match of_type {
            DestinationType::Https => {
                Box::new(HttpsSink::new(connector, style, https_settings(settings), clock.clone()))
            }
            DestinationType::Pubsub => Box::new(pubsub::sink(settings, style, &connector)?),
            DestinationType::Kafka => Box::new(
                KafkaSink::new(connector, style, kafka_settings(settings))
                    .context("cannot listen on 127.0.0.1, which Kafka clients connect through")?,
            ),
        })
    })
}

/// Checks that all sinks can be built; the error names the wrong setting and the reason.
pub(crate) fn check(settings: &Settings) -> Result<(), (&'static str, &'static str)> {
    pubsub::access(settings, &pubsub::account()).map(drop)
}

fn https_settings(settings: &Settings) -> HttpsSettings {
    let delivery = &settings.delivery;
    HttpsSettings {
        attempt_timeout: delivery.attempt_timeout,
        connections_per_subscription: delivery.max_in_flight.0,
        connections: delivery.max_connections.0,
        ..HttpsSettings::default()
    }
}

fn kafka_settings(settings: &Settings) -> KafkaSettings {
    let delivery = &settings.delivery;
    KafkaSettings {
        clients: delivery.max_kafka_clients.0,
        connections: delivery.max_connections.0,
        ..KafkaSettings::default()
    }
}
