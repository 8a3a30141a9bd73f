//! One attempt: a batch of events, in as few requests as its order and the topic allow.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use domain::outcome::Outcome;
use domain::{LoggedEvent, ReplayId};
use fair::Holder;
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Inner;
use super::connection::Client;
use super::outcome::Answer;
use super::pool::Topic;
use super::request;

/// Maximum number of entities of one subscription with requests in flight.
const ENTITIES_AT_ONCE: usize = 32;

/// A batch of events and its sender.
pub(super) struct Batch<'a> {
    inner: &'a Inner,
    topic: &'a Topic,
    client: &'a Arc<Client>,
    events: &'a [Arc<LoggedEvent>],
    /// The replay that the events are marked with, if any.
    replay: Option<ReplayId>,
    holder: Holder,
    /// Latest start of a request. Extended by the time spent waiting for shared resources.
    until: Mutex<Instant>,
    progress: Mutex<Progress>,
}

struct Progress {
    outcomes: Vec<Option<Outcome>>,
    /// Cause of an early end of the attempt: further requests are pointless.
    stopped: Option<Outcome>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        inner: &'a Inner,
        topic: &'a Topic,
        client: &'a Arc<Client>,
        (events, replay): (&'a [Arc<LoggedEvent>], Option<ReplayId>),
        holder: Holder,
    ) -> Batch<'a> {
        let until = Mutex::new(Instant::now() + 3 * inner.settings.request_timeout);
        let progress = Mutex::new(Progress { outcomes: vec![None; events.len()], stopped: None });
        Batch { inner, topic, client, events, replay, holder, until, progress }
    }

    /// Sends it, and returns the outcomes of its events.
    pub(super) async fn send(self) -> Vec<Outcome> {
        let mut next = 0;
        // While a topic rejects everything, a single event probes it: the others would only hold slots that other
        // topics need.
        if self.topic.is_ailing() {
            self.send_part(0..1.min(self.events.len())).await;
            next = 1;
        }
        self.send_part(next..self.events.len()).await;
        self.conclude()
    }

    /// Sends a consecutive part of the batch.
    async fn send_part(&self, part: std::ops::Range<usize>) {
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

    /// Events to be delivered in order, by ordering key, in the order of first appearance.
    fn by_entity(&self, part: std::ops::Range<usize>) -> Vec<(String, VecDeque<usize>)> {
        let mut runs: Vec<(String, VecDeque<usize>)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for index in part {
            let key = self.topic.prepared.ordering_key(&self.events[index].event);
            let place = places.entry(key.clone()).or_insert_with(|| {
                runs.push((key, VecDeque::new()));
                runs.len() - 1
            });
            runs[*place].1.push_back(index);
        }
        runs
    }

    /// Sends events in sequential requests, each as large as possible.
    async fn send_run(&self, key: &str, mut waiting: VecDeque<usize>) {
        let mut at_most = request::MAX_MESSAGES;
        while !waiting.is_empty() && !self.is_over() {
            let (request, sent, refused) = self.topic.prepared.request(
                key,
                waiting.iter().map(|index| (*index, &self.events[*index].event)),
                at_most,
                (&self.inner.style, self.replay),
            );
            waiting.drain(..sent.len() + refused.len());
            for (index, failure) in refused {
                self.settle(&[index], &Outcome::Refused(failure));
            }
            if sent.is_empty() {
                continue;
            }
            let _slot = self.wait(self.inner.pool.slot(self.holder)).await;
            match self.inner.pool.publish(self.client, &self.topic.prepared.topic, request).await {
                Answer::Delivered => {
                    self.settle(&sent, &Outcome::Delivered);
                    at_most = at_most.saturating_mul(2).min(request::MAX_MESSAGES);
                }
                // The server doesn't name the rejected message: ever smaller requests find it.
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

    /// Waits for a shared resource: not included in the topic's time.
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

    /// Unsent events get the outcome that ended the attempt; if only the time was up, they count as untried.
    fn conclude(self) -> Vec<Outcome> {
        let Progress { outcomes, stopped } = self.progress.into_inner();
        self.topic.set_ailing(stopped.is_some());
        let rest = stopped.unwrap_or(Outcome::Abandoned);
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| rest.clone())).collect()
    }
}
