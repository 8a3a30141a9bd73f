//! Events of unknown types, and those that do not match the schema of their type: refused or noted, as operators set.

use std::collections::HashSet;

use domain::Event;
use domain::pim::Pim;
use wire::Fault;
use wire::fault::code;

use crate::Api;
use crate::refusal::Refusal;
use crate::settings::{SchemaCheck, UnknownTypes};

/// Maximum number of listed faults.
const MOST_FAULTS: usize = 100;
/// Of many events that don't match their schema, the operator's log shows a few.
const SHOWN_FAULTS: usize = 3;

/// Unknown event types of a request.
#[derive(Default)]
pub(super) struct Unknown {
    /// Each name once, in the order of the events.
    pub(super) names: Vec<String>,
    /// Number of events of these types.
    pub(super) events: usize,
}

/// The unknown event types among some events.
pub(super) fn unknown_types(api: &Api, events: &[Event]) -> Unknown {
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
pub(super) fn check(
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
