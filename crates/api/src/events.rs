//! `POST /api/v1/events`: events come in. The hot path: one body, one parse, one append, one short answer.

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
use store::{AppendError, ChangeError, Client, Condition, edit_client};
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

/// Each one is lost to a change of the PIM's registration, which operators make by hand.
const MAX_JUDGEMENTS: usize = 20;
/// As many faults are listed one by one.
const MOST_FAULTS: usize = 100;
/// Of many events whose payload does not fit, the operator's log shows a few.
const SHOWN_FAULTS: usize = 3;

/// What it is for those who call it.
pub(crate) fn about() -> Operation {
    Operation::new(
        "sendEvents",
        "Send events",
        "The CloudEvents HTTP binding: one event (`application/cloudevents+json`), a list (`application/cloudevents-batch+json`), or binary \
         mode (`application/json`, or no type: the body is `data`, the attributes come as `ce-*` headers, percent-encoded). All of a request or \
         nothing of it: it is answered when it is on stable storage. An event has at most 1 MiB, a request 5 MiB, a batch 1,000 events, as they are sent and as they are kept and delivered.",
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

/// The answer and a body, for those who read them.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[
    ("EventData", r##"{"type": "object", "description": "`data` of an event in binary mode."}"##),
    (
        "Accepted",
        r##"{"type": "object", "required": ["accepted", "duplicates"], "properties": {
          "accepted": {"type": "integer", "description": "Events in the request."},
          "duplicates": {"type": "integer", "description": "Those among them that were known already; they are not delivered twice."},
          "unknown_types": {"type": "array", "items": {"type": "string"}, "description": "Types among them that are not known, where there are any: they are stored and counted, and nobody can subscribe to them."}}}"##,
    ),
];

/// Takes the events of a request, all or none, and answers when they are on stable storage.
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
    // From here on the producer is not needed any more: what it sent whole is taken and counted.
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

/// The body may have taken a minute: the key counts that is one now, and that still is one in the commit.
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
        // One request, one event: what comes of it belongs to the trace of the request. Of a batch, each event has a
        // trace of its own.
        let keep = |event: Event| if event.trace_parent().is_some() { event } else { event.brought_by(trace_parent) };
        events = events.into_iter().map(keep).collect();
    }
    Ok(Accepted { pim, events, unknown, trace_parent, now })
}

/// Why events were not stored.
enum Uncommitted {
    /// The registration that they were judged by has changed: judge again.
    Outdated,
    /// It is not to be.
    Refused(Refusal),
}

impl From<Refusal> for Uncommitted {
    fn from(refusal: Refusal) -> Uncommitted {
        Uncommitted::Refused(refusal)
    }
}

/// Stores the events if the PIM is still registered as it was judged, counts them, and answers.
async fn commit(api: &Api, request: Accepted) -> Result<Response, Uncommitted> {
    let Accepted { pim, events, unknown, trace_parent, now } = request;
    for event in &events {
        if is_removal(event.event_type()) {
            // First: the event itself is not for the one that is removed (contract page 7, "Logs and notifications").
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

/// A body that is too large has the code of the events' own limits.
fn as_events_refusal(refusal: Refusal) -> Refusal {
    if refusal.said().status != StatusCode::PAYLOAD_TOO_LARGE.as_u16() {
        return refusal;
    }
    let message = format!("the request has more than {} bytes: send its events in parts", cloudevents::REQUEST_LIMIT);
    Refusal::with_faults(StatusCode::PAYLOAD_TOO_LARGE, vec![Fault::new(code::REQUEST_TOO_LARGE, message)])
}

/// The trace that a producer's request belongs to.
fn trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all("traceparent").iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    TraceParent::parse(value.to_str().ok()?.trim())
}

/// What came of a body.
struct Parsed {
    events: Vec<Event>,
    /// What does not fit the schema of its type, by the event's place, where that is asked for.
    unfitting: Vec<(usize, Vec<Fault>)>,
}

/// Reads a body; a large one aside of the runtime's threads, so that others' requests do not wait for it.
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

/// Event types of a request that are not in the catalogue.
#[derive(Default)]
struct Unknown {
    /// Each name once, in the order of the events.
    names: Vec<String>,
    /// Events of such types.
    events: usize,
}

fn unknown_types(api: &Api, events: &[Event]) -> Unknown {
    let mut unknown = Unknown::default();
    let mut seen = HashSet::new();
    for name in events.iter().map(Event::event_type).filter(|name| !api.catalogue.contains(name)) {
        unknown.events += 1;
        if seen.insert(name) {
            unknown.names.push(name.to_owned());
        }
    }
    unknown
}

/// What the operator's settings say about unknown types and payloads that do not fit.
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
        // Looking for the nearest name takes a while.
        for (index, name) in named.filter(|(_, name)| !api.catalogue.contains(name)).take(MOST_FAULTS) {
            let nearest = api.catalogue.nearest(name).map(|near| format!("; did you mean {near:?}?"));
            let message = format!("no event type {name:?} is known{}", nearest.unwrap_or_default());
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
            "events do not fit the schema of their type and are delivered all the same; the latest: {}",
            shown.join("; ")
        );
    }
    if more > 0 {
        faults.push(Fault::new(code::MORE_FAULTS, format!("{more} more faults are not listed")));
    }
    if faults.is_empty() { Ok(()) } else { Err(Refusal::invalid(faults)) }
}

fn is_removal(event_type: &str) -> bool {
    event_type == APP_DELETED || event_type == CONNECTION_DELETED
}

/// A connection or app is gone from its PIM: its subscribers and all that they have are revoked. An event that names no
/// client, or one that nobody here knows, changes nothing.
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
                "removals name no client in data.{of}.client_id; nobody is revoked"
            );
        }
        return Ok(());
    };
    let owner = Owner { pim: pim.id, client_id: ClientId(client_id.to_owned()) };
    let client = api.store().client(&owner).await?;
    if client.removal.as_deref() == Some(&*event.identity()) {
        return Ok(());
    }
    if client != Client::default() || !api.store().subscribers(&owner).await?.is_empty() {
        client_life::revoke(api.store(), pim, &owner, now).await?;
        // Last: a removal that was cut short is carried on by its repetition.
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
    // Writing to a string does not fail.
    write!(answer, "{{\"accepted\":{},\"duplicates\":{}", appended.accepted, appended.duplicates).unwrap_or_default();
    for (index, name) in unknown.iter().enumerate() {
        answer.push_str(if index == 0 { ",\"unknown_types\":[" } else { "," });
        escape_into(&mut answer, name);
    }
    answer.push_str(if unknown.is_empty() { "}" } else { "]}" });
    answer
}
