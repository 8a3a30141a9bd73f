//! `POST /api/v1/events`: event ingest. The hot path: one body, one parse, one append, one short response.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use domain::event_type::{APP_DELETED, CONNECTION_DELETED};
use domain::pim::Pim;
use domain::subscriber::Owner;
use domain::trace_parent::TraceParent;
use domain::{ClientId, Event, Timestamp};
use fair::Holder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use store::trace::Appending;
use store::{AppendError, ChangeError, ClientRecord, Condition, edit_client};
use wire::Fault;
use wire::cloudevents;
use wire::fault::code;
use wire::json::escape_into;

use crate::auth::producer;
use crate::body::{self, Whole};
use crate::description::operation::{Operation, Shown};
use crate::refusal::{Refusal, because};
use crate::settings::{SchemaCheck, UnknownTypes};
use crate::{Api, client_life};

/// Each conflict is a change of the PIM's registration, made manually by operators.
const MAX_JUDGEMENTS: usize = 20;
/// Maximum number of listed faults.
const MOST_FAULTS: usize = 100;
/// Of many events that don't match their schema, the operator's log shows a few.
const SHOWN_FAULTS: usize = 3;

/// Public description.
pub(crate) fn about() -> Operation {
    Operation::new(
        "sendEvents",
        "Send events",
        "The CloudEvents HTTP binding: one event (`application/cloudevents+json`), a list \
         (`application/cloudevents-batch+json`), or \
         binary mode (`application/json`, or no media type: the body is `data`, the attributes are percent-encoded \
         `ce-*` headers). A \
         request is accepted completely or not at all, and answered when it is on stable storage. The limits are 1 MiB \
         per event, \
         5 MiB per request and 1,000 events per batch, both as sent and as stored.",
    )
    .headers(&cloudevents::description::BINARY_HEADERS)
    .sends_any(
        vec![
            ("application/cloudevents+json", "SentEvent"),
            ("application/cloudevents-batch+json", "SentBatch"),
            ("application/json", "EventData"),
        ],
        true,
        None,
    )
    .answers(202, "The events are on stable storage.", Shown::One("Accepted"))
    .faults(&[
        (400, code::MALFORMED_HEADER),
        (400, code::DUPLICATE_HEADER),
        (413, code::REQUEST_TOO_LARGE),
        (413, code::EVENT_TOO_LARGE),
        (413, code::TOO_MANY_EVENTS),
        (415, code::UNSUPPORTED_MEDIA_TYPE),
        (415, code::UNSUPPORTED_ENCODING),
    ])
    .invalid(&[
        code::REQUIRED,
        code::WRONG_TYPE,
        code::INVALID_VALUE,
        code::INVALID_NAME,
        code::TOO_LONG,
        code::TOO_MANY,
        code::NOT_SUPPORTED,
        code::EMPTY_BATCH,
        code::UNKNOWN_EVENT_TYPE,
        code::MORE_FAULTS,
    ])
    .refuses(&[because::BUSY, because::BACKLOG_FULL, because::STOPPING])
}

/// Schemas of the response and the body.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[
    ("EventData", r##"{"type": "object", "description": "`data` of an event in binary mode."}"##),
    (
        "Accepted",
        r##"{"type": "object", "required": ["accepted", "duplicates"], "properties": {
          "accepted": {"type": "integer", "description": "Events in the request."},
          "duplicates": {"type": "integer", "description": "Duplicates among them; they are not delivered again."},
          "unknown_types": {"type": "array", "items": {"type": "string"},
          "description": "Unknown types among them, if any: these events are stored and counted, but cannot be subscribed to."}}}"##,
    ),
];

