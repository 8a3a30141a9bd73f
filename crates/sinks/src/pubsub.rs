//! The Pub/Sub sink: batches to Google Pub/Sub topics by Google's own client library, one client for all subscriptions.
//!
//! A batch goes out as one request, or, where the subscription wants order by entity, as one request for each entity.
//! Once there is a token, an attempt ends within four and a half times [`PubsubSettings::request_timeout`], and nothing
//! of it goes on after that.

pub mod account;
mod batch;
mod connection;
mod outcome;
mod pool;
mod request;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::destination::Destination;
use domain::outcome::Outcome;
use domain::subscription::Subscription;
use domain::{LoggedEvent, SubscriptionId};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wire::envelope::EnvelopeStyle;

use self::batch::Batch;
use self::pool::Pool;
use self::request::Prepared;
use crate::heard::Heard;
use crate::{Delivery, Sink};

/// Whom the sink talks to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Access {
    /// Google, with application default credentials; an endpoint other than the global one is a regional one, or a
    /// private way to it.
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

/// Settings and bounds of the Pub/Sub sink.
#[derive(Clone, Debug)]
pub struct PubsubSettings {
    /// Whom it talks to.
    pub access: Access,
    /// The account that publishes, for messages to those who have to let it: `serviceAccount:…`. It may become known
    /// later.
    pub principal: Arc<OnceLock<String>>,
    /// A request that has no answer within this time has failed. No request of an attempt begins after three times as
    /// long.
    pub request_timeout: Duration,
    /// Bytes of events whose requests are being made or are under way, for all subscriptions together; each costs about
    /// twice its size.
    pub bytes_at_once: usize,
    /// Told of each answer.
    pub heard: Heard,
}

impl PubsubSettings {
    /// The defaults, for an access.
    pub fn new(access: Access) -> PubsubSettings {
        PubsubSettings {
            access,
            principal: Arc::default(),
            request_timeout: Duration::from_secs(10),
            // 64 batches as lanes make them.
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
    /// Whether it keeps a client, and so connections: while it has delivered for subscriptions that it was not told to
    /// forget.
    pub fn is_open(&self) -> bool {
        self.inner.pool.is_open()
    }

    /// A sink. It connects, and looks for credentials, when there is something to deliver.
    pub fn new(style: EnvelopeStyle, settings: PubsubSettings) -> PubsubSink {
        PubsubSink { inner: Arc::new(Inner { style, pool: Pool::new(settings.clone()), settings }) }
    }
}

impl Sink for PubsubSink {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'static, Vec<Outcome>> {
        let inner = Arc::clone(&self.inner);
        // Messages have only the contract's fields, without traces.
        async move { inner.deliver(&delivery.subscription, &delivery.events).await }.boxed()
    }

    fn forget(&self, id: SubscriptionId) {
        self.inner.pool.forget(id);
    }
}

impl Inner {
    async fn deliver(&self, subscription: &Subscription, events: &[Arc<LoggedEvent>]) -> Vec<Outcome> {
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
        Batch::new(self, &topic, &client, events, crate::holder(subscription)).send().await
    }
}
