//! The Pub/Sub sink: batches to Google Pub/Sub topics by Google's own client library, one client for all subscriptions.
//!
//! A batch goes out as one request, or, where the subscription wants order by entity, as one request for each entity.
//! Once there is a token, an attempt ends within four and a half times [`PubsubSettings::request_timeout`], and nothing
//! of it goes on after that.

pub mod account;
mod connection;
mod outcome;
mod pool;
mod request;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::destination::Destination;
use domain::outcome::Outcome;
use domain::subscription::Subscription;
use domain::{LoggedEvent, SubscriptionId};
use fair::Holder;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use parking_lot::Mutex;
use tokio::time::Instant;
use wire::envelope::EnvelopeStyle;

use self::connection::Client;
use self::outcome::Answer;
use self::pool::{Lane, Pool};
use self::request::Prepared;
use crate::heard::Heard;
use crate::{Delivery, Sink};

/// Entities of one subscription whose requests are under way at once.
const ENTITIES_AT_ONCE: usize = 32;

/// Whom the sink talks to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Access {
    /// Google, with application default credentials; an endpoint other than the global one is a regional one, or a
    /// private way to it.
    Google {
        /// `https://…`; `None` for the global endpoint.
        endpoint: Option<String>,
    },
    /// Somebody who asks for no credentials: an emulator.
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
        // Messages have just what the contract says: nothing of traces.
        async move { inner.deliver(&delivery.subscription, &delivery.events).await }.boxed()
    }

    fn forget(&self, id: SubscriptionId) {
        self.inner.pool.forget(id);
    }
}

/// An attempt to deliver a batch.
struct Attempt<'a> {
    inner: &'a Inner,
    lane: &'a Lane,
    client: &'a Arc<Client>,
    events: &'a [Arc<LoggedEvent>],
    holder: Holder,
    /// No request begins later. Waiting for a share of what all use moves it on.
    until: Mutex<Instant>,
    progress: Mutex<Progress>,
}

struct Progress {
    outcomes: Vec<Option<Outcome>>,
    /// What ended the attempt early: no further request is worth it.
    stopped: Option<Outcome>,
}

impl Inner {
    async fn deliver(&self, subscription: &Subscription, events: &[Arc<LoggedEvent>]) -> Vec<Outcome> {
        let all = |outcome| vec![outcome; events.len()];
        let Destination::Pubsub(destination) = &subscription.destination else {
            return all(Outcome::Broken(crate::misdirected(&subscription.destination)));
        };
        let prepare = || Prepared::new(subscription, destination, &self.style);
        let lane = self.pool.lane(subscription.id, subscription.revision, prepare);
        let client = match self.pool.client().await {
            Ok(client) => client,
            Err(lack) => return all(Outcome::Ours(lack)),
        };
        let until = Mutex::new(Instant::now() + 3 * self.settings.request_timeout);
        let holder = crate::holder(subscription);
        let progress = Mutex::new(Progress { outcomes: vec![None; events.len()], stopped: None });
        let attempt = Attempt { inner: self, lane: &lane, client: &client, events, holder, until, progress };
        let mut next = 0;
        // While a topic does not take anything, one event tries how it is: the others would only hold places that other
        // topics need.
        if lane.is_ailing() {
            attempt.send(0..1.min(events.len())).await;
            next = 1;
        }
        attempt.send(next..events.len()).await;
        attempt.conclude()
    }
}

impl Attempt<'_> {
    /// Sends events that are next to each other in the batch.
    async fn send(&self, part: std::ops::Range<usize>) {
        if part.is_empty() || self.is_over() {
            return;
        }
        let bytes = self.events[part.clone()].iter().map(|event| event.event.size()).sum();
        let _room = self.wait(self.inner.pool.room(self.holder, bytes)).await;
        let sent = stream::iter(self.by_entity(part)).for_each_concurrent(ENTITIES_AT_ONCE, |(key, run)| async move {
            self.send_run(&key, run).await;
        });
        sent.await;
    }

    /// What has to arrive in order, by ordering key, in the order of first appearance.
    fn by_entity(&self, part: std::ops::Range<usize>) -> Vec<(String, VecDeque<usize>)> {
        let mut runs: Vec<(String, VecDeque<usize>)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for index in part {
            let key = self.lane.prepared.ordering_key(&self.events[index].event);
            let place = places.entry(key.clone()).or_insert_with(|| {
                runs.push((key, VecDeque::new()));
                runs.len() - 1
            });
            runs[*place].1.push_back(index);
        }
        runs
    }

    /// Sends events one request after another, as many in each as it takes.
    async fn send_run(&self, key: &str, mut waiting: VecDeque<usize>) {
        let mut at_most = request::MAX_MESSAGES;
        while !waiting.is_empty() && !self.is_over() {
            let (request, sent, refused) = self.lane.prepared.request(
                key,
                waiting.iter().map(|index| (*index, &self.events[*index].event)),
                at_most,
                &self.inner.style,
            );
            waiting.drain(..sent.len() + refused.len());
            for (index, failure) in refused {
                self.settle(&[index], &Outcome::Refused(failure));
            }
            if sent.is_empty() {
                continue;
            }
            let _slot = self.wait(self.inner.pool.slot(self.holder)).await;
            match self.inner.pool.publish(self.client, &self.lane.prepared.topic, request).await {
                Answer::Delivered => {
                    self.settle(&sent, &Outcome::Delivered);
                    at_most = at_most.saturating_mul(2).min(request::MAX_MESSAGES);
                }
                // The server does not say which message it does not like: ever smaller requests find it.
                Answer::Rejected(_) if sent.len() > 1 => {
                    at_most = sent.len() / 2;
                    sent.into_iter().rev().for_each(|index| waiting.push_front(index));
                }
                Answer::Rejected(failure) => {
                    self.settle(&sent, &Outcome::Refused(failure));
                    at_most = 2;
                }
                Answer::Ended(outcome) => {
                    self.settle(&sent, &outcome);
                    self.progress.lock().stopped.get_or_insert(outcome);
                    return;
                }
            }
        }
    }

    /// Waits for what others use at present: not on the topic's time.
    async fn wait<T>(&self, share: impl Future<Output = T>) -> T {
        let left = self.until.lock().saturating_duration_since(Instant::now());
        let got = share.await;
        let mut until = self.until.lock();
        *until = (*until).max(Instant::now() + left);
        got
    }

    fn is_over(&self) -> bool {
        self.progress.lock().stopped.is_some() || Instant::now() >= *self.until.lock()
    }

    fn settle(&self, indices: &[usize], outcome: &Outcome) {
        let mut progress = self.progress.lock();
        for index in indices {
            progress.outcomes[*index] = Some(outcome.clone());
        }
    }

    /// What was not sent shares the fate of what ended the attempt; where only the time was up, it was not tried.
    fn conclude(self) -> Vec<Outcome> {
        let Progress { outcomes, stopped } = self.progress.into_inner();
        self.lane.set_ailing(stopped.is_some());
        let rest = stopped.unwrap_or(Outcome::Abandoned);
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| rest.clone())).collect()
    }
}