/// Accepts all events of a request or none, and answers when they are on stable storage.
pub(crate) async fn accept(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Refusal> {
    let accepted = take(&api, request).await;
    if let Err(refusal) = &accepted {
        api.counters.refused_ingest(refusal.said().status);
    }
    accepted
}

/// Contract page 7: the order of checks is 401, 413, 415, 400, 422.
async fn take(api: &Arc<Api>, request: Request) -> Result<Response, Refusal> {
    let (parts, unread) = request.into_parts();
    let headers = parts.headers;
    let bounds = &api.settings.server;
    let room = match producer::source(api, &headers).await {
        Ok(pim) => api.bodies.of_pim(&pim),
        Err(refusal) => {
            body::discard(&headers, unread, bounds.ingest_body).await;
            return Err(refusal);
        }
    };
    let body = body::read(&headers, unread, bounds.ingest_body, bounds.body_timeout, room).await;
    let Whole { bytes, held } = body.map_err(as_events_refusal)?;
    // From here on the producer may disconnect: a fully received request is stored and counted.
    let api = Arc::clone(api);
    let commits = api.commits.clone();
    commits
        .run(async move {
            let answered = judge_and_commit(&api, &headers, bytes).await;
            drop(held);
            answered
        })
        .await
}

/// The body may have taken a minute: the key must be valid now, and still in the commit.
async fn judge_and_commit(api: &Api, headers: &HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    for _ in 0..MAX_JUDGEMENTS {
        let pim = producer::source(api, headers).await?;
        let request = read(api, pim, headers, body.clone()).await?;
        match commit(api, request).await {
            Err(Uncommitted::Outdated) => {}
            Err(Uncommitted::Refused(refusal)) => return Err(refusal),
            Ok(answer) => return Ok(answer),
        }
    }
    Err(ChangeError::Outdated.into())
}

/// A request whose events can be stored.
struct Accepted {
    pim: Arc<Pim>,
    events: Vec<Event>,
    unknown: Unknown,
    trace_parent: Option<TraceParent>,
    now: Timestamp,
}

/// Reads and checks the events of a body.
async fn read(api: &Api, pim: Arc<Pim>, headers: &HeaderMap, body: Bytes) -> Result<Accepted, Refusal> {
    let now = api.clock.wall();
    let batched = is_batch(headers);
    let trace_parent = api.tracer.as_ref().and_then(|_| trace_parent(headers));
    let Parsed { mut events, unfitting } = parse(api, &pim, headers.clone(), body, now).await?;
    let unknown = unknown_types(api, &events);
    check(api, &pim, &events, batched, &unknown, unfitting)?;
    if !batched && trace_parent.is_some() {
        // A single event belongs to the trace of its request. In a batch, each event has a trace of its own.
        let keep = |event: Event| if event.trace_parent().is_some() { event } else { event.brought_by(trace_parent) };
        events = events.into_iter().map(keep).collect();
    }
    Ok(Accepted { pim, events, unknown, trace_parent, now })
}

/// Reason why events were not stored.
enum Uncommitted {
    /// The underlying registration has changed: check again.
    Outdated,
    /// Final.
    Refused(Refusal),
}

impl From<Refusal> for Uncommitted {
    fn from(refusal: Refusal) -> Uncommitted {
        Uncommitted::Refused(refusal)
    }
}

/// Stores the events if the PIM's registration is unchanged, counts them, and answers.
async fn commit(api: &Api, request: Accepted) -> Result<Response, Uncommitted> {
    let Accepted { pim, events, unknown, trace_parent, now } = request;
    for event in &events {
        if is_removal(event.event_type()) {
            // First: the event itself is not delivered to the removed client (contract page 7, "Logs and
            // notifications").
            remove_client(api, &pim, event, now).await?;
        }
    }
    let tracer = api.tracer.as_ref();
    let appending = Appending { pim: &pim, way: "events", since: now, request: trace_parent, events: &events };
    let trace = tracer.and_then(|tracer| tracer.appending(appending));
    let conditions = vec![Condition::Pim { id: pim.id, revision: pim.revision }];
    let appended = api.store.append_if(pim.id, events, now, conditions).await;
    if let Some(trace) = trace {
        trace.ended(appended.as_ref().copied().map_err(ToString::to_string));
    }
    let appended = match appended {
        Err(AppendError::Outdated) => return Err(Uncommitted::Outdated),
        other => other.map_err(not_appended)?,
    };
    api.counters.accepted(appended.accepted, appended.duplicates, unknown.events);
    Ok(body::json(StatusCode::ACCEPTED, answer(appended, &unknown.names)))
}

/// An oversized body has the code of the events' own limits.
fn as_events_refusal(refusal: Refusal) -> Refusal {
    if refusal.said().status != StatusCode::PAYLOAD_TOO_LARGE.as_u16() {
        return refusal;
    }
    let message = format!("the request has more than {} bytes: split it", cloudevents::REQUEST_LIMIT);
    Refusal::with_faults(StatusCode::PAYLOAD_TOO_LARGE, vec![Fault::new(code::REQUEST_TOO_LARGE, message)])
}

/// Trace of a producer's request.
fn trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all("traceparent").iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    TraceParent::parse(value.to_str().ok()?.trim())
}

