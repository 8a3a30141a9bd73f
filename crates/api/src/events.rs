//! `POST /api/v1/events`: event ingest. The hot path: one body, one parse, one append, one short response.

mod conformity;

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
use crate::settings::SchemaCheck;
use crate::{Api, client_life};
use conformity::{Unknown, check, unknown_types};

/// Each conflict is a change of the PIM's registration, made manually by operators.
const MAX_JUDGEMENTS: usize = 20;

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
    let headers = Arc::new(parts.headers);
    let bounds = &api.settings.server;
    let pim = match producer::source(api, &headers).await {
        Ok(pim) => pim,
        Err(refusal) => {
            body::discard(&headers, unread, bounds.ingest_body).await;
            return Err(refusal);
        }
    };
    let room = api.bodies.of_pim(&pim);
    let body = body::read(&headers, unread, bounds.ingest_body, bounds.body_timeout, room).await;
    let Whole { bytes, held } = body.map_err(as_events_refusal)?;
    // From here on the producer may disconnect: a fully received request is stored and counted.
    let api = Arc::clone(api);
    let commits = api.commits.clone();
    commits
        .run(async move {
            let answered = judge_and_commit(&api, pim, &headers, bytes).await;
            drop(held);
            answered
        })
        .await
}

/// The body may have taken a minute: the key must still be valid in the commit, which has the registration's revision
/// as its condition. `pim` is that of the request's head.
async fn judge_and_commit(
    api: &Api,
    mut pim: Arc<Pim>,
    headers: &Arc<HeaderMap>,
    body: Bytes,
) -> Result<Response, Refusal> {
    for _ in 0..MAX_JUDGEMENTS {
        let request = read(api, pim, headers, body.clone()).await?;
        match commit(api, request, headers).await {
            Err(Uncommitted::Outdated) => {
                api.store().look_for_changed_pims().await?;
                pim = producer::source(api, headers).await?;
            }
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
async fn read(api: &Api, pim: Arc<Pim>, headers: &Arc<HeaderMap>, body: Bytes) -> Result<Accepted, Refusal> {
    let now = api.clock.wall();
    let batched = is_batch(headers);
    let trace_parent = api.tracer.as_ref().and_then(|_| trace_parent(headers));
    let Parsed { mut events, unfitting } = parse(api, &pim, Arc::clone(headers), body, now).await?;
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
async fn commit(api: &Api, request: Accepted, headers: &HeaderMap) -> Result<Response, Uncommitted> {
    let Accepted { pim, events, unknown, trace_parent, now } = request;
    let removals = || events.iter().filter(|event| is_removal(event.event_type()));
    // Removing a client has no condition.
    if removals().next().is_some() && producer::source(api, headers).await?.revision != pim.revision {
        return Err(Uncommitted::Outdated);
    }
    for event in removals() {
        // First: the event itself is not delivered to the removed client (contract page 7, "Logs and notifications").
        remove_client(api, &pim, event, now).await?;
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
    headers: Arc<HeaderMap>,
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
