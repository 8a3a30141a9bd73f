//! One attempt: an ordered batch of events, in as few and as large record batches as the topic accepts.
//!
//! Records are sent in *waves*: the records put into the client between two flushes form one batch per partition, and a
//! wave ends before the next begins. So nothing overtakes a failure: the rest of the attempt is not sent then. Two
//! things may upset a wave. A topic limits the size of a **batch** (`max.message.bytes`), and the client responds by
//! halving it twice; so large records are sent alone, and if a topic turns out to accept less, its records are sent
//! singly, one after the other. And a rejected record makes its batch fail: here, too, the whole batch is sent singly,
//! and only that record is refused.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use domain::outcome::Outcome;
use domain::subscription::Subscription;
use domain::{LoggedEvent, ReplayId};
use futures_util::FutureExt;
use krafka::error::KrafkaError;
use krafka::producer::{DeliveryHandle, Producer};
use tokio::time::Instant;
use wire::envelope::EnvelopeStyle;

use super::connection::OpenProducer;
use super::outcome::{self, Names};
use super::pool::Topic;

/// Initial size limit of a batch for one partition: below the brokers' default limit (1 MiB).
pub(crate) const BATCH_BYTES: usize = 900 * 1024;
/// A record above this share of a batch is sent alone.
const ALONE: usize = 14;
/// Interval of checks whether the topic still exists while acknowledgements are awaited.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// A batch of events and its sender.
pub(crate) struct Batch<'a> {
    pub(crate) topic: &'a Topic,
    pub(crate) style: &'a EnvelopeStyle,
    pub(crate) subscription: &'a Subscription,
    pub(crate) events: &'a [Arc<LoggedEvent>],
    pub(crate) replay: Option<ReplayId>,
    pub(crate) since: Instant,
    /// Latest start of a wave, counted from the attempt's start.
    pub(crate) begin_within: Duration,
}

/// Outcomes of the events; `None` = not known yet.
pub(crate) type Outcomes = [Option<Outcome>];

/// Reason of a stopped attempt: the outcome of all events without one.
type Stopped = Outcome;

/// A record in flight.
struct Sent {
    index: usize,
    key: Option<Bytes>,
    size: usize,
    handle: DeliveryHandle,
}