/// A parsed body.
struct Parsed {
    events: Vec<Event>,
    /// Schema violations by index of the event, if checked.
    unfitting: Vec<(usize, Vec<Fault>)>,
}

/// Parses a body; a large one outside the runtime's threads, so that other requests don't wait for it.
async fn parse(
    api: &Api,
    pim: &Pim,
    headers: HeaderMap,
    body: Bytes,
    received_at: Timestamp,
) -> Result<Parsed, Refusal> {
    let with_schemas = api.settings.schema_check != SchemaCheck::Off;
    let bytes = body.len();
    let parse = move || {
        let events = cloudevents::parse(cloudevents::Request {
            content_type: headers.get(CONTENT_TYPE).map(|value| value.as_bytes()),
            content_encoding: headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()),
            headers: headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())),
            body: &body,
            received_at,
        })?;
        let checked = events.iter().filter(|_| with_schemas).enumerate();
        let unfitting = checked.map(|(index, event)| (index, wire::schema::check(event.event_type(), event.data())));
        let unfitting = unfitting.filter(|(_, faults)| !faults.is_empty()).collect();
        Ok(Parsed { events, unfitting })
    };
    let holder = Holder { pim: u64::from(pim.id.0), part: 0 };
    let parsed = api.bridge.aside().run(holder, bytes, parse).await;
    let parsed = parsed.map_err(|_| Refusal::new(because::STOPPING, "the platform is stopping"))?;
    parsed.map_err(|refusal: cloudevents::Refusal| {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
        Refusal::with_faults(status, refusal.faults)
    })
}

fn is_batch(headers: &HeaderMap) -> bool {
    const BATCH: &[u8] = b"application/cloudevents-batch";
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().trim_ascii().get(..BATCH.len()))
        .is_some_and(|start| start.eq_ignore_ascii_case(BATCH))
}

/// Unknown event types of a request.
#[derive(Default)]
struct Unknown {
    /// Each name once, in the order of the events.
    names: Vec<String>,
    /// Number of events of these types.
    events: usize,
}

fn unknown_types(api: &Api, events: &[Event]) -> Unknown {
    let mut unknown = Unknown::default();
    let mut seen = HashSet::new();
    for name in events.iter().map(Event::event_type).filter(|name| !api.event_types.contains(name)) {
        unknown.events += 1;
        if seen.insert(name) {
            unknown.names.push(name.to_owned());
        }
    }
    unknown
}

