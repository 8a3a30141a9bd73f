//! Outgoing events: a sink per destination type, and the address guard that every connection passes.
//!
//! Reading order: what a sink is (here), how an address is judged and connected to ([`guard`], [`resolve`], [`tls`],
//! [`connect`]), the sinks ([`https`], [`pubsub`], [`kafka`]), and the client for the platform's own calls
//! ([`client`]).

pub mod guard;
pub mod resolve;

pub mod connect;
pub mod tls;

pub mod https;
pub mod kafka;
pub mod pubsub;

pub mod client;
pub mod egress;
pub mod heard;
mod kept;
pub mod lack;

use std::sync::Arc;

use domain::destination::{Destination, DestinationType, Manner};
use domain::outcome::{Answer, ErrorReason, Failure, Outcome};
use domain::subscription::Subscription;
use domain::trace_parent::TraceParent;
use domain::{LoggedEvent, ReplayId, SubscriptionId};
use fair::Holder;
use futures_util::FutureExt;
pub use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use crate::heard::Heard;

/// Payload of one attempt for one subscription: one event to an HTTPS endpoint, an ordered batch to a topic. A topic's
/// lane has one batch in flight at a time, so events sent in order arrive in order.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The subscription, with its destination.
    pub subscription: Arc<Subscription>,
    /// The events; never empty.
    pub events: Vec<Arc<LoggedEvent>>,
    /// The replay that the attempt is part of: each event is marked with it.
    pub replay: Option<ReplayId>,
    /// Traces of the events, in their order, for destinations that may see them. Empty when tracing is off.
    pub traces: TraceParents,
    /// Responses that the outcomes don't contain are left here.
    pub answers: Answers,
}

/// See [`Delivery::traces`].
pub type TraceParents = Vec<Option<TraceParent>>;

/// Responses of an attempt that its outcomes don't contain: those to delivered and throttled events, by the event's
/// place in [`Delivery::events`]. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Answers(Arc<Mutex<Vec<(usize, Answer)>>>);

impl Answers {
    /// Leaves the response to the event at `place`.
    pub fn put(&self, place: usize, answer: Answer) {
        self.0.lock().push((place, answer));
    }

    /// Takes them all.
    pub fn take(&self) -> Vec<(usize, Answer)> {
        std::mem::take(&mut self.0.lock())
    }
}

/// Sends events to destinations. An attempt always ends, within a time bounded by the sink, with a typed outcome per
/// event.
pub trait Sink: Send + Sync + 'static {
    /// Makes one attempt, and returns the outcomes in the order of [`Delivery::events`]. Nothing happens before the
    /// future is polled; dropping it abandons the attempt. Retries are decided by the lane, not by the sink.
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'static, Vec<Outcome>>;

    /// Closes everything kept for a subscription that is gone, suspended or has another configuration. In-flight
    /// attempts run to their end.
    fn forget(&self, id: SubscriptionId);

    /// Open connections to destinations, in use or idle, as far as the sink makes them itself.
    fn open_connections(&self) -> usize {
        0
    }
}

/// The sinks of all destination types.
pub struct Sinks {
    heard: Heard,
    /// In the order of [`DestinationType::ALL`].
    by_type: Vec<Box<dyn Sink>>,
}

impl Sinks {
    /// Assembles the sinks; `make` returns the one of each type. `heard` is notified of unanswered attempts.
    pub fn new<E>(heard: Heard, make: impl FnMut(DestinationType) -> Result<Box<dyn Sink>, E>) -> Result<Sinks, E> {
        let by_type = DestinationType::ALL.into_iter().map(make).collect::<Result<_, E>>()?;
        Ok(Sinks { heard, by_type })
    }
}

impl Sink for Sinks {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'static, Vec<Outcome>> {
        let of_type = delivery.subscription.destination.of_type();
        let outcomes = self.by_type[of_type.index()].deliver(delivery);
        let heard = self.heard.clone();
        async move {
            let outcomes = outcomes.await;
            if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Silent(_))) {
                heard.note_silence();
            }
            outcomes
        }
        .boxed()
    }

    fn forget(&self, id: SubscriptionId) {
        // Whatever type its destination had before.
        self.by_type.iter().for_each(|sink| sink.forget(id));
    }

    /// Connections to endpoints; those of topic clients are not counted.
    fn open_connections(&self) -> usize {
        let sinks = DestinationType::ALL.into_iter().zip(&self.by_type);
        let endpoints = sinks.filter(|(of_type, _)| of_type.descriptor().manner == Manner::OneByOne);
        endpoints.map(|(_, sink)| sink.open_connections()).sum()
    }
}

/// Holder of the shared slots that a subscription's attempts use.
pub(crate) fn holder(subscription: &Subscription) -> Holder {
    // The low half of a UUIDv7 is random.
    Holder { pim: u64::from(subscription.pim.0), part: subscription.id.0.as_u64_pair().1 }
}

/// Failure of a sink with a destination of another type. [`Sinks`] never causes it.
pub(crate) fn misdirected(destination: &Destination) -> Failure {
    let message = format!("the destination is of type {}", destination.of_type().name());
    Failure::without_status(ErrorReason::InvalidDestinationConfiguration, message)
}
