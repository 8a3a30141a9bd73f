//! State shared by all subscriptions: the client, which is created on demand and replaced when unusable, and limits of
//! work in flight; and the state kept for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::SubscriptionId;
use domain::outcome::Lack;
use domain::subscription::Subscription;
use fair::{Holder, Permit, Places};
use google_cloud_pubsub::error::PublishError;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::PubsubSettings;
use super::connection::{Client, OpenError, REQUESTS};
use super::outcome::{self, Answer, Named};
use super::request::{Prepared, Request};
use crate::kept::{Keep, Kept};

/// Pause after a failure before credentials are looked up again: all subscriptions ask.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Minimum interval between replacements of connections that cannot be made.
const RECONNECT_AFTER: Duration = Duration::from_millis(100);
/// Overhead of an event in a request: its attributes, and the library's own state beside its data.
const PER_UNIT: usize = 1_024;

/// The client, and a topic for each subscription.
pub(super) struct Pool {
    settings: PubsubSettings,
    client: Mutex<Shared>,
    topics: Kept<Topic>,
    /// One slot per request that may be in flight.
    slots: Places,
    /// In units of [`PER_UNIT`] bytes.
    room: Places,
}

/// The current client.
#[derive(Default)]
struct Shared {
    client: Option<Arc<Client>>,
    /// Time of the last failure to get one, and what it means for deliveries.
    missed: Option<(Instant, Lack)>,
    /// The last report to the operator; not repeated while it is the same.
    reported: Option<String>,
}

/// The topic of a subscription at one revision.
pub(super) struct Topic {
    pub(super) prepared: Prepared,
    ailing: AtomicBool,
}

impl Keep for Topic {}

impl Topic {
    /// Whether the last attempt ended with a failure.
    pub(super) fn is_ailing(&self) -> bool {
        self.ailing.load(Ordering::Relaxed)
    }

    pub(super) fn set_ailing(&self, ailing: bool) {
        self.ailing.store(ailing, Ordering::Relaxed);
    }
}

impl Pool {
    pub(super) fn new(settings: PubsubSettings) -> Pool {
        let room = Places::new(settings.bytes_at_once.div_ceil(PER_UNIT) as u64);
        Pool { settings, client: Mutex::default(), topics: Kept::default(), slots: Places::new(REQUESTS as u64), room }
    }

    /// The topic of a subscription at its revision.
    pub(super) fn topic(&self, subscription: &Subscription, prepare: impl FnOnce() -> Prepared) -> Arc<Topic> {
        let Subscription { id, revision, .. } = *subscription;
        let make = || Topic { prepared: prepare(), ailing: AtomicBool::new(false) };
        self.topics.get(id, revision).unwrap_or_else(|| self.topics.put(id, revision, make()))
    }

    pub(super) fn forget(&self, id: SubscriptionId) {
        // A current user of the client holds it; the next one creates it.
        if self.topics.forget(id)
            && let Ok(mut shared) = self.client.try_lock()
        {
            shared.client = None;
        }
    }

    /// Whether there is a client.
    pub(super) fn is_open(&self) -> bool {
        self.client.try_lock().map_or(true, |shared| shared.client.is_some())
    }

    /// The client, created on demand, with a usable token.
    pub(super) async fn client(&self) -> Result<Arc<Client>, Lack> {
        let mut shared = self.client.lock().await;
        if let Some(client) = &shared.client {
            match client.has_token().await {
                Ok(()) => return Ok(Arc::clone(client)),
                Err(error) => return Err(shared.miss(&error)),
            }
        }
        if let Some((at, lack)) = shared.missed
            && at.elapsed() < LOOK_AGAIN_AFTER
        {
            return Err(lack);
        }
        match Client::open(&self.settings).await {
            Ok(client) => {
                *shared = Shared { client: Some(Arc::clone(&client)), missed: None, reported: None };
                Ok(client)
            }
            Err(error) => Err(shared.miss(&error)),
        }
    }