/// Applies the operator's settings for unknown types and schema violations.
fn check(
    api: &Api,
    pim: &Pim,
    events: &[Event],
    batched: bool,
    unknown: &Unknown,
    unfitting: Vec<(usize, Vec<Fault>)>,
) -> Result<(), Refusal> {
    let mut faults = Vec::new();
    let place = |index: usize, field: &str| if batched { format!("[{index}].{field}") } else { field.to_owned() };
    if api.settings.unknown_types == UnknownTypes::Reject && unknown.events > 0 {
        let named = events.iter().map(Event::event_type).enumerate();
        // The search for the nearest name takes a while.
        for (index, name) in named.filter(|(_, name)| !api.event_types.contains(name)).take(MOST_FAULTS) {
            let nearest = api.event_types.nearest(name).map(|near| format!("; did you mean {near:?}?"));
            let message = format!("unknown event type {name:?}{}", nearest.unwrap_or_default());
            faults.push(Fault::at(place(index, "type"), code::UNKNOWN_EVENT_TYPE, message));
        }
    }
    let mut more = if faults.is_empty() { 0 } else { unknown.events - faults.len() };
    let unfitting_events = unfitting.len();
    (0..unfitting_events).for_each(|_| api.counters.unfitting_payload());
    let placed = unfitting.into_iter().flat_map(|(index, found)| found.into_iter().map(move |fault| (index, fault)));
    let mut placed =
        placed.map(|(index, fault)| Fault { field: fault.field.map(|field| place(index, &field)), ..fault });
    if api.settings.schema_check == SchemaCheck::Reject {
        faults.extend(placed.by_ref().take(MOST_FAULTS - faults.len()));
        more += placed.count();
    } else if let Some(stands_for) =
        (unfitting_events > 0).then(|| api.unfitting.note(pim.id, unfitting_events as u64)).flatten()
    {
        let shown: Vec<_> = placed.take(SHOWN_FAULTS).map(|fault| fault.message).collect();
        tracing::warn!(
            pim.name = %pim.name,
            events = stands_for,
            "events do not match the schema of their type but are delivered anyway; the latest: {}",
            shown.join("; ")
        );
    }
    if more > 0 {
        faults.push(Fault::new(code::MORE_FAULTS, format!("{more} further faults are not listed")));
    }
    if faults.is_empty() { Ok(()) } else { Err(Refusal::invalid(faults)) }
}

fn is_removal(event_type: &str) -> bool {
    event_type == APP_DELETED || event_type == CONNECTION_DELETED
}

/// A connection or app was removed from its PIM: its subscribers and everything they own are revoked. An event without
/// a client, or with an unknown one, changes nothing.
async fn remove_client(api: &Api, pim: &Pim, event: &Event, now: Timestamp) -> Result<(), Refusal> {
    let of = if event.event_type() == APP_DELETED { "app" } else { "connection" };
    let data = wire::json::parse(event.data().as_bytes()).ok();
    let client_id = data.as_ref().and_then(|data| data.get(of)?.get("client_id")?.as_str());
    let Some(client_id) = client_id else {
        if let Some(events) = api.causes.nameless_removals.note(pim.id, 1) {
            tracing::warn!(
                pim.name = %pim.name,
                event.id = event.id(),
                events,
                "removal events without data.{of}.client_id; nothing is revoked"
            );
        }
        return Ok(());
    };
    let owner = Owner { pim: pim.id, client_id: ClientId(client_id.to_owned()) };
    let client = api.store().client(&owner).await?;
    if client.removal.as_deref() == Some(&*event.identity()) {
        return Ok(());
    }
    if client != ClientRecord::default() || !api.store().subscribers(&owner).await?.is_empty() {
        client_life::revoke(api.store(), pim, &owner, now).await?;
        // Last: a repetition continues an interrupted removal.
        edit_client(api.store(), &owner, |client| client.removal = Some(event.identity().into_owned())).await?;
    }
    Ok(())
}

pub(crate) fn not_appended(error: AppendError) -> Refusal {
    match error {
        AppendError::BacklogFull { message, retry_after } => {
            Refusal::new(because::BACKLOG_FULL, message).retry_after(retry_after)
        }
        AppendError::Outdated => ChangeError::Outdated.into(),
        AppendError::Store(error) => error.into(),
    }
}

fn answer(appended: store::Appended, unknown: &[String]) -> String {
    let mut answer = String::with_capacity(64);
    // Writing to a string cannot fail.
    write!(answer, "{{\"accepted\":{},\"duplicates\":{}", appended.accepted, appended.duplicates).unwrap_or_default();
    for (index, name) in unknown.iter().enumerate() {
        answer.push_str(if index == 0 { ",\"unknown_types\":[" } else { "," });
        escape_into(&mut answer, name);
    }
    answer.push_str(if unknown.is_empty() { "}" } else { "]}" });
    answer
}
