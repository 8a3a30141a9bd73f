//! Kept events: the query and the answers of `GET /events` and `GET …/failures`.

use std::sync::Arc;

use domain::fate::GivenUp;
use domain::outcome::ErrorReason;
use domain::subscriber::Owner;
use domain::time::Timestamp;
use domain::{LoggedEvent, Position, SubscriptionId};

use super::answer::object;
use super::cursor;
use super::query::{INSTANT, Kind, Parameter, Query, parameter};
use super::shape::Form;
use crate::fault::Fault;
use crate::json::{Number, Value};

/// Contract page 8, "Kept events".
const DEFAULT_LIMIT: usize = 50;
/// Contract page 8, "Kept events".
const MAX_LIMIT: u64 = 100;
/// Length of an event id (contract page 7); codes of entities and authors are not longer.
pub(super) const ID: Form = Form::of_length((1, 256));

const LIMIT: Parameter = parameter("limit", Kind::Number(1, MAX_LIMIT), "Maximum number of items; default 50.");
const CURSOR: Parameter = parameter(
    "cursor",
    Kind::Text(Form::of_format("position-cursor")),
    "The `next` of the previous response, unchanged, with the same other parameters.",
);

/// Parameters of `GET /events`.
pub const EVENTS_QUERY: &[Parameter] = &[
    parameter("type", Kind::Text(ID.examples(&["com.akeneo.pim.v1.product.updated"])), "Only events of this type."),
    parameter(
        "entity",
        Kind::Text(ID.examples(&["6a9f8486-2c36-4680-b87f-6f5f8f01b6cf", "packshots/front"])),
        "Only events about this entity: its uuid or code, as `entity` shows it.",
    ),
    parameter("id", Kind::Text(ID), "Only events with this id. Events of different sources may share one."),
    parameter("author", Kind::Text(ID.examples(&["erp"])), "Only events by this author: `data.author.identifier`."),
    parameter("start_time", Kind::Text(INSTANT), "Only events accepted at this time or later."),
    parameter("end_time", Kind::Text(INSTANT), "Only events accepted before this time."),
    LIMIT,
    CURSOR,
];

/// Parameters of `GET …/failures`.
pub const FAILURES_QUERY: &[Parameter] = &[LIMIT, CURSOR];

/// JSON Schemas of the responses.
pub(super) const SCHEMAS: &[(&str, &str)] = &[
    (
        "EventPage",
        r##"{"type": "object", "required": ["items", "next"], "properties": {
          "items": {"type": "array", "items": {"$ref": "#/components/schemas/KeptEventSummary"}},
          "next": {"type": ["string", "null"], "description": "`cursor` of the next page; `null` on the last page. A page may be shorter than `limit`, or empty, although more follow."}}}"##,
    ),
    (
        "KeptEventSummary",
        r##"{"type": "object", "required": ["id", "type", "time", "accepted_at", "entity", "author", "size"], "properties": {
          "id": {"type": "string"}, "type": {"type": "string"},
          "time": {"type": "string", "format": "date-time", "description": "When the change happened."},
          "accepted_at": {"type": "string", "format": "date-time", "description": "When the platform accepted the event."},
          "entity": {"type": ["string", "null"], "description": "Uuid or code of the entity that the event is about."},
          "author": {"type": ["string", "null"], "description": "`data.author.identifier`."},
          "size": {"type": "integer", "description": "Bytes as stored."}}}"##,
    ),
    (
        "KeptEvent",
        r##"{"type": "object", "required": ["accepted_at", "event"], "properties": {
          "accepted_at": {"type": "string", "format": "date-time"},
          "event": {"type": "object", "description": "The event as it is delivered, without `subject`, which is the subscription's id.",
            "required": ["specversion", "id", "source", "type", "datacontenttype", "dataschema", "time", "data"], "properties": {
            "specversion": {"const": "1.0"}, "id": {"type": "string"}, "source": {"type": "string"}, "type": {"type": "string"},
            "datacontenttype": {"const": "application/json"}, "dataschema": {"type": "string", "format": "uri"},
            "time": {"type": "string", "format": "date-time"}, "data": {"type": "object"}},
            "additionalProperties": {"type": ["string", "boolean", "integer"], "description": "Extension attributes."}}}}"##,
    ),
    (
        "FailurePage",
        r##"{"type": "object", "required": ["items", "next"], "properties": {
          "items": {"type": "array", "items": {"$ref": "#/components/schemas/UndeliveredEvent"}},
          "next": {"type": ["string", "null"], "description": "`cursor` of the next page; `null` on the last page. A page may be shorter than `limit`, or empty, although more follow."}}}"##,
    ),
    (
        "UndeliveredEvent",
        r##"{"type": "object", "required": ["event_id", "event_type", "state", "error_reason", "status", "attempts", "at", "next_attempt_at"], "properties": {
          "event_id": {"type": "string"}, "event_type": {"type": "string"},
          "state": {"enum": ["waiting_for_retry", "given_up"]},
          "error_reason": {"description": "Why the latest attempt failed; `null` if it is no longer remembered.", "oneOf": [{"$ref": "#/components/schemas/ErrorReason"}, {"type": "null"}]},
          "status": {"type": ["integer", "null"], "description": "HTTP status of the latest response; `null` without one, or if it is no longer remembered."},
          "attempts": {"type": "integer", "description": "Failed attempts; those answered with 429 do not count."},
          "at": {"type": "string", "format": "date-time", "description": "Time of the latest attempt; of the first one if the latest is no longer remembered."},
          "next_attempt_at": {"type": ["string", "null"], "format": "date-time", "description": "`null` if it was given up."}}}"##,
    ),
];

