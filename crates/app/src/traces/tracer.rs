//! Builds spans. Nothing is stored for this: the position of an event's spans is derived from the event itself, so they
//! end up in one trace whenever and in whichever process they are built.

use std::sync::Arc;

use aws_lc_rs::digest;
use domain::destination::{Destination, Target};
use domain::outcome::Outcome;
use domain::subscription::Subscription;
use domain::trace_parent::TraceParent;
use domain::{Clock, Event, LoggedEvent, PimId, Timestamp};
use engine::meters::Ending;
use engine::trace::{AttemptTrace, DeliveryTracer, Routed};
use meter::Names;
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use sinks::TraceParents;
use store::Appended;
use store::trace::{AppendTrace, AppendTracer, Appending};

use super::export::Spans;
use super::plan::Sampling;
use super::spans::{ACCEPT, Attribute, DELIVER, Draft, Place, ROUTE};

/// Builds spans.
#[derive(Debug)]
pub(crate) struct Tracer {
    sampling: Sampling,
    propagate: bool,
    scope: InstrumentationScope,
    spans: Spans,
    clock: Clock,
}

/// Position of an event's spans.
#[derive(Clone, Copy, Debug)]
struct Placed {
    trace: [u8; 16],
    /// The acceptance span, parent of the others.
    accept: [u8; 8],
    parent: Option<TraceParent>,
}

impl Tracer {
    pub(super) fn new(sampling: Sampling, propagate: bool, spans: Spans, clock: Clock) -> Tracer {
        let scope = InstrumentationScope::builder("postrider").with_version(env!("CARGO_PKG_VERSION")).build();
        Tracer { sampling, propagate, scope, spans, clock }
    }

    /// Position of an event's spans; `None` if the event is not recorded.
    fn place(&self, pim: PimId, event: &Event) -> Option<Placed> {
        let parent = event.trace_parent();
        let trace = parent.map_or_else(|| root(pim, event.id()), |parent| parent.trace_id);
        self.sampling.takes(parent.map(|parent| parent.sampled), trace).then(|| {
            let accept = accept_span(&trace, pim, event.id());
            Placed { trace, accept, parent }
        })
    }

    /// A child of the acceptance span.
    fn child(&self, placed: &Placed) -> Place {
        let span = RandomIdGenerator::default().new_span_id().to_bytes();
        Place { trace: placed.trace, span, parent: Some(placed.accept), remote_parent: false }
    }
}

/// Trace of an event without a `traceparent`.
fn root(pim: PimId, id: &str) -> [u8; 16] {
    let hash = hash(b"postrider trace", &[], pim, id);
    let mut trace = [0; 16];
    trace.copy_from_slice(&hash[..16]);
    trace
}

/// The span of an event's acceptance.
fn accept_span(trace: &[u8], pim: PimId, id: &str) -> [u8; 8] {
    let hash = hash(b"postrider accept", trace, pim, id);
    let mut span = [0; 8];
    span.copy_from_slice(&hash[..8]);
    span
}

fn hash(purpose: &[u8], trace: &[u8], pim: PimId, id: &str) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(purpose);
    context.update(trace);
    context.update(&pim.0.to_le_bytes());
    context.update(id.as_bytes());
    let mut hash = [0; digest::SHA256_OUTPUT_LEN];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

fn name(draft: &mut Draft, pim: PimId, event: &Event) {
    draft.put(Attribute::EventId, event.id().to_owned());
    draft.put(Attribute::EventType, event.event_type().to_owned());
    draft.put(Attribute::PimId, i64::from(pim.0));
}