impl Batch<'_> {
    /// Sends the batch. Events left without an outcome get the returned one.
    pub(crate) async fn send(&self, outcomes: &mut Outcomes) -> Result<(), Stopped> {
        let mut slot = self.topic.producer.lock().await;
        let mut underway = Underway { producer: &mut slot, over: false };
        if underway.producer.is_none() {
            let dials = self.topic.client.dials();
            let opened = tokio::select! {
                opened = self.topic.client.producer(self.topic.prepared.topic()) => opened,
                () = dials.forbidden_since(self.since) => Err(KrafkaError::timeout("a forbidden address")),
            };
            *underway.producer = Some(opened.map_err(|error| self.of_error(&error))?);
        }
        let sent = match underway.producer.as_ref().and_then(OpenProducer::get) {
            Some(producer) => self.send_on(producer, outcomes).await,
            None => Ok(()),
        };
        // A producer whose records all have an outcome may continue: in-flight records of an earlier attempt are fenced
        // by its next epoch. A producer in doubt must not.
        underway.over = match &sent {
            Ok(()) => true,
            Err(Stop { outcome, in_doubt }) => !in_doubt && !matches!(outcome, Outcome::Broken(_)),
        };
        sent.map_err(|stop| stop.outcome)
    }

    async fn send_on(&self, producer: &Producer, outcomes: &mut Outcomes) -> Result<(), Stop> {
        let mut next = 0;
        while next < self.events.len() {
            if self.since.elapsed() > self.begin_within {
                return Err(Stop { outcome: Outcome::Abandoned, in_doubt: false });
            }
            let (wave, stopped) = self.put(producer, &mut next).await;
            self.settle(producer, wave, outcomes).await?;
            if let Some(error) = stopped {
                return Err(self.stop(&error));
            }
        }
        Ok(())
    }

    /// Puts records into the client until one of its batches is full. A refusal by the client is returned too.
    async fn put(&self, producer: &Producer, next: &mut usize) -> (Vec<Sent>, Option<KrafkaError>) {
        let full = self.topic.batch_bytes.load(Ordering::Relaxed);
        let large = full / ALONE;
        let mut wave = Vec::new();
        let mut bytes: HashMap<i32, usize> = HashMap::new();
        while let Some(event) = self.events.get(*next) {
            let record = self.topic.prepared.record(self.style, &event.event, self.subscription, self.replay);
            let (key, size) = (record.key.clone(), record.estimated_size());
            if size > large && !wave.is_empty() {
                break;
            }
            match producer.enqueue(record).await {
                Ok(handle) => {
                    let batch = bytes.entry(handle.partition()).or_default();
                    *batch += size;
                    let is_full = *batch + large > full || size > large;
                    wave.push(Sent { index: *next, key, size, handle });
                    *next += 1;
                    if is_full {
                        break;
                    }
                }
                Err(error) => return (wave, Some(error)),
            }
        }
        (wave, None)
    }

    /// Sends a wave, and records its outcomes.
    async fn settle(&self, producer: &Producer, wave: Vec<Sent>, outcomes: &mut Outcomes) -> Result<(), Stop> {
        let (early, in_doubt) = match self.flush(producer).await {
            Ok(()) => (None, false),
            Err(error) => (Some(error), true),
        };
        let alone = wave.len() == 1;
        let mut stopped = None;
        let mut singly = Vec::new();
        // Records to be sent again, and those of their entities behind them.
        let mut keys: HashSet<Bytes> = HashSet::new();
        let mut refused_bytes = 0;
        for Sent { index, key, size, handle } in wave {
            // All outcomes that exist are ready now; tokio would make a task that polls many of them yield.
            let result = match tokio::task::unconstrained(handle).now_or_never() {
                Some(result) => result,
                None => Err(early.clone().unwrap_or_else(|| KrafkaError::closed("no outcome"))),
            };
            match result {
                Ok(_) if key.as_ref().is_some_and(|key| keys.contains(key)) => singly.push(index),
                Ok(_) => set(outcomes, index, Outcome::Delivered),
                Err(error) if outcome::is_about_a_record(&error) && alone => {
                    set(outcomes, index, outcome::of_refused_record(&error, &self.names()));
                }
                Err(error) if outcome::is_about_a_record(&error) => {
                    if outcome::is_about_size(&error) {
                        refused_bytes += size;
                    }
                    keys.extend(key);
                    singly.push(index);
                }
                Err(error) => {
                    stopped.get_or_insert(Stop { in_doubt, ..self.stop(&error) });
                }
            }
        }
        if let Some(stop) = stopped {
            return Err(stop);
        }
        if refused_bytes > 0 {
            // The client had gone down to a quarter of the excessive size; half of that may fit.
            self.topic.batch_bytes.fetch_min(refused_bytes / 2, Ordering::Relaxed);
        }
        for index in singly {
            Box::pin(self.send_alone(producer, index, outcomes)).await?;
        }
        Ok(())
    }

    async fn send_alone(&self, producer: &Producer, index: usize, outcomes: &mut Outcomes) -> Result<(), Stop> {
        let Some(event) = self.events.get(index) else { return Ok(()) };
        let record = self.topic.prepared.record(self.style, &event.event, self.subscription, self.replay);
        let (key, size) = (record.key.clone(), record.estimated_size());
        let handle = producer.enqueue(record).await.map_err(|error| self.stop(&error))?;
        self.settle(producer, vec![Sent { index, key, size, handle }], outcomes).await
    }

    /// Waits until everything put into the client has an outcome. An error if it is certain earlier that there will be
    /// none.
    async fn flush(&self, producer: &Producer) -> Result<(), KrafkaError> {
        let topic_is_gone = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                // The client keeps asking for a missing topic, and would continue for as long as it tries to deliver.
                if let Err(error @ KrafkaError::Broker { .. }) =
                    producer.partitions_for(self.topic.prepared.topic()).await
                {
                    return error;
                }
            }
        };
        tokio::select! {
            biased;
            flushed = producer.flush() => flushed,
            () = self.topic.client.dials().forbidden_since(self.since) => {
                Err(KrafkaError::timeout("a forbidden address"))
            }
            error = topic_is_gone => Err(error),
        }
    }

    fn stop(&self, error: &KrafkaError) -> Stop {
        Stop {
            outcome: self.of_error(error),
            in_doubt: error.is_fatal() || matches!(error, KrafkaError::IllegalState { .. }),
        }
    }

    fn of_error(&self, error: &KrafkaError) -> Outcome {
        outcome::of_error(error, self.since, self.topic.client.dials(), &self.names())
    }

    /// Outcome of events without a result.
    pub(crate) fn of_silence(&self) -> Outcome {
        self.of_error(&KrafkaError::timeout("an attempt"))
    }

    fn names(&self) -> Names<'_> {
        Names { brokers: &self.topic.client.brokers, topic: self.topic.prepared.topic() }
    }
}

struct Stop {
    outcome: Outcome,
    /// Whether unobserved work may still be in flight.
    in_doubt: bool,
}

fn set(outcomes: &mut Outcomes, index: usize, outcome: Outcome) {
    if let Some(place) = outcomes.get_mut(index) {
        *place = Some(outcome);
    }
}

/// The producer of an unfinished attempt. If the attempt is abandoned, its producer is dropped with it: nothing is sent
/// behind its back.
struct Underway<'a> {
    producer: &'a mut Option<OpenProducer>,
    over: bool,
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.producer.take();
        }
    }
}