/// A caller's request for kept events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventsRequest {
    /// Only of this type.
    pub event_type: Option<String>,
    /// Only about this entity.
    pub entity: Option<String>,
    /// Only with this id.
    pub id: Option<String>,
    /// Only by this author.
    pub author: Option<String>,
    /// Inclusive start of acceptance.
    pub since: Option<Timestamp>,
    /// Exclusive end of acceptance.
    pub until: Option<Timestamp>,
    /// The page.
    pub page: PageRequest,
}

/// The requested page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageRequest {
    /// Maximum number of items.
    pub limit: usize,
    /// Exclusive end of the positions.
    pub before: Option<Position>,
}

impl EventsRequest {
    /// Reads the query part of the URL, without `?`.
    pub fn parse(query: &str, owner: &Owner) -> Result<EventsRequest, Vec<Fault>> {
        let mut query = Query::split(query, "this list", EVENTS_QUERY);
        let page = page(&mut query, &events_list(owner));
        let (since, until) = query.time_span();
        let request = EventsRequest {
            event_type: query.bounded_text("type"),
            entity: query.bounded_text("entity"),
            id: query.bounded_text("id"),
            author: query.bounded_text("author"),
            since,
            until,
            page,
        };
        query.finish(request)
    }
}

/// Reads the query of `GET …/failures`.
pub fn failures_request(query: &str, subscription: SubscriptionId) -> Result<PageRequest, Vec<Fault>> {
    let mut query = Query::split(query, "this list", FAILURES_QUERY);
    let page = page(&mut query, &failures_list(subscription));
    query.finish(page)
}

fn page(query: &mut Query<'_>, list: &str) -> PageRequest {
    PageRequest {
        limit: query.number("limit").map_or(DEFAULT_LIMIT, |limit| limit as usize),
        before: query.value("cursor", "the `next` of an earlier response of this list, unchanged", |text| {
            cursor::read(list, text)
        }),
    }
}

fn events_list(owner: &Owner) -> String {
    format!("events {} {}", owner.pim, owner.client_id)
}

fn failures_list(subscription: SubscriptionId) -> String {
    format!("failures {subscription}")
}

/// A page of events, and the position from which it continues.
pub fn events(events: &[Arc<LoggedEvent>], next: Option<Position>, owner: &Owner) -> String {
    list(events.iter().map(|event| summary(event)), next.map(|next| cursor::write(&events_list(owner), next)))
}

fn list(items: impl Iterator<Item = Value>, next: Option<String>) -> String {
    object([("items", Value::Array(items.collect())), ("next", next.map_or(Value::Null, Value::from))]).to_canonical()
}

/// Events on which a filter was tested, newest first, with its results; at most `listed` of them one by one.
pub fn tested(events: &[(Arc<LoggedEvent>, bool)], listed: usize) -> Value {
    let matching = events.iter().filter(|(_, matches)| *matches).count();
    let item = |(event, matches): &(Arc<LoggedEvent>, bool)| {
        object([("matches", Value::Bool(*matches)), ("event", summary(event))])
    };
    object([
        ("tested", Value::Number(Number::from(events.len() as u64))),
        ("matching", Value::Number(Number::from(matching as u64))),
        ("since", events.last().map_or(Value::Null, |(oldest, _)| oldest.accepted_at.to_string().into())),
        ("items", Value::Array(events.iter().take(listed).map(item).collect())),
    ])
}

