//! The Pub/Sub sink: batches to Google Pub/Sub topics by Google's own client library, one client for all subscriptions.
//!
//! A batch is sent as one request, or, if the subscription wants order by entity, as one request per entity. Once there
//! is a token, an attempt ends within four and a half times [`PubsubSettings::request_timeout`], and nothing of it
//! continues after that.

pub mod account;
mod batch;
mod connection;
mod outcome;
mod pool;
mod request;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::SubscriptionId;
use domain::destination::Destination;
use domain::outcome::Outcome;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wire::envelope::EnvelopeStyle;

use self::batch::Batch;
use self::pool::Pool;
use self::request::Prepared;
use crate::heard::Heard;
use crate::{Delivery, Sink};

/// The service the sink publishes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Access {
    /// Google, with application default credentials; an endpoint other than the global one is a regional or private
    /// one.
    Google {
        /// `https://…`; `None` for the global endpoint.
        endpoint: Option<String>,
    },
    /// No credentials requested: an emulator.
    Anonymous {
        /// `http://…`.
        endpoint: String,
    },
}

/// Settings and limits of the Pub/Sub sink.
#[derive(Clone, Debug)]
pub struct PubsubSettings {
    /// The service to publish to.
    pub access: Access,
    /// The publishing account, named in messages to those who have to grant it access: `serviceAccount:…`. It may
    /// become known later.
    pub principal: Arc<OnceLock<String>>,
    /// Time limit for the response to a request. An attempt starts no request after three times as long.
    pub request_timeout: Duration,
    /// Maximum size in bytes of events whose requests are being built or in flight, for all subscriptions together;
    /// each costs about twice its size.
    pub bytes_at_once: usize,
    /// Notified of each response.
    pub heard: Heard,
}

impl PubsubSettings {
    /// Default settings for an access.
    pub fn new(access: Access) -> PubsubSettings {
        PubsubSettings {
            access,
            principal: Arc::default(),
            request_timeout: Duration::from_secs(10),
            // 64 batches of a lane's size.
            bytes_at_once: 64 * 1024 * 1024,
            heard: Heard::default(),
        }
    }
}

/// Delivers to Pub/Sub topics.
pub struct PubsubSink {
    inner: Arc<Inner>,
}

struct Inner {
    style: EnvelopeStyle,
    settings: PubsubSettings,
    pool: Pool,
}

impl PubsubSink {
    /// Whether it keeps a client, and therefore connections: from its first delivery until all subscriptions are
    /// forgotten.
    pub fn is_open(&self) -> bool {
        self.inner.pool.is_open()
    }

    /// A sink. It connects and looks up credentials on the first delivery.
    pub fn new(style: EnvelopeStyle, settings: PubsubSettings) -> PubsubSink {
        PubsubSink { inner: Arc::new(Inner { style, pool: Pool::new(settings.clone()), settings }) }
    }
}

impl Sink for PubsubSink {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'static, Vec<Outcome>> {
        let inner = Arc::clone(&self.inner);
        // Messages have only the contract's fields, without traces.
        async move { inner.deliver(&delivery).await }.boxed()
    }

    fn forget(&self, id: SubscriptionId) {
        self.inner.pool.forget(id);
    }
}

impl Inner {
    async fn deliver(&self, Delivery { subscription, events, replay, .. }: &Delivery) -> Vec<Outcome> {
        let all = |outcome| vec![outcome; events.len()];
        let Destination::Pubsub(destination) = &subscription.destination else {
            return all(Outcome::Broken(crate::misdirected(&subscription.destination)));
        };
        let prepare = || Prepared::new(subscription, destination, &self.style);
        let topic = self.pool.topic(subscription, prepare);
        let client = match self.pool.client().await {
            Ok(client) => client,
            Err(lack) => return all(Outcome::Ours(lack)),
        };
        Batch::new(self, &topic, &client, (events, *replay), crate::holder(subscription)).send().await
    }
}
