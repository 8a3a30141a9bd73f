//! A topic of a Pub/Sub test server (Google's `pstest`), and Google's client alone. The topic has no subscribers: the
//! server scans pending messages for subscribers a hundred times per second, which would distort the measurement.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::destination::{CustomHeaders, Destination, PubsubDestination};
use google_cloud_auth::credentials::anonymous;
use google_cloud_pubsub::client::{BasePublisher, Publisher};
use google_cloud_pubsub::model::Message;
use parts::pubsub::{Emulator, PROJECT};

use crate::sample::{EVENT_TYPE, Samples};
use crate::topic::{Place, Topic};

const TOPIC: &str = "bench";
/// Messages per request; Google's limit, and that of a lane's batch.
const MESSAGES: u32 = 1_000;

/// The topic and its server.
pub(crate) struct PubsubTopic {
    emulator: Arc<Emulator>,
    name: String,
    publisher: Publisher,
}

impl PubsubTopic {
    /// Starts a server; `None` if not available.
    pub(crate) async fn start() -> anyhow::Result<Option<PubsubTopic>> {
        let started = tokio::task::spawn_blocking(|| {
            let emulator = Emulator::start()?;
            let name = emulator.create_topic(TOPIC)?;
            anyhow::Ok((emulator, name))
        });
        let (emulator, name) = match started.await? {
            Ok(started) => started,
            Err(error) => {
                parts::left_out("the Pub/Sub test server", &error);
                return Ok(None);
            }
        };
        let client = BasePublisher::builder()
            .with_endpoint(format!("http://{}", emulator.host()))
            .with_credentials(anonymous::Builder::new().build())
            .build()
            .await?;
        let publisher = client.publisher(&name).set_message_count_threshold(MESSAGES).set_byte_threshold(u32::MAX);
        let publisher = publisher.set_delay_threshold(Duration::from_millis(10)).build();
        Ok(Some(PubsubTopic { emulator: Arc::new(emulator), name, publisher }))
    }
}

impl Topic for PubsubTopic {
    fn place(&self) -> Place {
        let destination = PubsubDestination {
            project_id: PROJECT.to_owned(),
            topic_id: TOPIC.to_owned(),
            headers: CustomHeaders(Vec::new()),
        };
        Place {
            destination: Destination::Pubsub(destination),
            variable: Some(("PUBSUB_EMULATOR_HOST", self.emulator.host())),
        }
    }

    async fn events(&self) -> anyhow::Result<u64> {
        let (emulator, name) = (Arc::clone(&self.emulator), self.name.clone());
        let counts = tokio::task::spawn_blocking(move || emulator.counts(&name)).await??;
        Ok(counts.messages)
    }

    async fn bare_client(&self, samples: &Samples, events: u64) -> anyhow::Result<f64> {
        let first = samples.take(usize::try_from(events)?);
        let start = Instant::now();
        let mut waiting = Vec::new();
        for number in first..first + events {
            let attributes = [
                ("id", format!("018e32e0-5c1e-7f4b-9a3b-{number:012x}")),
                ("type", EVENT_TYPE.to_owned()),
                ("source", "akeneo-event-platform".to_owned()),
                ("subject", "01904b51-8d5c-7c3a-9b6f-1f2e3d4c5b6a".to_owned()),
                ("time", "2026-11-02T08:00:00.716Z".to_owned()),
                ("specversion", "1.0".to_owned()),
                ("content-type", "application/json".to_owned()),
            ];
            let message = Message::new().set_data(samples.event(number)).set_attributes(attributes);
            waiting.push(self.publisher.publish(message));
        }
        for answer in waiting {
            answer.await?;
        }
        Ok(events as f64 / start.elapsed().as_secs_f64())
    }
}