fn summary(logged: &LoggedEvent) -> Value {
    let event = &logged.event;
    let entity = event.entity();
    object([
        ("id", event.id().into()),
        ("type", event.event_type().into()),
        ("time", event.time().into()),
        ("accepted_at", logged.accepted_at.to_string().into()),
        ("entity", entity.map_or(Value::Null, |entity| entity.key().into())),
        ("author", event.author().map_or(Value::Null, |author| Value::from(&*author))),
        ("size", Value::Number(Number::from(event.size() as u64))),
    ])
}

/// An event in its envelope ([`crate::envelope::without_subject`]).
pub fn event(accepted_at: Timestamp, envelope: &str) -> String {
    format!(r#"{{"accepted_at":"{accepted_at}","event":{envelope}}}"#)
}

/// An undelivered event of a subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// CloudEvents `id`.
    pub event_id: String,
    /// CloudEvents `type`.
    pub event_type: String,
    /// Its state.
    pub state: FailureState,
}

/// State of an undelivered event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FailureState {
    /// Waits for a retry, or for its turn after a 429.
    Waiting {
        /// Why the latest attempt failed, if remembered.
        reason: Option<ErrorReason>,
        /// HTTP status of its response, if remembered.
        status: Option<u16>,
        /// Failed attempts.
        attempts: u8,
        /// Time of the latest attempt that is remembered.
        at: Timestamp,
        /// Time of the next attempt.
        due_at: Timestamp,
    },
    /// Tried for the last time.
    GivenUp(GivenUp),
}

/// A page of undelivered events, and the position from which it continues.
pub fn failures(failures: &[Failure], next: Option<Position>, subscription: SubscriptionId) -> String {
    list(failures.iter().map(failure), next.map(|next| cursor::write(&failures_list(subscription), next)))
}

fn failure(failure: &Failure) -> Value {
    let (state, reason, status, attempts, at, due_at) = match &failure.state {
        FailureState::Waiting { reason, status, attempts, at, due_at } => {
            ("waiting_for_retry", *reason, *status, *attempts, *at, Some(*due_at))
        }
        FailureState::GivenUp(given_up) => {
            ("given_up", Some(given_up.reason), given_up.status, given_up.attempts, given_up.at, None)
        }
    };
    object([
        ("event_id", failure.event_id.as_str().into()),
        ("event_type", failure.event_type.as_str().into()),
        ("state", state.into()),
        ("error_reason", reason.map_or(Value::Null, |reason| reason.as_str().into())),
        ("status", status.map_or(Value::Null, |status| Value::Number(Number::from(u64::from(status))))),
        ("attempts", Value::Number(Number::from(u64::from(attempts)))),
        ("at", at.to_string().into()),
        ("next_attempt_at", due_at.map_or(Value::Null, |due| due.to_string().into())),
    ])
}

#[cfg(test)]
mod tests {
    use domain::{ClientId, PimId};

    use super::*;

    fn owner(client: &str) -> Owner {
        Owner { pim: PimId(1), client_id: ClientId(client.to_owned()) }
    }

    #[track_caller]
    fn check_refused(query: &str, field: &str) {
        let faults = EventsRequest::parse(query, &owner("app")).expect_err(query);
        assert_eq!(faults[0].field.as_deref(), Some(field), "{faults:?}");
    }

    #[test]
    fn a_query_is_read_as_a_whole() {
        let query = "type=t&entity=a%2Fb&id=1&author=erp&start_time=2026-11-02T08:00:00Z&limit=7";
        let read = EventsRequest::parse(query, &owner("app")).unwrap();
        assert_eq!((read.event_type.as_deref(), read.entity.as_deref()), (Some("t"), Some("a/b")));
        assert_eq!((read.id.as_deref(), read.author.as_deref(), read.page.limit), (Some("1"), Some("erp"), 7));
        assert!(read.since.is_some() && read.until.is_none() && read.page.before.is_none());
        check_refused("type=", "type");
        check_refused(&format!("id={}", "a".repeat(257)), "id");
        check_refused("limit=101", "limit");
        check_refused("page=1", "page");
        check_refused("start_time=2026-11-02T08:00:01Z&end_time=2026-11-02T08:00:00Z", "end_time");
    }

    #[test]
    fn a_page_continues_for_its_own_caller() {
        let text = events(&[], Some(Position(9)), &owner("app"));
        let page = crate::json::parse(text.as_bytes()).unwrap();
        let query = format!("cursor={}", page.get("next").and_then(Value::as_str).unwrap());
        let read = EventsRequest::parse(&query, &owner("app")).unwrap();
        assert_eq!(read.page.before, Some(Position(9)));
        let faults = EventsRequest::parse(&query, &owner("other")).unwrap_err();
        assert!(faults[0].message.contains("unchanged"), "{faults:?}");
    }
}
