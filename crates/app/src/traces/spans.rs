//! The list of all spans and their attributes, which defines what is recorded and `docs/reference/traces.md`.

use std::borrow::Cow;

use domain::Timestamp;
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

macro_rules! attributes {
    ($($name:ident = $text:literal $doc:literal;)*) => {
        /// Defines an attribute.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Attribute { $( #[doc = $doc] $name, )* }

        impl Attribute {
            /// Name as recorded.
            pub(crate) fn key(self) -> &'static str {
                match self { $( Attribute::$name => $text, )* }
            }

            /// Description.
            #[cfg(test)]
            pub(crate) fn doc(self) -> &'static str {
                match self { $( Attribute::$name => $doc, )* }
            }
        }
    };
}

attributes! {
    EventId = "cloudevents.event_id" "`id` of the event.";
    EventType = "cloudevents.event_type" "`type` of the event.";
    MessageId = "messaging.message.id" "`id` of the event, under its name in the messaging conventions.";
    System = "messaging.system"
        "`postrider` for ingest; the messaging system, such as `kafka`, for delivery to a topic.";
    OperationName = "messaging.operation.name" "`accept` or `deliver`.";
    OperationType = "messaging.operation.type" "`receive` or `send`.";
    BatchCount = "messaging.batch.message_count"
        "Number of events in the request or in the topic's batch, if more than a single event.";
    Topic = "messaging.destination.name" "The topic.";
    HttpMethod = "http.request.method" "`POST`, for HTTPS.";
    ServerAddress = "server.address" "Host of the endpoint, for HTTPS. Path and query are not recorded because they \
                                      may contain secrets.";
    ServerPort = "server.port" "Port of the endpoint.";
    ErrorType = "error.type" "Error reason of a failed attempt, as in log entries.";
    Pim = "postrider.pim" "Name of the PIM.";
    PimId = "postrider.pim.id" "Number of the PIM.";
    Way = "postrider.way" "Ingest path: `events`, `events_api` or `reconciliation`.";
    Duplicate = "postrider.duplicate" "`true` if the event is a duplicate and not delivered again; not available for \
                                       individual events of a batch.";
    Matched = "postrider.matched" "Number of matching subscriptions. Lagging subscriptions read the event later.";
    FilteredOut = "postrider.filtered_out" "Number of subscriptions to its type whose filter rejected it.";
    Subscription = "postrider.subscription.id" "Id of the subscription.";
    DestinationType = "postrider.destination.type" "Destination type of the subscription.";
    Attempt = "postrider.attempt" "Number of the attempt, from 1.";
    Outcome = "postrider.outcome" "`delivered`, `throttled`, `failed` (will be retried), `refused`, `broken` (the \
                                   subscription is suspended) or `abandoned`.";
}

/// A kind of span.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) kind: SpanKind,
    #[cfg_attr(not(test), expect(dead_code, reason = "the reference page is made from it"))]
    pub(crate) doc: &'static str,
    /// Permitted attributes; nothing else is recorded.
    pub(crate) attributes: &'static [Attribute],
}

use Attribute::*;

/// An event being ingested.
pub(crate) static ACCEPT: Shape = Shape {
    name: "postrider.accept",
    kind: SpanKind::Consumer,
    doc: "An event, from the arrival of its request until it is on stable storage. Its parent is the span named by the \
          event, or by the \
          request of a single event; without one it is the root of its trace. If a batch's request names a span, it is \
          linked.",
    attributes: &[
        EventId,
        EventType,
        MessageId,
        System,
        OperationName,
        OperationType,
        BatchCount,
        Pim,
        PimId,
        Way,
        Duplicate,
    ],
};

/// An event being routed.
pub(crate) static ROUTE: Shape = Shape {
    name: "postrider.route",
    kind: SpanKind::Internal,
    doc: "Routing of the event to matching subscriptions, together with the events of its batch. A child of \
          `postrider.accept`.",
    attributes: &[EventId, EventType, PimId, Matched, FilteredOut],
};

/// An attempt to deliver an event.
pub(crate) static DELIVER: Shape = Shape {
    name: "postrider.deliver",
    kind: SpanKind::Client,
    doc: "An attempt to deliver the event for one subscription; every attempt has a span. A child of \
          `postrider.accept`, also after a \
          restart. For a topic its kind is producer, and each event of a batch has its own span with the times of the \
          batch.",
    attributes: &[
        EventId,
        EventType,
        MessageId,
        System,
        OperationName,
        OperationType,
        BatchCount,
        Topic,
        HttpMethod,
        ServerAddress,
        ServerPort,
        ErrorType,
        PimId,
        Subscription,
        DestinationType,
        Attempt,
        Outcome,
    ],
};

/// All kinds of spans.
#[cfg(test)]
pub(crate) static ALL: [&Shape; 3] = [&ACCEPT, &ROUTE, &DELIVER];

/// Position of a span in its trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    pub(super) parent: Option<[u8; 8]>,
    /// Whether the parent belongs to another program.
    pub(super) remote_parent: bool,
}

/// A span under construction.
#[derive(Debug)]
pub(super) struct Draft {
    shape: &'static Shape,
    data: SpanData,
}

impl Draft {
    pub(super) fn new(shape: &'static Shape, scope: &InstrumentationScope, place: Place, since: Timestamp) -> Draft {
        let data = SpanData {
            span_context: context(place.trace, place.span, false),
            parent_span_id: place.parent.map_or(SpanId::INVALID, SpanId::from_bytes),
            parent_span_is_remote: place.remote_parent,
            span_kind: shape.kind.clone(),
            name: Cow::Borrowed(shape.name),
            start_time: since.into(),
            end_time: since.into(),
            attributes: Vec::with_capacity(shape.attributes.len()),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: scope.clone(),
        };
        Draft { shape, data }
    }

    pub(super) fn put(&mut self, attribute: Attribute, value: impl Into<Value>) {
        debug_assert!(
            self.shape.attributes.contains(&attribute),
            "{attribute:?} is not listed for {}",
            self.shape.name
        );
        self.data.attributes.push(KeyValue::new(attribute.key(), value));
    }

    pub(super) fn of_kind(&mut self, kind: SpanKind) {
        self.data.span_kind = kind;
    }

    pub(super) fn link(&mut self, trace: [u8; 16], span: [u8; 8]) {
        self.data.links.links.push(Link::new(context(trace, span, true), Vec::new(), 0));
    }

    pub(super) fn failed(&mut self, why: String) {
        self.data.status = Status::error(why);
    }

    pub(super) fn end(mut self, at: Timestamp) -> SpanData {
        self.data.end_time = at.into();
        self.data
    }
}

fn context(trace: [u8; 16], span: [u8; 8], remote: bool) -> SpanContext {
    let (trace, span) = (TraceId::from_bytes(trace), SpanId::from_bytes(span));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, remote, TraceState::default())
}