/// A number for an attribute.
fn number(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl AppendTracer for Tracer {
    fn appending(&self, appending: Appending<'_>) -> Option<Box<dyn AppendTrace>> {
        let Appending { pim, way, since, request, events } = appending;
        let mut drafts = Vec::new();
        for event in events {
            let Some(placed) = self.place(pim.id, event) else { continue };
            let place = Place {
                trace: placed.trace,
                span: placed.accept,
                parent: placed.parent.map(|parent| parent.span_id),
                remote_parent: placed.parent.is_some(),
            };
            let mut draft = Draft::new(&ACCEPT, &self.scope, place, since);
            name(&mut draft, pim.id, event);
            draft.put(Attribute::MessageId, event.id().to_owned());
            draft.put(Attribute::System, "postrider");
            draft.put(Attribute::OperationName, "accept");
            draft.put(Attribute::OperationType, "receive");
            draft.put(Attribute::Pim, pim.name.clone());
            draft.put(Attribute::Way, way);
            if events.len() > 1 {
                draft.put(Attribute::BatchCount, number(events.len()));
            }
            if let Some(request) = request.filter(|request| placed.parent.is_none_or(|parent| parent != *request)) {
                draft.link(request.trace_id, request.span_id);
            }
            drafts.push(draft);
        }
        (!drafts.is_empty()).then(|| {
            Box::new(Accepting { spans: self.spans.clone(), clock: self.clock.clone(), drafts, events: events.len() })
                as _
        })
    }
}

/// Events being ingested.
struct Accepting {
    spans: Spans,
    clock: Clock,
    drafts: Vec<Draft>,
    /// Number of events in the request, including unrecorded ones.
    events: usize,
}

impl AppendTrace for Accepting {
    fn ended(self: Box<Self>, result: Result<Appended, String>) {
        let now = self.clock.wall();
        for mut draft in self.drafts {
            match &result {
                Ok(appended) if appended.duplicates == 0 => {}
                Ok(appended) if appended.duplicates == self.events => draft.put(Attribute::Duplicate, true),
                // It is not known here which of them it was.
                Ok(_) => {}
                Err(why) => draft.failed(why.clone()),
            }
            self.spans.send(draft.end(now));
        }
    }
}

impl DeliveryTracer for Tracer {
    fn routed(&self, events: &[Routed], since: Timestamp) {
        let now = self.clock.wall();
        for routed in events {
            let LoggedEvent { pim, event, .. } = routed.event.as_ref();
            let Some(placed) = self.place(*pim, event) else { continue };
            let mut draft = Draft::new(&ROUTE, &self.scope, self.child(&placed), since);
            name(&mut draft, *pim, event);
            draft.put(Attribute::Matched, i64::from(routed.matched));
            draft.put(Attribute::FilteredOut, i64::from(routed.filtered_out));
            self.spans.send(draft.end(now));
        }
    }

    fn attempt(
        &self,
        subscription: &Arc<Subscription>,
        events: &[Arc<LoggedEvent>],
        attempt: u32,
    ) -> Option<Box<dyn AttemptTrace>> {
        let since = self.clock.wall();
        let mut drafts = Vec::new();
        let mut parents = TraceParents::new();
        for (index, logged) in events.iter().enumerate() {
            let Some(placed) = self.place(logged.pim, &logged.event) else { continue };
            let place = self.child(&placed);
            if self.propagate && subscription.destination.descriptor().carries_traces {
                parents.resize(index, None);
                parents.push(Some(TraceParent { trace_id: place.trace, span_id: place.span, sampled: true }));
            }
            let mut draft = Draft::new(&DELIVER, &self.scope, place, since);
            name(&mut draft, logged.pim, &logged.event);
            draft.put(Attribute::MessageId, logged.event.id().to_owned());
            draft.put(Attribute::OperationName, "deliver");
            draft.put(Attribute::OperationType, "send");
            draft.put(Attribute::Subscription, subscription.id.to_string());
            draft.put(Attribute::DestinationType, subscription.destination.of_type().name());
            draft.put(Attribute::Attempt, i64::from(attempt));
            destination(&mut draft, &subscription.destination, events.len());
            drafts.push((index, draft));
        }
        (!drafts.is_empty()).then(|| {
            Box::new(Attempting { spans: self.spans.clone(), clock: self.clock.clone(), drafts, parents }) as _
        })
    }
}

fn destination(draft: &mut Draft, destination: &Destination, events: usize) {
    match destination.target() {
        Target::Server { host, port } => {
            draft.put(Attribute::HttpMethod, "POST");
            draft.put(Attribute::ServerAddress, host.to_owned());
            draft.put(Attribute::ServerPort, i64::from(port));
        }
        Target::Topic { system, name } => {
            draft.of_kind(SpanKind::Producer);
            draft.put(Attribute::System, system);
            draft.put(Attribute::Topic, name.to_owned());
            if events > 1 {
                draft.put(Attribute::BatchCount, number(events));
            }
        }
    }
}

/// An attempt in flight.
struct Attempting {
    spans: Spans,
    clock: Clock,
    /// With the index of its event in the attempt.
    drafts: Vec<(usize, Draft)>,
    parents: TraceParents,
}

impl AttemptTrace for Attempting {
    fn parents(&self) -> TraceParents {
        self.parents.clone()
    }

    fn ended(self: Box<Self>, outcomes: &[Outcome]) {
        let now = self.clock.wall();
        for (index, mut draft) in self.drafts {
            let Some(outcome) = outcomes.get(index) else { continue };
            let (ending, reason) = Ending::of(outcome);
            draft.put(Attribute::Outcome, ending.name());
            if let Some(reason) = reason {
                draft.put(Attribute::ErrorType, reason.as_str());
            }
            if let Outcome::Failed(failure) | Outcome::Refused(failure) | Outcome::Broken(failure) = outcome {
                draft.failed(failure.message.clone());
            }
            self.spans.send(draft.end(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_spans_belong_follows_from_the_event_alone() {
        // The prefix of sha256("postrider trace" 01 00 00 00 "e1"): another hash would split traces during an upgrade.
        assert_eq!(u128::from_be_bytes(root(PimId(1), "e1")), 0x766643ec_adba6c24_2ba17e10_9dfbab05);
        assert_ne!(root(PimId(1), "e1"), root(PimId(2), "e1"));
        assert_ne!(accept_span(&[1; 16], PimId(1), "e1"), accept_span(&[2; 16], PimId(1), "e1"));
        assert_ne!(accept_span(&[1; 16], PimId(1), "e1"), accept_span(&[1; 16], PimId(1), "e2"));
    }
}