    /// Sends a request; the caller holds its slot.
    pub(super) async fn publish(&self, client: &Arc<Client>, topic: &str, request: Request) -> Answer {
        let named = Named {
            topic,
            endpoint: &client.endpoint,
            principal: self.settings.principal.get().map(String::as_str),
            timeout: self.settings.request_timeout,
        };
        let begun = Instant::now();
        match client.publish(topic, request).await {
            Some(Ok(())) => {
                self.settings.heard.note();
                Answer::Delivered
            }
            Some(Err(error)) => {
                if outcome::is_decided(&error) {
                    self.settings.heard.note();
                }
                if outcome::refuses_credentials(&error) {
                    let who = named.principal.unwrap_or("the platform's account");
                    self.client.lock().await.tell(&format!("Google rejects the credentials of {who}"));
                }
                if let Some(usable_for) = self.usable_for(&error) {
                    self.replace(client, usable_for).await;
                }
                outcome::of_error(&error, begun.elapsed(), &named)
            }
            None => {
                self.replace(client, Duration::ZERO).await;
                Answer::Ended(outcome::of_timeout(&named))
            }
        }
    }

    /// Minimum age at which a client is replaced because of an error; none: it is still usable.
    fn usable_for(&self, error: &PublishError) -> Option<Duration> {
        let PublishError::Rpc(error) = error else { return Some(Duration::ZERO) };
        if error.is_connect() {
            // Each failed connection answers one more request with its old error, however long ago that was.
            return Some(RECONNECT_AFTER);
        }
        // A hung request may be caused by its topic, or by a connection whose other end is gone.
        error.is_timeout().then_some(self.settings.request_timeout)
    }

    /// New attempts get a new client; those in flight keep this one.
    async fn replace(&self, client: &Arc<Client>, usable_for: Duration) {
        if client.opened_at.elapsed() >= usable_for {
            let mut shared = self.client.lock().await;
            shared.client.take_if(|current| Arc::ptr_eq(current, client));
        }
    }

    /// Waits for a request's slot.
    pub(super) async fn slot(&self, holder: Holder) -> Permit {
        self.slots.one(holder).await
    }

    /// Waits for room for the given number of bytes of events.
    pub(super) async fn room(&self, holder: Holder, bytes: usize) -> Permit {
        self.room.some(holder, bytes.div_ceil(PER_UNIT) as u64).await
    }
}

impl Shared {
    /// There is no client: returns the lack. The operator is notified once.
    fn miss(&mut self, error: &OpenError) -> Lack {
        self.tell(&error.to_string());
        let lack = match error {
            OpenError::Lacks(lack) => *lack,
            // The faulty setup is the path to Google, as configured by the operator.
            OpenError::Credentials(_) | OpenError::Client(_) => Lack::Credentials,
        };
        self.client = None;
        self.missed = Some((Instant::now(), lack));
        lack
    }

    fn tell(&mut self, text: &str) {
        if self.reported.as_deref() != Some(text) {
            tracing::error!("{text}; nothing is delivered to Pub/Sub until this is fixed");
            self.reported = Some(text.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::pubsub::Access;

    const HOSTILE: Holder = Holder { pim: 1, part: 1 };
    const MODEST: Holder = Holder { pim: 2, part: 1 };

    #[tokio::test]
    async fn requests_and_bytes_of_one_pim_leave_room_to_another() {
        let settings = PubsubSettings::new(Access::Anonymous { endpoint: "http://127.0.0.1:1".to_owned() });
        let bytes = settings.bytes_at_once;
        let pool = Pool::new(settings);
        let requests: Vec<_> = (0..).map_while(|_| pool.slot(HOSTILE).now_or_never()).collect();
        assert_eq!(requests.len(), REQUESTS * 3 / 4);
        let events: Vec<_> = (0..).map_while(|_| pool.room(HOSTILE, 1 << 20).now_or_never()).collect();
        assert_eq!(events.len(), (bytes * 3 / 4) >> 20);
        assert!(pool.slot(MODEST).now_or_never().is_some());
        assert!(pool.room(MODEST, 1 << 20).now_or_never().is_some());
    }
}
